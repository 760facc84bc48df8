import Credentials
import Testing

@Suite("What may be logged or sent to third parties")
struct RedactionTests {
    @Test(
        "A URL loses the token's parameters, in query and fragment",
        arguments: [
            ("https://h/p?access_token=s", "https://h/p"),
            ("https://h/p?a=1&access_token=s&b=2#f", "https://h/p?a=1&b=2#f"),
            ("https://h/p?access_token=s&b=2", "https://h/p?b=2"),
            ("https://h/p?access_token=s#f", "https://h/p#f"),
            ("https://h/p#access_token=s&x=1", "https://h/p#x=1"),
            ("https://h/p?%61ccess_token=s&jwt=t#/r?access_token=u&k", "https://h/p#/r?k"),
            ("/p?a?access_token=s&b", "/p?a?b"),
            ("?access_token=s", ""),
            ("#access_token=s?access_token=t&access_token=u", ""),
        ])
    func redacts(url: String, expected: String) {
        let result = redacted(eitherBridge, Array(url.utf8))
        #expect(result.map { String(decoding: $0, as: UTF8.self) } == expected)
    }

    @Test(
        "A URL without the parameters is left alone",
        arguments: ["", "https://h/p?a=access_token", "/access_token=s&jwt=a", "?&#&", "https://h/?token=x"])
    func leavesAlone(url: String) {
        #expect(redacted(eitherBridge, Array(url.utf8)) == nil)
    }

    @Test(
        "The loggable path is the path without query, fragment, scheme and authority",
        arguments: [
            ("/a/b?c=d", "/a/b"), ("/a#b?c", "/a"), ("/a?b#c", "/a"), ("/", "/"), ("*", "*"), ("", ""), ("?a", ""),
            ("http://user:secret@h:1/a?b", "/a"), ("http://h", ""), ("http://h?a", ""), ("HTTP://h/", "/"),
            ("//user@h/a", "//user@h/a"), ("h:80", "h:80"), ("http:/", "http:/"),
        ])
    func path(target: String, expected: String) {
        let bytes = Array(target.utf8)
        let range = TokenBridge.loggablePath(of: bytes.span)
        #expect(String(decoding: bytes[range], as: UTF8.self) == expected)
    }
}
