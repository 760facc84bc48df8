// What a recording of a stream is, written and read again: whole, cut, damaged.

import Telemetry
import TestSupport
import Testing

/// The recording that the lines of a writer make: without the file's name.
func withoutNames(_ lines: [UInt8], _ name: String) -> [UInt8] {
    var text = String(decoding: lines, as: UTF8.self)
    text = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        line.hasPrefix("\(name) ") ? String(line.dropFirst(name.count + 1)) : String(line)
    }.joined(separator: "\n")
    return Array(text.utf8)
}

@Suite("A recording")
struct RecordingTests {
    private let header = RecordingHeader(
        timeMilliseconds: 1_700_000_000_123, contentType: Array("text/event-stream; charset=utf-8".utf8),
        notes: [("stream", Array("w1-000042".utf8)), ("path", Array("/e\u{1B}[31m\n".utf8))])

    private func writer(limitBytes: Int = 1 << 20) -> RecordingWriter { RecordingWriter(fileName: Array("f".utf8), limitBytes: limitBytes) }

    private func text(_ lines: [UInt8]) -> String { String(decoding: withoutNames(lines, "f"), as: UTF8.self) }

    private func read(_ bytes: [UInt8], pieces: [Range<Int>]? = nil) throws(RecordingError) -> (
        RecordingHeader?, [RecordingEntry], RecordingReader
    ) {
        var reader = RecordingReader()
        var entries: [RecordingEntry] = []
        for range in pieces ?? [bytes.indices] { try reader.read(bytes.span.extracting(range)) { entries.append($0) } }
        return (reader.header, entries, reader)
    }

    @Test("is text: a header, a blank line, and a line for each thing that happened")
    func text() {
        var writer = writer()
        var lines = writer.begin(header)
        lines += writer.bytes(Array("id: 1\r\ndata: \\ ż\u{9B}\n\n".utf8).span, at: 0)
        lines += writer.heartbeat(byteCount: 2, at: 15_002)
        lines += writer.bytes([0xFF, 0x00, 0xC5].span, at: 15_001)
        lines += writer.end(.cutOff, evidence: "closed in between", at: 60_000)
        lines += writer.bytes([1].span, at: 60_001)
        #expect(
            text(lines) == #"""
                heartwire-recording 1
                time 2023-11-14T22:13:20.123Z
                stream w1-000042
                path /e\x1b[31m\n
                content-type text/event-stream; charset=utf-8

                0 bytes id: 1\r\ndata: \\ ż\xc2\x9b\n\n
                15002 heartbeat 2
                15002 bytes \xff\x00\xc5
                60000 end cut_off closed in between

                """#)
    }

    @Test("has a name that sorts by time and that no other stream of the process has")
    func name() {
        let name = RecordingWriter.name(timeMilliseconds: 1_700_000_000_123, StreamIdentifier(worker: 1, number: 42))
        #expect(String(decoding: name, as: UTF8.self) == "20231114T221320.123Z-w1-000042.recording")
    }

    /// Bytes as a server may send them: text, controls, pieces of UTF-8, anything.
    private func body(_ generator: inout SeededGenerator) -> [UInt8] {
        let texts = ["data: a\n\n", "id: 1\r\n", "ż", "\u{2028}", "\\x", ": \n", "\u{0}", "\u{FEFF}"].map { Array($0.utf8) }
        return (0..<Int.random(in: 0...20, using: &generator)).flatMap { _ in
            Bool.random(using: &generator) ? texts.randomElement(using: &generator)! : [UInt8.random(in: 0...255, using: &generator)]
        }
    }

    @Test("gives back what was written, in whatever pieces it is read")
    func roundTrip() throws {
        var generator = SeededGenerator("recordings")
        for _ in 0..<60 {
            var writer = writer()
            var lines = writer.begin(header)
            var expected: [RecordingEntry] = []
            var time: Int64 = 0
            for _ in 0..<Int.random(in: 0...8, using: &generator) {
                time += Int64.random(in: 0...5_000, using: &generator)
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    lines += writer.heartbeat(byteCount: 2, at: time)
                    expected.append(RecordingEntry(milliseconds: time, .heartbeat(byteCount: 2)))
                } else {
                    let bytes = body(&generator)
                    lines += writer.bytes(bytes.span, at: time)
                    if !bytes.isEmpty { expected.append(RecordingEntry(milliseconds: time, .bytes(bytes))) }
                }
            }
            let end = [RecordingEnd.finished, .cutOff, .reset, .open(reason: "client_closed")].randomElement(using: &generator)!
            lines += writer.end(end, evidence: "b\n", at: time)
            expected.append(RecordingEntry(milliseconds: time, .end(end, evidence: Array("b\n".utf8))))
            let file = withoutNames(lines, "f")
            for split in 0...file.count {
                let (read, entries, reader) = try read(file, pieces: [0..<split, split..<file.count])
                #expect(read == header && entries == expected && reader.hasEnded && !reader.isInLine)
            }
        }
    }

    @Test("of one large piece is several lines of one time, and the same bytes")
    func large() throws {
        var writer = writer()
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
        let (_, entries, _) = try read(withoutNames(writer.begin(header) + writer.bytes(bytes.span, at: 7), "f"))
        #expect(entries.count == 3 && entries.allSatisfy { $0.milliseconds == 7 })
        let read = entries.flatMap { entry -> [UInt8] in if case .bytes(let bytes) = entry.kind { bytes } else { [] } }
        #expect(read == bytes)
    }

    @Test("that is cut anywhere is readable up to its last whole line")
    func cut() throws {
        var writer = writer()
        var lines = writer.begin(header)
        for number in 0..<5 { lines += writer.bytes(Array("data: \(number)\n\n".utf8).span, at: Int64(number) * 10) }
        let file = withoutNames(lines, "f")
        let whole = try read(file).1
        for end in 0..<file.count {
            let (_, entries, reader) = try read(Array(file[..<end]))
            #expect(Array(whole.prefix(entries.count)) == entries)
            #expect(reader.isInLine == (end > 0 && file[end - 1] != UInt8(ascii: "\n")))
        }
    }

    @Test("says how much it lacks, where that belongs")
    func lost() throws {
        var writer = writer()
        var lines = writer.begin(header)
        _ = writer.bytes([1, 2, 3].span, at: 1)
        writer.lose(byteCount: 3)
        _ = writer.bytes([4, 5].span, at: 2)
        // The line that told of the first three found no room either.
        writer.lose(byteCount: 2)
        _ = writer.heartbeat(byteCount: 2, at: 3)
        writer.lose(byteCount: 0)
        lines += writer.bytes([5].span, at: 9)
        #expect(try read(withoutNames(lines, "f")).1 == [.init(milliseconds: 9, .lost(byteCount: 5)), .init(milliseconds: 9, .bytes([5]))])
    }

    @Test("ends where the file would become too large, and says so")
    func limit() throws {
        for limit in 1...400 {
            var writer = writer(limitBytes: limit)
            var file = withoutNames(writer.begin(header), "f")
            let headerBytes = file.count
            for number in 0..<40 { file += withoutNames(writer.bytes(Array("data: \(number)\n\n".utf8).span, at: Int64(number)), "f") }
            file += withoutNames(writer.end(.finished, evidence: "", at: 50), "f")
            #expect(writer.hasEnded && file.count <= max(limit, headerBytes) + 60)
            guard case .end(.open(reason: "recording_full"), _)? = try read(file).1.last?.kind else {
                Issue.record("no end of a limit of \(limit)")
                return
            }
        }
    }

    @Test(
        "of anything else is refused with the place",
        arguments: [
            ("GET / HTTP/1.1\n", RecordingError.noRecording), ("h\n", .noRecording), ("\n", .noRecording),
            ("heartwire-recording \n", .noRecording), ("heartwire-recording 2\n", .unknownVersion),
            ("heartwire-recording 1\nframing chunked\n\n", .incompleteHeader),
            ("heartwire-recording 1\ncontent-type a\\r\\nb: c\n", .incompleteHeader),
            ("heartwire-recording 1\nframing\n", .malformedLine(2)),
            ("heartwire-recording 1\ncontent-type a\n\nx bytes\n", .malformedLine(4)),
            ("heartwire-recording 1\ncontent-type a\n\n1 bytes \\q\n", .malformedLine(4)),
            ("heartwire-recording 1\ncontent-type a\n\n1 bytes \\x1\n", .malformedLine(4)),
            ("heartwire-recording 1\ncontent-type a\n\n1 bytes \\\n", .malformedLine(4)),
            ("heartwire-recording 1\ncontent-type a\n\n1 end a.b c\n", .malformedLine(4)),
            ("heartwire-recording 1\ncontent-type a\n\n1 lost x\n", .malformedLine(4)),
            ("heartwire-recording 1\ncontent-type a\n\n99999999999999999999 lost 1\n", .malformedLine(4)),
            ("heartwire-recording 1\ncontent-type a\n\n9999999999999999999 lost 1\n", .malformedLine(4)),
            ("heartwire-recording 1\ncontent-type a\n\n5 lost 1\n4 lost 1\n", .timeGoesBack(5)),
            ("heartwire-recording 1\ncontent-type a\n\n5 end reset\n6 lost 1\n", .lineAfterEnd(5)),
            ("heartwire-recording 1\ncontent-type a\n\n1 bytes \(String(repeating: "x", count: 70_000))", .lineTooLong(4)),
        ])
    func refused(text: String, error: RecordingError) {
        #expect(throws: error) { try read(Array(text.utf8)) }
    }

    @Test("never traps, whatever is read")
    func garbage() throws {
        var writer = writer()
        var lines = writer.begin(header) + writer.bytes(Array("data: 1\\\n\n".utf8).span, at: 3) + writer.heartbeat(byteCount: 1, at: 4)
        lines += writer.end(.reset, evidence: "", at: 5)
        let file = withoutNames(lines, "f")
        var generator = SeededGenerator("damaged recordings")
        for _ in 0..<3_000 {
            var bytes = file
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                default: bytes.insert(contentsOf: bytes[place...].prefix(9), at: Int.random(in: 0...bytes.count, using: &generator))
                }
                if bytes.isEmpty { break }
            }
            _ = try? read(bytes)
        }
    }
}
