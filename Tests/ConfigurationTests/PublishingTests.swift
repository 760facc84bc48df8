// Listeners on which events are published.

import Testing

@testable import Configuration

@Suite("A listener for those who publish events")
struct PublishingTests {
    private static let key = String(repeating: "S3CRET", count: 3)

    /// A file in which the block begins on line 2.
    private func file(_ block: String, address: String = "127.0.0.1:2", history: String = "history {\n}\n") -> String {
        "listen \(address) {\n\(block)\n}\nlisten a:1\nroute /* {\nupstream b:2\n\(history)}\n"
    }

    @Test("has the keys that it names, and no other listener has any")
    func keys() throws {
        let lines = "publish_key \(Self.key)\npublish_key {$NEW}"
        let parsed = try parse(file(lines), environment: ["NEW": "0123456789abcdef"])
        #expect(parsed.warnings == [])
        let listeners = parsed.configuration.listeners
        #expect(listeners.map(\.publishKeys) == [[Array(Self.key.utf8), Array("0123456789abcdef".utf8)], []])
        let longest = String(repeating: "k", count: 256)
        #expect(try parse(file("publish_key \(longest)")).configuration.listeners[0].publishKeys == [Array(longest.utf8)])
    }

    @Test("may speak TLS, and stand behind a proxy that passes bytes on")
    func others() throws {
        let tls = "tls {\ncertificate c k\nclient_certificates required\nclient_authority a\n}\nprotocols h2"
        let parsed = try parse(file("publish_key \(Self.key)\n\(tls)\nproxy_protocol on", address: "*:2") + "trusted_proxies 10.0.0.1\n")
        #expect(parsed.warnings == [])
        let listener = parsed.configuration.listeners[0]
        #expect(listener.tls != nil && listener.speaksHTTP2 && listener.takesProxyProtocol && listener.publishKeys.count == 1)
    }

    @Test(
        "is refused where its keys or the directives beside them mean nothing",
        arguments: [
            ("publish_key S3CRETshort", "2:13 the key has 16 to 256 visible ASCII characters"),
            ("publish_key \"\(key) \(key)\"", "2:13 the key has 16 to 256 visible ASCII characters"),
            ("publish_key", "2:1 'publish_key' needs more; write: publish_key KEY"),
            ("publish_key \(key) x", "2:32 this is one word too many for 'publish_key'; write: publish_key KEY"),
            ("publish_key \(key)\npublish_key \(key)", "3:13 this key is named twice"),
            ("publish_key \(key)\nredirect_to_https", "3:1 'redirect_to_https' is for browsers, and 'publish_key' lets none in"),
            (
                "publish_key \(key)\ntls {\ncertificate c k\n}\nstrict_transport_security 1h",
                "6:1 'strict_transport_security' is for browsers, and 'publish_key' lets none in"
            ),
            (
                "publish_key \(key)\ntls {\ncertificate c k\nclient_certificates optional\nclient_authority a\nclient_subject_field X-S\n}",
                "3:1 no request of a listener with 'publish_key' goes to a server, so 'client_subject_field' means nothing here"
            ),
        ])
    func refused(lines: String, message: String) {
        let found = diagnostics(file(lines))
        #expect(brief(found) == [message])
        let all = ConfigurationErrors(diagnostics: found).description
        #expect(!all.contains("S3"), "\(all)")
    }

    @Test("can have 16 keys, and no more")
    func many() throws {
        func lines(_ count: Int) -> String { (0..<count).map { "publish_key key-number-\($0)-of-many" }.joined(separator: "\n") }
        #expect(try parse(file(lines(16))).configuration.listeners[0].publishKeys.count == 16)
        #expect(brief(diagnostics(file(lines(17)))) == ["18:13 a listener can have at most 16 keys"])
    }

    @Test("never shows a key in a message", arguments: ["publish_kay", "publish-key", "publish_key=", "publish_keys", "publish_key\n"])
    func secret(name: String) {
        let all = ConfigurationErrors(diagnostics: diagnostics(file("\(name) \(Self.key)"))).description
        #expect(all.contains("test.conf:") && !all.contains("S3C"), "\(all)")
    }

    @Test("cannot be the only one, and warns where it could publish nothing")
    func useless() throws {
        let alone = "listen 127.0.0.1:2 {\npublish_key \(Self.key)\n}\nroute /* {\nupstream b:2\nhistory {\n}\n}\n"
        let told = "no 'listen' is for clients, only for those who publish; write, for example: listen 127.0.0.1:8080"
        #expect(diagnostics(alone).map(\.message) == [told])
        let warnings = try parse(file("publish_key \(Self.key)", history: "")).warnings
        #expect(brief(warnings) == ["1:8 nothing can be published, because no route has a 'history'"])
    }

    @Test("warns where keys cross the network in plain text", arguments: ["*:2", "10.0.0.1:2", "host:2"])
    func plainText(address: String) throws {
        let told = "1:8 the key crosses the network in plain text; add a 'tls' block, or listen on 127.0.0.1"
        #expect(brief(try parse(file("publish_key \(Self.key)", address: address)).warnings) == [told])
        #expect(try parse(file("publish_key \(Self.key)\ntls {\ncertificate c k\n}", address: address)).warnings == [])
    }

    @Test("is quiet on this machine", arguments: ["127.0.0.1:2", "[::1]:2", "localhost:2"])
    func thisMachine(address: String) throws {
        #expect(try parse(file("publish_key \(Self.key)", address: address)).warnings == [])
    }

    @Test("counts as changed when its keys are, and the report shows none")
    func changed() throws {
        func configuration(_ key: String) throws -> Configuration { try parse(file("publish_key \(key)")).configuration }
        let changes = try configuration(Self.key + "b").changes(since: configuration(Self.key + "a"))
        #expect(changes == ["listen 127.0.0.1:2 changed"])
    }
}
