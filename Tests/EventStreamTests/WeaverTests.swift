// Vectors for the weaver, and the rules for each place where something may be inserted.

import EventStream
import Marks
import ReferenceEventSource
import TestSupport
import Testing

/// A downstream: what went on, what was inserted, and what was left out.
struct Weaving {
    var weaver = Weaver()
    var downstream: [UInt8] = []
    var passed: [UInt8] = []
    var wovenCount = 0
    /// How many bytes the upstream has sent, and where in them its last event boundary lies.
    var upstreamCount = 0
    var boundary: Int?

    mutating func receive(_ bytes: [UInt8]) {
        let forward = weaver.receive(bytes.span)
        if let last = weaver.scanner.lastBoundary { boundary = upstreamCount + last }
        upstreamCount += bytes.count
        pass(mark(forward.withheldCount) + bytes[forward.range])
    }

    mutating func receive(_ text: String) { receive(Array(text.utf8)) }

    mutating func weave(_ bytes: [UInt8]) {
        downstream += bytes
        wovenCount += 1
        weaver.didWeave()
    }

    mutating func finish() { pass(mark(weaver.finish())) }

    private mutating func pass(_ bytes: [UInt8]) {
        downstream += bytes
        passed += bytes
    }

    private func mark(_ count: Int) -> [UInt8] {
        Array([Weaver.byteOrderMark.0, Weaver.byteOrderMark.1, Weaver.byteOrderMark.2].prefix(count))
    }

    var text: String { String(decoding: downstream, as: UTF8.self) }
}

private let bareComment = Array(":\n".utf8)
private let markBytes: [UInt8] = [0xEF, 0xBB, 0xBF]

@Suite struct WeaverTests {
    @Test("without insertions every byte goes on as it came, in every split")
    func transparentAlone() {
        let streams: [[UInt8]] = [
            Array("data: a\r\n\r\n: c\rid: 1\n\n".utf8), markBytes + Array("data: a\n\n".utf8), markBytes, [0xEF, 0xBB], [0xEF],
            [0xEF, 0xBB, 0x41, 10], [0xEF, 0xEF, 0xBB, 0xBF], markBytes + markBytes, [], [10], [13, 10],
        ]
        for stream in streams {
            for parts in splits(of: stream) {
                var weaving = Weaving()
                for part in parts { weaving.receive(part) }
                weaving.finish()
                #expect(weaving.downstream == stream, "\(parts)")
                #expect(weaving.weaver.swallowedLineFeedCount == 0)
                #expect(weaving.weaver.droppedByteOrderMarkByteCount == 0)
            }
        }
    }

    @Test("a byte order mark is dropped, split or not, once anything was woven before it", .reaches(.byteOrderMarkDropped))
    func markAfterWoven() throws {
        for parts in splits(of: markBytes + Array("data: a\n\n".utf8)) {
            var weaving = Weaving()
            weaving.weave(try Heartbeat(.comment).openingComment(in: weaving.weaver))
            for part in parts { weaving.receive(part) }
            weaving.finish()
            #expect(weaving.text == ":\n\ndata: a\n\n", "\(parts)")
            #expect(weaving.weaver.droppedByteOrderMarkByteCount == 3)
        }
    }

    @Test(
        "between the parts of a mark a heartbeat may stand, and then the mark is dropped whole",
        .reaches(.byteOrderMarkWithheld, .byteOrderMarkDropped))
    func wovenIntoMark() {
        for cut in 1...2 {
            var weaving = Weaving()
            weaving.receive(Array(markBytes[..<cut]))
            #expect(weaving.downstream.isEmpty)
            #expect(weaving.weaver.placement == .betweenEvents)
            weaving.weave(bareComment)
            weaving.receive(Array(markBytes[cut...]) + Array("data: a\n\n".utf8))
            #expect(weaving.text == ":\ndata: a\n\n")
            #expect(weaving.weaver.droppedByteOrderMarkByteCount == 3)
        }
    }

    @Test("what only began like a mark goes on, behind what was woven", .reaches(.byteOrderMarkWithheld, .withheldBytesSent))
    func noMarkAfterAll() {
        var weaving = Weaving()
        weaving.receive([0xEF, 0xBB])
        weaving.weave(bareComment)
        weaving.receive([0x41, 10])
        #expect(weaving.downstream == bareComment + [0xEF, 0xBB, 0x41, 10])
        #expect(weaving.weaver.placement == .betweenLines)

        var ended = Weaving()
        ended.receive([0xEF])
        ended.weave(bareComment)
        ended.finish()
        #expect(ended.downstream == bareComment + [0xEF])
        #expect(ended.weaver.placement == .nowhere)
    }

    @Test("a comment may follow a mark that went on, and a second mark is not taken for the first")
    func wovenAfterMark() {
        var weaving = Weaving()
        weaving.receive(markBytes)
        #expect(weaving.downstream == markBytes)
        #expect(weaving.weaver.placement == .betweenEvents)
        weaving.weave(bareComment)
        weaving.receive(markBytes + [10])
        #expect(weaving.downstream == markBytes + bareComment + markBytes + [10])
    }

    @Test("the LF of a CRLF is swallowed when a comment was woven behind its CR, however late it comes", .reaches(.lineFeedSwallowed))
    func swallowedLineFeed() {
        var weaving = Weaving()
        weaving.receive("data: a\r")
        #expect(weaving.weaver.placement == .betweenLines)
        weaving.weave(bareComment)
        weaving.weave(bareComment)
        weaving.receive("")
        weaving.receive("\n")
        #expect(weaving.weaver.placement == .betweenLines)
        weaving.weave(bareComment)
        weaving.receive("\n")
        #expect(weaving.weaver.placement == .betweenEvents)
        #expect(weaving.text == "data: a\r:\n:\n:\n\n")
        #expect(weaving.weaver.swallowedLineFeedCount == 1)
    }

    @Test("after a comment behind a lone CR anything but an LF goes on, and a later LF too")
    func nothingElseSwallowed() {
        var weaving = Weaving()
        weaving.receive("data: a\r")
        weaving.weave(bareComment)
        weaving.receive("\r\ndata: b\r")
        weaving.receive("\n\n")
        #expect(weaving.text == "data: a\r:\n\r\ndata: b\r\n\n")
        #expect(weaving.weaver.swallowedLineFeedCount == 0)
        #expect(weaving.weaver.scanner.eventCount == 2)
    }

    @Test("the placement follows the upstream's lines and events")
    func placements() {
        let steps: [(String, Placement)] = [
            ("d", .nowhere), ("ata: a", .nowhere), ("\n", .betweenLines), ("id: 1", .nowhere), ("\r", .betweenLines),
            ("\n", .betweenLines), ("\r", .betweenEvents), ("\n", .betweenEvents), (": hello", .nowhere),
            ("\n", .betweenEvents), ("retry: 1\n", .betweenLines), ("\n", .betweenEvents),
        ]
        var weaver = Weaver()
        #expect(weaver.placement == .betweenEvents)
        for (text, placement) in steps {
            _ = weaver.receive(Array(text.utf8).span)
            #expect(weaver.placement == placement, "after \(text.debugDescription)")
        }
    }

    @Test(
        "an id that the browser brought along survives every heartbeat before the upstream's first blank line", .reaches(.identifierGuarded)
    )
    func carriedIdentifier() throws {
        let heartbeat = try Heartbeat(.comment, form: .block)
        let earlier = Array("41".utf8)
        var weaving = Weaving(weaver: Weaver(resumes: true))
        weaving.weave(heartbeat.openingComment(in: weaving.weaver))
        weaving.receive(Array(": ping\n".utf8))
        #expect(weaving.weaver.placement == .betweenLines)
        weaving.weave(heartbeat.openingComment(in: weaving.weaver))
        #expect(ReferenceEventSource(reading: weaving.downstream, after: earlier).lastEventID == earlier)
        weaving.receive(Array("id: 42\ndata: x\n\n".utf8))
        #expect(weaving.weaver.placement == .betweenEvents)
    }
}
