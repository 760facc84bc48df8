import Credentials
import Testing

@Suite("A token")
struct TokenTests {
    private func token(_ text: String) -> Token? {
        guard case .forward(let request) = examine(queryBridge, "/?access_token=\(text)") else { return nil }
        return request.token
    }

    @Test("is not shown when it is printed")
    func hides() throws {
        let result = examine(eitherBridge, "/e?access_token=s3cr3t&a=1")
        guard case .forward(let request) = result, let token = request.token else {
            Issue.record("no token")
            return
        }
        #expect(text(of: token) == "s3cr3t")
        #expect("\(token)" == "<token>")
        #expect(String(reflecting: token) == "<token>")
        #expect(Mirror(reflecting: token).children.isEmpty)
        var dumped = ""
        dump(result, to: &dumped)
        dump(token, to: &dumped)
        print(result, token, to: &dumped)
        debugPrint(result, token, to: &dumped)
        #expect(!dumped.contains("s3cr3t"))
        #expect(dumped.contains("<token>"))
    }

    @Test("becomes the value of an Authorization field")
    func authorization() throws {
        var value = Array("x".utf8)
        try #require(token("a.b-c%2B=")).appendAuthorizationValue(to: &value)
        #expect(String(decoding: value, as: UTF8.self) == "xBearer a.b-c+=")
    }

    @Test("is read from an Authorization field of the Bearer scheme only")
    func fromAuthorization() {
        func read(_ value: String) -> String? { tokenInAuthorization(value).map(text(of:)) }
        #expect(read("Bearer abc==") == "abc==")
        #expect(read("bEARER   abc") == "abc")
        #expect(read("Bearer 12|abc") == "12|abc")
        for value in [
            "", "Bearer", "Bearer ", "Bearerabc", "Bearer a b", "Bearer a,b", "Bearer \"a\"", "Basic abc", "\u{2}earer abc", "Bearer \tabc",
        ] {
            #expect(read(value) == nil, "\(value)")
        }
    }
}
