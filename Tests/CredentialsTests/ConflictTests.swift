import Credentials
import Testing

@Suite("Credentials in several places or in none")
struct ConflictTests {
    private func bridge(_ missing: BearerPolicy.WhenMissing, _ conflict: BearerPolicy.Conflict) -> TokenBridge {
        TokenBridge(
            policy: BearerPolicy(
                sources: [.query(name: "access_token"), .cookie(name: "token")], whenMissing: missing, onConflict: conflict))
    }

    @Test("A token in two sources is refused, whatever their order and kind")
    func severalSources() {
        for (target, cookie) in [
            ("/?access_token=a&jwt=b", "c=d"), ("/?jwt=b&access_token=a", "c=d"), ("/?jwt=a", "token=a"),
            ("/?access_token=a&access_token=b", "token=c"), ("/?access_token=", "token=a"),
        ] {
            #expect(summary(examine(eitherBridge, target, cookies: [cookie])) == "400 severalSources", "\(target) \(cookie)")
        }
    }

    @Test("Without any credentials the request passes or is refused with 401, as the policy says")
    func missing() {
        #expect(summary(examine(bridge(.pass, .refuse), "/e?a=1", cookies: ["b=2"])) == "untouched")
        #expect(summary(examine(bridge(.refuse, .refuse), "/e?a=1", cookies: ["b=2"])) == "401 missing")
        #expect(summary(examine(bridge(.refuse, .refuse), "/e", authorizationCount: 1)) == "untouched")
        #expect(summary(examine(bridge(.pass, .refuse), "/e", authorizationCount: 2)) == "400 severalAuthorizationFields")
    }

    @Test("A token beside Authorization is refused by default")
    func refused() {
        #expect(BearerPolicy(sources: []).onConflict == .refuse)
        #expect(
            summary(examine(bridge(.pass, .refuse), "/?access_token=a", authorizationCount: 1)) == "400 conflictsWithAuthorization")
        #expect(
            summary(examine(bridge(.pass, .refuse), "/", cookies: ["token=a"], authorizationCount: 1))
                == "400 conflictsWithAuthorization")
    }

    @Test("When Authorization wins, the tokens are removed unread from URL and cookies")
    func authorizationWins() {
        let bridge = bridge(.refuse, .preferAuthorization)
        let result = examine(
            bridge, "/?access_token=a&b=1&access_token=%", cookies: ["token=; c=d"], authorizationCount: 1)
        #expect(summary(result) == "forward - from - to /?b=1 with c=d")
        #expect(
            summary(examine(bridge, "/?access_token=a", authorizationCount: 2)) == "400 severalAuthorizationFields")
        #expect(summary(examine(bridge, "/?access_token=%")) == "400 malformedEncoding")
    }

    @Test("When the bridged token wins, every Authorization field is dropped, and a bad token is still refused")
    func bridgedWins() {
        let bridge = bridge(.pass, .preferBridged)
        #expect(
            summary(examine(bridge, "/?access_token=a", authorizationCount: 2))
                == "forward a from query to / without authorization")
        #expect(summary(examine(bridge, "/?access_token=a%20", authorizationCount: 1)) == "400 forbiddenCharacter")
        #expect(summary(examine(bridge, "/", authorizationCount: 1)) == "untouched")
    }

    @Test("The challenge names an error for a bad request, and none for a missing token")
    func challenges() {
        func challenge(_ result: BridgeResult) -> String? {
            guard case .refused(let refusal) = result else { return nil }
            return String(decoding: refusal.wwwAuthenticate, as: UTF8.self)
        }
        let bridge = TokenBridge(
            policy: BearerPolicy(sources: [.query(name: "t")], whenMissing: .refuse, realm: "a\"b\\c\r\nd"))
        #expect(challenge(examine(bridge, "/")) == #"Bearer realm="a\"b\\cd""#)
        #expect(
            challenge(examine(bridge, "/?t="))
                == #"Bearer realm="a\"b\\cd", error="invalid_request", error_description="the token is empty""#)
        #expect(challenge(examine(TokenBridge(policy: BearerPolicy(sources: [], whenMissing: .refuse)), "/")) == #"Bearer realm="heartwire""#)
        for error in BridgeError.allCases {
            let reason = error.reason.withUTF8Buffer { Array($0) }
            #expect(reason.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        }
    }
}
