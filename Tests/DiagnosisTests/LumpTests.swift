// Events that come in lumps, by lines of an event log.

import Telemetry
import TestSupport
import Testing

@testable import Diagnosis

@Suite("Events that come in lumps")
struct LumpTests {
    private static func event(_ stream: Int, at milliseconds: Int, bytes: Int, pending: Int = 0) -> String {
        LogReaderTests.line("stream_event", stream, at: Double(milliseconds) / 1_000, #","bytes":\#(bytes),"pending_bytes":\#(pending)"#)
    }

    /// Events of a server, one a second, through a hop that passes full buffers on. The blank line has so many bytes.
    private static func buffered(_ buffer: Int, blank: Int = 1, streams: Int, events: Int, pending: Int = 0, seed: UInt64) -> String {
        var random = SeededGenerator(seed: seed)
        var log = ""
        for stream in 0..<streams {
            var held: [Int] = []
            // The head may share the first buffer.
            var sum = random.number(0...300)
            for second in 0..<events {
                let size = random.number(60...140)
                sum += size + blank
                // An event that is not whole cannot be passed on as one.
                if sum > buffer {
                    sum -= buffer
                    for bytes in held { log += event(stream, at: second * 1_000 + stream, bytes: bytes, pending: pending) }
                    held = []
                }
                held.append(size)
            }
        }
        return log
    }

    private static func found(_ log: String) -> [Finding] {
        Diagnosis(of: LogReaderTests.read([log])).findings.filter { $0.kind == .buffering }
    }

    @Test("are a hop's full buffers where each ends a multiple of 4 KiB after the one before", arguments: [4_096, 8_192, 32_768])
    func buffers(_ size: Int) throws {
        for seed in 0..<UInt64(20) {
            for blank in [1, 2] {
                let log = Self.buffered(size, blank: blank, streams: 3, events: size / 100 * 24, seed: seed)
                let finding = try #require(Self.found(log).first, "\(size) \(blank) \(seed)")
                #expect(finding.side == .upstream && finding.isClaim && finding.streams == 3 && finding.seconds == nil)
                #expect(finding.confidence == 0.8)
                let said = Explanation(finding)
                let text = Report(LogReaderTests.read([log])).text(columns: 120, isColoured: false)
                #expect(text.contains("One cause found.") && !text.contains("no streams in these logs"))
                #expect(said.headline.contains("or the server's own output") && said.advice.contains { $0.contains("flush") })
                #expect(said.advice.contains { $0.contains("let the server send X-Accel-Buffering") })
                #expect(said.evidence.contains("for example in the streams w0-0, w0-1 and w0-2"), "\(said.evidence)")
            }
        }
    }

    @Test("are no full buffers where the server sends bursts, where clients are slow, or where events come one by one")
    func bursts() {
        var claims = 0
        for seed in 0..<UInt64(200) {
            var random = SeededGenerator(seed: 9_000 + seed)
            let (usual, spread, size) = (random.number(5...90), random.number(0...4), random.number(40...200))
            var log = ""
            for stream in 0..<4 {
                for burst in 0..<20 {
                    for _ in 0..<max(5, usual + random.number(-spread...spread)) {
                        log += Self.event(stream, at: burst * 10_000 + stream, bytes: size + random.number(0...spread))
                    }
                }
            }
            claims += Self.found(log).count
        }
        // A burst may be by chance as large as a buffer.
        #expect(claims <= 2, "\(claims)")
        #expect(Self.found(Self.buffered(4_096, streams: 3, events: 600, pending: 9, seed: 1)).isEmpty)
        #expect(Self.found(Self.buffered(1_000, streams: 3, events: 600, seed: 1)).isEmpty)
        #expect(Self.found((0..<900).map { Self.event(1, at: $0 * 500, bytes: 100) }.joined()).isEmpty)
        #expect(Self.found(Self.buffered(4_096, streams: 1, events: 300, seed: 1)).isEmpty)
    }

    @Test("count the same at every number of streams, and never more than are followed")
    func bounded() {
        let log = (0..<70_000).map { Self.event($0, at: 10, bytes: 50) }.joined()
        let facts = LogReaderTests.read([log])
        #expect(facts.lumps.lumps == 0 && facts.skippedLineCount == 0 && facts.lineCount == 70_000)
    }
}
