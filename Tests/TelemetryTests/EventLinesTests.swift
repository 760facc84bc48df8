// The lines about single events: their content, whatever the server's texts are, and that they come in batches.

import Foundation
import Testing

@testable import Telemetry

/// Collects lines, and returns them.
private struct Collected {
    let running: RunningWriter
    let lines: EventLines

    init(capacityBytes: Int = 1 << 20) {
        running = RunningWriter(capacityBytes: capacityBytes)
        lines = EventLines(writer: running.writer)
    }

    func add(
        _ number: UInt64 = 1, at time: Int64 = 0, type: [UInt8] = [], _ typeIs: ServerText = .absent, identifier: [UInt8] = [],
        _ identifierIs: ServerText = .absent, since: Int64? = nil
    ) {
        lines.add(
            EventRecord(
                stream: StreamIdentifier(worker: 1, number: 42), number: number, byteCount: 210, sincePreviousMilliseconds: since,
                pendingBytes: 0),
            timeMilliseconds: time, type: type.span, typeIs, identifier: identifier.span, identifierIs)
    }

    func finish() -> [String] {
        lines.flush()
        running.start()
        #expect(running.writer.finish(deadlineMilliseconds: 5_000))
        return running.sink.lines
    }

    func records() throws -> [[String: Any]] { try finish().map { try parsed(Array(($0 + "\n").utf8)) } }
}

@Suite("Lines about single events")
struct EventLinesTests {
    @Test("say what is known, and leave out what is not")
    func keysAndValues() {
        let collected = Collected()
        collected.add(17, at: 1_000_123, type: Array("tick".utf8), .whole, identifier: Array("k 9".utf8), .whole, since: 1000)
        collected.add()
        collected.add(type: Array("secret".utf8), .withheld, identifier: Array("secret".utf8), .withheld)
        collected.add(type: Array("be".utf8), .beginning, identifier: [], .whole)
        collected.lines.add(
            HeartbeatRecord(
                stream: StreamIdentifier(worker: 0, number: 1), number: 3, byteCount: 3, silenceMilliseconds: 15_000, pendingBytes: 7),
            timeMilliseconds: 999)
        let start = #"{"time":"1970-01-01T00:00:00.000Z","event":"stream_event","stream":"w1-000042","number":1,"#
        #expect(
            collected.finish() == [
                #"""
                {"time":"1970-01-01T00:16:40.123Z","event":"stream_event","stream":"w1-000042","number":17,"type":"tick","id":"k 9",\#
                "bytes":210,"since_previous_ms":1000,"pending_bytes":0}
                """#,
                start + #""bytes":210,"pending_bytes":0}"#,
                start + #""type_withheld":true,"id_withheld":true,"bytes":210,"pending_bytes":0}"#,
                start + #""type":"be","type_truncated":true,"id":"","bytes":210,"pending_bytes":0}"#,
                #"""
                {"time":"1970-01-01T00:00:00.999Z","event":"stream_heartbeat","stream":"w0-000001","number":3,"bytes":3,\#
                "silence_ms":15000,"pending_bytes":7}
                """#,
            ])
    }

    @Test(
        "cannot be broken by any type or id",
        arguments: [Array("\"}\\\n\r\t\0\u{1b}[31m\u{7f}".utf8), [0xFF, 0xFE, 0xC3], Array("žluť\u{2028}\u{202e}🐎".utf8), [0xE2, 0x82]])
    func hostile(text: [UInt8]) throws {
        let collected = Collected()
        collected.add(type: text, .whole, identifier: text, .whole)
        let record = try #require(try collected.records().first)
        #expect(record["type"] as? String == String(decoding: text, as: UTF8.self))
        #expect(record["id"] as? String == String(decoding: text, as: UTF8.self))
    }

    @Test(
        "show 128 bytes of a text, tear no character, and find room for the longest line",
        arguments: ["x", "\u{1}", "ž", "€", "🐎", "\u{80}"])
    func long(character: String) throws {
        for length in [127, 128, 129, 256, 5_000] {
            for shift in 0..<4 {
                let text = Array((String(repeating: "-", count: shift) + String(repeating: character, count: length)).utf8)
                let collected = Collected()
                for _ in 0..<40 { collected.add(UInt64.max, type: text, .beginning, identifier: text, .whole, since: .max) }
                let records = try collected.records()
                #expect(records.count == 40)
                let shown = try #require(records.last?["id"] as? String)
                #expect(String(decoding: text, as: UTF8.self).utf8.starts(with: shown.utf8) && shown.utf8.count <= 128)
                #expect(shown.utf8.count == text.count || shown.utf8.count > 124)
                #expect((records.last?["id_truncated"] as? Bool == true) == (shown.utf8.count < text.count))
                #expect(records.last?["type_truncated"] as? Bool == true)
            }
        }
    }

    @Test("are passed on together, also when there is no room for more, all or none")
    func batches() throws {
        let collected = Collected(capacityBytes: 20_000)
        for number in 1...500 { collected.add(UInt64(number)) }
        let lines = collected.finish()
        let dropped = collected.running.writer.droppedLineCount
        #expect(lines.count == 500 - Int(dropped) + 1 && dropped > 300)
        #expect(lines.last?.contains("\"lines\":\(dropped)}") == true)
        let numbers = try lines.dropLast().map { try #require(try parsed(Array(($0 + "\n").utf8))["number"] as? Int) }
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy(<))
        // Whole batches are missing: after a gap another batch begins.
        #expect(zip(numbers, numbers.dropFirst()).count { $0 + 1 != $1 } <= 1)
    }

    @Test("have the same time as other lines, in whatever order the times come")
    func times() {
        var cache = TimestampCache()
        var random = SystemRandomNumberGenerator()
        var moments: [Int64] = [
            0, 999, 1_000, 999, -1, -1_000, -1_001, .min, .max, 253_402_300_799_999, 253_402_300_800_000, 951_782_399_999, 951_782_400_000,
        ]
        for _ in 0..<2_000 {
            let near = (moments.last ?? 0).clamped(to: -1 << 50...1 << 50) &+ Int64.random(in: -1_500...1_500, using: &random)
            moments.append(Bool.random(using: &random) ? near : Int64.random(in: -1 << 48...1 << 48, using: &random))
        }
        for moment in moments {
            var (cached, plain): ([UInt8], [UInt8]) = ([], [])
            cache.append(moment, to: &cached)
            appendTimestamp(moment, to: &plain)
            #expect(cached == plain, "\(moment)")
        }
    }
}

extension Comparable {
    fileprivate func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}
