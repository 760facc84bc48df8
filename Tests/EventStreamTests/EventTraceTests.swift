// Finding events: number, type, id and size of each, for any split, compared with an EventSource that follows the standard exactly.

import EventStream
import ReferenceEventSource
import TestSupport
import Testing

/// One event as the trace reports it.
private struct Traced: Equatable, CustomStringConvertible {
    var number: UInt64
    var type: [UInt8]
    var identifier: [UInt8]?
    var byteCount: UInt64
    var isTypeTruncated = false
    var isIdentifierTruncated = false

    init(_ number: UInt64, _ type: String = "", id identifier: String? = nil, bytes byteCount: UInt64) {
        self.number = number
        self.type = Array(type.utf8)
        self.identifier = identifier.map { Array($0.utf8) }
        self.byteCount = byteCount
    }

    init(_ trace: EventTrace) {
        number = trace.number
        type = trace.type
        identifier = trace.hasIdentifier ? trace.identifier : nil
        byteCount = trace.byteCount
        isTypeTruncated = trace.isTypeTruncated
        isIdentifierTruncated = trace.hasIdentifier && trace.isIdentifierTruncated
    }

    var description: String {
        "\(number) \(String(decoding: type, as: UTF8.self)) \(identifier.map { String(decoding: $0, as: UTF8.self) } ?? "-") \(byteCount)"
    }
}

/// All events of the pieces, and in which piece each was found.
private func trace(_ pieces: [[UInt8]], _ trace: EventTrace = EventTrace()) -> (events: [Traced], pieces: [Int]) {
    var trace = trace
    var events: [Traced] = []
    var places: [Int] = []
    for (place, piece) in pieces.enumerated() {
        var offset = 0
        while trace.next(in: piece.span, from: &offset) {
            events.append(Traced(trace))
            places.append(place)
        }
        #expect(offset == piece.count)
    }
    return (events, places)
}

@Suite("The trace of a stream's events")
struct EventTraceTests {
    private static let vectors: [(text: String, events: [Traced])] = [
        ("data: a\n\n", [Traced(1, bytes: 8)]),
        ("id: 7\nevent: tick\ndata: a\n\ndata: b\n\n", [Traced(1, "tick", id: "7", bytes: 26), Traced(2, bytes: 8)]),
        ("event: tick\r\ndata: a\r\n\r\nevent:tock\r\ndata: b\r\n\r\n", [Traced(1, "tick", bytes: 22), Traced(2, "tock", bytes: 21)]),
        ("data: a\r\rdata: b\r\r", [Traced(1, bytes: 8), Traced(2, bytes: 8)]),
        // The last type and id of an event count, also empty ones.
        ("event: a\nevent: b\nid: 1\nid\ndata\n\n", [Traced(1, "b", id: "", bytes: 32)]),
        ("event: a\nevent\ndata\n\n", [Traced(1, bytes: 20)]),
        ("event:  two blanks\ndata:\n\n", [Traced(1, " two blanks", bytes: 25)]),
        // Without data nothing is dispatched, and neither type nor size carries over to the next event.
        ("event: lost\n\ndata: a\n\n", [Traced(1, bytes: 8)]),
        ("id: 1\n\ndata: a\n\n", [Traced(1, bytes: 8)]),
        (": ping\n\n: ping\ndata: a\n\n", [Traced(1, bytes: 15)]),
        ("\u{FEFF}data: a\n\n", [Traced(1, bytes: 11)]),
        ("events: a\nEvent: b\n event: c\ndata: a\n\n", [Traced(1, bytes: 37)]),
        ("id: a\0b\ndata: a\n\n", [Traced(1, bytes: 16)]),
        ("event: a\0b\ndata: a\n\n", [Traced(1, "a\0b", bytes: 19)]),
        ("data: cut\n", []), ("", []), ("\n\n\n", []),
    ]

    @Test("finds each event once, where it ends, whatever the split", arguments: vectors)
    fileprivate func finds(text: String, events: [Traced]) {
        let bytes = Array(text.utf8)
        for pieces in splits(of: bytes) { #expect(trace(pieces).events == events, "\(pieces)") }
    }

    @Test("finds an event in the piece that ends it, without waiting for an LF behind its CR")
    func whereItEnds() {
        let pieces = ["data: a", "\n", "\nda", "ta: b\r\n\r", "\ndata: c\r\n\r\n"].map { Array($0.utf8) }
        #expect(trace(pieces).pieces == [2, 3, 4])
        #expect(trace(pieces).events.map(\.byteCount) == [8, 9, 9])
    }

    @Test("keeps the first 256 bytes of a type and an id, however long they are")
    func long() {
        let long = String(repeating: "x", count: 1 << 20)
        let bytes = Array("event: \(long)\nid: \(long)\ndata: a\n\ndata: b\n\n".utf8)
        for size in [bytes.count, 4_096, 17] {
            let pieces = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min(bytes.count, $0 + size)]) }
            let events = trace(pieces).events
            #expect(events.count == 2)
            #expect(events[0].type == Array(repeating: 0x78, count: 256) && events[0].isTypeTruncated)
            #expect(events[0].identifier == Array(repeating: 0x78, count: 256) && events[0].isIdentifierTruncated)
            #expect(events[0].byteCount == UInt64(bytes.count - 10))
            #expect(events[1].type.isEmpty && !events[1].isTypeTruncated && events[1].identifier == nil)
        }
    }

    @Test("goes on where a scanner is, with its numbers")
    func joining() {
        var scanner = EventScanner()
        let before = Array("data: a\n\nid: 4\ndata: b\r\n\r".utf8)
        scanner.receive(before.span)
        let after = Array("\nevent: tick\ndata: c\n\n".utf8)
        #expect(trace([after], EventTrace(following: scanner)).events == [Traced(3, "tick", bytes: 20)])
    }

    @Test("finds the events of an EventSource in random streams, whatever the split")
    func sameEvents() {
        let seed = SeededGenerator.seed(of: "event trace")
        var found = 0
        for index in 0..<20_000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed &+ index)
            let stream = randomStream(using: &random)
            let direct = ReferenceEventSource(reading: stream)
            let events = trace(randomSplit(of: stream, using: &random)).events
            let whole = trace([stream]).events
            let isSame =
                events.count == direct.events.count && events == whole
                && zip(events, direct.events).allSatisfy { traced, event in
                    // By the standard an event without a type of its own is a message.
                    let type = traced.type.isEmpty ? Array("message".utf8) : traced.type
                    let isType = traced.isTypeTruncated ? event.type.starts(with: type) : event.type == type
                    guard let identifier = traced.identifier else { return isType }
                    return isType && event.lastEventID.starts(with: identifier)
                        && (event.lastEventID.count > identifier.count) == traced.isIdentifierTruncated
                }
            if !isSame {
                Issue.record("HEARTWIRE_SEED=\(seed &+ index): \(events), whole \(whole), not \(direct.events), in \(stream)")
                return
            }
            found += events.count
        }
        #expect(found > 5_000, "the cases must have met what they are there for")
    }
}
