// Lines with a wrong clock: what the logs span, and what is said of them.

import Telemetry
import Testing

@testable import Diagnosis

@Suite("A wrong clock")
struct ClockTests {
    /// A line every ten seconds, of streams that live for 25 s; those after `last` seconds are still open.
    private func log(seconds: Int = 3_600) -> [String] {
        stride(from: 0, to: seconds, by: 10).flatMap { second -> [String] in
            let opening = LogReaderTests.line("stream_open", second, at: Double(second))
            guard second >= 30 else { return [opening] }
            return [opening, LogReaderTests.end(second - 30, at: Double(second - 5), lived: 25)]
        }
    }

    private func moved(_ line: String, to day: String) -> String { line.replacing("2026-11-21", with: day) }

    private func check(_ lines: [[String]], wrong: Int, _ what: Comment) {
        let right = LogReaderTests.read([log().joined()])
        let facts = LogReaderTests.read(lines.map { $0.joined() })
        #expect(facts.wrongTimeLineCount == wrong, what)
        // A first line with a wrong time is missing at the beginning.
        #expect((0...10_000).contains(facts.firstTime - right.firstTime) && facts.lastTime == right.lastTime, what)
        #expect(facts.streams.allSatisfy { $0.openedAt >= right.firstTime - 60_000 && $0.endedAt <= right.lastTime + 5_000 }, what)
        #expect(facts.streams.count >= right.streams.count - wrong && facts.streams.count <= right.streams.count + wrong, what)
        let (before, after) = (Diagnosis(of: right).client, Diagnosis(of: facts).client)
        #expect(abs((before.age ?? 0) - (after.age ?? 0)) <= 30, what)
    }

    @Test("of one line does not change what the log spans, wherever the line stands", arguments: [0, 1, 301, 716])
    func oneLine(_ place: Int) {
        for day in ["1970-01-01", "2000-01-01", "2099-12-31"] {
            var lines = log()
            lines[place] = moved(lines[place], to: day)
            check([lines], wrong: 1, "line \(place) on \(day)")
        }
    }

    @Test("of one line is noticed within the same month, the same day, the same hour")
    func near() {
        for (wrong, right) in [
            ("2026-12-03T", "2026-11-21T"), ("2026-11-21T05", "2026-11-21T00"), ("2026-11-21T00:58", "2026-11-21T00:30"),
        ] {
            var lines = log()
            let place = lines.firstIndex { $0.contains("\(right.contains(":") ? right : "2026-11-21T00:30")") }! + 2
            lines[place] = lines[place].replacing(right, with: wrong)
            check([lines], wrong: 1, "\(wrong)")
        }
        var lines = log()
        lines[300] = lines[300].replacing("2026-11-21T00", with: "2026-11-20T21")
        check([lines], wrong: 1, "three hours before")
    }

    @Test("of the lines of a machine that boots is noticed")
    func booting() {
        var lines = log()
        for place in 0..<12 { lines[place] = moved(lines[place], to: "1970-01-01") }
        let facts = LogReaderTests.read([lines.joined()])
        #expect(facts.wrongTimeLineCount == 12)
        #expect(facts.firstTime == LogReaderTests.read([log().dropFirst(12).joined()]).firstTime)
    }

    @Test("is not seen in pauses, in rotated files of any order, in one of them in front of the other, in steps of seconds")
    func rightClocks() {
        let day = log()
        let earlier = day.prefix(40).map { moved($0, to: "2026-09-01") }
        let later = day.prefix(30).map { moved($0, to: "2026-12-24") }
        for files in [[earlier, day, later], [later, day, earlier], [later + day + earlier], [day + earlier + later], [earlier + day]] {
            let facts = LogReaderTests.read(files.map { $0.joined() })
            #expect(facts.wrongTimeLineCount == 0)
        }
        // One line each two hours, and a clock that goes back by 20 s now and then.
        let rare = (0..<12).map { LogReaderTests.line("stream_open", $0, at: Double($0) * 7_200 - ($0 % 3 == 0 ? 0 : 20)) }
        #expect(LogReaderTests.read([rare.joined()]).wrongTimeLineCount == 0)
        let back = (0..<200).map { LogReaderTests.line("stream_open", $0, at: 7_200 + Double($0 % 100) * 60 - ($0 < 100 ? 0 : 3_000)) }
        #expect(LogReaderTests.read([back.joined()]).wrongTimeLineCount == 0)
    }

    @Test("that is set back while a stream lives does not lengthen the log, and the stream keeps its life")
    func setBack() throws {
        let lines = [
            LogReaderTests.line("stream_open", 1, at: 10_000), LogReaderTests.line("stream_open", 2, at: 10_010),
            LogReaderTests.end(1, at: 9_000, lived: 200), LogReaderTests.end(2, at: 9_100, lived: 290),
        ]
        let facts = LogReaderTests.read([lines.joined()])
        #expect(facts.streams.map(\.duration) == [200_000, 290_000])
        #expect(facts.streams.allSatisfy { $0.cause == .clientClosed && $0.marks.contains(.openingSeen) })
        #expect(facts.streams.map(\.endedAt) == [9_000, 9_100].map { 1_795_219_200_000 + $0 * 1_000 })
        // In another file that opening is one of a later process.
        let other = LogReaderTests.read([lines[0], lines[2]])
        #expect(other.streams.count == 2 && other.streams.count { $0.cause == nil } == 1)
    }

    @Test("is told in words and in JSON")
    func told() {
        var lines = log()
        lines[300] = moved(lines[300], to: "2099-12-31")
        let report = Report(LogReaderTests.read([lines.joined()]))
        let text = report.text(columns: 120, isColoured: false)
        #expect(text.contains("1 line has a time that cannot be (2099-12-31"), "\(text)")
        #expect(text.contains("UTC (60 min)"), "\(text)")
        #expect(String(decoding: report.json, as: UTF8.self).contains(#""wrong_time_lines":1"#))
    }
}
