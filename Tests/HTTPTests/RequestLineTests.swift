// The request line: versions, methods, targets, and lines that are no request.

import HTTP
import Testing

@Suite struct RequestLineTests {
    private func refusal(ofLine line: String) -> HTTPError? {
        refusal(line + "\r\nHost: a\r\n\r\n")
    }

    private func refusal(_ text: String) -> HTTPError? { HTTPTests.refusal(text) }

    @Test(
        "only HTTP/1.0 and HTTP/1.1 in exactly that spelling are served",
        arguments: [
            "HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "http/1.1", "HTTP/1.1a", "HTTP/01.1", "HTTP/1.10", "HTTP/11", "HTTPS/1.1", "HTTP/1",
            "HTTP 1.1", "HTTP/1.1 ", " HTTP/1.1", "HTTP/1.1\t", "HTTP/1,1", "",
        ])
    func versions(_ version: String) throws {
        let error = try #require(refusal(ofLine: "GET / " + version))
        #expect(error == .unsupportedVersion || error == .malformedRequestLine)
        #expect(error.status == (version.contains(" ") || version.contains("\t") ? 400 : 505))
    }

    @Test("the versions that are served are told apart")
    func servedVersions() throws {
        #expect(try request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").minorVersion == 1)
        #expect(try request("GET / HTTP/1.0\r\n\r\n").minorVersion == 0)
    }

    @Test("a request of HTTP/0.9 is refused at the end of its line")
    func oldRequests() {
        #expect(scanInEverySplit(Array("GET /\r\n".utf8), .request) == .refused(.malformedRequestLine))
        #expect(scanInEverySplit(Array("GET\r\n".utf8), .request) == .refused(.malformedRequestLine))
    }

    @Test(
        "anything but single spaces between the parts is refused",
        arguments: [
            "GET  / HTTP/1.1", "GET /  HTTP/1.1", " GET / HTTP/1.1", "GET\t/ HTTP/1.1", "GET /\tHTTP/1.1", "GET / a HTTP/1.1",
            "GET /a b HTTP/1.1", "GET", "GET ", "GET / ", "GET /\u{0B}HTTP/1.1",
        ])
    func separators(_ line: String) throws {
        let error = try #require(refusal(ofLine: line))
        #expect(error.status == 400 || error == .unsupportedVersion)
    }

    @Test("a second blank is refused at once, before the line has ended")
    func secondBlank() {
        #expect(scanInEverySplit(Array("GET  ".utf8), .request) == .refused(.malformedRequestLine))
        #expect(scanInEverySplit(Array("GET /  ".utf8), .request) == .refused(.malformedRequestLine))
    }

    @Test(
        "control characters, a fragment and raw bytes above ASCII in the target are refused",
        arguments: [
            "/\u{00}", "/a\u{01}b", "/\u{7F}", "/\u{1B}[31m", "/a#b", "/?a#", "#", "/é", "/a\rb", "/a\nb",
        ])
    func targetBytes(_ target: String) throws {
        let error = try #require(refusal(ofLine: "GET \(target) HTTP/1.1"))
        #expect(error.status == 400)
    }

    @Test("empty lines before a request are skipped, and count toward its limit")
    func emptyLines() throws {
        let head = try request("\r\n\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(head.text(head.target) == "/x")
        #expect(head.method == .get)
        let endless = [UInt8](String(repeating: "\r\n", count: 100).utf8)
        #expect(scanInEverySplit(endless, .request, limits: HeadLimits(headBytes: 64)) == .refused(.headTooLarge))
        #expect(refusal("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == .bareLineFeed)
        #expect(refusal("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n") == .bareCarriageReturn)
        #expect(refusal("\r\n GET / HTTP/1.1\r\nHost: a\r\n\r\n") == .malformedRequestLine)
    }

    @Test(
        "a method that is no token is refused",
        arguments: [
            "G(T", "GE\"T", "GET/", "GÉT", "G,T", "GET:", "[GET]", "G@T", "G\u{00}T", "",
        ])
    func badMethods(_ method: String) throws {
        #expect(try #require(refusal(ofLine: "\(method) / HTTP/1.1")).status == 400)
    }

    @Test("an unknown method passes with its case kept")
    func unknownMethods() throws {
        for method in ["QUERY", "get", "Propfind", "M-SEARCH", "x!#$%&'*+.^_`|~9"] {
            let head = try request("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(head.method == .other)
            #expect(head.text(head.methodRange) == method)
        }
    }

    @Test("known methods are recognised, with what RFC 9110 says of them")
    func knownMethods() throws {
        let expected: [(String, Method, idempotent: Bool)] = [
            ("GET", .get, true), ("HEAD", .head, true), ("OPTIONS", .options, true),
            ("TRACE", .trace, true), ("PUT", .put, true), ("DELETE", .delete, true),
            ("POST", .post, false), ("PATCH", .patch, false),
        ]
        for (text, method, idempotent) in expected {
            let head = try request("\(text) / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(head.method == method)
            #expect(method.isIdempotent == idempotent)
        }
        #expect(!Method.other.isIdempotent)
    }

    @Test(
        "an origin-form target passes byte for byte",
        arguments: [
            "/", "/a/../b", "/%2e%2E/%00", "//evil.example/", "/a;b=c?d=e&f", "/?", "/a?b?c", "/|{}^`\\[]\"<>", "/%zz%", "/a//b/./c",
            "/~!$&'()*+,=:@",
            "/http://other/",
        ])
    func originForm(_ target: String) throws {
        let head = try request("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(head.text(head.target) == target)
        #expect(head.text(head.authority) == "a")
    }

    @Test("an absolute-form target gives its authority, and its path with a missing slash added")
    func absoluteForm() throws {
        let expected: [(String, target: String, authority: String)] = [
            ("GET http://b.example/p?q", "/p?q", "b.example"),
            ("GET HTTPS://b.example:8443/p", "/p", "b.example:8443"),
            ("GET http://b.example", "/", "b.example"),
            ("GET http://b.example?q=http://c/", "/?q=http://c/", "b.example"),
            ("GET http://[::1]:80", "/", "[::1]:80"),
            ("GET http://b?", "/?", "b"),
            ("OPTIONS http://b.example:80", "*", "b.example:80"),
            ("OPTIONS http://b.example/", "/", "b.example"),
            ("OPTIONS http://b.example?q", "/?q", "b.example"),
        ]
        for (line, target, authority) in expected {
            for host in ["other", "b.example", ""] {
                let head = try request("\(line) HTTP/1.1\r\nHost: \(host)\r\nX: y\r\n\r\n")
                #expect(head.text(head.target) == target)
                #expect(head.text(head.authority) == authority)
                #expect(head.text(head.fields[1].value) == "y")
                #expect(String(line.prefix(while: { $0 != " " })) == head.text(head.methodRange))
            }
        }
        #expect(refusal("GET http://b/ HTTP/1.1\r\n\r\n") == .missingHost)
        #expect(refusal("GET http://b/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == .doubledHost)
        #expect(refusal("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n") == .invalidHost)
        let old = try request("GET http://b/x HTTP/1.0\r\n\r\n")
        #expect(old.text(old.authority) == "b")
    }

    @Test(
        "any other form of target is refused",
        arguments: [
            "GET *", "POST *", "GET a", "GET example.com:80", "GET ftp://a/", "GET http:/a", "GET http:a", "GET https", "OPTIONS **",
            "GET ?a", "GET .",
            "GET http://", "GET http:///a", "GET http://u@a/", "GET http://u:p@a/", "GET http://a:b/", "GET http://a:99999/",
            "GET http://[::1/",
            "GET http://?q", "OPTIONS /*#", "GET \\",
        ])
    func otherForms(_ line: String) throws {
        let error = try #require(refusal(ofLine: line + " HTTP/1.1"))
        #expect(error == .malformedTarget || error == .invalidHost)
        #expect(error.status == 400)
    }

    @Test("an asterisk passes with OPTIONS")
    func asteriskForm() throws {
        let head = try request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(head.text(head.target) == "*")
    }

    @Test("CONNECT is refused", arguments: ["a:443", "/", "http://a/", "*"])
    func connect(_ target: String) {
        #expect(refusal(ofLine: "CONNECT \(target) HTTP/1.1") == .connectNotSupported)
        #expect(HTTPError.connectNotSupported.status == 501)
    }

    @Test("a TLS hello is refused at its first byte, an HTTP/2 preface as a plain 400")
    func otherProtocols() {
        #expect(scanInEverySplit([0x16], .request) == .refused(.malformedRequestLine))
        #expect(scanInEverySplit([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3], .request) == .refused(.malformedRequestLine))
        #expect(scanInEverySplit([0x80, 0x2E], .request) == .refused(.malformedRequestLine))
        #expect(refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == .http2Preface)
        #expect(HTTPError.http2Preface.status == 400)
    }
}
