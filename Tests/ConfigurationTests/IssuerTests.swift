// Blocks of `issuer`, and what routes ask of tokens.

import Credentials
import Testing

@testable import Configuration

@Suite("An issuer")
struct IssuerTests {
    private let good = "name i\naudience a\nkey RS256 f"

    private func file(_ issuer: String, _ route: String = "bearer_check main", top: String = "") -> String {
        "listen a:1\n\(top)\nissuer main {\n\(issuer)\n}\nroute /* {\nupstream b:2\n\(route)\n}\n"
    }

    private func issuer(_ lines: String) throws -> Issuer {
        try #require(try parse(file(lines)).configuration.issuers.first)
    }

    private func messages(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) -> [String] {
        diagnostics(text, sourceLocation: sourceLocation).map(\.message)
    }

    @Test("has rules and keys, each as it is said")
    func everything() throws {
        let found = try issuer(
            """
            name https://id.example.com/
            audience a b
            audience c
            key ES256 f k1
            shared_secret HS256 base64url:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
            shared_secret HS384 "012345678901234567890123456789012345678901234567" k2
            keys_file j
            algorithms ES256 HS256 HS384
            leeway 1m
            token_type at+jwt
            lifetime_limit 24h
            require sub jti
            """)
        #expect(
            found.rules
                == IssuerRules(
                    label: "main", name: "https://id.example.com/", audiences: ["a", "b", "c"], algorithms: [.ES256, .HS256, .HS384],
                    leewaySeconds: 60, tokenType: "at+jwt", lifetimeLimitSeconds: 86_400, requiredClaims: ["sub", "jti"]))
        let long = Array("012345678901234567890123456789012345678901234567".utf8)
        #expect(
            found.keys == [
                .file("f", .ES256, name: "k1"), .secret([UInt8](repeating: 0, count: 32), .HS256, name: nil),
                .secret(long, .HS384, name: "k2"), .set(file: "j"),
            ])
    }

    @Test("has by default all algorithms with public keys, and only those with secrets that it has")
    func defaults() throws {
        let found = try issuer("name i\naudience any\nkeys_file f\nshared_secret HS256 01234567890123456789012345678901")
        #expect(found.rules.audiences == nil && found.rules.leewaySeconds == 30 && found.rules.lifetimeLimitSeconds == nil)
        #expect(Set(found.rules.algorithms) == Set(SignatureAlgorithm.allCases).subtracting([.HS384, .HS512]))
        #expect(try !issuer(good).rules.algorithms.contains { $0.needsSecret })
    }

    @Test(
        "is refused where it would accept nothing, or anything",
        arguments: [
            ("audience a\nkey RS256 f", "this issuer has no name"), ("name i\nkey RS256 f", "for whom are its tokens?"),
            ("name i\naudience a", "this issuer has no key"), ("name i\naudience any a\nkey RS256 f", "'any' stands alone"),
            ("name i\naudience a\nkey none f", "a token without a signature is never accepted"),
            ("name i\naudience a\nalgorithms NONE\nkey RS256 f", "a token without a signature is never accepted"),
            ("name i\naudience a\nkey HS256 f", "HS256 needs a secret that both sides know; write: shared_secret HS256 TEXT"),
            ("name i\naudience a\nshared_secret RS256 x", "RS256 needs a public key; write: key RS256 FILE"),
            ("name i\naudience a\nkey RS265 f", "'RS265' is none of RS256"),
            ("name i\naudience a\nkey rs256 f", "'rs256' is none of RS256"),
            ("name i\naudience a\nkey RS256 f\nalgorithms RS256 HS256", "HS256 needs a secret of its own"),
            ("name i\naudience a\nkey RS256 f\nalgorithms ES256", "this key can never be used: RS256 is not among 'algorithms'"),
            ("name i\naudience a\nshared_secret HS256 0123456789012345678901234567890", "the secret has 31 bytes; HS256 needs at least 32"),
            (
                "name i\naudience a\nshared_secret HS512 01234567890123456789012345678901",
                "the secret has 32 bytes; HS512 needs at least 64"
            ),
            ("name i\naudience a\nshared_secret HS256 base64url:AAAA=", "what follows 'base64url:' is no base64url"),
            ("name i\naudience a\nshared_secret HS256 base64url:AAAA", "the secret has 3 bytes"),
            ("name i\naudience a\nkey RS256 f\nleeway 1500ms", "tokens count in whole seconds"),
            ("name i\naudience a\nkey RS256 f\nleeway 6m", "'6m' is out of range"),
            ("name i\naudience a\nkey RS256 f\nlifetime_limit 1500ms", "tokens count in whole seconds"),
            ("name \"\"\naudience a\nkey RS256 f", "the name of an issuer has 1 to 1024 bytes"),
        ])
    func refused(lines: String, message: String) {
        let found = messages(file(lines))
        #expect(found.count == 1 && found[0].hasPrefix(message), "\(found)")
    }

    @Test("never shows a secret")
    func secrets() {
        for line in [
            "shared_secret HS256 S3CRET", "shared_secret HS256 base64url:S3CRET=", "shared_secret RS256 S3CRET", "shared_secret S3CRET",
            "shared_secrets HS256 S3CRET",
            "shared_secret HS256 \"S3CRET S3CRET\" kid more", "shared_secert HS256 S3CRET", "secret HS256 S3CRET", "secret=S3CRET",
            "shared_secret\nS3CRET", "key HS256 S3CRET", "key hs512 S3CRET kid", "jwt_secret S3CRET", "hmac-secret HS256 S3CRET",
        ] {
            let all = ConfigurationErrors(diagnostics: diagnostics(file("\(good)\n\(line)"))).description
            #expect(all.contains("test.conf:") && !all.contains("S3C"), "\(all)")
        }
        let other = diagnostics("listen a:1\nprobe_endpoint x secret_file the-file\n")
        #expect(ConfigurationErrors(diagnostics: other).description.contains("probe_endpoint x secret_file the-file"))
        #expect(ConfigurationErrors(diagnostics: diagnostics("listen a:1\nserver the-server\n")).description.contains("server the-server"))
    }

    @Test("has a name of its own, and a route names it")
    func names() throws {
        let two = "issuer other {\n\(good)\n}"
        #expect(messages(file(good, "bearer_check mein")).contains { $0.hasPrefix("there is no issuer 'mein'; did you mean 'main'") })
        #expect(messages(file(good, "bearer_check main main")) == ["this issuer is named twice"])
        #expect(messages(file(good, top: "issuer main {\n\(good)\n}"))[0].hasPrefix("the issuer 'main' is already described"))
        #expect(messages(file(good, top: "issuer a.b {\n\(good)\n}"))[0].hasPrefix("'a.b' cannot name an issuer"))
        #expect(messages(file(good, "bearer_check main other", top: two))[0].contains("cannot be told apart"))
        #expect(try parse(file(good, top: two)).warnings.map(\.message) == ["no route checks tokens of the issuer 'other'"])
        // A mistake in the block is the only message.
        #expect(messages(file("\(good)\nkey x")).count == 1)
    }

    @Test("makes a route refuse requests without a token, unless the route says otherwise")
    func missing() throws {
        let checked = try #require(try parse(file(good)).configuration.routes.first)
        #expect(checked.check == BearerCheck(issuers: ["main"]))
        #expect(checked.bearer?.whenMissing == .refuse && checked.bearer?.checksTokens == true && checked.bearer?.sources == [])
        #expect(try parse(file(good, "bearer_check main\nbearer_missing pass")).configuration.routes.first?.bearer?.whenMissing == .pass)
        let open = try parse(file(good, "bearer_from query t")).configuration.routes.first
        #expect(open?.bearer?.checksTokens == false && open?.bearer?.whenMissing == .pass && open?.check == nil)
    }

    @Test("serves the other directives of a check, which mean nothing without it")
    func details() throws {
        let lines =
            "require_scope a b\nrequire_scope c\nrequire_claim t x y\nrequire_claim u.v z\nclaim_field X-User sub\nclaim_field X-Tenant t"
        let check = try #require(try parse(file(good, "bearer_check main\n\(lines)")).configuration.routes.first?.check)
        #expect(check.claims.scopes == ["a", "b", "c"])
        #expect(check.claims.requirements.map(\.claim) == ["t", "u.v"] && check.claims.requirements[0].values == ["x", "y"])
        #expect(check.claims.fields.map(\.name) == ["X-User", "X-Tenant"])
        for line in lines.split(separator: "\n") {
            #expect(messages(file(good, String(line)))[0].contains("means nothing without 'bearer_check'"))
        }
        for line in ["bearer_conflict refuse", "bearer_characters visible"] {
            #expect(messages(file(good, "bearer_check main\n\(line)"))[0].contains("means nothing without 'bearer_from'"))
        }
        #expect(try parse(file(good, "bearer_check main\nrealm r\nbearer_limit 8KiB")).configuration.routes[0].bearer?.realm == "r")
    }

    @Test("says how clients learn of the ends of their tokens")
    func expiry() throws {
        func expiry(_ lines: String) throws -> ExpiryPolicy? {
            try parse(file(good, "bearer_check main\n\(lines)")).configuration.routes.first?.check?.expiry
        }
        #expect(try expiry("")?.eventName == "token_expired" && expiry("")?.warning == nil)
        #expect(try expiry("expired status")?.eventName == nil && expiry("expired event")?.eventName == "token_expired")
        #expect(try expiry("expired event login")?.eventName == "login")
        let usual = ExpiryPolicy.Warning(leadMilliseconds: 30_000, eventName: "token_expiring")
        #expect(try expiry("expiring 30s")?.warning == usual && expiry("expiring 30s event")?.warning == usual)
        #expect(try expiry("expiring 1m event renew")?.warning == ExpiryPolicy.Warning(leadMilliseconds: 60_000, eventName: "renew"))
        #expect(try expiry("expiring off")?.warning == nil)
        for (line, message) in [
            ("expired status x", "nothing can follow 'expired status'"), ("expired never", "'never' is none of event, status"),
            ("expired event \" x\"", "does not begin with a blank"), ("expiring off x", "nothing can follow 'expiring off'"),
            ("expiring 30s comment", "'comment' is none of event"), ("expiring 500ms", "1s"), ("expiring 2h", "1h"),
            ("expiring 30s event \"\"", "the name of an event has 1 to 64 bytes"),
        ] {
            let found = messages(file(good, "bearer_check main\n\(line)"))
            #expect(found.count == 1 && found[0].contains(message), "\(line): \(found)")
        }
        for line in ["expired status", "expiring 30s"] {
            #expect(messages(file(good, line))[0].contains("means nothing without 'bearer_check'"))
        }
    }

    @Test(
        "may not give a meaning to a field that has one, or write one twice",
        arguments: [
            "Authorization", "authorization", "Host", "Cookie", "Connection", "X-Forwarded-User", "x_forwarded_for", "Via",
            "Content-Length",
            "Transfer-Encoding", "TE", "Last-Event-ID", "X-Real-IP", "Forwarded", "Sec-Fetch-Site", "Client-Cert", "a b", "",
        ])
    func fields(name: String) {
        #expect(messages(file(good, "bearer_check main\nclaim_field \"\(name)\" sub")).count == 1)
    }

    @Test("shares no field with another claim, or with a listener's certificates")
    func sharedFields() {
        #expect(messages(file(good, "bearer_check main\nclaim_field X-User sub\nclaim_field x_user b")) == ["this field is written twice"])
        let tls =
            "listen *:2 {\ntls {\ncertificate a b\nclient_certificates required\nclient_authority c\nclient_subject_field X-User\n}\n}"
        #expect(messages(file(good, "bearer_check main\nclaim_field x_user sub", top: tls))[0].contains("'client_subject_field' already"))
    }

    @Test("is bounded in everything that a route may ask")
    func bounds() {
        func many(_ line: (Int) -> String) -> String { "bearer_check main\n" + (0..<17).map(line).joined(separator: "\n") }
        #expect(messages(file(good, many { "require_scope s\($0)" })) == ["a route can require at most 16 scopes"])
        #expect(messages(file(good, many { "require_claim c\($0) v" })) == ["a route can require at most 16 claims"])
        #expect(messages(file(good, many { "claim_field X-\($0) c" })) == ["a route can write at most 16 claims"])
        let keys = (0..<65).map { "key RS256 f\($0)" }.joined(separator: "\n")
        #expect(messages(file("name i\naudience a\n\(keys)")) == ["this issuer has 65 keys; at most 64 are allowed"])
        let issuers = (0..<64).map { "issuer i\($0) {\nname i\($0)\naudience a\nkey RS256 f\n}" }.joined(separator: "\n")
        #expect(messages(file(good, top: issuers)) == ["there can be at most 64 issuers"])
        for scope in ["a\\\"b", "a b", "\u{e9}", String(repeating: "s", count: 129)] {
            #expect(messages(file(good, "bearer_check main\nrequire_scope \"\(scope)\"")).count == 1, "\(scope)")
        }
    }

    @Test("is named when a reload changes it, and its secret is not")
    func changes() throws {
        let before = try parse(file("name i\naudience a\nshared_secret HS256 01234567890123456789012345678901")).configuration
        let after = try parse(file("name i\naudience a\nshared_secret HS256 01234567890123456789012345678902")).configuration
        #expect(after.changes(since: before) == ["issuer main changed"])
        let stricter = try parse(
            file("name i\naudience a\nshared_secret HS256 01234567890123456789012345678901", "bearer_check main\nrequire_scope a"))
        #expect(stricter.configuration.changes(since: before) == ["route /* changed"])
    }

    @Test("has no way around it by another spelling of a path")
    func spellings() throws {
        let text = file(good).replacing("route /*", with: "route /events/*") + "route /* {\nupstream b:2\nbearer_from query t\n}\n"
        let table = RouteTable(try parse(text).configuration.routes)
        func match(_ path: String) -> Int? { table.match(host: Array("h".utf8).span, path: Array(path.utf8).span) }
        #expect(match("/events/1") == 0 && match("/other") == 1)
        for path in ["//events/1", "/x/../events/1", "/events%2F1", "/EVENTS/1", "/events;a/1", "/events\\1"] {
            #expect(match(path) != 1, "\(path)")
        }
    }
}
