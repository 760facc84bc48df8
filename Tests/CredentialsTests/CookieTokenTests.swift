import Credentials
import Testing

@Suite("A token in a cookie")
struct CookieTokenTests {
    @Test(
        "is taken out, and the other cookies stay byte for byte",
        arguments: [
            ("token=x", ""),
            ("a=b; token=x; c=d", "a=b; c=d"),
            ("token=x; a=b", "a=b"),
            ("a=b; token=x", "a=b"),
            ("a=b;token=x;c=d", "a=b;c=d"),
            ("token=\"x\"; a=\"q;r\"", "a=\"q;r\""),
            ("  token = x ;\ta=b", "a=b"),
            ("a; =b; ;; token=x; c==; ", "a; =b; ;; c==; "),
            ("token=x;", ""),
            ("; token=x; ", ""),
            ("token; token=x; Token=y; %74oken=z", "token; Token=y; %74oken=z"),
            ("a=ä\u{1}; token=%78", "a=ä\u{1}"),
        ])
    func removal(field: String, expected: String) {
        #expect(summary(examine(cookieBridge, "/e", cookies: [field])) == "forward x from cookie with \(expected)")
    }

    @Test("is found in any of several Cookie fields, which then become one")
    func severalFields() {
        #expect(summary(examine(cookieBridge, "/", cookies: ["a=1", "token=x", "b=2; c"])) == "forward x from cookie with a=1; b=2; c")
        #expect(summary(examine(cookieBridge, "/", cookies: ["token=x; a=1", "b=2"])) == "forward x from cookie with a=1; b=2")
        #expect(summary(examine(cookieBridge, "/", cookies: ["a=1", "token=x"])) == "forward x from cookie with a=1")
        #expect(summary(examine(cookieBridge, "/", cookies: ["token=x", ""])) == "forward x from cookie with ")
        #expect(summary(examine(cookieBridge, "/", cookies: ["token=x", "a=1; token=y"])) == "400 repeatedToken")
    }

    private static let strictBridge = TokenBridge(policy: BearerPolicy(sources: [.cookie(name: "token")], whenMissing: .refuse))
    private static let visibleBridge = TokenBridge(policy: BearerPolicy(sources: [.cookie(name: "token")], characters: .visible))

    @Test("does not count when it is empty, and is then removed", arguments: ["token=", "token=\"\"", " token= ; token=\"\""])
    func empty(field: String) {
        #expect(summary(examine(cookieBridge, "/e", cookies: [field])) == "forward - from - with ")
        #expect(summary(examine(cookieBridge, "/e", cookies: ["a=b; " + field])) == "forward - from - with a=b")
        #expect(summary(examine(Self.strictBridge, "/e", cookies: [field])) == "401 missing")
        #expect(summary(examine(Self.strictBridge, "/e", cookies: [field, "token=x; a=b"])) == "forward x from cookie with a=b")
        #expect(summary(examine(Self.strictBridge, "/e", cookies: ["token=x; " + field])) == "forward x from cookie with ")
    }

    @Test(
        "that is none is a cookie like any other where requests without a token pass",
        arguments: [
            "token=s%3Aabc.def", "token=a b", "token=\"x", "token=a%", "token=a%0d%0a", "token=a|b", "token={}",
            "token=" + String(repeating: "a", count: 4097),
        ])
    func otherCookie(field: String) {
        #expect(summary(examine(cookieBridge, "/e", cookies: [field])) == "untouched")
        #expect(summary(examine(cookieBridge, "/e", cookies: ["token=x; " + field + "; token="])) == "forward x from cookie with \(field)")
        #expect(summary(examine(cookieBridge, "/e", cookies: [field + "; token=x; token=y"])) == "400 repeatedToken")
        #expect(summary(examine(cookieBridge, "/e", cookies: [field], authorizations: ["Bearer a"])) == "untouched")
        #expect(summary(examine(eitherBridge, "/e?access_token=x", cookies: [field])) == "forward x from query to /e")
        #expect(summary(examine(Self.strictBridge, "/e", cookies: ["token=x; " + field])) == "400 repeatedToken")
    }

    @Test("may have any visible character except comma and quote if the policy says so")
    func visible() {
        #expect(summary(examine(Self.visibleBridge, "/", cookies: ["token=12%7Cabc"])) == "forward 12|abc from cookie with ")
        for byte in UInt8.min...UInt8.max {
            let hexadecimal = (byte < 16 ? "0" : "") + String(byte, radix: 16)
            let isForwarded = summary(examine(Self.visibleBridge, "/", cookies: ["token=a%\(hexadecimal)b"])).hasPrefix("forward")
            #expect(isForwarded == ((0x21...0x7E).contains(byte) && byte != 0x22 && byte != 0x2C), "byte \(byte)")
        }
    }

    @Test(
        "is refused when it is doubled or no b64token, where a token is demanded",
        arguments: [
            ("token=x; token=x", "400 repeatedToken"),
            ("token=a b", "400 forbiddenCharacter"), ("token=\"x", "400 forbiddenCharacter"),
            ("token=\"", "400 forbiddenCharacter"), ("token=a%", "400 malformedEncoding"),
            ("token=a%0d%0a", "400 forbiddenCharacter"),
        ])
    func refusal(field: String, expected: String) {
        #expect(summary(examine(Self.strictBridge, "/", cookies: [field])) == expected)
    }

    @Test(
        "is not seen in a cookie of another name or in a cookie without one",
        arguments: ["", "token", "a=token=x", "=token", "tokens=x", "xtoken=y", "\"token\"=x", ";;;"])
    func notOurs(field: String) {
        #expect(summary(examine(cookieBridge, "/", cookies: [field])) == "untouched")
    }
}
