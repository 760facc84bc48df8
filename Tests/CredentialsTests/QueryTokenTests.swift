import Credentials
import Testing

@Suite("A token in the query")
struct QueryTokenTests {
    @Test(
        "is taken out with its separator, and the rest of the target stays byte for byte",
        arguments: [
            ("/e?access_token=x", "/e"),
            ("/e?a=1&access_token=x&b=%20", "/e?a=1&b=%20"),
            ("/e?access_token=x&b", "/e?b"),
            ("/e?b&access_token=x", "/e?b"),
            ("/e?&&access_token=x&&", "/e?&&&"),
            ("/e?access_token=x&", "/e?"),
            ("/e?&access_token=x", "/e?"),
            ("/e?a=b?c&access_token=x&a=%zz&=&==", "/e?a=b?c&a=%zz&=&=="),
            ("http://h/e?access_token=x&a=/?", "http://h/e?a=/?"),
            (
                "/e?a=%26&access_token=x&xaccess_token=y&access_tokenx=z&Access_Token=w",
                "/e?a=%26&xaccess_token=y&access_tokenx=z&Access_Token=w"
            ),
        ])
    func removal(target: String, expected: String) {
        #expect(summary(examine(queryBridge, target)) == "forward x from query to \(expected)")
    }

    @Test("is recognised in every percent-encoded spelling of its name")
    func spellings() {
        let name = Array("access_token".utf8)
        for mask in 0..<(1 << name.count) {
            var spelled = ""
            for (index, byte) in name.enumerated() {
                let hexadecimal = String(byte, radix: 16, uppercase: index.isMultiple(of: 2))
                spelled += mask >> index & 1 == 1 ? "%" + hexadecimal : String(Unicode.Scalar(byte))
            }
            #expect(summary(examine(queryBridge, "/e?a=1&\(spelled)=abc")) == "forward abc from query to /e?a=1")
        }
    }

    @Test(
        "is not seen where the standard does not put it",
        arguments: [
            "/e", "/e?", "/access_token=x", "/e;access_token=x", "/e?a=access_token=x", "/e?a?access_token=x",
            "/e?%2561ccess_token=x", "/e?access_token%=x", "/e?access%5=x", "/e? access_token=x", "/e?access+token=x",
            "", "*", "?", "/e%3Faccess_token=x",
        ])
    func notOurs(target: String) {
        #expect(summary(examine(queryBridge, target)) == "untouched")
    }

    @Test(
        "is percent-decoded, and a literal plus stays a plus",
        arguments: [
            ("abc", "abc"), ("a+b", "a+b"), ("a%2Bb", "a+b"), ("a%2bb%2F%3D", "a+b/="), ("a==", "a=="), ("%61", "a"),
            ("azAZ09-._~+/", "azAZ09-._~+/"), ("a=%3d", "a=="),
        ])
    func decoding(value: String, token: String) {
        #expect(summary(examine(queryBridge, "/e?access_token=\(value)")) == "forward \(token) from query to /e")
    }

    @Test(
        "is refused when it is doubled, malformed, or no b64token",
        arguments: [
            ("/e?access_token=%", "400 malformedEncoding"), ("/e?access_token=a%4", "400 malformedEncoding"),
            ("/e?access_token=a%4g&b=1", "400 malformedEncoding"), ("/e?access_token=a%4&1", "400 malformedEncoding"),
            ("/e?access_token=%%41", "400 malformedEncoding"), ("/e?access_token==", "400 forbiddenCharacter"),
            ("/e?access_token===", "400 forbiddenCharacter"), ("/e?access_token=a=b", "400 forbiddenCharacter"),
            ("/e?access_token=a%20b", "400 forbiddenCharacter"), ("/e?access_token=a%0D%0AX:%20y", "400 forbiddenCharacter"),
            ("/e?access_token=a%00", "400 forbiddenCharacter"), ("/e?access_token=%C3%A4", "400 forbiddenCharacter"),
            ("/e?access_token=ä", "400 forbiddenCharacter"), ("/e?access_token=a,b", "400 forbiddenCharacter"),
            ("/e?access_token=a&access_token=b", "400 repeatedToken"),
            ("/e?access_token=a&access_token=a", "400 repeatedToken"),
            ("/e?access_token=a&%61ccess_token=", "400 repeatedToken"),
        ])
    func refusal(target: String, expected: String) {
        #expect(summary(examine(queryBridge, target)) == expected)
    }

    @Test(
        "does not count when it is empty, and is then removed",
        arguments: ["access_token", "access_token=", "%61ccess_token=&access_token"])
    func empty(piece: String) {
        #expect(summary(examine(queryBridge, "/e?a=1&\(piece)")) == "forward - from - to /e?a=1")
        #expect(summary(examine(eitherBridge, "/e?\(piece)&jwt=x")) == "forward x from query to /e")
        #expect(summary(examine(eitherBridge, "/e?\(piece)", cookies: ["token=x"])) == "forward x from cookie to /e with ")
        #expect(summary(examine(queryBridge, "/e?\(piece)&access_token=x")) == "400 repeatedToken")
        let strict = TokenBridge(policy: BearerPolicy(sources: [.query(name: "access_token")], whenMissing: .refuse))
        #expect(summary(examine(strict, "/e?a=1&\(piece)")) == "401 missing")
        #expect(summary(examine(queryBridge, "/e?\(piece)", authorizations: ["Bearer own"])) == "forward - from - to /e")
    }

    @Test("may have any visible character except comma and quote if the policy says so")
    func visible() {
        let bridge = TokenBridge(policy: BearerPolicy(sources: [.query(name: "t")], characters: .visible))
        #expect(summary(examine(bridge, "/?t=12|abc&b")) == "forward 12|abc from query to /?b")
        #expect(summary(examine(bridge, "/?t=12%7Cabc%25+%3D=")) == "forward 12|abc%+== from query to /")
        for byte in UInt8.min...UInt8.max {
            let hexadecimal = (byte < 16 ? "0" : "") + String(byte, radix: 16)
            let isForwarded = summary(examine(bridge, "/?t=a%\(hexadecimal)b")).hasPrefix("forward")
            #expect(isForwarded == ((0x21...0x7E).contains(byte) && byte != 0x22 && byte != 0x2C), "byte \(byte)")
        }
    }

    @Test("may have any byte that b64token has and no other")
    func everyByte() {
        let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=".utf8)
        for byte in UInt8.min...UInt8.max {
            let hexadecimal = (byte < 16 ? "0" : "") + String(byte, radix: 16)
            let isForwarded = summary(examine(queryBridge, "/?access_token=a%\(hexadecimal)")).hasPrefix("forward")
            #expect(isForwarded == allowed.contains(byte), "byte \(byte)")
        }
    }

    @Test("may be as long as the policy says, counted after decoding, and not a byte longer")
    func length() {
        let bridge = TokenBridge(policy: BearerPolicy(sources: [.query(name: "t")], maximumTokenBytes: 8))
        #expect(summary(examine(bridge, "/?t=12345678")) == "forward 12345678 from query to /")
        #expect(summary(examine(bridge, "/?t=%31%32%33%34%35%36%37%38")) == "forward 12345678 from query to /")
        #expect(summary(examine(bridge, "/?t=123456789")) == "400 tokenTooLong")
        let longest = String(repeating: "a", count: 4096)
        #expect(summary(examine(queryBridge, "/?access_token=\(longest)")) == "forward \(longest) from query to /")
        #expect(summary(examine(queryBridge, "/?access_token=\(longest)a")) == "400 tokenTooLong")
    }
}
