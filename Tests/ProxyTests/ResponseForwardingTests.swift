// What of a response reaches the client. The framing is judged by a client's reading of RFC 9112 section 6.3 and of
// section 9.3, over every combination of what the server said and what the client is.

import HTTP
import Testing

@testable import Exchanges
@testable import Proxy

/// How a client that follows RFC 9112 section 6.3 delimits a response's body.
private enum ClientReading: Equatable {
    case none, chunked, untilClose
    case length(UInt64)
}

/// One response as `Exchange` forwards it.
private struct Case {
    var head: ResponseHead
    var method: Method
    var client: ResponseTerms
    var isBridged = false
    var urlHeldToken = false
    var weaves = true
    var writesVia = true
    var strictTransportSecuritySeconds: Int?

    func plan() throws -> ResponseForwarding {
        let framing = try head.framing(requestMethod: method)
        let isStream = head.isEventStream && head.status == 200 && framing != .none
        return ResponseForwarding(
            head: head, framing: framing, isWoven: isStream && weaves, isStream: isStream,
            wouldBeWoven: head.isEventStream && head.status == 200 && weaves, isBridged: isBridged, urlHeldToken: urlHeldToken,
            writesVia: writesVia, strictTransportSecuritySeconds: strictTransportSecuritySeconds,
            date: HTTPDate.text(unixSeconds: 784_111_777))
    }

    func rendered(opening: [UInt8]? = nil) throws -> RenderedResponse {
        RenderedResponse(try plan().response(to: method), for: client, opening: opening)
    }
}

@Suite("The framing of a response on its way")
struct ResponseFramingTests {
    private static let methods: [Method] = [.get, .head, .post, .put, .delete, .options, .trace, .patch, .other]
    private static let statuses = [200, 201, 203, 204, 205, 206, 301, 304, 400, 401, 404, 426, 500, 503, 599]
    private static let announcements = [
        "", "Content-Length: 0\n", "Content-Length: 5\n", "Content-Length: 5, 5\n", "Transfer-Encoding: chunked\n",
    ]

    private func reading(_ head: ReadHead, status: Int, method: Method) -> ClientReading {
        if method == .head || status < 200 || status == 204 || status == 304 { return .none }
        if head.elements("transfer-encoding").last == "chunked" { return .chunked }
        if let length = head.values("content-length").first.flatMap({ UInt64($0) }) { return .length(length) }
        return .untilClose
    }

    /// RFC 9112 section 9.3, for a client that asked to keep the connection.
    private func persists(_ head: ReadHead, isHTTP10: Bool) -> Bool {
        if head.elements("connection").contains("close") { return false }
        return !isHTTP10 || head.elements("connection").contains("keep-alive")
    }

    private func check(_ one: Case, _ description: String) throws {
        let plan = try one.plan()
        let rendered = try one.rendered()
        let head = try ReadHead(rendered.bytes)
        #expect(head.rest.isEmpty && head.firstLine.hasPrefix("HTTP/1.1 \(one.head.status) "), "\(description)")
        let lengths = head.values("content-length")
        let codings = head.values("transfer-encoding")
        #expect(lengths.count + codings.count <= 1, "\(description)")
        #expect(codings.isEmpty || (codings == ["chunked"] && !one.client.isHTTP10 && one.head.status != 204), "\(description)")
        #expect(one.head.status != 204 || lengths.isEmpty, "RFC 9110 section 8.6: \(description)")

        let reading = reading(head, status: one.head.status, method: one.method)
        switch rendered.framing {
        case .none: #expect(reading == .none, "\(description)")
        case .chunked: #expect(reading == .chunked, "\(description)")
        case .plain:
            if case .length(let count) = plan.framing, !plan.isWoven {
                #expect(reading == .length(count), "\(description)")
            } else {
                #expect(reading == .untilClose, "\(description)")
            }
        }
        #expect((plan.framing == .none) == (rendered.framing == .none), "a body is neither lost nor made up: \(description)")
        if reading == .none, let announced = lengths.first {
            #expect(one.head.contentLength == UInt64(announced), "a length that nobody announced: \(description)")
        }
        #expect(rendered.endsByClosing == (reading == .untilClose), "\(description)")
        let persists = persists(head, isHTTP10: one.client.isHTTP10)
        #expect(persists == rendered.keepsAlive, "\(description)")
        #expect(!persists || (one.client.canKeepAlive && reading != .untilClose), "\(description)")
        #expect(rendered.keepsAlive || !one.client.canKeepAlive || reading == .untilClose, "closed for nothing: \(description)")
    }

    @Test("whatever the server said, the client can tell where the body ends and whether the connection goes on")
    func everyCombination() throws {
        var count = 0
        for version in ["1.0", "1.1"] {
            for announcement in ResponseFramingTests.announcements where version == "1.1" || !announcement.hasPrefix("T") {
                for status in ResponseFramingTests.statuses {
                    for type in ["text/html", "text/event-stream"] {
                        let head = try response("HTTP/\(version) \(status) Reason\nContent-Type: \(type)\n\(announcement)")
                        for method in ResponseFramingTests.methods {
                            for bits in 0..<16 {
                                let terms = ResponseTerms(isHTTP10: bits & 1 > 0, canKeepAlive: bits & 2 > 0)
                                let one = Case(head: head, method: method, client: terms, isBridged: bits & 4 > 0, weaves: bits & 8 > 0)
                                try check(one, "\(version) \(status) \(type) \(announcement) \(method) \(terms)")
                                count += 1
                            }
                        }
                    }
                }
            }
        }
        #expect(count == 9 * ResponseFramingTests.statuses.count * 2 * ResponseFramingTests.methods.count * 16)
    }

    @Test("a stream that is woven loses the length that no longer holds, and one that is not keeps it")
    func wovenLength() throws {
        let head = try response("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nContent-Length: 5")
        let terms = ResponseTerms(isHTTP10: false, canKeepAlive: true)
        let woven = try ReadHead(Case(head: head, method: .get, client: terms).plan().response(to: .get).rendered())
        #expect(woven.values("content-length").isEmpty && woven.values("transfer-encoding") == ["chunked"])
        let plain = try ReadHead(Case(head: head, method: .get, client: terms, weaves: false).plan().response(to: .get).rendered())
        #expect(plain.values("content-length") == ["5"] && plain.values("transfer-encoding").isEmpty)
    }

    @Test("an answer to HEAD and a 304 keep the length of the body that they do not have")
    func lengthWithoutBody() throws {
        let terms = ResponseTerms(isHTTP10: false, canKeepAlive: true)
        let head = try response("HTTP/1.1 200 OK\nContent-Length: 512")
        let answer = try ReadHead(Case(head: head, method: .head, client: terms).plan().response(to: .head).rendered())
        #expect(answer.values("content-length") == ["512"])
        let unchanged = try response("HTTP/1.1 304 Not Modified\nContent-Length: 512")
        let revalidation = try ReadHead(Case(head: unchanged, method: .get, client: terms).plan().response(to: .get).rendered())
        #expect(revalidation.values("content-length") == ["512"])
    }

    @Test("bytes of the proxy's own behind a head are framed as the body is")
    func append() throws {
        let head = try response("HTTP/1.1 200 OK\nContent-Type: text/event-stream")
        for isHTTP10 in [false, true] {
            let one = Case(head: head, method: .get, client: ResponseTerms(isHTTP10: isHTTP10, canKeepAlive: true))
            let bytes = try one.rendered(opening: Array(":0123456789abcdef\n\n".utf8)).bytes
            let expected = isHTTP10 ? ":0123456789abcdef\n\n" : "13\r\n:0123456789abcdef\n\n\r\n"
            #expect(try ReadHead(bytes).rest == Array(expected.utf8))
        }
    }
}

@Suite("The fields of a response on its way")
struct ResponseFieldTests {
    /// Fields that the proxy always writes.
    private static let own: Set<String> = ["via", "transfer-encoding", "content-length", "connection"]

    private func written(
        _ text: String, method: Method = .get, isBridged: Bool = false, urlHeldToken: Bool = false, weaves: Bool = true,
        writesVia: Bool = true
    ) throws -> ReadHead {
        let terms = ResponseTerms(isHTTP10: false, canKeepAlive: true)
        let plan = try Case(
            head: try response(text), method: method, client: terms, isBridged: isBridged, urlHeldToken: urlHeldToken, weaves: weaves,
            writesVia: writesVia
        ).plan()
        return try ReadHead(plan.response(to: method).rendered())
    }

    @Test("status, reason and ordinary fields pass byte for byte and in their order")
    func untouched() throws {
        let lines = [
            "set-COOKIE: a=1; Path=/; Expires=Wed, 09 Jun 2027 10:18:14 GMT", "Set-Cookie: b=2", "ETag: W/\"x\"",
            "Cache-Control: max-age=5",
            "WWW-Authenticate: Basic realm=\"a, b\"", "X-Accel-Buffering: yes", "Content-Encoding: gzip", "Vary: *", "X-Empty: ",
            "Set-Cookie: c=3", "Location: /x?y=z", "Server: legacy/1", "Date: Mon, 01 Jan 2024 00:00:00 GMT", "Age: 7",
            "Access-Control-Allow-Origin: *", "Link: </a>; rel=\"b\"",
        ]
        let head = try written("HTTP/1.1 418 I'm a Teapot\n" + lines.joined(separator: "\n"))
        #expect(head.firstLine == "HTTP/1.1 418 I'm a Teapot")
        #expect(head.lines(except: ResponseFieldTests.own) == lines)
    }

    @Test("fields of the hop and those that Connection names stay behind; what is meant for everybody cannot be named")
    func hopByHop() throws {
        let head = try written(
            """
            HTTP/1.1 200 OK
            Connection: close, x-hop, set-cookie, Cache-Control, content-type
            Keep-Alive: timeout=5
            Proxy-Connection: close
            Proxy-Authenticate: Basic
            Upgrade: h2c
            Trailer: X-Sum
            TE: x
            X-Hop: 1
            Set-Cookie: a=1
            Cache-Control: no-store
            Content-Type: text/html
            Content-Length: 3
            """)
        #expect(
            head.lines(except: ResponseFieldTests.own.union(["date"])) == [
                "Set-Cookie: a=1", "Cache-Control: no-store", "Content-Type: text/html",
            ])
        #expect(head.values("connection").isEmpty, "the server's close is not the client's")
    }

    @Test(
        "an event stream tells the next hop neither to store, nor to change, nor to buffer it",
        arguments: [
            "", "Cache-Control: public, max-age=60\nCache-Control: s-maxage=5\n", "cache-control: NO-CACHE\n",
            "Cache-Control: no-transform\nX-Accel-Buffering: yes\n",
            "Cache-Control: no-cache, no-transform\nX-Accel-Buffering: no\nX-Accel-Buffering: yes\n", "Cache-Control:\n",
            "Cache-Control: no-store\n",
        ])
    func streams(_ fields: String) throws {
        let text = "HTTP/1.1 200 OK\nContent-Type: Text/Event-Stream; charset=utf-8\n\(fields)"
        let head = try written(text)
        let directives = head.elements("cache-control")
        #expect(directives.filter { $0 == "no-cache" }.count == 1 && directives.filter { $0 == "no-transform" }.count == 1)
        #expect(head.values("x-accel-buffering") == ["no"])
        let before = try ReadHead(wire(text)).elements("cache-control")
        #expect(Set(directives) == Set(before).union(["no-cache", "no-transform"]), "the server's own directives stay")
        #expect(head.values("content-type") == ["Text/Event-Stream; charset=utf-8"])
    }

    @Test(
        "only a 200 with a body is an event stream",
        arguments: [
            ("HTTP/1.1 503 Busy\nContent-Type: text/event-stream", Method.get),
            ("HTTP/1.1 204 No Content\nContent-Type: text/event-stream", .get),
            ("HTTP/1.1 503 Busy\nContent-Type: text/event-stream", .head), ("HTTP/1.1 200 OK\nContent-Type: text/event-streams", .get),
            ("HTTP/1.1 200 OK\nContent-Type: application/json", .get),
        ])
    func noStreams(_ text: String, _ method: Method) throws {
        let head = try written(text, method: method)
        #expect(head.values("cache-control").isEmpty && head.values("x-accel-buffering").isEmpty)
    }

    @Test("HEAD is told of a stream what GET is told, except the framing")
    func headOfStream() throws {
        let text = "HTTP/1.1 200 OK\nDate: x\nContent-Type: text/event-stream\nCache-Control: max-age=1\nDigest: a=b\nETag: \"x\""
        for weaves in [false, true] {
            let (get, head) = (try written(text, weaves: weaves), try written(text, method: .head, weaves: weaves))
            #expect(
                head.lines().filter { !$0.hasPrefix("X-Accel") }
                    == get.lines(except: ["transfer-encoding"]).filter { !$0.hasPrefix("X-Accel") })
        }
        #expect(try written(text, method: .head).values("x-accel-buffering") == ["no"])
    }

    @Test(
        "a stream into which nothing is woven keeps its server's Cache-Control, except what bridging demands",
        arguments: [
            "", "public, max-age=60, s-maxage=5", "no-store", "no-cache", "max-age=5,, x=\"a, b\"",
        ])
    func notWoven(_ directives: String) throws {
        let text = "HTTP/1.1 200 OK\nContent-Type: text/event-stream" + (directives.isEmpty ? "" : "\nCache-Control: \(directives)")
        #expect(try written(text, weaves: false).values("cache-control") == (directives.isEmpty ? [] : [directives]))
        let bridged = try written(text, isBridged: true, weaves: false).elements("cache-control")
        #expect(bridged.contains("private") != bridged.contains("no-store"))
        #expect(!bridged.contains("no-transform"))
    }

    @Test(
        "no field of a bridged response contradicts `private`: neither Cache-Control nor a field that shared caches obey first",
        arguments: [
            ("public, max-age=60", "max-age=60, private"), ("max-age=60, PUBLIC", "max-age=60, private"),
            ("s-maxage=9, max-age=1", "max-age=1, private"),
            ("private, public", "private"), ("private=\"set-cookie\", max-age=60", "max-age=60, private"), ("no-store, public", "no-store"),
            ("no-store, private", "no-store, private"), ("must-understand, no-store", "must-understand, no-store, private"),
            ("public", "private"), ("x=\"public, private\"", "x=\"public, private\", private"),
            ("must-revalidate, immutable", "must-revalidate, immutable, private"),
        ])
    func contradictions(_ directives: String, _ expected: String) throws {
        let text = """
            HTTP/1.1 200 OK
            Cache-Control: \(directives)
            CDN-Cache-Control: max-age=60
            cloudflare-cdn-cache-control: max-age=60
            Surrogate-Control: max-age=60
            Edge-Control: max-age=60
            X-Accel-Expires: 60
            X-Control: kept
            Content-Length: 0
            """
        let bridged = try written(text, isBridged: true)
        #expect(bridged.values("cache-control") == [expected])
        #expect(bridged.lines(except: ResponseFieldTests.own.union(["cache-control", "date", "referrer-policy"])) == ["X-Control: kept"])
        let other = try written(text)
        #expect(other.values("cache-control") == [directives] && other.values("cdn-cache-control") == ["max-age=60"])
        #expect(other.values("x-accel-expires") == ["60"] && other.values("surrogate-control") == ["max-age=60"])
    }

    @Test("a public stream that is woven and bridged is said to be private once, and not public")
    func wovenAndBridged() throws {
        let head = try written("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nCache-Control: public, max-age=60", isBridged: true)
        #expect(head.values("cache-control") == ["max-age=60, no-cache, no-transform, private"])
    }

    @Test(
        "a woven response loses digests of the server's bytes, and its strong validator becomes weak; elsewhere both stay"
    )
    func digests() throws {
        let digests = [
            "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==", "digest: sha-256=x", "Content-Digest: sha-256=:x:", "Repr-Digest: sha-256=:x:",
            "Unencoded-Digest: sha-256=:x:", "Accept-Ranges: bytes",
        ]
        let kept = ["Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT", "Age: 3", "Signature: s=:x:", "X-Digest: y", "Digest-Kind: z"]
        let lines = digests + kept + ["ETag: \"v1\""]
        let stream = "HTTP/1.1 200 OK\nDate: x\nContent-Type: text/event-stream\n" + lines.joined(separator: "\n")
        let ours = ResponseFieldTests.own.union(["date", "content-type", "cache-control", "x-accel-buffering"])
        #expect(try written(stream).lines(except: ours) == kept + ["ETag: W/\"v1\""])
        #expect(try written(stream, method: .head).lines(except: ours) == kept + ["ETag: W/\"v1\""])
        #expect(try written(stream, weaves: false).lines(except: ours) == lines)
        #expect(try written(stream, isBridged: true, weaves: false).lines(except: ours.union(["referrer-policy"])) == lines)
        for text in ["HTTP/1.1 206 Partial Content\nContent-Type: text/event-stream\n", "HTTP/1.1 200 OK\nContent-Type: text/plain\n"] {
            #expect(try written(text + lines.joined(separator: "\n")).lines(except: ours) == lines)
        }
        #expect(try written("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nETag: W/\"v1\"").values("etag") == ["W/\"v1\""])
    }

    @Test("what was asked for with a token in the URL is kept from shared caches and out of referrers")
    func bridged() throws {
        let variants = [
            "", "Cache-Control: max-age=60\nReferrer-Policy: unsafe-url\n", "Content-Type: text/event-stream\n", "Cache-Control: private\n",
        ]
        for fields in variants {
            let head = try written("HTTP/1.1 200 OK\n\(fields)", isBridged: true, urlHeldToken: true)
            #expect(head.elements("cache-control").filter { $0 == "private" }.count == 1, "\(fields)")
            #expect(head.values("referrer-policy") == ["strict-origin"], "\(fields)")
        }
        let stored = try written("HTTP/1.1 200 OK\nCache-Control: no-store", isBridged: true)
        #expect(stored.elements("cache-control").contains("no-store"))
    }

    @Test(
        "the server's own policy of referrers stays where it keeps the URL as secret, and where no token was in the URL",
        arguments: [
            (["no-referrer"], true), (["strict-origin"], true), (["Origin"], true), (["unsafe-url, strict-origin"], true),
            (["same-origin", "no-referrer"], true),
            (["no-referrer, something-new"], true), (["same-origin"], true), (["no-referrer", "strict-origin-when-cross-origin"], true),
            (["origin-when-cross-origin"], true),
            (["no-referrer, unsafe-url"], false), (["no-referrer-when-downgrade"], false), (["something-new"], false), ([""], false),
            (["no-referrers"], false),
        ])
    func referrerPolicy(own: [String], isSecret: Bool) throws {
        let text = "HTTP/1.1 200 OK" + own.map { "\nReferrer-Policy: \($0)" }.joined()
        #expect(try written(text, isBridged: true, urlHeldToken: true).values("referrer-policy") == (isSecret ? own : ["strict-origin"]))
        #expect(try written(text, isBridged: true).values("referrer-policy") == own)
    }

    @Test("where browsers shall come over HTTPS only, the proxy says so once, in place of the server")
    func strictTransportSecurity() throws {
        let head = try response("HTTP/1.1 200 OK\nStrict-Transport-Security: max-age=0\nContent-Length: 0")
        let terms = ResponseTerms(isHTTP10: false, canKeepAlive: true)
        func values(_ seconds: Int?) throws -> [String] {
            let plan = try Case(head: head, method: .get, client: terms, strictTransportSecuritySeconds: seconds).plan()
            return try ReadHead(plan.response(to: .get).rendered()).values("strict-transport-security")
        }
        #expect(try values(nil) == ["max-age=0"])
        #expect(try values(600) == ["max-age=600"])
    }

    @Test("Via keeps those before and ends with the proxy and the version that it received")
    func via() throws {
        #expect(try written("HTTP/1.1 200 OK\nVia: 1.1 inner").elements("via") == ["1.1 inner", "1.1 heartwire"])
        #expect(try written("HTTP/1.0 200 OK").elements("via") == ["1.0 heartwire"])
    }

    @Test("where the route says so, Via has only those before")
    func noVia() throws {
        #expect(try written("HTTP/1.1 200 OK\nVia: 1.1 inner", writesVia: false).elements("via") == ["1.1 inner"])
        #expect(try written("HTTP/1.1 200 OK", writesVia: false).values("via").isEmpty)
        let upgrade = ResponseForwarding.switchingProtocols(
            try response("HTTP/1.1 101 X\nConnection: upgrade\nUpgrade: a"), cookies: [], writesVia: false)
        #expect(try ReadHead(RenderedResponse.headOnly(upgrade)).values("via").isEmpty)
        let own = OwnStreamResponse(
            urlHeldToken: false, isForeign: false, writesVia: false,
            allowedOrigin: nil,
            strictTransportSecuritySeconds: nil, date: HTTPDate.text(unixSeconds: 0))
        #expect(try ReadHead(own.response().rendered()).values("via").isEmpty)
    }

    @Test("the head of an upgrade holds the proxy's own Connection, the protocol, and no field of the hop")
    func switchingProtocols() throws {
        let upgrade = ResponseForwarding.switchingProtocols(
            try response(
                """
                HTTP/1.1 101 Switching Protocols
                Connection: Upgrade, x-hop
                Upgrade: websocket
                X-Hop: 1
                Keep-Alive: timeout=5
                Content-Length: 5
                Sec-WebSocket-Accept: abc=
                """), cookies: [Array("sid=2".utf8)], writesVia: true)
        let head = try ReadHead(RenderedResponse.headOnly(upgrade))
        #expect(head.firstLine == "HTTP/1.1 101 Switching Protocols" && head.rest.isEmpty)
        #expect(head.elements("connection") == ["upgrade"] && head.values("upgrade") == ["websocket"])
        #expect(head.values("set-cookie") == ["sid=2"])
        #expect(head.lines(except: ["via", "connection", "upgrade", "set-cookie"]) == ["Sec-WebSocket-Accept: abc="])
    }

    @Test("private and no-cache that name fields do not stand for those that name none")
    func qualifiedDirectives() throws {
        let bridged = try written("HTTP/1.1 200 OK\nCache-Control: private=\"set-cookie\", max-age=60", isBridged: true, urlHeldToken: true)
        #expect(bridged.elements("cache-control").contains("private"))
        let woven = try written("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nCache-Control: no-cache=\"set-cookie\"")
        #expect(woven.elements("cache-control").contains("no-cache"))
    }

    @Test("a response without a date gets one")
    func missingDate() throws {
        #expect(try written("HTTP/1.1 200 OK\nContent-Length: 0").values("date").count == 1)
    }

    @Test("an answer to HEAD announces no length that the woven stream would not have")
    func lengthForHead() throws {
        let text = "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nContent-Length: 9"
        #expect(try written(text, method: .head).values("content-length").isEmpty)
    }
}
