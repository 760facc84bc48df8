// What the console keeps of the streams, and what it makes of a worker's answers.

import Telemetry
import Testing

@testable import Console

private func state(_ number: UInt64, events: UInt64 = 0, worker: Int = 0) -> StreamState {
    StreamState(
        stream: StreamIdentifier(worker: worker, number: number), events: events, heartbeats: 0, lastUpstreamByteAt: 5, lastClientByteAt: 6,
        pendingBytes: 7, isHeld: false)
}

private func line(_ event: String, _ number: UInt64) -> [UInt8] {
    let stream = StreamIdentifier(worker: 0, number: number).logged
    return Array("{\"time\":\"2026-11-28T07:00:00.000Z\",\"event\":\"\(event)\",\"stream\":\"\(stream)\",\"path\":\"/\"}\n".utf8)
}

private func part(_ states: [StreamState], openings: [[UInt8]] = [], isLast: Bool = true) -> StreamPart {
    var part = StreamPart(worker: 0, now: 1)
    (part.states, part.openings, part.isLast) = (states, openings, isLast)
    return part
}

@Suite("The console's table of streams")
struct StreamTableTests {
    @Test("knows streams by their opening lines, and forgets them by their ends")
    func lines() {
        var table = StreamTable()
        table.beginRound(of: 0)
        #expect(table.take(line: line("stream_open", 1)) == StreamIdentifier(worker: 0, number: 1))
        #expect(table.take(line: line("stream_open", 1)) == nil, "a stream opens once")
        #expect(table.rows.count == 1)
        #expect(table.take(line: line("stream_end", 1)) == nil)
        #expect(table.rows.isEmpty)
        for other in ["", "{}", "{\"time\":\"x\",\"event\":\"proxy_start\",\"version\":\"1\"}\n"] {
            #expect(LoggedStream(Array(other.utf8)) == nil)
        }
    }

    @Test("notices numbers that change, and streams that a whole round does not name")
    func rounds() {
        var table = StreamTable()
        table.beginRound(of: 0)
        let added = table.take(part([state(1), state(2)], openings: [line("stream_open", 1), line("stream_open", 2)])).added
        #expect(added.map(\.number) == [1, 2])
        table.beginRound(of: 0)
        #expect(table.take(part([state(1, events: 9)], isLast: false)).changed.map(\.number) == [1])
        let last = table.take(part([]))
        #expect(last.gone.map(\.number) == [2])
        #expect(table.rows.keys.map(\.number) == [1])
    }

    @Test("keeps a stream whose line came after its worker's round had passed its place")
    func linesInARound() {
        var table = StreamTable()
        table.beginRound(of: 0)
        _ = table.take(line: line("stream_open", 3))
        #expect(table.take(part([])).gone.isEmpty)
        table.beginRound(of: 0)
        #expect(table.take(part([])).gone.map(\.number) == [3])
    }

    @Test("asks for the openings of a stream that is named twice without a line, not of one whose line is on its way")
    func unknown() {
        var table = StreamTable()
        table.beginRound(of: 0)
        #expect(!table.take(part([state(4), state(5)])).lacksOpenings)
        _ = table.take(line: line("stream_open", 4))
        table.beginRound(of: 0)
        let changes = table.take(part([state(4), state(5)]))
        #expect(changes.lacksOpenings)
    }

    @Test("has room for so many streams, and counts the others")
    func bound() {
        var table = StreamTable()
        table.beginRound(of: 0)
        let count = UInt64(StreamTable.capacity)
        let many = (1...count + 3).map { state($0) }
        _ = table.take(part(many, openings: many.map { line("stream_open", $0.stream.number) }))
        #expect(table.rows.count == StreamTable.capacity)
        #expect(table.unshownCount == 3)
        #expect(table.take(line: line("stream_open", count + 9)) == nil)
    }
}

@Suite("The feed's messages")
struct FeedTextTests {
    @Test("are events of one data line, whatever a name holds")
    func names() {
        var text = FeedText("{\"name\":")
        text.append(quoted: "a\"b\\c\nd\re\u{7F}é")
        text.append("}")
        #expect(String(decoding: text.bytes, as: UTF8.self) == "{\"name\":\"a\\\"b\\\\c d e é\"}")
        let event = String(decoding: FeedText.event("rows", id: 7, data: text.bytes), as: UTF8.self)
        #expect(event.hasPrefix("event: rows\nid: 7\ndata: {") && event.hasSuffix("}\n\n"))
        #expect(event.split(separator: "\n").count == 3)
    }

    @Test("hold a log's line without its line end, and a stream's numbers in their order")
    func rows() {
        var table = StreamTable()
        table.beginRound(of: 0)
        _ = table.take(part([state(1, events: 3)], openings: [line("stream_open", 1)]))
        let message = Viewer.rows([StreamIdentifier(worker: 0, number: 1)], of: table, now: 11)
        let text = String(decoding: message ?? [], as: UTF8.self)
        #expect(text.hasPrefix("{\"now\":11,\"rows\":[[{\"time\"") && text.hasSuffix("\"path\":\"/\"},3,0,5,6,7,0]]}"))
        #expect(Viewer.rows([StreamIdentifier(worker: 0, number: 2)], of: table, now: 11) == nil)
    }
}

@Suite("The page")
struct PageTests {
    @Test("loads nothing from elsewhere, and holds no inline script or style, which its policy would forbid")
    func selfContained() {
        let document = String(decoding: Page.document(pageToken: Array("0f".utf8)), as: UTF8.self)
        #expect(document.contains("<meta name=\"page-token\" content=\"0f\">"))
        let addresses = document.split(separator: "\"").filter { $0.hasPrefix("http") || $0.hasPrefix("//") }
        #expect(addresses.isEmpty)
        #expect(!document.contains("style=") && !document.contains("<style") && !document.contains(" onclick"))
        #expect(document.split(separator: "<script").count == 2 && document.contains("<script src=\"/console.js\" defer></script>"))
        let sheet = String(decoding: Page.styleSheet, as: UTF8.self)
        #expect(!sheet.contains("url(") && !sheet.contains("@import"))
    }

    @Test("never makes HTML of a text")
    func texts() {
        let script = String(decoding: Page.script, as: UTF8.self)
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setAttribute(\"style\""] {
            #expect(!script.contains(way), "\(way)")
        }
    }
}
