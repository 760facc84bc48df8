// The console's directives: what is refused, with which words, and what becomes of the rest.

import Credentials
import Testing

@testable import Configuration

private let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

private func parseConsole(_ console: String, listen: String = "127.0.0.1:8080") throws -> Configuration {
    let text = "listen \(listen)\n\(console)\nroute /* {\n    upstream 127.0.0.1:9000\n}\n"
    return try ConfigurationFile.parse(Array(text.utf8), fileName: "f") { _ in nil }.configuration
}

/// The messages of the errors in a console's lines.
private func problems(_ console: String, listen: String = "127.0.0.1:8080") -> [String] {
    do {
        _ = try parseConsole(console, listen: listen)
        return []
    } catch let errors as ConfigurationErrors { return errors.diagnostics.map(\.message) } catch { return ["\(error)"] }
}

private let tls = "tls {\ncertificate c k\n}"
private let mutual = "tls {\ncertificate c k\nclient_certificates required\nclient_authority a\n}"

@Suite("The console's directives")
struct ConsoleDirectiveTests {
    @Test("are off where nothing is said")
    func off() throws { #expect(try parseConsole("").console == nil) }

    @Test(
        "need nothing for addresses that only this machine can reach",
        arguments: ["127.0.0.1:9464", "127.1.2.3:9464", "[::1]:9464", "unix:/run/c.sock", "unix:@console"])
    func local(address: String) throws {
        let console = try #require(try parseConsole("console \(address)").console)
        #expect(console.listeners.map(\.description) == [address])
        #expect(console.tokenDigest == nil)
    }

    @Test(
        "refuse an address that others can reach without TLS and a proof of who asks",
        arguments: ["*:9464", ":9464", "10.0.0.5:9464", "0.0.0.0:9464", "[::]:9464", "[2001:db8::1]:9464"])
    func reachable(address: String) throws {
        func isRefused(_ block: String, for words: String) -> Bool {
            problems("console \(address) {\n\(block)\n}").contains { $0.contains("other machines can reach") && $0.contains(words) }
        }
        #expect(problems("console \(address)").count == 1)
        #expect(isRefused("", for: "a 'tls' block, and 'token_sha256'"))
        #expect(isRefused("token_sha256 \(digest)", for: "without it the token can be read"))
        #expect(isRefused(tls, for: "'token_sha256', or 'client_certificates required'"))
        let optional = mutual.replacing("required", with: "optional")
        #expect(isRefused(optional, for: "'token_sha256', or 'client_certificates required'"))
        #expect(problems("console \(address) {\n\(tls)\ntoken_sha256 \(digest)\n}") == [])
        #expect(problems("console \(address) {\n\(mutual)\n}") == [])
    }

    @Test("refuse names, whose address could change", arguments: ["localhost:9464", "ops.example.org:9464"])
    func names(address: String) {
        #expect(problems("console \(address)").contains { $0.contains("write the console's address as a number") })
    }

    @Test(
        "refuse an address on which clients are accepted",
        arguments: [("127.0.0.1:8080", "127.0.0.1:8080"), ("127.0.0.1:8080", "*:8080"), ("[::1]:8080", "[::1]:8080")])
    func shared(console: String, listen: String) {
        #expect(problems("console \(console)", listen: listen).contains { $0.contains("needs an address of its own") })
        #expect(problems("console 127.0.0.1:8081", listen: listen) == [])
    }

    @Test(
        "keep the digest, and refuse what is none without showing it", arguments: ["secret", "", String(digest.dropLast()), digest + "0"])
    func digests(text: String) throws {
        let found = try #require(try parseConsole("console [::1]:1 {\ntoken_sha256 \(digest.uppercased())\n}").console?.tokenDigest)
        func matches(_ token: String) -> Bool { found.matches(Array(token.utf8).span) }
        #expect(matches("secret"))
        #expect(!matches("Secret") && !matches(""))
        do {
            _ = try parseConsole("console [::1]:1 {\ntoken_sha256 \"\(text)\"\n}")
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains("no SHA-256"))
            if !text.isEmpty { #expect(!"\(error)".contains(text)) }
        }
    }

    @Test("take more names, and refuse what is more than a name")
    func allowedHosts() throws {
        let console = try parseConsole("console [::1]:1 {\nallow_host Ops.example.org 10.0.0.5\nallow_host [2001:db8::1]\n}").console
        #expect(console?.allowedHosts == ["ops.example.org", "10.0.0.5", "2001:db8::1"])
        for name in ["ops.example.org:443", "https://ops.example.org", "ops.example.org/x", "*", "a@b"] {
            #expect(problems("console [::1]:1 {\nallow_host \(name)\n}").count == 1, "\(name)")
        }
    }

    @Test("tell a reload what has changed, without the token")
    func changes() throws {
        let (off, on) = (try parseConsole(""), try parseConsole("console [::1]:1"))
        #expect(on.changes(since: off) == ["console added"])
        #expect(off.changes(since: on) == ["console removed"])
        #expect(try parseConsole("console [::1]:1 {\ntoken_sha256 \(digest)\n}").changes(since: on) == ["console changed"])
    }
}
