import Credentials
import Testing

@Suite("The echo of a token")
struct TokenEchoTests {
    private static let whole = "abcdefghijklmnopqrstuvwxyz"

    private func isHeard(_ text: String, of token: String = whole, isCut: Bool = false) throws -> Bool {
        TokenEcho(of: try #require(tokenInAuthorization("Bearer \(token)"))).isHeard(in: Array(text.utf8).span, isCut: isCut)
    }

    @Test("is found wherever the token begins in a text", arguments: ["", "x", "abc", "abcdefghijklmnoabcdefghijklmno"], ["", "x", "abc"])
    func heard(before: String, after: String) throws {
        #expect(try isHeard(before + Self.whole + after))
        #expect(try isHeard(before + Self.whole.prefix(16) + after))
        #expect(try !isHeard(before + Self.whole.prefix(15) + "-" + after))
        #expect(try !isHeard(before + Self.whole.dropFirst() + after))
    }

    @Test("is that of the whole token where it is short")
    func short() throws {
        #expect(try isHeard("7:k9", of: "k9"))
        #expect(try !isHeard("7:k8", of: "k9"))
        #expect(try !isHeard("", of: "k9") && !isHeard("k", of: "k9"))
    }

    @Test("is found at the end of a text that was cut inside the token, if more than three bytes of it are left")
    func cut() throws {
        for count in 0...26 {
            let text = "id-" + Self.whole.prefix(count)
            #expect(try isHeard(text, isCut: true) == (count > 3))
            #expect(try isHeard(text) == (count >= 16))
        }
        #expect(try !isHeard("id-abcd-", isCut: true))
    }

    @Test("is found in every spelling that URLs and JSON give it, and where a cut text ends within one")
    func spellings() throws {
        for text in [#"x\u0061bcdefghijklmnop"#, "%61bcdefghijklmn%6fpq", #"{\"t\":\"abcdefghijklm\\u006eop\"}"#] {
            #expect(try isHeard(text))
        }
        #expect(try isHeard(#"a\/b%2fc+defghijklmn"#, of: "a/b/c+defghijklmnop"))
        #expect(try isHeard("100%realtokenrealtoken", of: "100%realtokenrealtoken"))
        #expect(try isHeard(#"x-abcdef\u00"#, isCut: true) && isHeard("x-abcdef%6", isCut: true))
        #expect(try !isHeard(#"x-abcdef\u00"#) && !isHeard(#"x-abc\u00"#, isCut: true))
    }

    @Test("shows nothing of the token when it is printed")
    func hides() throws {
        let echo = TokenEcho(of: try #require(tokenInAuthorization("Bearer s3cr3t")))
        var dumped = ""
        dump(echo, to: &dumped)
        print(echo, to: &dumped)
        debugPrint(echo, to: &dumped)
        #expect(!dumped.contains("s3cr3t"))
    }
}
