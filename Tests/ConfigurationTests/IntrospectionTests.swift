// Issuers that are asked about their tokens.

import Credentials
import Testing

@testable import Configuration

@Suite("An issuer with introspection")
struct IntrospectionTests {
    private func file(_ issuer: String, _ more: String = "", check: String = "main") -> String {
        "listen a:1\nissuer main {\nname i\naudience a\n\(issuer)\n}\n\(more)\nroute /* {\nupstream b:2\nbearer_check \(check)\n}\n"
    }

    private let good = "introspect_url https://id.example.com/introspect\nintrospect_client heartwire S3CRET"

    @Test("is a service that the proxy asks, with its terms")
    func everything() throws {
        let configuration = try parse(
            file("\(good)\nintrospect_timeout 2s\ncache 20s\nrecheck off\nrecheck_grace 1m\ntls {\nauthority f\n}")
        ).configuration
        let found = try #require(configuration.issuers.first?.introspection)
        #expect(found.clientID == "heartwire" && found.clientSecret == "S3CRET")
        #expect(found.asked.name == "issuer main" && configuration.services == [found.asked.service])
        #expect(found.asked.service.timeoutMilliseconds == 2_000 && found.asked.service.tls?.authorityFile == "f")
        let terms = found.asked.terms
        #expect(terms.cacheMilliseconds == 20_000 && terms.deniedCacheMilliseconds == 2_000)
        #expect(terms.recheckMilliseconds == nil && terms.recheckGraceMilliseconds == 60_000)
        let usual = try #require(try parse(file(good)).configuration.issuers.first?.introspection?.asked.terms)
        #expect(usual.cacheMilliseconds == 10_000 && usual.recheckMilliseconds == 60_000 && usual.recheckGraceMilliseconds == 600_000)
    }

    @Test(
        "has no keys, proves itself, and is asked over TLS",
        arguments: [
            ("introspect_url https://h/", "without 'introspect_client' anybody could ask about tokens"),
            ("introspect_url http://h.example.com/\nintrospect_client a b", "anybody on the network path could change this answer"),
            ("introspect_url https://h/\nintrospect_client a \"\"", "neither the id nor the secret is empty"),
            ("introspect_url https://h/\nintrospect_client a b\nkeys_file f", "an issuer is asked about its tokens or has keys"),
            ("introspect_url https://h/\nintrospect_client a b\nalgorithms RS256", "'algorithms' means nothing where"),
            ("introspect_url https://h/\nintrospect_client a b\ntoken_type JWT", "'token_type' means nothing where"),
            ("introspect_url https://h/\nintrospect_client a b\ntls {\nverification insecure_off\n}", "who can pretend to be this server"),
            ("key RS256 f\nrecheck 1m", "'recheck' means nothing without 'introspect_url'"),
        ])
    func refused(lines: String, message: String) {
        let found = diagnostics(file(lines)).filter { $0.severity == .error }.map(\.message)
        #expect(found.count == 1 && found[0].hasPrefix(message), "\(found)")
    }

    @Test("stands alone among the issuers of a route that are asked, and its secret is never shown")
    func aloneAndSecret() {
        let other = "issuer other {\nname j\naudience a\n\(good)\n}"
        let found = diagnostics(file(good, other, check: "main other")).map(\.message)
        #expect(found == ["only one issuer of a route can have 'introspect_url'; 'main' has it"])
        for line in ["introspect_client S3CRET", "introspect_client id S3CRET more", "introspect_clent id S3CRET"] {
            let all = ConfigurationErrors(diagnostics: diagnostics(file("introspect_url https://h/\n\(line)"))).description
            #expect(all.contains("test.conf:") && !all.contains("S3C"), "\(all)")
        }
    }
}
