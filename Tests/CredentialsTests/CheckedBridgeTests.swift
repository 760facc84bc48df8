import Testing

@testable import Credentials

@Suite("A bridge whose tokens are checked")
struct CheckedBridgeTests {
    private let strict = TokenBridge(
        policy: BearerPolicy(
            sources: [.query(name: "t"), .cookie(name: "c")], whenMissing: .refuse, checksTokens: true, maximumTokenBytes: 8))
    private let open = TokenBridge(policy: BearerPolicy(sources: [], checksTokens: true))

    @Test("takes the token of Authorization, and passes no other credentials there")
    func authorization() {
        for bridge in [strict, open] {
            #expect(
                summary(examine(bridge, "/", authorizations: ["Bearer a.b.c"])) == "forward a.b.c from authorization")
            #expect(
                summary(examine(bridge, "/", authorizations: ["bEARER   a=="])) == "forward a== from authorization without authorization")
            for field in ["Basic YTpi", "abc", "Bearerabc", "Bearer\tabc", "DPoP abc", "Bear er", "Beare r"] {
                #expect(summary(examine(bridge, "/", authorizations: [field])) == "401 otherScheme", "\(field)")
            }
            for field in ["Bearer a,b", "Bearer a b", "Bearer \"a\"", "Bearer =", "Bearer ä", "Bearer a, b", "Bearer a=b"] {
                #expect(summary(examine(bridge, "/", authorizations: [field])) == "400 forbiddenCharacter", "\(field)")
            }
            #expect(summary(examine(bridge, "/", authorizations: ["Bearer a", "Bearer a"])) == "400 severalAuthorizationFields")
        }
        #expect(summary(examine(strict, "/", authorizations: ["Bearer 123456789"])) == "400 tokenTooLong")
        #expect(
            summary(examine(strict, "/", authorizations: ["Bearer 12345678"]))
                == "forward 12345678 from authorization")
    }

    @Test("refuses a request without a token or lets it pass, as it is told")
    func missing() {
        for field in [[], [""], ["Bearer"], ["Bearer "], ["Basic"]] {
            #expect(summary(examine(strict, "/", authorizations: field)) == "401 missing")
            #expect(summary(examine(open, "/", authorizations: field)) == "untouched")
        }
    }

    @Test("takes a cookie's token only where Authorization has none, and never two tokens")
    func several() {
        #expect(
            summary(examine(strict, "/", cookies: ["c=a"], authorizations: ["Bearer b"]))
                == "forward b from authorization with ")
        #expect(summary(examine(strict, "/?t=a", authorizations: ["Bearer b"])) == "400 conflictsWithAuthorization")
        #expect(summary(examine(strict, "/?t=a")) == "forward a from query to /")
        #expect(summary(examine(strict, "/?t=a", cookies: ["c=b"])) == "400 severalSources")
    }

    @Test("gives a preflight and TRACE no credentials to take along")
    func others() {
        for kind in [RequestKind.preflight, .trace] {
            #expect(summary(examine(open, "/", authorizations: ["Bearer a"], kind: kind)) == "forward - from - without authorization")
        }
        #expect(summary(examine(strict, "/?t=a&b", kind: .preflight)) == "forward - from - to /?b")
        #expect(summary(examine(strict, "/", kind: .preflight)) == "untouched")
        #expect(summary(examine(strict, "/", cookies: ["session=a"], kind: .preflight)) == "forward - from - with ")
        #expect(summary(examine(strict, "/?t=a", kind: .trace)) == "401 missing")
        #expect(summary(examine(strict, "/", authorizations: ["Bearer a"], kind: .trace)) == "401 missing")
    }

    @Test("passes no cookie on that cannot be a token, also where a token is not required")
    func cookies() {
        let bridge = TokenBridge(policy: BearerPolicy(sources: [.cookie(name: "c")], checksTokens: true, maximumTokenBytes: 8))
        #expect(summary(examine(bridge, "/", cookies: ["c=s%3Ax"])) == "400 forbiddenCharacter")
        #expect(summary(examine(bridge, "/", cookies: ["c=123456789"])) == "400 tokenTooLong")
        #expect(summary(examine(bridge, "/", cookies: ["other=s%3Ax"])) == "untouched")
    }

    @Test("answers all tokens that nobody should have alike")
    func challenges() {
        func challenge(_ fault: TokenFault, _ scopes: [String] = []) -> String {
            String(decoding: strict.challenge(for: fault, scopes: scopes), as: UTF8.self)
        }
        for fault in TokenFault.allCases where fault != .expired && !fault.isForbidden {
            #expect(
                challenge(fault, ["a"]) == #"Bearer realm="heartwire", error="invalid_token", error_description="the token is not valid""#)
        }
        #expect(challenge(.expired) == #"Bearer realm="heartwire", error="invalid_token", error_description="the token has expired""#)
        let forbidden = #"Bearer realm="heartwire", error="insufficient_scope", error_description="the token is not for this resource""#
        #expect(challenge(.claim) == forbidden)
        #expect(challenge(.scope, ["a", "b"]) == forbidden + #", scope="a b""#)
    }
}
