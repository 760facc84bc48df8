import Testing

@testable import Credentials

@Suite("An issuer's answer about a token")
struct IntrospectionTests {
    private func checker(_ change: (inout IssuerRules) -> Void = { _ in }) -> TokenChecker {
        var rules = TokenVectors.rules([])
        change(&rules)
        return TokenChecker([TokenIssuer(rules: rules, keys: .asked)], TokenVectors.fingerprinter)
    }

    private func verdict(_ answer: String, _ checker: TokenChecker? = nil) -> String {
        word((checker ?? self.checker()).verdict(by: Array(answer.utf8), of: 0, now: TokenVectors.now))
    }

    @Test(
        "is a yes by true alone, and no answer where it is anything else",
        arguments: [
            ("{\"active\":true}", "active"), ("{\"active\":false}", "inactive"), ("{ \"active\" : true , \"x\":[1] }", "active"),
            ("{\"active\":\"true\"}", "unusable"), ("{\"active\":1}", "unusable"), ("{\"active\":null}", "unusable"), ("{}", "unusable"),
            ("{\"active\":[true]}", "unusable"), ("true", "unusable"), ("", "unusable"), ("{\"Active\":true}", "unusable"),
            ("{\"active\":false,\"active\":true}", "unusable"), ("{\"active\":true}{", "unusable"), ("{\"active\":TRUE}", "unusable"),
        ])
    func active(text: String, expected: String) {
        #expect("\(IntrospectionAnswer(Array(text.utf8)))" == expected)
    }

    @Test("leaves out what the issuer has looked at, and what it says must fit")
    func claims() {
        let (issuer, audience) = (TokenVectors.issuer, TokenVectors.audience)
        #expect(verdict("{\"active\":true}") == "good")
        #expect(verdict("{\"active\":true,\"iss\":\"\(issuer)\",\"aud\":[\"x\",\"\(audience)\"],\"exp\":1800000001}") == "good")
        #expect(verdict("{\"active\":true,\"iss\":\"https://other.example.com/\"}") == "issuer")
        #expect(verdict("{\"active\":true,\"aud\":\"other\"}") == "audience")
        #expect(verdict("{\"active\":true,\"aud\":[]}") == "audience")
        #expect(verdict("{\"active\":true,\"exp\":1799999970}") == "expired")
        #expect(verdict("{\"active\":true,\"exp\":\"1800000001\"}") == "claims")
        #expect(verdict("{\"active\":true,\"exp\":1800000001000}") == "claims")
        #expect(verdict("{\"active\":true,\"nbf\":1800000031}") == "not_yet")
        #expect(verdict("{\"active\":true,\"sub\":7}") == "claims")
        #expect(verdict("{\"active\":true,\"cnf\":{\"jkt\":\"x\"}}") == "confirmation")
        let strict = checker { $0.requiredClaims = ["sub"] }
        #expect(verdict("{\"active\":true}", strict) == "claims")
        #expect(verdict("{\"active\":true,\"sub\":\"ada\"}", strict) == "good")
        // A token without an end has no lifetime within a limit.
        #expect(verdict("{\"active\":true}", checker { $0.lifetimeLimitSeconds = 3_600 }) == "lifetime")
    }

    @Test("is wanted for opaque tokens, and for those that do not name another issuer of the route")
    func whoIsAsked() throws {
        var rules = TokenVectors.rules([])
        rules.name = "https://opaque.example.com/"
        let asked = TokenIssuer(rules: rules, keys: .asked)
        let checker = TokenChecker([asked, try #require(TokenVectors.issuers["secret"])], TokenVectors.fingerprinter)
        func check(_ token: [UInt8], _ allowed: [Int]) -> String { word(checker.check(token, by: allowed, now: TokenVectors.now)) }
        let signed = TokenVectors.token("PyJWT's HS256")
        #expect(check(Array("2YotnFZFEjr1zCsicMWpAA".utf8), [0]) == "ask 0")
        #expect(check(Array("2YotnFZFEjr1zCsicMWpAA".utf8), [0, 1]) == "ask 0")
        #expect(check(signed, [0]) == "ask 0")
        #expect(check(signed, [0, 1]) == "good")
        #expect(check(signed, [0, 1]) == "good")
        #expect(check(TokenVectors.token("iss: another"), [0, 1]) == "ask 0")
        #expect(check(Array("2YotnFZFEjr1zCsicMWpAA".utf8), [1]) == "shape")
    }

    @Test("is never wanted for what names another issuer of the route, whatever its header says: nobody else may see it")
    func whoIsNotAsked() throws {
        var rules = TokenVectors.rules([])
        rules.name = "https://opaque.example.com/"
        let asked = TokenIssuer(rules: rules, keys: .asked)
        let checker = TokenChecker([asked, try #require(TokenVectors.issuers["secret"])], TokenVectors.fingerprinter)
        let payload = encoded("{\"iss\":\"\(TokenVectors.issuer)\"}")
        for (header, padding, expected) in [
            ("{\"alg\":\"ES256K\"}", "", "algorithm"), ("{\"alg\":\"none\"}", "", "algorithm"),
            ("{\"alg\":\"HS256\",\"crit\":[\"x\"]}", "", "header"),
            ("{\"alg\":\"HS256\",\"b64\":false}", "", "header"), ("nonsense", "", "header"), ("{\"alg\":\"HS256\"}", "==", "shape"),
            ("{\"alg\":\"HS256\",\"kid\":\"\(String(repeating: "k", count: 300))\"}", "", "header"),
        ] {
            let token = Array("\(encoded(header)).\(payload)\(padding).AAAA".utf8)
            #expect(word(checker.check(token, by: [0, 1], now: TokenVectors.now)) == expected, "\(header)")
            #expect(word(checker.check(token, by: [1, 0], now: TokenVectors.now)) == expected, "\(header)")
        }
        // What names nobody, or nobody of the route, is the matter of the issuer that is asked.
        for other in ["{\"iss\":\"https://third.example.com/\"}", "{\"iss\":7}", "{}", "nonsense"] {
            let token = Array("\(encoded("{\"alg\":\"ES256K\"}")).\(encoded(other)).AAAA".utf8)
            #expect(word(checker.check(token, by: [0, 1], now: TokenVectors.now)) == "ask 0", "\(other)")
        }
    }

    private func encoded(_ text: String) -> String { String(decoding: Base64URL.encode(Array(text.utf8).span), as: UTF8.self) }
}
