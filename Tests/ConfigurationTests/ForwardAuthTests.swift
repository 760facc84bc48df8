// Blocks of `forward_auth`, and the directive of routes that names one.

import Credentials
import Testing

@testable import Configuration

@Suite("A service that is asked about requests")
struct ForwardAuthTests {
    private let good = "url http://127.0.0.1:9100/verify"

    private func file(_ block: String, _ route: String = "forward_auth session", top: String = "") -> String {
        "listen a:1\n\(top)\nforward_auth session {\n\(block)\n}\nroute /* {\nupstream b:2\n\(route)\n}\n"
    }

    private func messages(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) -> [String] {
        diagnostics(text, sourceLocation: sourceLocation).map(\.message)
    }

    @Test("has a URL, fields and times, each as it is said, and its own upstream")
    func everything() throws {
        let configuration = try parse(
            file(
                """
                url https://auth.example.com:8443/verify?a=b
                send Cookie X-Api-Key
                send Accept
                take X-User X-Groups
                cache 1m
                cache_denied 0s
                recheck 30s
                recheck_grace 0s
                timeout 500ms
                tls {
                    server_name auth
                }
                """)
        ).configuration
        let service = try #require(configuration.forwardAuths.first)
        #expect(service.name == "session" && configuration.routes.first?.forwardAuth == "session")
        #expect(service.service.url.target == "/verify?a=b" && service.service.timeoutMilliseconds == 500)
        #expect(service.service.tls?.serverName == "auth")
        #expect(service.terms.sent == ["Cookie", "X-Api-Key", "Accept"] && service.terms.taken == ["X-User", "X-Groups"])
        #expect(service.terms.cacheMilliseconds == 60_000 && service.terms.deniedCacheMilliseconds == 0)
        #expect(service.terms.recheckMilliseconds == 30_000 && service.terms.recheckGraceMilliseconds == 0)
        #expect(configuration.allUpstreams.map(\.name) == ["b:2", "forward_auth session"])
    }

    @Test("gets cookies and Authorization where nothing else is said, and gives no field")
    func defaults() throws {
        let configuration = try parse(file(good)).configuration
        let service = try #require(configuration.forwardAuths.first)
        #expect(service.terms == ForwardAuthTerms() && service.terms.sent == ["Cookie", "Authorization"] && service.terms.taken.isEmpty)
        #expect(service.terms.cacheMilliseconds == 10_000 && service.terms.deniedCacheMilliseconds == 2_000)
        #expect(service.terms.recheckMilliseconds == nil && service.terms.recheckGraceMilliseconds == 600_000)
        #expect(service.service.timeoutMilliseconds == 2_000 && service.service.tls == nil)
    }

    @Test("is asked also where its block deserves a warning: without it, everything would pass")
    func warned() throws {
        let parsed = try parse(file("url https://auth.example.com/verify\ntake X-User\ntls {\nverification insecure_off\n}"))
        #expect(parsed.warnings.count == 1 && parsed.warnings[0].message.hasPrefix("servers need not prove who they are"))
        let service = try #require(parsed.configuration.forwardAuths.first)
        #expect(service.terms.taken == ["X-User"] && service.service.tls?.isVerified == false)
    }

    @Test("decides about requests without a bearer token too, unless the route says otherwise")
    func missing() throws {
        func bearer(_ lines: String) throws -> BearerRules? {
            try parse(file(good, "forward_auth session\n" + lines)).configuration.routes.first?.bearer.map(BearerRules.init)
        }
        #expect(try bearer("") == BearerRules(refuses: false, asksService: true))
        #expect(try bearer("bearer_from query t") == BearerRules(refuses: false, asksService: true))
        #expect(try bearer("bearer_from query t\nbearer_missing refuse") == BearerRules(refuses: true, asksService: true))
        #expect(try bearer("realm chat") == BearerRules(refuses: false, asksService: true))
        #expect(
            messages(file(good, "forward_auth session\nbearer_missing refuse")).first?.contains("means nothing without 'bearer_from'")
                == true)
    }

    @Test(
        "is refused where it could not be asked, or could be deceived",
        arguments: [
            ("take X-User", "where is this service?"),
            ("url ftp://a/", "is no URL"), ("url 127.0.0.1:9100/verify", "is no URL"),
            ("url http://127.0.0.1/a#b", "a fragment (#) is never sent"),
            ("url http://127.0.0.1/\nsend Host", "belongs to one connection"),
            ("url http://127.0.0.1/\nsend content-length", "belongs to one connection"),
            ("url http://127.0.0.1/\nsend X-Forwarded-Uri", "is written by proxies"),
            ("url http://127.0.0.1/\nsend x_original_url", "is written by proxies"),
            ("url http://127.0.0.1/\nsend X-Real-IP", "is written by proxies"),
            ("url http://127.0.0.1/\nsend x_original_method", "is written by proxies"),
            ("url http://127.0.0.1/\nsend \"a b\"", "cannot be the name of a field"),
            ("url http://127.0.0.1/\nsend Cookie cookie", "named twice"), ("url http://127.0.0.1/\ntake X-User x_user", "named twice"),
            ("url http://127.0.0.1/\ntake X-User X~User", "named twice"),
            ("url http://127.0.0.1/\nsend X-User\ntake x_user", "there would be nothing to send"),
            ("url http://127.0.0.1/\ntake Authorization", "has a meaning of its own"),
            ("url http://127.0.0.1/\ntake Set-Cookie", "has a meaning of its own"),
            ("url http://127.0.0.1/\ntake X-Forwarded-User", "has a meaning of its own"),
            ("url http://127.0.0.1/\ntake Transfer_Encoding", "has a meaning of its own"),
            ("url http://127.0.0.1/\ntls {\nverification on\n}", "spoken to in plain HTTP"),
            ("url http://127.0.0.1/\ncache 2h", "out of range"), ("url http://127.0.0.1/\ntimeout 5ms", "out of range"),
            ("url http://127.0.0.1/\nrecheck_grace 1m", "'recheck_grace' means nothing without 'recheck'"),
            ("url http://127.0.0.1/\nrecheck 10ms", "out of range"),
            ("url http://127.0.0.1/\ntake " + (0..<17).map { "X-\($0)" }.joined(separator: " "), "at most 16 fields can be taken"),
            ("url http://127.0.0.1/\nsend " + (0..<17).map { "X-\($0)" }.joined(separator: " "), "at most 16 fields can be sent"),
        ])
    func refused(block: String, message: String) {
        let found = messages(file(block))
        #expect(found.count == 1 && found.first?.contains(message) == true, "\(found)")
    }

    @Test("has a name of its own that routes know")
    func names() {
        #expect(messages(file(good, "forward_auth sesion")).first == "there is no service 'sesion'; did you mean 'session'?")
        #expect(
            messages("listen a:1\nroute /* {\nupstream b:2\nforward_auth x\n}\n").first?.contains(
                "write: forward_auth NAME { ... } at the top level") == true)
        #expect(
            messages(file(good, top: "forward_auth session {\n\(good)\n}")).first == "the service 'session' is already described on line 2")
        #expect(messages(file(good, top: "forward_auth a/b {\n\(good)\n}")).first?.contains("cannot name a service") == true)
        // With an error in its block, the name is known all the same.
        #expect(messages(file("url x")).count == 1)
        let many = (0..<64).map { "forward_auth s\($0) {\n\(good)\n}" }.joined(separator: "\n")
        #expect(messages(file(good, top: many)).contains("there can be at most 64 services of this kind"))
    }

    @Test("is warned of where no route asks it")
    func unused() throws {
        #expect(try parse(file(good, "")).warnings.map(\.message) == ["no route asks the service 'session'"])
    }

    @Test("gives no field that something else writes on the same route")
    func conflicts() throws {
        let issuer = "issuer main {\nname i\naudience any\nkey RS256 f\n}"
        let both = "forward_auth session\nbearer_check main\nclaim_field X_User sub"
        let said = "the field 'X-User' of this service is written by 'claim_field', 'upstream_field' or 'client_subject_field' already"
        #expect(messages(file(good + "\ntake X-User", both, top: issuer)) == [said])
        #expect(messages(file(good + "\ntake X-User", "forward_auth session\nupstream_field x_user heartwire")) == [said])
        #expect(try parse(file(good + "\ntake X-Other", both, top: issuer)).warnings.isEmpty)
    }

    @Test("is a change of its own in the report of a reload")
    func changes() throws {
        let (old, new) = (try parse(file(good)).configuration, try parse(file(good + "\ncache 1s")).configuration)
        #expect(new.changes(since: old) == ["forward_auth session changed"])
    }
}

/// What a route says of tokens, as far as these tests look at it.
private struct BearerRules: Equatable {
    var refuses: Bool
    var asksService: Bool
}

extension BearerRules {
    fileprivate init(_ policy: BearerPolicy) { self.init(refuses: policy.whenMissing == .refuse, asksService: policy.asksService) }
}
