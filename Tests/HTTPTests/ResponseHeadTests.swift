// The status line and what a parsed response means.

import HTTP
import Testing

@Suite struct ResponseHeadTests {
    @Test("a status line gives version, status and reason")
    func statusLines() throws {
        let expected: [(String, Int, String, Int)] = [
            ("HTTP/1.1 200 OK", 200, "OK", 1), ("HTTP/1.0 404 Not Found", 404, "Not Found", 0), ("HTTP/1.1 204 ", 204, "", 1),
            ("HTTP/1.1 200", 200, "", 1), ("HTTP/1.1 999 \tWhät ever ", 999, "\tWhät ever ", 1),
            ("HTTP/1.1 100 Continue", 100, "Continue", 1),
            ("HTTP/1.1 200  x", 200, " x", 1),
        ]
        for (line, status, reason, minorVersion) in expected {
            let head = try response(line + "\r\nA: b\r\n\r\n")
            #expect(head.status == status && head.text(head.reasonRange) == reason && head.minorVersion == minorVersion)
            #expect(head.fields.map { head.text($0.value) } == ["b"])
        }
    }

    @Test(
        "the lines of some fields can be left out, wherever they stand",
        arguments: [
            ("", ""), ("A: b\r\n", "A: b\r\n"), ("Date: x\r\n", ""), ("Date: x\r\nA: b\r\n", "A: b\r\n"),
            ("A: b\r\nDATE:x\r\n", "A: b\r\n"),
            ("A: b\r\nDate: x\r\nSet-Cookie: y\r\nC:  \r\nSet-Cookie: z\r\n", "A: b\r\nC:  \r\n"),
        ])
    func withoutFields(_ lines: String, _ left: String) throws {
        let head = try response("HTTP/1.1 200 OK\r\n\(lines)\r\n")
        #expect(head.bytes(without: [.date, .setCookie]) == Array("HTTP/1.1 200 OK\r\n\(left)\r\n".utf8))
    }

    @Test(
        "a malformed status line is refused",
        arguments: [
            "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 20x OK", "HTTP/1.1  200 OK", "HTTP/1.1 099 OK", "HTTP/1.1 000 OK",
            "HTTP/1.1 200OK", "HTTP/1.1 -20 OK",
            "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1\t200 OK", "http/1.1 200 OK", "HTTP/1.1200 OK", "ICY 200 OK", "HTTP/ 1.1 200 OK",
            " HTTP/1.1 200 OK", "", "<html>", "HTTP/1.1 ２00 OK",
            "HTTP/1.1 2", "HTTP/1.a 200 OK", "HTTP/1.11 200 OK",
        ])
    func malformedStatusLines(_ line: String) throws {
        let error = try #require(responseRefusal(line + "\r\n\r\n"))
        #expect(error == .malformedStatusLine || error == .unsupportedVersion)
    }

    @Test(
        "another version is refused",
        arguments: ["HTTP/2 200 OK", "HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "HTTP/1.2 200 OK", "HTTP/3.1 200 OK"])
    func otherVersions(_ line: String) {
        #expect(responseRefusal(line + "\r\n\r\n") == .unsupportedVersion)
    }

    @Test("bytes that are not HTTP are refused at the first difference")
    func noHTTP() {
        #expect(scanInEverySplit(Array("S".utf8), .response) == .refused(.malformedStatusLine))
        #expect(scanInEverySplit(Array("HTTQ".utf8), .response) == .refused(.malformedStatusLine))
        #expect(scanInEverySplit(Array("HTTP/2".utf8), .response) == .refused(.unsupportedVersion))
        #expect(scanInEverySplit(Array("\r\n".utf8), .response) == .refused(.malformedStatusLine))
        #expect(scanInEverySplit([0], .response) == .refused(.malformedStatusLine))
    }

    @Test(
        "a response's fields are held to the rules of a request's",
        arguments: [
            ("a : b", HTTPError.invalidFieldName), ("a", .missingColon), (": b", .invalidFieldName), (" a: b", .obsoleteFolding),
            ("a: b\r\n c", .obsoleteFolding),
            ("a: \u{00}", .controlCharacter), ("a: b\nc: d", .bareLineFeed), ("a: b\rc: d", .bareCarriageReturn),
            ("a\u{7F}: b", .controlCharacter),
        ])
    func malformedFields(_ line: String, _ error: HTTPError) {
        #expect(responseRefusal("HTTP/1.1 200 OK\r\n\(line)\r\n\r\n") == error)
    }

    @Test("an upstream's connection is kept by version and options")
    func keepAlive() throws {
        #expect(try response("HTTP/1.1 200 OK\r\n\r\n").keepsAlive)
        #expect(try !response("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n").keepsAlive)
        #expect(try !response("HTTP/1.0 200 OK\r\n\r\n").keepsAlive)
        #expect(try response("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").keepsAlive)
    }

    @Test(
        "an event stream is known by its media type alone",
        arguments: [
            ("text/event-stream", true), ("Text/Event-Stream; charset=utf-8", true), ("text/event-stream ;x", true),
            ("text/event-stream;", true), ("text/event-streams", false),
            ("text/plain", false), ("", false), ("application/text/event-stream", false), ("text/event-stream charset=utf-8", false),
            ("text /event-stream", false), ("text/event-stream/x", false), ("/event-stream", false), ("text/", false), ("*/*", false),
        ])
    func eventStreams(_ value: String, _ expected: Bool) throws {
        #expect(try response("HTTP/1.1 200 OK\r\nContent-Type: \(value)\r\n\r\n").isEventStream == expected)
        #expect(try !response("HTTP/1.1 200 OK\r\n\r\n").isEventStream)
    }

    @Test(
        "of several media types, in a list or in fields of their own, the last that can be read counts",
        arguments: [
            ("text/html\nA: text/event-stream", true), ("text/event-stream\nA: text/html", false),
            ("text/event-stream\nA: text/event-stream", true),
            ("text/html, text/event-stream", true), ("text/event-stream, text/html", false),
            ("text/event-stream,text/html;x=text/event-stream", false),
            ("text/event-stream,", true), (",text/event-stream", true), ("text/event-stream\nA:", true), ("\nA: text/event-stream", true),
            // An invalid type, and a type that stands for anything, do not undo an earlier one.
            ("text/event-stream, */*", true), ("text/event-stream, html", true), ("text/event-stream, te xt/html", true),
            ("text/event-stream, text/", true),
            ("text/event-stream, text/ht@ml", true), ("text/event-stream, *", true), ("text/event-stream, text/*", false),
            // A comma, a quote and a line end inside a quoted string separate nothing.
            ("text/html;x=\", text/event-stream", false), ("text/html;x=\"a\", text/event-stream", true),
            ("text/html;x=\"\\\", text/event-stream", false),
            ("text/html;x=\"\nA: text/event-stream", false), ("text/html;x=\"\nA: \", text/event-stream", true),
            ("text/html;x=\"\\\nA: \", text/event-stream", true), ("text/event-stream;x=\", text/html", true),
            ("text/event-stream;x=\"\nA: text/html", true),
            ("text/\"html, text/event-stream\"", false), ("text/event-stream;\"\\", true),
        ])
    func severalMediaTypes(_ value: String, _ expected: Bool) throws {
        let lines = value.replacing("\nA:", with: "\r\nContent-Type:")
        #expect(try response("HTTP/1.1 200 OK\r\nContent-Type: \(lines)\r\n\r\n").isEventStream == expected)
    }

    @Test(
        "a content coding other than identity is seen",
        arguments: [
            ("gzip", false), ("identity", true), ("Identity", true), ("identity, br", false), ("", true),
            ("gzip\r\nContent-Encoding: identity", false),
        ])
    func contentEncoding(_ value: String, _ expected: Bool) throws {
        #expect(try response("HTTP/1.1 200 OK\r\nContent-Encoding: \(value)\r\n\r\n").contentEncodingIsIdentity == expected)
        #expect(try response("HTTP/1.1 200 OK\r\n\r\n").contentEncodingIsIdentity)
    }

    @Test(
        "a 101 switches to what was offered and to nothing else",
        arguments: [
            ("websocket", "websocket", true), ("WebSocket", "websocket", true), ("b/2", "a, b/2", true), ("a, b", "b,a", true),
            ("b", "a", false), ("a, c", "a, b", false),
            ("", "a", false), (",", "a", false), ("a/2", "a/1", false), ("websocke", "websocket", false), ("a", "", false),
            ("a\r\nUpgrade: b", "a", false),
        ])
    func switchedProtocols(_ answer: String, _ offered: String, _ expected: Bool) throws {
        let head = try response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: \(answer)\r\n\r\n")
        #expect(head.switches(toOneOf: Array(offered.utf8)) == expected)
        #expect(try !response("HTTP/1.1 101 X\r\n\r\n").switches(toOneOf: Array(offered.utf8)))
    }

    @Test("interim answers are all 1xx except 101")
    func interimAnswers() throws {
        for (status, expected) in [(100, true), (103, true), (199, true), (101, false), (200, false), (304, false)] {
            #expect(try response("HTTP/1.1 \(status) X\r\n\r\n").isInterim == expected)
        }
    }
}
