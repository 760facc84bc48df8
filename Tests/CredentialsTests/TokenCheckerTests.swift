import Testing

@testable import Credentials

@Suite("The check of a token")
struct TokenCheckerTests {
    private let now = TokenVectors.now

    private func checker(_ sets: String...) throws -> TokenChecker {
        TokenChecker(try sets.map { try #require(TokenVectors.issuers[$0]) }, TokenVectors.fingerprinter)
    }

    private func checker(_ change: (inout IssuerRules) -> Void) throws -> TokenChecker {
        let issuer = try #require(TokenVectors.issuers["secret"])
        var rules = issuer.rules
        change(&rules)
        return TokenChecker([TokenIssuer(rules: rules, keys: issuer.keys)], TokenVectors.fingerprinter)
    }

    /// The verdict about a token that is good until ten minutes from now.
    private func verdict(_ checker: TokenChecker, _ sentence: String = "PyJWT's HS256", at seconds: Int64 = 0) -> String {
        word(checker.check(TokenVectors.token(sentence), by: [0], now: now + seconds))
    }

    @Test("a token is good to the last second of its time and the leeway, also when it is remembered")
    func expiry() throws {
        for leeway in [Int64(0), 30, 300] {
            let checker = try checker { $0.leewaySeconds = leeway }
            for _ in 0..<2 {
                #expect(verdict(checker, at: 599 + leeway) == "good")
                #expect(verdict(checker, at: 600 + leeway) == "expired")
            }
        }
    }

    @Test("a token is good from the second on that its nbf and the leeway allow")
    func beginning() throws {
        let checker = try checker { $0.leewaySeconds = 0 }
        let name = "nbf 1800000030.001"
        #expect(verdict(checker, name, at: 30) == "not_yet")
        #expect(verdict(checker, name, at: 31) == "good")
        #expect(verdict(checker, name, at: 30) == "not_yet")
    }

    @Test("a limit of the lifetime holds at each use, with the leeway")
    func lifetime() throws {
        #expect(verdict(try checker { $0.lifetimeLimitSeconds = 570 }) == "good")
        let checker = try checker { $0.lifetimeLimitSeconds = 569 }
        #expect(verdict(checker) == "lifetime")
        #expect(verdict(checker, at: 1) == "good")
    }

    @Test("claims that are required are there, and null is not there")
    func required() throws {
        #expect(verdict(try checker { $0.requiredClaims = ["sub", "iss"] }) == "good")
        #expect(verdict(try checker { $0.requiredClaims = ["sub", "jti"] }) == "claims")
    }

    @Test("a type that is wanted is compared without case and without application/")
    func type() throws {
        let checker = try checker { $0.tokenType = "AT+JWT" }
        #expect(verdict(checker, "typ at+jwt") == "good")
        #expect(verdict(checker, "typ application/at+jwt") == "good")
        #expect(verdict(checker, "typ JWT") == "type")
        #expect(verdict(checker, "alg 'none' without one") == "algorithm")
    }

    @Test("without an audience of the route's, a token may have any or none")
    func anyAudience() throws {
        let checker = try checker { $0.audiences = nil }
        #expect(verdict(checker, "aud: another") == "good")
        #expect(verdict(checker, "aud: nothing") == "good")
        #expect(verdict(checker, "aud: an object") == "audience")
    }

    @Test("an algorithm that the issuer does not use is refused although there is a key for it")
    func algorithms() throws {
        let checker = try checker { $0.algorithms = [.HS512] }
        #expect(verdict(checker, "PyJWT's HS512") == "good")
        #expect(verdict(checker, "PyJWT's HS256") == "algorithm")
    }

    @Test("of several issuers the token's own decides, by its own keys alone")
    func severalIssuers() throws {
        var other = try #require(TokenVectors.issuers["all"]).rules
        other.name = "https://other.example.com/"
        let keys = try #require(TokenVectors.issuers["all"]).keys
        let secret = try #require(TokenVectors.issuers["secret"])
        let checker = TokenChecker([TokenIssuer(rules: other, keys: keys), secret], TokenVectors.fingerprinter)
        func check(_ sentence: String, by allowed: [Int]) -> String {
            word(checker.check(TokenVectors.token(sentence), by: allowed, now: now))
        }
        #expect(check("PyJWT's HS256", by: [0, 1]) == "good")
        // It is remembered as the second issuer's, which does not help where only the first counts.
        #expect(check("PyJWT's HS256", by: [0]) == "algorithm")
        // The key is the first issuer's, the name is the second's.
        #expect(check("PyJWT's ES256", by: [0, 1]) == "algorithm")
        #expect(check("PyJWT's ES256", by: [0]) == "issuer")
        #expect(check("iss: another", by: [0, 1]) == "issuer")
        #expect(check("a payload with nothing", by: [0, 1]) == "payload")
    }

    @Test("a token that comes again costs no signature, and one that was refused is not remembered")
    func remembers() throws {
        let checker = try checker("all")
        for _ in 0..<100 { #expect(verdict(checker, "PyJWT's ES384") == "good") }
        #expect(checker.signatureCount == 1)
        #expect(verdict(checker, "PyJWT's ES384", at: 1_000) == "expired")
        #expect(checker.signatureCount == 1)
        let forged = "ES384 with one bit of its signature changed"
        let unnamed = try self.checker("unnamed")
        for _ in 0..<3 { #expect(verdict(unnamed, forged) == "signature") }
        #expect(unnamed.signatureCount == 3)
    }

    @Test("no more than 1,024 are remembered, and the oldest goes first")
    func capacity() throws {
        let remembered = RememberedTokens()
        let object = try JSONObject(reading: Array("{}".utf8), limits: JSONLimits(depth: 1, members: 0))
        func name(_ number: Int) throws -> RememberedTokens.Key {
            let digest = TokenVectors.fingerprinter.digest(ofBytes: Array("token \(number)".utf8).span)
            return RememberedTokens.Key(digest: try #require(digest), issuer: 0)
        }
        let key = VerificationKey(secret: TokenVectors.secret, name: nil, algorithm: .HS256)
        for number in 0..<3_000 {
            let identity = TokenIdentity(issuer: "main", expiresSeconds: Int64(number), subject: nil)
            let token = VerifiedToken(identity, beginsSeconds: nil, certificateDigest: nil, claims: object)
            let entry = RememberedTokens.Entry(token: token, key: key, keysVersion: 0)
            for _ in 0..<2 { remembered.remember(try name(number), entry) }
        }
        #expect(remembered.count == RememberedTokens.capacity)
        for number in 0..<3_000 {
            #expect(remembered[try name(number)]?.token.identity.expiresSeconds == (number < 3_000 - 1_024 ? nil : Int64(number)))
        }
    }

    @Test("a token that is bound to a certificate is good for the client with that certificate alone")
    func boundToCertificate() throws {
        func token(_ sentence: String) throws -> VerifiedToken {
            let verdict = try checker("secret").check(TokenVectors.token(sentence), by: [0], now: now)
            guard case .good(let verified) = verdict else { throw TokenFault.confirmation }
            return verified
        }
        let certificate = [UInt8](0..<32)
        let bound = try token("cnf of a certificate, which the client has to show")
        #expect(!bound.isBound(toOtherThan: { certificate }))
        for other in [nil, [], Array(certificate.dropLast()), certificate.reversed(), certificate + [0]] {
            #expect(bound.isBound(toOtherThan: { other }))
        }
        #expect(!(try token("PyJWT's HS256")).isBound(toOtherThan: { nil }))
    }

    @Test("a forged token costs microseconds unless its form and its key are right")
    func cost() throws {
        let checkers = TokenVectors.issuers.mapValues { TokenChecker([$0], TokenVectors.fingerprinter) }
        var worst: UInt64 = 0
        for parts in TokenVectors.lines("token") where !["good", "signature", "expired"].contains(parts[0]) {
            let token = Array(parts[3].utf8)
            let checker = try #require(checkers[parts[1]])
            for _ in 0..<3 { _ = checker.check(token, by: [0], now: now) }
            let best = (0..<3).map { _ in processorNanoseconds { _ = checker.check(token, by: [0], now: now) } }.min()!
            worst = max(worst, best)
        }
        // A debug build on a busy machine; 2,000 members in a release build take 250 µs.
        #expect(worst < 200_000_000, "\(worst)")
    }
}

@Suite("What a route wants of a token")
struct ClaimRuleTests {
    private func token(_ claims: String) throws -> VerifiedToken {
        let object = try JSONObject(reading: Array(claims.utf8), limits: JSONLimits(depth: 16, members: 100))
        let identity = TokenIdentity(issuer: "main", expiresSeconds: 0, subject: nil)
        return VerifiedToken(identity, beginsSeconds: nil, certificateDigest: nil, claims: object)
    }

    private func fault(_ claims: String, scopes: [String] = [], _ requirements: [(String, [String])] = []) throws -> TokenFault? {
        var rules = ClaimRules()
        rules.scopes = scopes
        rules.requirements = requirements.map { ClaimRules.Requirement(claim: $0.0, values: $0.1) }
        return rules.fault(of: try token(claims))
    }

    @Test("all of its scopes, as whole words in their case")
    func scopes() throws {
        #expect(try fault("{}") == nil)
        for claims in [
            #"{"scope":"a events.read b"}"#, #"{"scope":"events.read"}"#, #"{"scope":["events.read"]}"#, #"{"scp":"events.read"}"#,
            #"{"scp":["x","events.read"]}"#, #"{"scope":"  events.read "}"#,
        ] {
            #expect(try fault(claims, scopes: ["events.read"]) == nil, "\(claims)")
        }
        for claims in [
            "{}", #"{"scope":""}"#, #"{"scope":"events.reader"}"#, #"{"scope":"Events.read"}"#, #"{"scope":"events"}"#,
            #"{"scope":"a\tevents.read"}"#,
            #"{"scope":["a events.read"]}"#, #"{"scope":["events.read",1]}"#, #"{"scope":{"events.read":1}}"#,
            #"{"scope":"a","scp":"events.read"}"#,
            #"{"scope":"events.read,b"}"#,
        ] {
            #expect(try fault(claims, scopes: ["events.read"]) == .scope, "\(claims)")
        }
        #expect(try fault(#"{"scope":"a b c"}"#, scopes: ["c", "a"]) == nil)
        #expect(try fault(#"{"scope":"a b c"}"#, scopes: ["c", "d"]) == .scope)
    }

    @Test("one of the values of each claim, by its whole name before a nested one")
    func claims() throws {
        let wanted = [("tenant", ["acme", "globex"])]
        for claims in [#"{"tenant":"acme"}"#, #"{"tenant":["x","globex"]}"#] { #expect(try fault(claims, wanted) == nil, "\(claims)") }
        for claims in [
            "{}", #"{"tenant":"ACME"}"#, #"{"tenant":"acme "}"#, #"{"tenant":["x"]}"#, #"{"tenant":{"acme":1}}"#, #"{"tenant":null}"#,
            #"{"tenant":[["acme"]]}"#,
        ] {
            #expect(try fault(claims, wanted) == .claim, "\(claims)")
        }
        #expect(try fault(#"{"a":{"b":{"c":7}}}"#, [("a.b.c", ["7"])]) == nil)
        #expect(try fault(#"{"a":{"b":{"c":true}}}"#, [("a.b.c", ["true"])]) == nil)
        #expect(try fault(#"{"a.b.c":"x","a":{"b":{"c":"y"}}}"#, [("a.b.c", ["y"])]) == .claim)
        #expect(try fault(#"{"https://x.example/roles":"r"}"#, [("https://x.example/roles", ["r"])]) == nil)
        #expect(try fault(#"{"a":"x"}"#, [("a.b", ["x"])]) == .claim)
    }

    @Test("claims for the server: strings as they are, everything else as its JSON text")
    func fields() throws {
        func value(_ claims: String) throws -> String? {
            var rules = ClaimRules()
            rules.fields = [ClaimRules.Field(name: "X-User", claim: "u.n")]
            let values = try rules.values(of: try token(claims))
            return values.first.map { "\($0.name)=\(String(decoding: $0.value, as: UTF8.self))" }
        }
        #expect(try value(#"{"u":{"n":"Zoë"}}"#) == "X-User=Zoë")
        #expect(try value(#"{"u.n":1.50}"#) == "X-User=1.50")
        #expect(try value(#"{"u.n":[1, "a"]}"#) == #"X-User=[1, "a"]"#)
        #expect(try value(#"{"u.n":{"a":true}}"#) == #"X-User={"a":true}"#)
        #expect(try value(#"{"u.n":""}"#) == "X-User=")
        #expect(try value(#"{"u.n":null}"#) == nil)
        #expect(try value("{}") == nil)
        for claims in [
            #"{"u.n":"a\r\nX-Admin: 1"}"#, #"{"u.n":"a\u0000"}"#, #"{"u.n":"a\tb"}"#, "{\"u.n\":\"a\u{7F}\"}", #"{"u.n":" a"}"#,
            #"{"u.n":"a "}"#, "{\"u.n\":\"a\u{85}b\"}",
            "{\"u.n\":[1,\n2]}", "{\"u.n\":\"\(String(repeating: "x", count: 4_097))\"}",
        ] {
            #expect(throws: TokenFault.claims, "\(claims.prefix(20))") { try value(claims) }
        }
    }
}
