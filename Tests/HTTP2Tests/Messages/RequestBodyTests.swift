// How a request's body is announced, tunnels, and trailers.

import HTTP
import HTTP2
import Testing

@Suite("The body of a request")
struct RequestBodyTests {
    private let post = plainGet(":method", "POST")

    @Test("a body without a length is chunked for HTTP/1.1; without a body nothing is said")
    func chunked() throws {
        let request = try assemble(post + [("x", "y")], isLast: false)
        #expect(text(request.head.bytes) == "POST / HTTP/1.1\r\nhost: a.example\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n")
        #expect(request.head.framing == .chunked && request.contentLength == nil)
        #expect(try assembledText(post) == "POST / HTTP/1.1\r\nhost: a.example\r\n\r\n")
    }

    @Test("a body with a length keeps it, to be compared with what comes")
    func length() throws {
        let request = try assemble(post + [("content-length", "12")], isLast: false)
        #expect(text(request.head.bytes) == "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 12\r\n\r\n")
        #expect(request.head.framing == .length(12) && request.contentLength == 12)
        let most = try assemble(post + [("content-length", "9223372036854775807")], isLast: false)
        #expect(most.contentLength == UInt64(Int64.max))
    }

    @Test(
        "a length that is no plain number below 2^63 is malformed, and so are two of them",
        arguments: [
            "", "+1", "-2", "0x10", "1 2", "1,1", "1, 1", "1.0", "1e3", "a", "9223372036854775808", "18446744073709551616",
            "99999999999999999999999999", "\u{0661}",
        ])
    func wrongLengths(value: String) {
        #expect(problem(post + [("content-length", value)], isLast: false) == .malformed(.invalidContentLength))
    }

    @Test("two lengths are malformed, also equal ones")
    func doubled() {
        for second in ["5", "6"] {
            #expect(
                problem(post + [("content-length", "5"), ("content-length", second)], isLast: false) == .malformed(.invalidContentLength))
        }
    }

    @Test("where no body follows only a length of 0 fits")
    func noBody() throws {
        #expect(problem(post + [("content-length", "1")]) == .malformed(.otherBodyLength))
        let request = try assemble(post + [("content-length", "0")])
        #expect(request.contentLength == 0 && request.head.framing == .length(0))
    }
}

@Suite("CONNECT and tunnels")
struct TunnelTests {
    private let terms = RequestTerms(isSecured: true, allowsExtendedConnect: true, webSocketKey: key)

    @Test("a WebSocket's extended CONNECT is HTTP/1.1's upgrade, byte by byte")
    func webSocket() throws {
        let fields = [
            ("sec-websocket-version", "13"), ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="), ("origin", "https://a.example"),
            ("sec-websocket-protocol", "chat"),
        ]
        let request = try assemble(tunnel + fields, isLast: false, terms: terms)
        #expect(
            text(request.head.bytes) == """
                GET /chat HTTP/1.1\r
                host: a.example\r
                connection: upgrade\r
                upgrade: websocket\r
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r
                sec-websocket-version: 13\r
                origin: https://a.example\r
                sec-websocket-protocol: chat\r
                \r

                """)
        #expect(request.isTunnel && request.head.framing == .none && request.contentLength == nil)
        #expect(request.head.upgradeProtocol.map { text(request.head.bytes[$0]) } == "websocket")
        #expect(problem(tunnel.map { $0.0 == ":protocol" ? ($0.0, "WebSocket") : $0 }, isLast: false, terms: terms) == nil)
    }

    @Test("a tunnel before it was announced is malformed, and so is :protocol without CONNECT")
    func notAnnounced() {
        #expect(problem(tunnel, isLast: false) == .malformed(.misplacedProtocol))
        #expect(problem(tunnel.map { $0.0 == ":method" ? ($0.0, "GET") : $0 }, terms: terms) == .malformed(.misplacedProtocol))
    }

    @Test("a tunnel needs scheme, path and authority", arguments: [":scheme", ":path", ":authority"])
    func incomplete(name: String) {
        #expect(problem(tunnel.filter { $0.0 != name } + [("host", "a")], isLast: false, terms: terms) == .malformed(.missingPseudoField))
    }

    @Test("a tunnel of another protocol is refused with 501, and one with a length is malformed")
    func others() {
        for name in ["", "connect-udp", "websocket2", "h2c"] {
            #expect(
                problem(tunnel.map { $0.0 == ":protocol" ? ($0.0, name) : $0 }, isLast: false, terms: terms)
                    == .refused(.connectNotSupported))
        }
        #expect(problem(tunnel + [("content-length", "0")], isLast: false, terms: terms) == .malformed(.invalidContentLength))
        #expect(HTTPError.connectNotSupported.status == 501)
    }

    @Test("a plain CONNECT is refused with 501; with a scheme or a path, or without an authority, it is malformed")
    func plainConnect() {
        let connect: [Pair] = [(":method", "CONNECT"), (":authority", "a.example:443")]
        for terms in [terms, RequestTerms(isSecured: true)] {
            #expect(problem(connect, isLast: false, terms: terms) == .refused(.connectNotSupported))
            #expect(problem(connect + [(":path", "/")], terms: terms) == .malformed(.misplacedTarget))
            #expect(problem(connect + [(":scheme", "https")], terms: terms) == .malformed(.misplacedTarget))
            #expect(problem([(":method", "CONNECT"), ("host", "a")], terms: terms) == .malformed(.missingPseudoField))
        }
        #expect(problem(plainGet(":method", "connect")) == nil)
    }
}

@Suite("Trailers of a request")
struct TrailerTests {
    private func problem(_ pairs: [Pair], limits: DecodedFieldLimits = DecodedFieldLimits()) throws -> RequestProblem? {
        let fields = try decoded(raw(pairs), limits: limits)
        do throws(RequestProblem) {
            try checkTrailers(fields)
            return nil
        } catch {
            return error
        }
    }

    @Test("any field may be one, for all of them are dropped")
    func dropped() throws {
        #expect(try problem([]) == nil)
        #expect(try problem([("x-sum", "1"), ("content-length", "5"), ("host", "b"), ("authorization", "x"), ("te", "x")]) == nil)
    }

    @Test("a pseudo-field in trailers is malformed", arguments: [":path", ":method", ":status", ":x"])
    func pseudoField(name: String) throws { #expect(try problem([("a", "b"), (name, "/")]) == .malformed(.misplacedPseudoField)) }

    @Test("the rules of names and values hold in trailers too")
    func rules() throws {
        for name in ["", "A", "a b", "a:"] { #expect(try problem([(name, "b")]) == .malformed(.invalidFieldName)) }
        for value in ["a\r\nb", "a\0", " a", "a "] { #expect(try problem([("a", value)]) == .malformed(.invalidFieldValue)) }
        for name in ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"] {
            #expect(try problem([(name, "x")]) == .malformed(.connectionField))
        }
    }

    @Test("too many trailers are refused")
    func tooLarge() throws {
        let limits = DecodedFieldLimits(maximumFields: 1, hardMaximumFields: 10)
        #expect(try problem([("a", "b"), ("c", "d")], limits: limits) == .refused(.trailersTooLarge))
    }
}
