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
            ("/?access_token=a&access_token=b", "token=c"),
        ] {
            #expect(summary(examine(eitherBridge, target, cookies: [cookie])) == "400 severalSources", "\(target) \(cookie)")
        }
    }

    @Test("Without any credentials the request passes or is refused with 401, as the policy says")
    func missing() {
        #expect(summary(examine(bridge(.pass, .refuse), "/e?a=1", cookies: ["b=2"])) == "untouched")
        #expect(summary(examine(bridge(.refuse, .refuse), "/e?a=1", cookies: ["b=2"])) == "401 missing")
        #expect(summary(examine(bridge(.refuse, .refuse), "/e", authorizations: ["Basic abc"])) == "untouched")
        #expect(
            summary(examine(bridge(.pass, .refuse), "/e", authorizations: ["Basic abc", "Basic abc"])) == "400 severalAuthorizationFields")
    }

    @Test("By default a token in the URL beside Authorization is refused, and a cookie beside it is dropped unread")
    func byDefault() {
        let bridge = TokenBridge(policy: BearerPolicy(sources: [.query(name: "access_token"), .cookie(name: "token")]))
        for field in ["Basic abc", "Bearer b", "Bearer a b", ",,"] {
            #expect(summary(examine(bridge, "/?access_token=a", authorizations: [field])) == "400 conflictsWithAuthorization", "\(field)")
            #expect(
                summary(examine(bridge, "/?access_token=a", cookies: ["token=b"], authorizations: [field]))
                    == "400 conflictsWithAuthorization")
            #expect(
                summary(examine(bridge, "/", cookies: ["token=a; c=d"], authorizations: [field])) == "forward - from - with c=d", "\(field)"
            )
            #expect(summary(examine(bridge, "/", cookies: ["token=a; token=b"], authorizations: [field])) == "forward - from - with ")
        }
        #expect(
            summary(examine(bridge, "/", cookies: ["token=a"], authorizations: ["Basic a", "Basic b"])) == "400 severalAuthorizationFields")
    }

    @Test(
        "An Authorization field that is empty or a known scheme alone is no conflict, and the token takes its place",
        arguments: ["", "Bearer", "basic", "NTLM", "AWS4-HMAC-SHA256"])
    func emptyField(field: String) {
        for conflict in [BearerPolicy.Conflict.refuseQuery, .refuse, .preferAuthorization, .preferBridged] {
            let bridge = bridge(.refuse, conflict)
            #expect(
                summary(examine(bridge, "/?access_token=a", authorizations: [field])) == "forward a from query to / without authorization")
            #expect(
                summary(examine(bridge, "/", cookies: ["token=a"], authorizations: [field]))
                    == "forward a from cookie with  without authorization")
            #expect(summary(examine(bridge, "/", authorizations: [field])) == "401 missing")
            #expect(summary(examine(bridge, "/?access_token=&b", cookies: ["token="], authorizations: [field])) == "401 missing")
        }
        #expect(summary(examine(bridge(.pass, .refuse), "/", authorizations: [field])) == "untouched")
    }

    @Test(
        "A single word that is no known scheme is the client's own field, and no token takes its place unasked",
        arguments: [
            "rawkey123", "Bearerx", "beare", "Bea\u{12}er", "sk-live-1",
        ])
    func rawKey(field: String) {
        let byDefault = bridge(.pass, .refuseQuery)
        #expect(summary(examine(byDefault, "/", authorizations: [field])) == "untouched")
        #expect(summary(examine(byDefault, "/", cookies: ["token=abcdefgh; c=d"], authorizations: [field])) == "forward - from - with c=d")
        #expect(summary(examine(byDefault, "/?access_token=a", authorizations: [field])) == "400 conflictsWithAuthorization")
        #expect(
            summary(examine(bridge(.pass, .refuse), "/", cookies: ["token=a"], authorizations: [field])) == "400 conflictsWithAuthorization"
        )
        let fieldWins = bridge(.pass, .preferAuthorization)
        #expect(summary(examine(fieldWins, "/?access_token=a", authorizations: [field])) == "forward - from - to /")
        #expect(
            summary(examine(bridge(.pass, .preferBridged), "/?access_token=a", authorizations: [field]))
                == "forward a from query to / without authorization")
        // RFC 9110 section 11.4 requires a scheme, so for a route that requires credentials these are none.
        #expect(summary(examine(bridge(.refuse, .refuseQuery), "/", authorizations: [field])) == "401 unusableAuthorization")
    }

    @Test("Where credentials are required, a field lets a request pass only if it holds some")
    func usableFields() {
        let strict = bridge(.refuse, .refuseQuery)
        let visible = TokenBridge(
            policy: BearerPolicy(sources: [.query(name: "access_token")], whenMissing: .refuse, characters: .visible))
        for field in [
            "Bearer abc", "bearer   a.b-c_d~e+f/g==", "Basic dXNlcjo=", "Digest username=\"a, \\\"b\", uri=/x , nc=1", "X a = b",
            "X ,,a=b,,",
            "AWS4-HMAC-SHA256 Credential=AKIA/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range, Signature=fe5f",
            "Hawk id=\"\"", "Bearer realm=\"x\"", "Bearer 12|abcdef", "Bearer s3cr$t", "bearer a:b;c", "Bearer =a", "ApiKey id:key",
            "AWS AKIA:sig=", "SharedKey acc:sig=", "Custom one two", "Basic 12|abc", "Bearer a,b", "Bearer \"abc\"", "Bearer a=\"b",
        ] {
            #expect(summary(examine(strict, "/", authorizations: [field])) == "untouched", "\(field)")
            #expect(summary(examine(visible, "/", authorizations: [field])) == "untouched", "\(field)")
        }
        for field in [
            "Bearer ,", "Bearer , ,", "Bearer \"\"", "Bearer \u{1}", "@", "ü", "Bearer\tabc", "Bearer ü", ", Bearer abc", "\"Bearer\" abc",
            "Bearer,abc", "Bearer:abc",
        ] {
            #expect(summary(examine(strict, "/", authorizations: [field])) == "401 unusableAuthorization", "\(field)")
            #expect(summary(examine(visible, "/", authorizations: [field])) == "401 unusableAuthorization", "\(field)")
            #expect(summary(examine(bridge(.pass, .refuse), "/", authorizations: [field])) == "untouched", "\(field)")
        }
    }

    @Test("A preflight needs no credentials and uses no cookie's; TRACE carries neither a token nor a cookie")
    func kinds() {
        let strict = bridge(.refuse, .refuseQuery)
        #expect(summary(examine(strict, "/", kind: .preflight)) == "untouched")
        #expect(summary(examine(strict, "/?access_token=a", kind: .preflight)) == "forward a from query to /")
        #expect(summary(examine(strict, "/", cookies: ["token=a; b=c"], kind: .preflight)) == "forward - from - with b=c")
        #expect(summary(examine(strict, "/?access_token=a&access_token=b", kind: .preflight)) == "400 repeatedToken")
        #expect(summary(examine(strict, "/?access_token=a", cookies: ["token=a"], kind: .trace)) == "401 missing")
        let open = bridge(.pass, .refuseQuery)
        #expect(summary(examine(open, "/?access_token=a&b", cookies: ["token=a; b=c"], kind: .trace)) == "forward - from - to /?b with ")
        #expect(summary(examine(open, "/", cookies: ["b=c"], kind: .trace)) == "forward - from - with ")
        #expect(summary(examine(strict, "/", cookies: ["b=c"], authorizations: ["Basic a"], kind: .trace)) == "401 missing")
        #expect(
            summary(examine(open, "/", cookies: ["b=c"], authorizations: ["Basic a"], kind: .trace))
                == "forward - from - with  without authorization")
        #expect(summary(examine(open, "/", kind: .trace)) == "untouched")
    }

    @Test("When the policy says so, a token beside Authorization is refused wherever it is")
    func refused() {
        #expect(
            summary(examine(bridge(.pass, .refuse), "/?access_token=a", authorizations: ["Basic abc"])) == "400 conflictsWithAuthorization")
        #expect(
            summary(examine(bridge(.pass, .refuse), "/", cookies: ["token=a"], authorizations: ["Basic abc"]))
                == "400 conflictsWithAuthorization")
    }

    @Test("When Authorization is preferred, the tokens are removed unread from URL and cookies")
    func authorizationWins() {
        let bridge = bridge(.refuse, .preferAuthorization)
        let result = examine(
            bridge, "/?access_token=a&b=1&access_token=%", cookies: ["token=; c=d"], authorizations: ["Basic abc"])
        #expect(summary(result) == "forward - from - to /?b=1 with c=d")
        #expect(
            summary(examine(bridge, "/?access_token=a", authorizations: ["Basic abc", "Basic abc"])) == "400 severalAuthorizationFields")
        #expect(summary(examine(bridge, "/?access_token=%")) == "400 malformedEncoding")
    }

    @Test("When the bridged token is preferred, every Authorization field is dropped, and a bad token is still refused")
    func bridgedWins() {
        let bridge = bridge(.pass, .preferBridged)
        #expect(
            summary(examine(bridge, "/?access_token=a", authorizations: ["Basic abc", "Basic abc"]))
                == "forward a from query to / without authorization")
        #expect(summary(examine(bridge, "/?access_token=a%20", authorizations: ["Basic abc"])) == "400 forbiddenCharacter")
        #expect(summary(examine(bridge, "/", authorizations: ["Basic abc"])) == "untouched")
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
            challenge(examine(bridge, "/?t=%"))
                == #"Bearer realm="a\"b\\cd", error="invalid_request", error_description="the token has a malformed percent escape""#)
        #expect(
            challenge(examine(TokenBridge(policy: BearerPolicy(sources: [], whenMissing: .refuse)), "/")) == #"Bearer realm="heartwire""#)
        for error in BridgeError.allCases {
            let reason = error.reason.withUTF8Buffer { Array($0) }
            #expect(reason.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        }
    }
}
