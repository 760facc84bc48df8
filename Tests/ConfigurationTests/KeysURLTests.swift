// Issuers whose keys are fetched.

import Credentials
import Testing

@testable import Configuration

@Suite("An issuer with a URL for its keys")
struct KeysURLTests {
    private func file(_ issuer: String) -> String {
        "listen a:1\nissuer main {\nname i\naudience a\n\(issuer)\n}\nroute /* {\nupstream b:2\nbearer_check main\n}\n"
    }

    @Test("is a service that the proxy asks, over TLS that is verified")
    func everything() throws {
        let configuration = try parse(
            file(
                """
                keys_url https://ID.example.com/jwks.json?tenant=1
                keys_refresh 20m
                keys_cooldown 1m
                keys_timeout 2s
                keys_keep 2h
                tls {
                authority f
                server_name other.example.com
                }
                """)
        ).configuration
        let found = try #require(configuration.issuers.first)
        let keysURL = try #require(found.keysURL)
        var times = KeyTimes()
        (times.refreshMilliseconds, times.cooldownMilliseconds) = (1_200_000, 60_000)
        (times.timeoutMilliseconds, times.keepMilliseconds) = (2_000, 7_200_000)
        #expect(keysURL.times == times)
        #expect(found.keys.isEmpty && !found.rules.algorithms.contains { $0.needsSecret })
        #expect(configuration.services == [keysURL.service])
        let service = keysURL.service
        #expect(service.name == "issuer main" && service.timeoutMilliseconds == 2_000)
        #expect(service.url.target == "/jwks.json?tenant=1" && service.url.authority == "id.example.com" && service.url.isSecure)
        var tls = UpstreamTLS()
        (tls.authorityFile, tls.serverName) = ("f", "other.example.com")
        #expect(service.tls == tls)
    }

    @Test("may be asked without TLS on this machine, and has the documented times")
    func loopback() throws {
        for url in ["http://127.0.0.1:9000/", "http://localhost/jwks", "http://[::1]:1/"] {
            let keysURL = try #require(try parse(file("keys_url \(url)")).configuration.issuers.first?.keysURL)
            #expect(keysURL.times == KeyTimes() && keysURL.service.tls == nil)
        }
    }

    @Test(
        "is refused where somebody else could give it keys, or where a directive would do nothing",
        arguments: [
            ("keys_url http://id.example.com/", "anybody on the network path could change this answer; write https://"),
            ("keys_url http://127.0.0.1.example.com/", "anybody on the network path could change this answer; write https://"),
            ("keys_url id.example.com/", "'id.example.com/' is no URL"), ("keys_url https://u:p@h/", ""), ("keys_url https://h/#a", ""),
            ("keys_url https://h/\ntls {\nverification insecure_off\n}", "who can pretend to be this server can make good tokens"),
            ("keys_url http://localhost/\ntls {\nauthority f\n}", "this server is asked in plain HTTP"),
            ("key RS256 f\ntls {\nauthority f\n}", "'tls' means nothing without 'keys_url' or 'introspect_url'"),
            ("key RS256 f\nkeys_keep 2h", "'keys_keep' means nothing without 'keys_url'"),
            ("keys_url https://h/\nkey RS256 f", "an issuer has its keys in one way"),
            ("keys_url https://h/\nkeys_file f", "an issuer has its keys in one way"),
            ("keys_url https://h/\nshared_secret HS256 01234567890123456789012345678901", "an issuer has its keys in one way"),
            ("keys_url https://h/\nalgorithms HS256", "HS256 needs a secret of its own"),
            ("keys_url https://h/\nkeys_refresh 9s", "'9s' is out of range"),
            ("keys_url https://h/\nkeys_refresh 25h", "'25h' is out of range"),
        ])
    func refused(lines: String, message: String) {
        let found = diagnostics(file(lines)).filter { $0.severity == .error }.map(\.message)
        #expect(found.count == 1 && found[0].hasPrefix(message), "\(found)")
    }
}
