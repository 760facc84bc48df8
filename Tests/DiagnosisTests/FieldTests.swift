// Fields of the log that decide what nothing else can: the client's previous stream, streams that are open at an end, bytes that wait.

import Telemetry
import Testing

@testable import Diagnosis

@Suite("Fields that decide")
struct FieldTests {
    private func opening(_ stream: Int, at second: Double, after previous: Int, _ since: Int, _ more: String = "", client: Int = 1)
        -> String
    {
        LogReaderTests.line(
            "stream_open", stream, at: second, #","previous_stream":"w0-\#(previous)","since_previous_end_ms":\#(since)\#(more)"#,
            client: client)
    }

    @Test("tell after how long a client came back, from whatever address, and whether it named an event")
    func links() {
        let log =
            LogReaderTests.end(1, at: 100, lived: 50) + opening(2, at: 103, after: 1, 3_000, #","resumes":true,"token":"ab""#, client: 9)
            + LogReaderTests.end(2, at: 110, lived: 7, client: 9) + opening(3, at: 150, after: 2, 40_000, #","resumes":false"#)
            + LogReaderTests.end(3, at: 160, lived: 10) + opening(4, at: 170, after: 3, 90_000) + opening(5, at: 171, after: 77, 1_000)
        let facts = LogReaderTests.read([log])
        #expect(facts.streams.map(\.returnedAfter) == [3_000, 40_000, StreamFacts.missing, StreamFacts.missing, StreamFacts.missing])
        let told: StreamFacts.Marks = [.returnTellsResuming, .returnResumes, .returnIsByToken]
        #expect(facts.streams[0].marks.intersection(told) == told)
        #expect(facts.streams[1].marks.intersection(told) == .returnTellsResuming)
    }

    @Test("name the right stream when numbers begin again, and when many are taken out")
    func linksOfSeveralProcesses() {
        let log =
            LogReaderTests.end(1, at: 100, lived: 50, client: 2) + LogReaderTests.end(1, at: 400, lived: 50, client: 3)
            + opening(2, at: 401, after: 1, 1_000, client: 3) + opening(3, at: 402, after: 1, 302_000, client: 2)
        #expect(LogReaderTests.read([log]).streams.map(\.returnedAfter).prefix(2) == [StreamFacts.missing, 1_000])
        var many = ""
        for number in 0..<400 {
            many += LogReaderTests.end(number * 2, at: 100 + Double(number), lived: 5, client: number)
            many += opening(number * 2 + 1, at: 100.5 + Double(number), after: number * 2, 500, client: number)
        }
        let kept = LogReaderTests.read([many], mostStreams: 100)
        #expect(kept.keptOneIn > 1 && kept.streams.contains { $0.cause != nil })
        #expect(kept.streams.allSatisfy { $0.cause == nil || $0.returnedAfter == 500 })
    }

    @Test("have room in a value of 72 bytes, and bear what is longer")
    func room() {
        #expect(MemoryLayout<StreamFacts>.stride == 72)
        var stream = StreamFacts(openedAt: 0, duration: 1, client: 0, address: 0, surroundings: 0, place: LogPlace(file: .max, line: .max))
        #expect(stream.place == LogPlace(file: .max, line: .max) && stream.returnedAfter == StreamFacts.missing)
        (stream.heartbeats, stream.returnedAfter, stream.slowPendingKibibytes) = (70_000, 655_339, 1 << 40)
        #expect(stream.heartbeats == 65_535 && stream.returnedAfter == 655_330 && stream.slowPendingKibibytes == 4_080)
        stream.returnedAfter = 700_000
        #expect(stream.returnedAfter == StreamFacts.missing)
        let longer = opening(2, at: 103, after: 1, 3_000_000_000) + opening(3, at: 800, after: 1, 700_000)
        let facts = LogReaderTests.read([LogReaderTests.end(1, at: 100, lived: 50, #","pending_ms":18000000000000000000"#) + longer])
        #expect(facts.streams.count == 3 && facts.streams[0].returnedAfter == StreamFacts.missing)
    }

    /// Sixty people whom something cuts after 300 s, and who come back after 3 s, each time from another address. Some leave before.
    private func wanderers(isTold: Bool) -> LogFacts {
        var lines: [(time: Double, text: String)] = []
        for person in 0..<60 {
            var at = 1 + Double(person) * 37.3
            for visit in 0..<4 {
                let (number, address) = (person * 4 + visit, person * 4 + visit)
                let lived = person % 7 == 0 ? 40 + Double(person * 4) : 300 + Double(number % 5) / 50
                let more = #","token":"t\#(person)","resumes":false"#
                lines.append(
                    (
                        at,
                        visit > 0 && isTold && person % 7 > 0
                            ? opening(number, at: at, after: number - 1, 3_020, more, client: address)
                            : LogReaderTests.line("stream_open", number, at: at, more, client: address)
                    ))
                lines.append(
                    (at + lived, LogReaderTests.end(number, at: at + lived, lived: lived, more + #","retry_ms":3000"#, client: address)))
                at += lived + 3.02
            }
        }
        return LogReaderTests.read([lines.sorted { $0.time < $1.time }.map(\.text).joined()])
    }

    @Test("make a claim of a limit whose clients come back from other addresses, and say that the gap is their retry")
    func wanderers() throws {
        #expect(!Diagnosis(of: wanderers(isTold: false)).findings.contains { $0.isClaim })
        let found = Diagnosis(of: wanderers(isTold: true)).findings.filter(\.isClaim)
        #expect(found.map(\.seconds) == [300] && found.map(\.kind) == [.absoluteTimeout])
        let evidence = try #require(found.first).evidence
        #expect(evidence.contains { $0.hasSuffix("came back after a pause, most of them when their retry of 3 s was over") }, "\(evidence)")
    }

    @Test("tell how many streams a server had, when the log does not show them all")
    func openStreams() {
        func kinds(_ open: String) -> [Finding.Kind] {
            var log = ""
            for number in 0..<30 { log += LogReaderTests.line("stream_open", number, at: Double(number) * 37, client: number) }
            for number in 0..<30 {
                log += LogReaderTests.line(
                    "stream_end", number, at: 3_000 + Double(number) / 100,
                    #","cause":"upstream_reset","side":"upstream","duration_ms":\#(3_000_000 - number * 37_000)\#(open)"#, client: number)
            }
            log += LogReaderTests.line("stream_open", 99, at: 4_000, client: 99)
            return Diagnosis(of: LogReaderTests.read([log])).findings.filter(\.isClaim).map(\.kind)
        }
        #expect(kinds("") == [.serverRestart])
        #expect(kinds(#","open_streams_server":29"#) == [.serverRestart])
        // A hundred others lived on, from before the log began: this was no restart.
        #expect(kinds(#","open_streams_server":130"#).isEmpty)
    }

    @Test("show slow readers before they are cut, as a remark")
    func slowReaders() throws {
        func log(_ pending: String, stalled: Int = 0) -> [Finding] {
            let lines = (0..<60).map { number -> String in
                let more = number % 6 == 0 ? pending : #","max_pending_bytes":900,"pending_ms":20"#
                return LogReaderTests.end(number, at: 400 + Double(number) * 61, lived: 100 + Double(number * 5), more, client: number)
                    .replacing("client_closed", with: number % 6 == 1 && number / 6 < stalled ? "client_stalled" : "client_closed")
            }
            return Diagnosis(of: LogReaderTests.read([lines.joined()])).findings.filter { $0.kind == .slowReader }
        }
        let found = try #require(log(#","max_pending_bytes":1500000,"pending_ms":390000"#).first)
        #expect(found.streams == 10 && !found.isClaim && found.evidence.contains { $0.hasSuffix("not cut, up to 1,456 KiB") }, "\(found)")
        #expect(
            log(#","max_pending_bytes":1500000,"pending_ms":9000"#).isEmpty && log(#","max_pending_bytes":900,"pending_ms":390000"#).isEmpty
        )
        let cut = try #require(log(#","max_pending_bytes":1500000,"pending_ms":390000"#, stalled: 6).first)
        #expect(cut.streams == 6 && cut.isClaim && cut.evidence.count == 2)
    }

    @Test("make six connections of a browser surer where the waiting stream names the one that ended")
    func sixConnections() {
        func confidence(isTold: Bool) -> Double? {
            var lines: [(time: Double, text: String)] = []
            var free = (0..<6).map { 10 + Double($0) * 3 }
            var last = [Int?](repeating: nil, count: 6)
            for number in 0..<24 {
                let slot = free.indices.min { free[$0] < free[$1] }!
                let (at, lived) = (free[slot] + 0.04, 200 + Double(number * 53 % 170))
                let previous = last[slot]
                lines.append(
                    (
                        at,
                        isTold && previous != nil
                            ? opening(number, at: at, after: previous!, 40) : LogReaderTests.line("stream_open", number, at: at)
                    ))
                lines.append((at + lived, LogReaderTests.end(number, at: at + lived, lived: lived)))
                (free[slot], last[slot]) = (at + lived, number)
            }
            let text = lines.sorted { $0.time < $1.time }.map(\.text).joined()
            return Diagnosis(of: LogReaderTests.read([text])).findings.first { $0.kind == .connectionLimit }?.confidence
        }
        #expect(confidence(isTold: false) == 0.75 && confidence(isTold: true) == 0.85)
    }

    @Test("tell the heartbeat in force from the routes of the proxy's own line")
    func heartbeatOfRoutes() throws {
        let routes =
            #"[{"route":"/a","upstream":"x","heartbeat_ms":15000,"client_stall_ms":6},{"route":"/b","x":[{"heartbeat_ms":90000}]},"#
            + #"{"route":"/c","heartbeat_ms":20000},{"route":"/d","heartbeat_ms":5000},{"route":"/e"}]"#
        let line = #"{"time":"2026-11-21T00:00:00.000Z","event":"proxy_start","version":"1","reload":false,"routes":"# + routes + "}\n"
        let facts = LogReaderTests.read([line + LogReaderTests.end(1, at: 70, lived: 60)])
        #expect(facts.starts.map(\.heartbeatMilliseconds) == [20_000] && facts.skippedLineCount == 0)
        #expect(Report(facts).heartbeatInForce == 20)
        let off = LogReaderTests.read([line.replacing("heartbeat_ms", with: "off_ms")])
        #expect(off.starts.map(\.heartbeatMilliseconds) == [0])
    }
}
