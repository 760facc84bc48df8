// What a server may not do: malformed responses end their stream, broken rules of the connection and floods end the connection.

import HTTP
import HTTP2
import TestSupport
import Testing

@Suite("A server that breaks the rules")
struct HostileServerTests {
    private static let head = ClientSessionTests.head

    private static func literal(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    @Test(
        "malformed heads end their stream with PROTOCOL_ERROR and no other",
        arguments: [
            [], literal("a", "b"), [0x88, 0x88], literal(":status", "99"), literal(":status", "2000"), literal(":status", "2 0"),
            literal(":status", "101"), [0x88] + literal(":path", "/"), literal("a", "b") + [0x88], [0x88] + literal("A", "b"),
            [0x88] + literal("", "b"), [0x88] + literal("a b", "c"), [0x88] + literal("a", "b\r\nc: d"), [0x88] + literal("a", " b"),
            [0x88] + literal("connection", "close"), [0x88] + literal("transfer-encoding", "chunked"),
            [0x88] + literal("content-length", "x"), [0x88] + literal("content-length", "1") + literal("content-length", "2"),
            literal(":status", "100"),
        ])
    func malformed(block: [UInt8]) {
        let seen = seenInEverySplit(Wire.headers(1, block) + Wire.headers(3, [0x88]), streams: 2)
        #expect(seen.events.first?.hasPrefix("failed 1 PROTOCOL_ERROR") == true && seen.events.count == 2, "\(seen.events)")
        #expect(seen.events.last == "head 3 200 [] end" && seen.control.contains("RST_STREAM 1 PROTOCOL_ERROR"))
    }

    @Test("a body that is not its Content-Length, DATA before the head, and trailers that do not end the stream end it")
    func bodies() {
        let five = Wire.headers(1, [0x88] + Self.literal("content-length", "5"), ends: false)
        let cases: [([UInt8], String)] = [
            (five + Wire.data(1, [1, 2, 3, 4], ends: true), "Content-Length"), (five + Wire.data(1, [1, 2, 3, 4, 5, 6]), "Content-Length"),
            (Wire.headers(1, [0x88] + Self.literal("content-length", "5")), "Content-Length"),
            (five + Wire.padded(1, [1, 2, 3, 4, 5, 6], 9), "Content-Length"), (five + Wire.data(1, ends: true), "Content-Length"),
            (five + Wire.headers(1, Wire.trailer), "Content-Length"), (Wire.data(1, [1]), "DATA before"),
            (Self.head + Wire.headers(1, Wire.trailer, ends: false), "trailers without"),
            (Self.head + Wire.headers(1, [0x88]), "malformed trailers"),
            (Wire.headers(1, [0x89], ends: false) + Wire.data(1, [1]), "Content-Length"), (Wire.windowUpdate(1, 0), "WINDOW_UPDATE of 0"),
            (Wire.windowUpdate(1, 0x7FFF_FFFF), "over 2^31-1"),
        ]
        for (bytes, reason) in cases {
            let seen = seenInEverySplit(bytes)
            let last = seen.events.last ?? ""
            #expect(last.hasPrefix("failed 1 ") && last.contains(reason), "\(seen.events), not \(reason)")
            #expect(seen.control.last?.hasPrefix("RST_STREAM 1") == true)
        }
        let good = seenInEverySplit(five + Wire.data(1, [65, 66, 67]) + Wire.data(1, [68, 69], ends: true))
        #expect(good.events.last == "data 1 ABCDE end")
    }

    @Test("broken rules of the connection end it with the standard's code")
    func connection() {
        let cases: [([UInt8], HTTP2ErrorCode)] = [
            (Wire.headers(2, [0x88]), .protocolError), (Wire.headers(3, [0x88]), .protocolError), (Wire.data(3, [1]), .protocolError),
            (Wire.headers(0, [0x88]), .protocolError), (Wire.data(0), .protocolError), (Wire.reset(3), .protocolError),
            (Wire.reset(0), .protocolError), (Wire.windowUpdate(3, 1), .protocolError), (Wire.windowUpdate(0, 0), .protocolError),
            (Wire.windowUpdate(0, 0x7FFF_FFFF), .flowControlError), (Wire.frame(5, flags: 4, stream: 1, [0, 0, 0, 2]), .protocolError),
            (Wire.priorityUpdate(1), .protocolError), (Wire.settings([(2, 1)]), .protocolError), (Wire.settings([(2, 2)]), .protocolError),
            (Wire.settings([(4, 0x8000_0000)]), .flowControlError), (Wire.settings([(5, 1)]), .protocolError),
            (Wire.frame(4, stream: 1), .protocolError), (Wire.frame(4, stream: 0, [1]), .frameSizeError),
            (Wire.frame(6, stream: 0, [1]), .frameSizeError), (Wire.frame(7, stream: 0, [1]), .frameSizeError),
            (Wire.frame(3, stream: 1, [1]), .frameSizeError), (Wire.frame(0, stream: 1, length: 16_385), .frameSizeError),
            (Wire.frame(99, stream: 1, length: 16_385), .frameSizeError), (Wire.frame(9, flags: 4, stream: 1, [0x88]), .protocolError),
            (Wire.frame(1, stream: 1, [0x88]) + Wire.ping(), .protocolError), (Wire.frame(0, flags: 8, stream: 1), .frameSizeError),
            (Wire.headers(1, [0xFF]), .compressionError), (Wire.headers(1, [0xBE]), .compressionError),
            (Self.head + Wire.frame(0, flags: 8, stream: 1, [1]), .protocolError),
            (Wire.headers(1, [0x3F, 0xFF, 0x7F]), .compressionError),
        ]
        for (bytes, code) in cases {
            let seen = seenInEverySplit(bytes)
            #expect(seen.events.last?.hasPrefix("error \(code.name!):") == true, "\(bytes): \(seen.events)")
            #expect(seen.control.last == "GOAWAY 0 \(code.name!)")
        }
    }

    @Test("a server that begins with something else than SETTINGS is told apart from one of HTTP/1")
    func beginnings() {
        #expect(seenInEverySplit(Wire.ping(), from: []).events == ["error PROTOCOL_ERROR: the first frame is not SETTINGS"])
        #expect(seenInEverySplit(Wire.settingsAnswer, from: []).events.count == 1)
        let old = Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)
        #expect(seenInEverySplit(old, from: []).events == ["error PROTOCOL_ERROR: the server answers in HTTP/1"])
    }

    @Test("unknown frames, settings and flags are passed over")
    func unknown() {
        let frames = Wire.frame(99, flags: 255, stream: 0x8000_0001, [1, 2, 3]) + Wire.frame(12, stream: 0, [0, 0])
        let odd = frames + Wire.settings([(99, 5)])
        #expect(seenInEverySplit(odd + Wire.priority(1) + Wire.headers(1, [0x88])).events == ["head 1 200 [] end"])
    }

    @Test("floods end the connection within their bounds, and none of them grows memory")
    func floods() {
        let bomb = Wire.headers(1, [0x88] + [UInt8](repeating: 0x90, count: 1_001))
        let kinds: [(String, [UInt8])] = [
            ("PING", Wire.ping()), ("PING ack", Wire.ping(isAnswer: true)), ("SETTINGS", Wire.settings([(4, 5)])),
            ("unknown", Wire.frame(99, stream: 0, [1])), ("PRIORITY", Wire.priority(1)), ("WINDOW_UPDATE", Wire.windowUpdate(0, 1)),
            ("CONTINUATION", Wire.frame(9, stream: 1, [0x90])), ("closed DATA", Wire.data(1, [1])), ("bomb", bomb),
            ("interim", Wire.headers(3, [0x08, 3] + Array("103".utf8), ends: false)), ("GOAWAY", Wire.goAway()),
        ]
        for (name, frame) in kinds {
            let harness = ClientHarness(streams: 2)
            harness.receive(Wire.settings())
            if name == "CONTINUATION" { harness.receive(Wire.frame(1, stream: 1, [0x88])) }
            if name == "closed DATA" { harness.session.cancel(1) }
            var count = 0
            while count < 20_000, harness.receive(frame) {
                count += 1
                _ = harness.control()
            }
            #expect(count < 20_000 && harness.events.last?.contains("abuse") == true, "\(name): \(count)")
            #expect(harness.events.count < 3_000)
        }
        // Empty DATA ends its stream only, and so does a head over the limits.
        let empty = seenInEverySplit(Self.head + (0..<17).flatMap { _ in Wire.data(1) })
        #expect(empty.events == ["head 1 200 []", "failed 1 ENHANCE_YOUR_CALM: many empty DATA frames"])
        let large = seenInEverySplit(Wire.headers(1, [0x88] + [UInt8](repeating: 0x90, count: 200)))
        #expect(large.events == ["failed 1 ENHANCE_YOUR_CALM: head too large"])
    }

    @Test("control frames that cannot be sent end the connection at their bound")
    func unread() {
        let harness = ClientHarness()
        harness.receive(Wire.settings())
        var count = 0
        while count < 5_000, harness.receive(Wire.ping()) { count += 1 }
        #expect(harness.events.last?.contains("does not read them") == true && harness.session.control.count < 17_000)
    }

    @Test("any bytes end in an error or in nothing, and the same in two pieces")
    func anyBytes() {
        var chance = SeededGenerator("any bytes of a server")
        for _ in 0..<300 {
            var bytes: [UInt8] = []
            for _ in 0..<chance.number(1...12) {
                let payload = (0..<chance.number(0...20)).map { _ in UInt8(chance.below(256)) }
                bytes += Wire.frame(
                    UInt8(chance.below(11)), flags: UInt8(chance.below(256)), stream: UInt32(chance.below(5)), payload)
            }
            _ = seenInEverySplit(bytes, streams: 2)
        }
    }
}
