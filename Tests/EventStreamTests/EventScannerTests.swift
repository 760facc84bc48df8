// Vectors for the scanner: whole, byte by byte, and in two parts at every place.

import EventStream
import ReferenceEventSource
import Testing

private struct Vector: Sendable {
    var stream: String
    var events: UInt64 = 0
    var position: EventScanner.Position = .betweenEvents
    var id = ""
    var retry: UInt64?
    /// Just behind the last blank line of the whole stream.
    var boundary: Int?

    var bytes: [UInt8] { Array(stream.utf8) }
}

private let mark = "\u{FEFF}"

private let vectors: [Vector] = [
    Vector(stream: ""),
    Vector(stream: "data: a\n\n", events: 1, boundary: 9),
    Vector(stream: "data: a\r\r", events: 1, boundary: 9),
    Vector(stream: "data: a\r\n\r\n", events: 1, boundary: 11),
    Vector(stream: "data: a\n\rdata: b\r\n\ndata: c\r\r\n", events: 3, boundary: 29),
    Vector(stream: "data: a\r\n", position: .betweenLines),
    Vector(stream: "data: a\n", position: .betweenLines),
    Vector(stream: "data: a", position: .insideLine),
    Vector(stream: "data: a\n\nd", events: 1, position: .insideLine, boundary: 9),
    Vector(stream: "data\n\n", events: 1, boundary: 6),
    Vector(stream: "data:\n\n", events: 1, boundary: 7),
    Vector(stream: "data:", position: .insideLine),
    Vector(stream: "dat\n\n", boundary: 5),
    Vector(stream: "dataa\n\n", boundary: 7),
    Vector(stream: "Data: a\n\n", boundary: 9),
    Vector(stream: " data: a\n\n", boundary: 10),
    Vector(stream: "data : a\n\n", boundary: 10),
    Vector(stream: "event: x\n\n", boundary: 10),
    Vector(stream: "event: x\n", position: .betweenLines),
    Vector(stream: "\n\n\n", boundary: 3),
    Vector(stream: ": a comment\n", position: .betweenEvents),
    Vector(stream: ": a comment", position: .insideLine),
    Vector(stream: "data: a\n: a comment\n", position: .betweenLines),
    Vector(stream: "data: a\n: a comment\ndata: b\n\n", events: 1, boundary: 29),
    Vector(stream: "data: a\n\n: after\r", events: 1, position: .betweenEvents, boundary: 9),
    Vector(stream: mark, position: .betweenEvents),
    Vector(stream: mark + "data: a\n\n", events: 1, boundary: 12),
    Vector(stream: mark + mark + "data: a\n\n", boundary: 15),
    Vector(stream: "\n" + mark + "data: a\n\n", boundary: 13),
    Vector(stream: mark + "\n", boundary: 4),
    Vector(stream: "id: 1\n\n", id: "1", boundary: 7),
    Vector(stream: "id: 1\n", position: .betweenLines),
    Vector(stream: "id:1\ndata\n\nid\n", events: 1, position: .betweenLines, id: "1", boundary: 11),
    Vector(stream: "id:1\ndata\n\nid\n\n", events: 1, id: "", boundary: 15),
    Vector(stream: "id:1\n\nid:\n\n", id: "", boundary: 11),
    Vector(stream: "id: 1\nid: 22\n\n", id: "22", boundary: 14),
    Vector(stream: "id: 22\nid: 1\n\ndata: later\n\n", events: 1, id: "1", boundary: 27),
    Vector(stream: "id:  two\n\n", id: " two", boundary: 10),
    Vector(stream: "id: a:b\n\n", id: "a:b", boundary: 9),
    Vector(stream: "id: 1\n\nid: 2\0\n\n", id: "1", boundary: 15),
    Vector(stream: "id: 1\n\nid: \0 2\ndata\n\n", events: 1, id: "1", boundary: 21),
    Vector(stream: "id: 1\nid: 2\03\n\n", id: "1", boundary: 15),
    Vector(stream: "idx: 1\n\ni: 1\n\n", boundary: 14),
    Vector(stream: "id: ä\r\rid: unfinished", position: .insideLine, id: "ä", boundary: 8),
    Vector(stream: "retry: 250\n", position: .betweenLines, retry: 250),
    Vector(stream: "retry: 250", position: .insideLine),
    Vector(
        stream: "retry:250\rretry: x1\rretry: 1x\rretry\rretry:\rretry: \rretry:  7\rretry: -7\rretry: 7 \r\r", retry: 250, boundary: 82),
    Vector(stream: "retry: 00\n\n", retry: 0, boundary: 11),
    Vector(stream: "retry: 18446744073709551615\n\n", retry: .max, boundary: 29),
    Vector(stream: "retry: 18446744073709551616\n\n", retry: .max, boundary: 29),
    Vector(stream: "retry: 99999999999999999999990\n\n", retry: .max, boundary: 32),
    Vector(stream: "retryy: 5\nretr: 5\n\n", boundary: 19),
    Vector(stream: "data: \0\n\n", events: 1, boundary: 9),
    Vector(stream: "da\0ta: 1\n\n", boundary: 10),
    Vector(stream: "\0\n\n", boundary: 3),
]

@Suite struct EventScannerTests {
    @Test("events, position, id, retry and boundary follow the standard in every split", arguments: vectors.indices)
    func vector(index: Int) {
        let vector = vectors[index]
        for parts in splits(of: vector.bytes) {
            var scanner = EventScanner()
            var boundary: Int?
            var offset = 0
            for part in parts {
                scanner.receive(part.span)
                if let last = scanner.lastBoundary { boundary = offset + last }
                offset += part.count
            }
            #expect(scanner.eventCount == vector.events, "\(parts)")
            #expect(scanner.position == vector.position, "\(parts)")
            #expect(scanner.lastEventID == Array(vector.id.utf8), "\(parts)")
            #expect(scanner.retryMilliseconds == vector.retry, "\(parts)")
            #expect(boundary == vector.boundary, "\(parts)")
            #expect(scanner.endsWithCarriageReturn == (vector.bytes.last == 13), "\(parts)")
        }
    }

    @Test("the vectors say what the literal reading of the standard says", arguments: vectors.indices)
    func vectorsAgreeWithReference(index: Int) {
        let vector = vectors[index]
        let reference = ReferenceEventSource(reading: vector.bytes)
        #expect(UInt64(reference.events.count) == vector.events)
        #expect(reference.lastEventID == Array(vector.id.utf8))
        #expect(reference.reconnectionTimeMilliseconds == vector.retry)
        #expect(reference.lastBoundary == vector.boundary)
    }

    @Test("an unfinished byte order mark is an open line, and what was no mark begins an unknown field")
    func brokenMark() {
        let streams: [[UInt8]] = [
            [0xEF] + Array("data: a\n\n".utf8), [0xEF, 0xBB] + Array("data: a\n\n".utf8), [0xEF, 0xBB, 10, 10],
            [0xEF, 13, 10, 13, 10], [0xEF, 0xEF, 0xBB, 0xBF] + Array("data: a\n\n".utf8), [0xBB, 0xBF, 10, 10],
        ]
        for stream in streams {
            for parts in splits(of: stream) {
                var scanner = EventScanner()
                for part in parts { scanner.receive(part.span) }
                #expect(scanner.eventCount == 0)
                #expect(scanner.position == .betweenEvents)
            }
        }
        for stream: [UInt8] in [[0xEF], [0xEF, 0xBB]] {
            var scanner = EventScanner()
            scanner.receive(stream.span)
            #expect(scanner.position == .insideLine)
        }
    }

    @Test("the first 256 bytes of an id are kept, and a longer id is marked as truncated")
    func longIdentifiers() {
        for length in [255, 256, 257, 512, 8_192] {
            let id = (0..<length).map { UInt8(0x61 + $0 % 26) }
            let stream = Array("id: ".utf8) + id + Array("\n\n".utf8)
            for partLength in [1, 7, 255, 256, 257, stream.count] {
                var scanner = EventScanner()
                for start in stride(from: 0, to: stream.count, by: partLength) {
                    scanner.receive(Array(stream[start..<min(start + partLength, stream.count)]).span)
                }
                #expect(scanner.lastEventID == Array(id.prefix(256)))
                #expect(scanner.isLastEventIDTruncated == (length > 256))
                scanner.receive(Array("id: short\n".utf8).span)
                #expect(scanner.isLastEventIDTruncated == (length > 256), "not dispatched yet")
                scanner.receive(Array("\n".utf8).span)
                #expect(scanner.lastEventID == Array("short".utf8))
                #expect(!scanner.isLastEventIDTruncated)
            }
        }
    }

    @Test("a NUL behind the kept part of an id still makes the id invalid")
    func lateNull() {
        var scanner = EventScanner()
        let stream = Array("id: kept\n\nid: ".utf8) + [UInt8](repeating: 0x62, count: 900) + [0] + Array("c\ndata\n\n".utf8)
        scanner.receive(stream.span)
        #expect(scanner.lastEventID == Array("kept".utf8))
        #expect(!scanner.isLastEventIDTruncated)
        #expect(scanner.eventCount == 1)
    }

    @Test("a boundary belongs to one call, and an LF that completes a blank line's CR moves it")
    func boundaryPerCall() {
        var scanner = EventScanner()
        scanner.receive(Array("data: a\n\ndata: b\r\r".utf8).span)
        #expect(scanner.lastBoundary == 18)
        scanner.receive(Array("\ndata: c\r".utf8).span)
        #expect(scanner.lastBoundary == 1)
        scanner.receive(Array("\n".utf8).span)
        #expect(scanner.lastBoundary == nil)
        scanner.receive(Array("\n".utf8).span)
        #expect(scanner.lastBoundary == 1)
        scanner.receive([UInt8]().span)
        #expect(scanner.lastBoundary == nil)
    }

    @Test("ten thousand idle streams are cheap: a scanner is at most 64 bytes, a weaver at most 80")
    func sizes() {
        #expect(MemoryLayout<EventScanner>.size <= 64)
        #expect(MemoryLayout<Weaver>.size <= 80)
        #expect(MemoryLayout<Weaver>.stride <= 80)
    }
}
