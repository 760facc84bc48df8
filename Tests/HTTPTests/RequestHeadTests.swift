// What a parsed request means: persistence, forwarding, expectations, upgrades, Accept, look-up, sizes.

import HTTP
import Testing

@Suite struct RequestHeadTests {
    private func head(_ fields: String, version: String = "1.1", method: String = "GET") throws(HTTPError) -> RequestHead {
        try request("\(method) / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n")
    }

    @Test("keep-alive follows the version and the Connection options")
    func keepAlive() throws {
        #expect(try head("").keepsAlive)
        #expect(try !head("Connection: close\r\n").keepsAlive)
        #expect(try !head("Connection: x, CLOSE ,y\r\n").keepsAlive)
        #expect(try !head("Connection: keep-alive\r\nConnection: close\r\n").keepsAlive)
        #expect(try head("Connection: closed\r\n").keepsAlive)
        #expect(try !head("", version: "1.0").keepsAlive)
        #expect(try head("Connection: Keep-Alive\r\n", version: "1.0").keepsAlive)
        #expect(try !head("Connection: Keep-Alive, close\r\n", version: "1.0").keepsAlive)
        #expect(try !head("Proxy-Connection: keep-alive\r\n", version: "1.0").keepsAlive)
    }

    @Test("fields of one connection, framing fields and Host are not passed on")
    func hopByHopFields() throws {
        let removed = [
            "Connection: x", "Keep-Alive: timeout=5", "Proxy-Connection: close", "Proxy-Authenticate: Basic", "TE: trailers",
            "Trailer: X-Sum",
            "Proxy-Authorization: Basic eA==", "Proxy-Authentication-Info: x", "Transfer-Encoding: chunked", "Upgrade: websocket",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
        ]
        let kept = [
            "X-A: 1", "TEA: 2", "Connections: 3", "Accept: */*", "Expect: 100-continue", "Via: 1.1 b", "Upgrade-Insecure-Requests: 1",
        ]
        let all = zip(removed, kept).flatMap { [$0, $1] } + removed.dropFirst(kept.count)
        let head = try head(all.map { $0 + "\r\n" }.joined())
        #expect(head.forwardedNames == kept.map { String($0.prefix(while: { $0 != ":" })) })
        #expect(try self.head("Content-Length: 5\r\nX: y\r\n").forwardedNames == ["X"])
    }

    @Test("fields that Connection names are not passed on, in any case of letters")
    func nominatedFields() throws {
        let head = try head(
            """
            Connection: X-Secret, x-other\r\nx-secret: 1\r\nX-SECRET: 2\r\nX-Third: 3\r\nConnection: \"q,x-third\", , \
            X-FOURTH,user-agent\r\n
            """
                + "x-fourth: 4\r\nUser-Agent: z\r\nX-Other_: 5\r\nX-Secrets: 6\r\n")
        #expect(head.forwardedNames == ["X-Third", "X-Other_", "X-Secrets"])
    }

    @Test("Connection cannot remove fields meant for every recipient")
    func protectedFields() throws {
        let names = [
            "Authorization", "Cookie", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port",
            "X-Forwarded-Tls-Client-Cert",
            "X-Real-IP", "Forwarded", "Cache-Control", "Content-Type", "Content-Encoding", "Last-Event-ID", "Origin", "Range", "Expect",
        ]
        let nomination =
            "Connection: " + names.map { $0.lowercased() }.joined(separator: ",") + ", host, content-length, transfer-encoding\r\n"
        for nominationFirst in [true, false] {
            let fields = names.map { "\($0): 1\r\n" }.joined() + "Content-Length: 3\r\n"
            let head = try head(nominationFirst ? nomination + fields : fields + nomination, method: "POST")
            #expect(head.forwardedNames == names)
            #expect(head.framing == .length(3))
            #expect(head.text(head.authority) == "a")
        }
    }

    @Test("more Connection options than a bound are refused")
    func tooManyOptions() throws {
        func options(_ count: Int) -> String { "Connection: " + (0..<count).map { "o\($0)" }.joined(separator: ",") + "\r\n" }
        #expect(try head(options(64)).keepsAlive)
        #expect(throws: HTTPError.tooManyConnectionOptions) { try head(options(65)) }
        #expect(throws: HTTPError.tooManyConnectionOptions) { try head(options(40) + options(40)) }
        #expect(HTTPError.tooManyConnectionOptions.status == 431)
    }

    @Test("100-continue is expected only in HTTP/1.1 and with a body; another expectation is seen")
    func expectations() throws {
        let body = "Content-Length: 5\r\n"
        #expect(try head(body + "Expect: 100-Continue\r\n").expectsContinue)
        #expect(try head("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n").expectsContinue)
        #expect(try !head("Expect: 100-continue\r\n").expectsContinue)
        #expect(try !head("Content-Length: 0\r\nExpect: 100-continue\r\n").expectsContinue)
        #expect(try !head(body + "Expect: 100-continue\r\n", version: "1.0").expectsContinue)
        #expect(try !head(body).expectsContinue)
        for value in ["100-continue, x", "200-ok", "", "100-continue;a", "\"100-continue\"", "100-continue\r\nExpect: y"] {
            #expect(try head(body + "Expect: \(value)\r\n").hasUnknownExpectation)
        }
        #expect(try !head(body + "Expect: 100-continue\r\n").hasUnknownExpectation)
        #expect(try !head(body).hasUnknownExpectation)
    }

    @Test("an upgrade needs Connection: upgrade, Upgrade, HTTP/1.1 and no body")
    func upgrades() throws {
        func upgrade(_ fields: String, version: String = "1.1") throws -> String? {
            let head = try head(fields, version: version)
            return head.upgradeProtocol.map { head.text($0) }
        }
        #expect(try upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n") == "websocket")
        #expect(try upgrade("Upgrade: WebSocket, foo/2\r\nconnection: UPGRADE\r\n") == "WebSocket, foo/2")
        #expect(try upgrade("Upgrade: websocket\r\n") == nil)
        #expect(try upgrade("Connection: upgrade\r\n") == nil)
        #expect(try upgrade("Connection: upgrade\r\nUpgrade: websocket\r\n", version: "1.0") == nil)
        #expect(try upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n") == nil)
        #expect(try upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n") == nil)
        #expect(try upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n") == "websocket")
        #expect(try upgrade("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n") == nil)
        for offer in ["h2c", "H2C", "websocket, h2c", "h2c, websocket", "h2", "HTTP/2.0", "TLS/1.2", "", ",", "web socket", "@"] {
            #expect(try upgrade("Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\nUpgrade: \(offer)\r\n") == nil)
        }
    }

    @Test(
        "Accept names an event stream in any case of letters and with any parameters but a weight of 0",
        arguments: [
            ("text/event-stream;q=0", false), ("text/event-stream; Q=0.000", false), ("text/event-stream;q=0.0 , */*", false),
            ("text/event-stream;a=b;q=0.", false),
            ("text/event-stream;q=0.001", true), ("text/event-stream; q=0.5", true), ("text/event-stream;q=", true),
            ("text/event-stream;q=00", true),
            ("text/event-stream;q=0;", false), ("text/event-stream;a=\";q=0\"", true), ("text/event-stream;q=0, text/event-stream", true),
            ("text/event-stream;q=0.0000", true),
            ("text/event-stream", true), ("TEXT/Event-Stream;q=0.5", true), ("text/html, text/event-stream ; a=\"b,c\"", true),
            ("a, ,text/event-stream", true),
            ("text/html\r\nAccept: text/event-stream", true), ("*/*", false), ("text/*", false), ("text/event-streams", false),
            ("xtext/event-stream", false),
            ("\"text/html, text/event-stream\"", false), ("a;b=\"x, text/event-stream\"", false), ("", false),
            ("text/event-stream2, text /event-stream", false),
        ])
    func accept(_ value: String, _ expected: Bool) throws {
        #expect(try head("Accept: \(value)\r\n").acceptsEventStream == expected)
    }

    @Test("fields are found, counted and searched by name")
    func lookUp() throws {
        let head = try head("Cache-Control: max-age=5\r\nX: no-store\r\ncache-control: private=\"a, no-cache\", NO-Transform\r\n")
        #expect(head.count(of: .cacheControl) == 2 && head.count(of: .cookie) == 0)
        #expect(head.text(try #require(head.firstValue(of: .cacheControl))) == "max-age=5")
        #expect(head.firstValue(of: .cookie) == nil && !head.contains(.cookie) && head.contains(.cacheControl))
        for token: StaticString in ["max-age", "private", "no-transform"] { #expect(head.listContains(.cacheControl, token)) }
        for token: StaticString in ["no-store", "no-cache", "a", "max", "", "transform"] {
            #expect(!head.listContains(.cacheControl, token))
        }
        #expect(!head.listContains(.vary, "max-age"))
    }

    @Test(
        "a list is split at commas outside of quoted strings, without blanks and empty elements",
        arguments: [
            ("a,b", ["a", "b"]), (" a ,\tb\t", ["a", "b"]), (",, a,,", ["a"]), ("", []), (" , ", []), ("\"a,b\",c", ["\"a,b\"", "c"]),
            ("a=\"b\\\",c\",d", ["a=\"b\\\",c\"", "d"]), ("\"a,b", ["\"a,b"]), ("\"a\\", ["\"a\\"]), ("a\\,b", ["a\\", "b"]),
            ("a b, c", ["a b", "c"]),
        ])
    func lists(_ value: String, _ expected: [String]) {
        let bytes = Array("#\(value)#,z".utf8)
        var elements = ListElements(1..<1 + value.utf8.count)
        var found: [String] = []
        while let range = elements.next(in: bytes.span) { found.append(String(decoding: bytes[range], as: UTF8.self)) }
        #expect(found == expected)
        #expect(elements.next(in: bytes.span) == nil)
    }

    @Test("values that exist in large numbers stay small")
    func sizes() {
        #expect(MemoryLayout<Field>.stride <= 20)
        #expect(MemoryLayout<BodyDecoder>.size <= 24)
        #expect(MemoryLayout<HeadScanner>.size <= 72)
        #expect(MemoryLayout<RequestHead>.size <= 160)
        #expect(MemoryLayout<ResponseHead>.size <= 96)
        #expect(MemoryLayout<FieldNameSet>.size == 8)
        #expect(FieldName.allCases.count <= 64)
    }

    @Test("every error has a 4xx or 5xx status and its own phrase")
    func errors() {
        for error in HTTPError.allCases { #expect([400, 414, 421, 431, 501, 505].contains(error.status)) }
        #expect(Set(HTTPError.allCases.map { $0.reason.description }).count == HTTPError.allCases.count)
        #expect(HTTPError.unsupportedVersion.status == 505 && HTTPError.unknownTransferCoding.status == 501)
    }
}
