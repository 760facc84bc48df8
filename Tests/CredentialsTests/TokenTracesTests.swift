import Credentials
import Testing

@Suite("The traces of a token")
struct TokenTracesTests {
    private func isLeft(_ token: String, in text: String) throws -> Bool {
        let token = try #require(tokenInAuthorization("Bearer \(token)"))
        var traces = try #require(TokenTraces(of: token))
        return traces.isLeft(in: Array(text.utf8).span)
    }

    @Test("are found as a plain search finds them, for tokens and texts that repeat themselves")
    func search() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<3_000 {
            let token = String((0..<Int.random(in: 8...14, using: &generator)).map { _ in "ab".randomElement(using: &generator)! })
            let text = String((0..<Int.random(in: 0...400, using: &generator)).map { _ in "ab".randomElement(using: &generator)! })
            let found = try isLeft(token, in: text)
            #expect(found == text.contains(token), "\(token) in \(text)")
        }
    }

    @Test(
        "are found under several encodings, also those of JSON, and a token with a percent sign too",
        arguments: [
            ("a+b/c=d~e", "a%2Bb%252fc%25253Dd~e"), ("12345678", "%31%32%33%34%35%36%37%38"), ("a%2Bbcdefg", "a%2Bbcdefg"),
            ("a%2Bbcdefg", "a%252Bbcdefg"), ("100%realtoken", "100%25realtoken"),
            ("a+b/c=d~e", #"a\u002Bb\/c\\u003Dd~e"#),
        ])
    func encodings(token: String, text: String) throws {
        #expect(try isLeft(token, in: text) && isLeft(token, in: "%-\(text)%"))
        #expect(try !isLeft(token, in: String(text.dropLast())))
    }

    @Test("are not searched for if the token is too short to be secret")
    func short() throws {
        let token = try #require(tokenInAuthorization("Bearer 1234567"))
        #expect(TokenTraces(of: token) == nil)
    }

    @Test("cost no more in texts that begin like the token again and again")
    func linear() throws {
        let token = String(repeating: "a", count: 60_000) + "b"
        #expect(try !isLeft(token, in: String(repeating: "a", count: 1_000_000)), "the square would not end within the hour")
        #expect(try !isLeft(token, in: "%" + String(repeating: "25", count: 500_000)))
    }
}

@Suite("A path in a log")
struct PathRedactionTests {
    private static let redaction = PathRedaction([
        BearerPolicy(sources: [.query(name: "access_token"), .cookie(name: "session")]), BearerPolicy(sources: [.query(name: "jwt")]),
    ])

    private func redacted(_ path: String) -> String { String(decoding: Self.redaction.redacted(Array(path.utf8)[...]), as: UTF8.self) }

    @Test(
        "has no parameter for tokens, wherever it stands and however it is spelled",
        arguments: [
            ("/e;access_token=s3cr3t", "/e"), ("/e;a=1;access_token=s3cr3t;b=2/f;jwt=s3cr3t", "/e;a=1;b=2/f"),
            ("/e;%61ccess_token=s3cr3t/f", "/e"),
            ("/e%3Baccess_token%3Ds3cr3t", "/e"), ("/e%3Fa=1&access_token=s3cr3t", "/e%3Fa=1"),
            ("/e%253Faccess_token%253Ds3cr3t%2526b", "/e"),
            ("/access_token=s3cr3t", "/"), ("/e%23access_token=s3cr3t", "/e"), ("/e;access_token=s3%2Fcr3t", "/e"),
            ("/e;access_token=s3/cr3t;a=1", "/e;a=1"), ("access_token=s3cr3t", "/"), ("/access_token=s3cr3t;a", "/;a"),
        ])
    func parameters(path: String, expected: String) { #expect(redacted(path) == expected) }

    @Test("never grows, and no bytes make it trap")
    func random() {
        let pieces = ["%", "25", "3B", "access_token", "=", ";", "/", "%3", "jwt", "&", ",", "a", "%%", "%zz"]
        for _ in 0..<5_000 {
            let path = (0..<Int.random(in: 0...9)).map { _ in pieces.randomElement()! }.joined()
            let redacted = redacted("/" + path)
            #expect(redacted.utf8.count <= path.utf8.count + 1 && redacted.hasPrefix("/"), "\(path)")
        }
    }

    @Test(
        "is what the client sent otherwise",
        arguments: [
            "/", "/e", "/e;a=1", "/access_token/x", "/e;access_tokens=1", "/e;xaccess_token=1", "/e;session=1", "/%", "/%2", "/%zz%25%",
            "*", "/=", "/;", "/e;access_token",
        ])
    func others(path: String) { #expect(redacted(path) == path) }

    @Test(
        "has dots in the place of the request's token, also where it was cut within it",
        arguments: [
            ("/t/abcdefghijklmnopqrstuvwxyz/x", false, "/t/..."), ("/t/%61bcdefghijklmnop", false, "/t/..."),
            ("/t/abcdefg", false, "/t/abcdefg"),
            ("/t/abcdefg", true, "/t/..."), ("/t/abcdefghijklmnop;abcdefghijklmnop", false, "/t/..."), ("/t/x", true, "/t/x"),
        ])
    func token(path: String, isCut: Bool, expected: String) throws {
        let echo = TokenEcho(of: try #require(tokenInAuthorization("Bearer abcdefghijklmnopqrstuvwxyz")))
        #expect(String(decoding: echo.masked(Array(path.utf8)[...], isCut: isCut), as: UTF8.self) == expected)
        let short = TokenEcho(of: try #require(tokenInAuthorization("Bearer t")))
        #expect(String(decoding: short.masked(Array(path.utf8)[...], isCut: isCut), as: UTF8.self) == path)
    }
}
