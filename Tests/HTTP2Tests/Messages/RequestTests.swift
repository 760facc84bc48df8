// Requests of HTTP/2 as the text of HTTP/1.1, byte by byte, and what is refused: a test for each rule of RFC 9113 sections 8.1 to 8.5.

import HTTP
import HTTP2
import Testing

@Suite("A request of HTTP/2 becomes one head of HTTP/1.1")
struct RequestTests {
    @Test("a browser's request for a stream, byte by byte")
    func browser() throws {
        let request = try assemble(
            plainGet(":path", "/events?a=%0d%0a&b=c") + [
                ("accept", "text/event-stream"), ("cache-control", "no-cache"), ("user-agent", "Browser/1"), ("priority", "u=1, i"),
            ])
        #expect(
            text(request.head.bytes) == """
                GET /events?a=%0d%0a&b=c HTTP/1.1\r
                host: a.example\r
                accept: text/event-stream\r
                cache-control: no-cache\r
                user-agent: Browser/1\r
                priority: u=1, i\r
                \r

                """)
        #expect(request.head.method == .get && request.head.acceptsEventStream && request.head.framing == .none)
        #expect(request.contentLength == nil && !request.isTunnel && request.head.upgradeProtocol == nil)
    }

    @Test("pseudo-fields may stand in any order")
    func order() throws {
        #expect(try assembledText(plainGet.reversed()) == "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n")
    }

    @Test("each pseudo-field once: two are malformed, also with the same value", arguments: plainGet.map(\.0) + [":protocol"])
    func doubled(name: String) {
        let terms = RequestTerms(isSecured: true, allowsExtendedConnect: true, webSocketKey: key)
        let value = tunnel.first { $0.0 == name }!.1
        #expect(problem(tunnel + [(name, value)], terms: terms) == .malformed(.doubledPseudoField))
        #expect(problem(tunnel, terms: terms) == nil)
    }

    @Test("without :method, :scheme or :path a request is malformed", arguments: [":method", ":scheme", ":path"])
    func missing(name: String) { #expect(problem(plainGet(without: name)) == .malformed(.missingPseudoField)) }

    @Test("a pseudo-field behind a field is malformed", arguments: plainGet.map(\.0))
    func behind(name: String) {
        let last = plainGet.first { $0.0 == name }!
        #expect(problem(plainGet(without: name) + [("a", "b"), last]) == .malformed(.misplacedPseudoField))
    }

    @Test(
        "an unknown pseudo-field is malformed, also a known one in other letters",
        arguments: [":PATH", ":Method", ":status", ":", ":path ", ":method:", ":foo", "::path", ":pathx", ":authorit"])
    func unknown(name: String) { #expect(problem(plainGet + [(name, "/")]) == .malformed(.unknownPseudoField)) }

    @Test(
        "a name with a blank, a control character, a capital letter, a colon, a byte above 0x7e, or no token, is malformed",
        arguments: Array(0...0x20) + Array(0x41...0x5A) + [0x3A] + Array(0x7F...0xFF) + Array("\"(),/;<=>?@[\\]{}".utf8) as [UInt8])
    func names(byte: UInt8) throws {
        let place: [[UInt8]] = [[0x61, byte, 0x62], [0x61, byte], byte == 0x3A ? [0x61, byte, byte] : [byte, 0x61]]
        for name in place {
            let fields = try decoded(raw(plainGet) + [RawField(name, [0x31])])
            #expect(throws: RequestProblem.malformed(.invalidFieldName)) {
                try assembleRequest(fields, isLast: true, terms: RequestTerms(isSecured: true))
            }
        }
    }

    @Test("an empty name is malformed")
    func emptyName() { #expect(problem(plainGet + [("", "x")]) == .malformed(.invalidFieldName)) }

    @Test(
        "a value with NUL, CR or LF anywhere, or a blank at an end, is malformed, in pseudo-fields too",
        arguments: ["a\0b", "\0", "a\rb", "a\nb", "a\r\nhost: evil", "\n", "a\r", " a", "a ", "\ta", "a\t", " ", "\t"])
    func values(value: String) {
        for name in ["x", "cookie", "host", "content-length", "te", "last-event-id", "transfer-encoding"] {
            #expect(problem(plainGet + [(name, value)]) == .malformed(.invalidFieldValue), "\(name)")
        }
        for (name, _) in plainGet { #expect(problem(plainGet(name, value)) == .malformed(.invalidFieldValue), "\(name)") }
    }

    @Test("other control characters in a value are refused with 400, as HTTP/1.1 does; in Last-Event-ID they lose the id only")
    func controlCharacters() throws {
        #expect(problem(plainGet + [("x", "a\u{1}b")]) == .refused(.controlCharacter))
        #expect(problem(plainGet + [("x", "a\u{7F}b")]) == .refused(.controlCharacter))
        #expect(problem(plainGet + [("x", "a\tb ü")]) == nil)
        let head = try assemble(plainGet + [("last-event-id", "a\u{1}b")]).head
        #expect(head.hasUnfitLastEventID)
    }

    @Test(
        "fields of a connection are malformed", arguments: ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"])
    func connection(name: String) {
        for value in ["", "close", "chunked", "x"] {
            #expect(problem(plainGet + [(name, value)], isLast: false) == .malformed(.connectionField))
        }
    }

    @Test("te is taken with exactly trailers, once, and does not go on")
    func te() throws {
        #expect(try assembledText(plainGet + [("te", "trailers"), ("a", "b")]) == "GET / HTTP/1.1\r\nhost: a.example\r\na: b\r\n\r\n")
        for value in ["", "Trailers", "gzip", "trailers, gzip", "trailers,", "trailers;q=1", "chunked"] {
            #expect(problem(plainGet + [("te", value)]) == .malformed(.invalidTE), "\(value)")
        }
        #expect(problem(plainGet + [("te", "trailers"), ("te", "trailers")]) == .malformed(.invalidTE))
    }

    @Test("http2-settings is dropped")
    func settings() throws { #expect(try assembledText(plainGet + [("http2-settings", "AAMAAABk")]) == assembledText(plainGet)) }

    @Test("several cookies are joined in their order, where the first one stands")
    func cookies() throws {
        let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", ""), ("z", ""), ("cookie", "c=3")]
        #expect(
            try assembledText(plainGet + [("w", "v")] + crumbs)
                == "GET / HTTP/1.1\r\nhost: a.example\r\nw: v\r\ncookie: a=1; b=2; c=3\r\nx: y\r\nz: \r\n\r\n")
        #expect(try assembledText(plainGet + [("cookie", "")]) == "GET / HTTP/1.1\r\nhost: a.example\r\ncookie: \r\n\r\n")
    }

    @Test("too much is answered with 431, 414 or 431, after the block was decoded")
    func tooLarge() throws {
        let limits = DecodedFieldLimits(maximumFields: 6, hardMaximumFields: 10)
        let fields = try decoded(raw(plainGet + [("a", "b"), ("c", "d"), ("e", "f")]), limits: limits)
        #expect(throws: RequestProblem.refused(.headTooLarge)) {
            try assembleRequest(fields, isLast: true, terms: RequestTerms(isSecured: true))
        }
        let small = RequestTerms(isSecured: true, limits: HeadLimits(headBytes: 100, fieldCount: 3, targetBytes: 20))
        #expect(problem(plainGet + [("a", String(repeating: "b", count: 90))], terms: small) == .refused(.headTooLarge))
        #expect(problem(plainGet + [("a", ""), ("b", ""), ("c", "")], terms: small) == .refused(.tooManyFields))
        #expect(problem(plainGet(":path", "/" + String(repeating: "b", count: 20)), terms: small) == .refused(.targetTooLong))
        #expect(HTTPError.headTooLarge.status == 431 && HTTPError.targetTooLong.status == 414)
    }

    @Test("100-continue is an expectation where a body follows; others are known to be unknown")
    func expectation() throws {
        let head = try assemble(plainGet(":method", "POST") + [("expect", "100-continue")], isLast: false).head
        #expect(head.expectsContinue && !head.hasUnknownExpectation)
        #expect(try assemble(plainGet + [("expect", "x")]).head.hasUnknownExpectation)
    }
}

@Suite("The target, the host and the scheme of a request")
struct RequestTargetTests {
    private let withoutTLS = RequestTerms(isSecured: false)

    @Test(
        "a path that is empty, absolute, or holds a blank, a control or a fragment is refused with 400",
        arguments: [
            "", "a", "http://a.example/", "https://b.example/", "//", "/a b", "/a\tb", "/a#b", "/\u{7F}", "/ü", "*", "/ HTTP/1.1", "a:80",
        ])
    func paths(path: String) {
        #expect(problem(plainGet(":path", path)) == (path == "//" ? nil : .refused(.malformedTarget)))
        #expect(HTTPError.malformedTarget.status == 400)
    }

    @Test("the bytes of a path stay as they are")
    func bytesOfPath() throws {
        for path in ["/%0d%0aHost:%20evil", "/a/../b//c;d?e=f&g=%23", "/?", "/\"<>\\^`{|}"] {
            #expect(try assembledText(plainGet(":path", path)).hasPrefix("GET \(path) HTTP/1.1\r\nhost"))
        }
    }

    @Test("* goes with OPTIONS only")
    func star() throws {
        let options = plainGet(":path", "*").map { $0.0 == ":method" ? (":method", "OPTIONS") : $0 }
        #expect(try assembledText(options) == "OPTIONS * HTTP/1.1\r\nhost: a.example\r\n\r\n")
        #expect(problem(plainGet(":path", "*")) == .refused(.malformedTarget))
    }

    @Test("a method is a token, its letters kept; no method moves the borders of the request line")
    func methods() throws {
        for method in ["get", "QUERY", "M-SEARCH", "x!#$%&'*+.^_`|~1"] {
            #expect(try assembledText(plainGet(":method", method)).hasPrefix("\(method) / HTTP/1.1\r\n"))
        }
        for method in ["", "GET /evil", "GE T", "GET\t", "G:T", "GET/", "ü"] where method != "GET\t" {
            #expect(problem(plainGet(":method", method)) == .refused(.malformedRequestLine), "\(method)")
        }
        #expect(problem(plainGet(":method", "PRI")) == .malformed(.reservedMethod))
    }

    @Test("the authority becomes Host, and replaces a Host that means the same")
    func authority() throws {
        let expected = "GET / HTTP/1.1\r\nhost: A.example:8443\r\nx: y\r\n\r\n"
        let named = plainGet(":authority", "A.example:8443")
        #expect(try assembledText(named + [("x", "y")]) == expected)
        #expect(try assembledText(named + [("host", "a.EXAMPLE:8443"), ("x", "y")]) == expected)
        for host in ["a.example", "a.example:443", "a.example:", "A.EXAMPLE"] {
            #expect(try assembledText(plainGet + [("host", host)]) == "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n")
            #expect(try assembledText(plainGet(":authority", host) + [("host", "a.example")]) == "GET / HTTP/1.1\r\nhost: \(host)\r\n\r\n")
        }
    }

    @Test(
        "a Host that differs from the authority is malformed",
        arguments: ["b.example", "", "a.example:80", "a.example:444", "a.example.", "a.exampl", "xa.example", "a.example, b", ":443"])
    func otherHost(host: String) { #expect(problem(plainGet + [("host", host)]) == .malformed(.otherHost)) }

    @Test("the default port follows the scheme")
    func defaultPort() {
        let plain = plainGet(":scheme", "http")
        #expect(problem(plain + [("host", "a.example:80")], terms: withoutTLS) == nil)
        #expect(problem(plain + [("host", "a.example:443")], terms: withoutTLS) == .malformed(.otherHost))
    }

    @Test("without an authority the one valid Host counts; without both, with two or with an invalid one it is a 400")
    func hostAlone() throws {
        let bare = plainGet(without: ":authority")
        #expect(try assembledText(bare + [("x", "y"), ("host", "b.example")]) == "GET / HTTP/1.1\r\nhost: b.example\r\nx: y\r\n\r\n")
        #expect(problem(bare) == .refused(.missingHost))
        #expect(problem(bare + [("host", "b"), ("host", "b")]) == .refused(.doubledHost))
        #expect(problem(plainGet + [("host", "a.example"), ("host", "a.example")]) == .refused(.doubledHost))
        #expect(problem(bare + [("host", "b@c")]) == .refused(.invalidHost) && problem(bare + [("host", "")]) == .refused(.invalidHost))
        #expect(HTTPError.missingHost.status == 400 && HTTPError.doubledHost.status == 400 && HTTPError.invalidHost.status == 400)
    }

    @Test(
        "an authority with a user, a blank, a path, a list or an escape is refused with 400",
        arguments: [
            "", "u@a.example", "u:p@a.example", "a b", "a\tb", "a/b", "a?b", "a#b", "a\\b", "a,b", "a%2f", "a:b", "a:80:80", "[::1", "a]",
            ":80",
            "a:65536", "a\u{1}b", "ü.example",
        ])
    func authorities(authority: String) {
        let expected: HTTPError = authority.contains("\u{1}") ? .controlCharacter : .invalidHost
        #expect(problem(plainGet(":authority", authority)) == .refused(expected))
    }

    @Test("the scheme has to be the connection's, and never goes on")
    func scheme() throws {
        #expect(problem(plainGet(":scheme", "http")) == .refused(.otherScheme))
        #expect(problem(plainGet, terms: withoutTLS) == .refused(.otherScheme) && HTTPError.otherScheme.status == 421)
        #expect(problem(plainGet(":scheme", "HTTPS")) == nil)
        for scheme in ["", "ftp", "httpss", "ws", "https ://", "http://a/?", "/"] {
            #expect(problem(plainGet(":scheme", scheme)) == .refused(.otherScheme), "\(scheme)")
            #expect(problem(plainGet(":scheme", scheme), terms: withoutTLS) == .refused(.otherScheme), "\(scheme)")
        }
        let hop = RequestTerms(isSecured: false, acceptsEitherScheme: true)
        #expect(problem(plainGet, terms: hop) == nil && problem(plainGet(":scheme", "http"), terms: hop) == nil)
        #expect(problem(plainGet(":scheme", "ftp"), terms: hop) == .refused(.otherScheme))
    }
}
