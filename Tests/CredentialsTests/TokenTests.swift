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

    @Test("of an Authorization field has no byte that its kind does not allow, at any place of any length", arguments: 1...19)
    func everyByte(count: Int) {
        // RFC 6750 section 2.1, without the padding; and what no server takes for a parameter (RFC 9110 section 11.4).
        let inB64Token = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/".utf8)
        let isVisible = Set((UInt8(0x21)...0x7E)).subtracting([UInt8(ascii: ","), UInt8(ascii: "\"")])
        for place in 0..<count {
            for byte in UInt8.min...UInt8.max {
                var field = Array("Bearer ".utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: count)
                field[7 + place] = byte
                // Blanks in front of the token, and the padding behind it, are no bytes of it.
                guard byte != 0x20 || place > 0, byte != UInt8(ascii: "=") || place < count - 1 else { continue }
                let strict = try? Token.bearer(in: field.span, maximumBytes: 64).get()
                #expect((strict != nil) == inB64Token.contains(byte), "\(byte) at \(place) of \(count)")
                #expect((Token.inAuthorization(field.span) != nil) == isVisible.contains(byte), "\(byte) at \(place) of \(count)")
            }
        }
    }
}
