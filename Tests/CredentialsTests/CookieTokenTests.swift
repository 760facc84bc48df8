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

    @Test(
        "is refused when it is empty, doubled or no b64token",
        arguments: [
            ("token=", "400 emptyToken"), ("a=b; token=\"\"", "400 emptyToken"), ("token=x; token=x", "400 repeatedToken"),
            ("token=a b", "400 forbiddenCharacter"), ("token=\"x", "400 forbiddenCharacter"),
            ("token=\"", "400 forbiddenCharacter"), ("token=a%", "400 malformedEncoding"),
            ("token=a%0d%0a", "400 forbiddenCharacter"),
        ])
    func refusal(field: String, expected: String) {
        #expect(summary(examine(cookieBridge, "/", cookies: [field])) == expected)
    }

    @Test("is not seen in a cookie of another name or in a cookie without one", arguments: ["", "token", "a=token=x", "=token", "tokens=x", "xtoken=y", "\"token\"=x", ";;;"])
    func notOurs(field: String) {
        #expect(summary(examine(cookieBridge, "/", cookies: [field])) == "untouched")
    }
}
