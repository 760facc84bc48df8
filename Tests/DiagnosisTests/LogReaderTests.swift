// Reading logs: real lines of the proxy's own encoder, old ones, garbage, in any split and in any order.

import Telemetry
import TestSupport
import Testing

@testable import Diagnosis

@Suite("The reader of logs")
struct LogReaderTests {
    static func read(_ files: [String], split: Int? = nil, mostStreams: Int = 1 << 19, seed: UInt64? = 1) -> LogFacts {
        var reader = LogReader(mostStreams: mostStreams, seed: seed)
        for (number, file) in files.enumerated() {
            reader.beginFile("file\(number)")
            let bytes = Array(file.utf8)
            let cut = min(split ?? bytes.count, bytes.count)
            for piece in [Array(bytes[..<cut]), Array(bytes[cut...])] { reader.read(piece.span) }
            reader.endFile()
        }
        return reader.finish()
    }

    /// What a reader of facts can tell apart.
    static func summary(_ facts: LogFacts) -> [String] {
        facts.streams.map { "\($0)" }
            + ["\(facts.lineCount) \(facts.skippedLineCount) \(facts.clientCount) \(facts.addresses) \(facts.surroundings)"]
            + facts.refusals.map { "\($0)" }
    }

    static func line(_ event: String, _ stream: Int, at second: Double, _ more: String = "", client: Int = 1) -> String {
        let milliseconds = Int(second * 1_000)
        let (minute, rest) = (milliseconds / 60_000, milliseconds % 60_000)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let fraction = String(1_000 + rest % 1_000).dropFirst()
        return #"{"time":"2026-11-21T\#(two(minute / 60)):\#(two(minute % 60)):\#(two(rest / 1_000)).\#(fraction)Z","event":"\#(event)","#
            + #""stream":"w0-\#(stream)","route":"/*","server":"10.0.0.1:9000","client":"192.0.2.\#(client):4711","host":"a","path":"/e","#
            + #""status":200\#(more)}"# + "\n"
    }

    static func end(_ stream: Int, at second: Double, lived: Double, _ more: String = "", client: Int = 1) -> String {
        line(
            "stream_end", stream, at: second, #","cause":"client_closed","side":"client","duration_ms":\#(Int(lived * 1_000))\#(more)"#,
            client: client)
    }

    private let zero: Int64 = 1_795_219_200_000

    @Test("reads what the proxy's own encoder writes")
    func encoded() throws {
        var exchange = ExchangeDescription(stream: StreamIdentifier(worker: 1, number: 42), client: "[2001:db8::1]:51234")
        (exchange.route, exchange.upstream, exchange.server) = ("/events/*", "backend", "10.0.0.7:9000")
        exchange.tlsVersion = "TLSv1.3"
        exchange.clientForwarded = Array("203.0.113.9".utf8)[...]
        (exchange.host, exchange.path) = (Array("www.example.com".utf8)[...], Array("/events/\"\u{7}é".utf8)[...])
        exchange.tokenFingerprint = 7
        var bytes: [UInt8] = []
        StreamOpening(timeMilliseconds: zero, exchange: exchange).encode(into: &bytes)
        var ending = StreamEnding(timeMilliseconds: zero + 61_000, exchange: exchange, cause: .clientReset, evidence: "ECONNRESET")
        ending.durationMilliseconds = 61_005
        (ending.events, ending.heartbeats, ending.endedMidLine) = (3, 2, true)
        (ending.longestClientSilenceMilliseconds, ending.longestUpstreamSilenceMilliseconds) = (30_001, 40_002)
        ending.lastEventIdentifier = Array("9".utf8)
        ending.encode(into: &bytes)
        let facts = LogReaderTests.read([String(decoding: bytes, as: UTF8.self)])
        #expect(facts.streams.count == 1 && facts.skippedLineCount == 0 && facts.lineCount == 2)
        let stream = try #require(facts.streams.first)
        #expect(stream.openedAt == zero && stream.duration == 61_005 && stream.cause == .clientReset)
        #expect(stream.events == 3 && stream.heartbeats == 2)
        #expect(stream.longestClientSilence == 30_001 && stream.longestUpstreamSilence == 40_002)
        #expect(stream.marks.isSuperset(of: [.isWoven, .endedMidLine, .openingSeen, .hasEventID]))
        #expect(facts.addresses == ["[2001:db8::1]"])
        let around = facts.surroundings[Int(stream.surroundings)]
        #expect(around.path == "/events/\"\u{7}é" && around.isTLS && around.upstream == "backend" && around.server == "10.0.0.7:9000")
        #expect(stream.place == LogPlace(file: 0, line: 2) && facts.firstTime == zero && facts.lastTime == zero + 61_000)
    }

    @Test("reads the fields that decide")
    func newFields() throws {
        let more =
            #","resumes":true,"http":"1.1","agent":"firefox","hops":["nginx","aws_load_balancer"],"expected_timeout_ms":15000,"#
            + #""upstream_silence_at_end_ms":7,"client_silence_at_end_ms":8,"client_silence_before_last_write_ms":9,"retry_ms":10,"#
            + #""heartbeat_ms":15000,"woven":true,"mid_line":false,"held_ms":5,"tcp":{"since_last_sent_ms":99}"#
        let facts = LogReaderTests.read([LogReaderTests.end(1, at: 20, lived: 10, more)])
        let stream = try #require(facts.streams.first)
        #expect(stream.upstreamSilenceAtEnd == 7 && stream.clientSilenceAtEnd == 8 && stream.clientSilenceBeforeLastWrite == 9)
        #expect(stream.retry == 10 && stream.heartbeatInterval == 15_000 && stream.openedAt == zero + 10_000)
        #expect(stream.marks == [.tellsResuming, .resumes, .isWoven, .wasHeld])
        let around = facts.surroundings[0]
        #expect(around.hops == ["aws_load_balancer", "nginx"] && around.agent == "firefox" && around.http == "1.1")
        #expect(around.expectedTimeout == 15_000)
    }

    @Test("takes silences of older logs from the kernel's view, where that view is right")
    func olderLogs() {
        func silences(_ cause: String, bytes: Int = 9) -> (UInt32, UInt32) {
            let line = LogReaderTests.line(
                "stream_end", 1, at: 100,
                #","cause":"\#(cause)","duration_ms":90000,"bytes_from_upstream":\#(bytes),"longest_upstream_silence_ms":90000,"#
                    + #""tcp":{"state":"x","since_last_sent_ms":60},"#
                    + #""upstream_tcp":{"a":{"since_last_sent_ms":1},"since_last_received_ms":70}"#
            )
            let stream = LogReaderTests.read([line]).streams[0]
            return (stream.clientSilenceAtEnd, stream.upstreamSilenceAtEnd)
        }
        let missing = StreamFacts.missing
        #expect(silences("client_closed") == (60, 70))
        #expect(silences("upstream_cut_off") == (missing, 70))
        #expect(silences("upstream_finished") == (missing, missing))
        #expect(silences("upstream_finished", bytes: 0) == (missing, 90_000))
    }

    @Test("reads the same at every split")
    func splits() {
        let log =
            LogReaderTests.line("stream_open", 1, at: 1) + "\r\n" + "garbage\n" + LogReaderTests.end(1, at: 9, lived: 8)
            + LogReaderTests.line("access", 0, at: 10, #","status":401,"token":"\u00e9""#) + "{}\n"
            + LogReaderTests.end(2, at: 30, lived: 12, #","hops":["a","b"]"#, client: 2).dropLast()
        let whole = LogReaderTests.summary(LogReaderTests.read([log]))
        #expect(whole.count == 4)
        for split in 0...log.utf8.count { #expect(LogReaderTests.summary(LogReaderTests.read([log], split: split)) == whole) }
        var single = LogReader()
        single.beginFile("file0")
        for byte in log.utf8 {
            let piece = [byte]
            single.read(piece.span)
        }
        single.endFile()
        #expect(LogReaderTests.summary(single.finish()) == whole)
    }

    @Test("reads lists of texts with every escape in them")
    func lists() {
        func hops(_ list: String) -> [String] {
            LogReaderTests.read([LogReaderTests.end(1, at: 9, lived: 8, #","hops":"# + list)]).surroundings[0].hops
        }
        #expect(hops(#"["a\\","b"]"#) == [#"a\"#, "b"])
        #expect(hops(#"["\\\"","\\","","c\"d"]"#) == ["", #"\"#, #"\""#, #"c"d"#])
        #expect(hops("[]").isEmpty && hops(#""nginx""#) == ["nginx"] && hops(#""""#) == [""])
    }

    @Test("numbers the same texts alike, whatever the seed of its hashes, and takes the seed from the system unless told")
    func seeds() {
        let log = (0..<50).map { LogReaderTests.end($0, at: 100 + Double($0), lived: 8, client: $0 % 7) }.joined()
        let told = LogReaderTests.summary(LogReaderTests.read([log], seed: 1))
        for seed in [UInt64?.none, 0, .max, 0xDB91_8193_5555_AAAA] {
            #expect(LogReaderTests.summary(LogReaderTests.read([log], seed: seed)) == told)
        }
        func hash(_ seed: HashSeed) -> UInt64 {
            var hash = TextHash(seed)
            let path = Array("/events/1".utf8) + [UInt8](repeating: 0, count: 8)
            hash.add(path.span, 0..<9)
            return hash.bits
        }
        #expect(Set((0..<64).map { hash(HashSeed(1 << $0)) }).count == 64)
        // Of many streams a part is kept: which one, nobody outside can know.
        let many = (0..<600).map { LogReaderTests.end($0, at: 700 + Double($0), lived: 8, client: $0) }.joined()
        let kept = (0..<8).map { _ in LogReaderTests.read([many], mostStreams: 64, seed: nil).streams.map(\.place.line) }
        #expect(Set(kept).count > 1)
    }

    @Test("skips what is no line of a log, counts it, and goes on behind it")
    func garbage() {
        let good = LogReaderTests.end(1, at: 9, lived: 8)
        for bad in [
            "{", "}", "[]", "null", "\u{0}\u{0}", "{\"time\":", good.dropLast(2) + "", good.dropLast() + "x", "{\"a\":01}", "{\"a\":.5}",
            "{\"a\":tru}", "{\"a\":\"\t\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":1,}", "{\"a\" 1}", "{'a':1}", "{\"a\":-}",
            String(repeating: "[", count: 100_000), "{\"a\":" + String(repeating: "[", count: 40) + String(repeating: "]", count: 40) + "}",
            "{\"time\":\"2026-11-21T00:00:00.000Z\",\"event\":\"unknown\"}", "{\"event\":\"stream_end\"}",
            "{\"time\":\"2026-13-21T00:00:00.000Z\",\"event\":\"stream_open\",\"stream\":\"w0-1\"}",
        ] {
            let facts = LogReaderTests.read([bad + "\n" + good])
            #expect(facts.skippedLineCount == 1 && facts.streams.count == 1 && facts.lineCount == 2, "\(bad.prefix(60))")
        }
        let odd = good.dropLast(2) + #","a":[1,{"b":null},"\u00fc",-1.5e+3,true],"cause":"client_reset"} "# + "\r\n"
        let facts = LogReaderTests.read([String(odd)])
        // Of a doubled key the last value counts.
        #expect(facts.skippedLineCount == 0 && facts.streams.first?.cause == .clientReset)
    }

    @Test("skips lines beyond its limit at every split, and takes invalid UTF-8 for what it is")
    func longLines() {
        let good = LogReaderTests.end(1, at: 9, lived: 8)
        for spare in [-3, 0, 1, 500_000] {
            let start = Array(good.dropLast(2).utf8) + Array(#","a":""#.utf8)
            let line = start + [UInt8](repeating: 0xFF, count: LogReader.longestLineBytes - start.count - 2 + spare) + Array("\"}".utf8)
            var results: [[Int]] = []
            for piece in [line.count + 200, 4_096, 65_536] {
                var reader = LogReader()
                reader.beginFile("a")
                let bytes = line + [10] + Array(good.utf8)
                for start in stride(from: 0, to: bytes.count, by: piece) {
                    let part = Array(bytes[start..<min(bytes.count, start + piece)])
                    reader.read(part.span)
                }
                reader.endFile()
                let facts = reader.finish()
                results.append([facts.lineCount, facts.skippedLineCount, facts.streams.count])
            }
            #expect(results == Array(repeating: spare <= 0 ? [2, 0, 2] : [2, 1, 1], count: 3), "\(spare)")
        }
    }

    @Test("gives an end to the last opening of its number, and lets streams of a process that is gone last until the next began")
    func numbersBeginAgain() {
        let log =
            LogReaderTests.line("stream_open", 1, at: 10) + LogReaderTests.line("stream_open", 2, at: 12)
            + #"{"time":"2026-11-21T00:01:00.000Z","event":"proxy_start"}"# + "\n"
            + LogReaderTests.line("stream_open", 1, at: 70) + LogReaderTests.end(1, at: 80, lived: 10)
        let streams = LogReaderTests.read([log]).streams
        #expect(streams.map(\.duration) == [50_000, 48_000, 10_000])
        #expect(streams.map { $0.cause == nil } == [true, true, false])
    }

    @Test("does not give an old process's end to a stream that the new one opened with the same number")
    func takingOver() {
        let log =
            LogReaderTests.line("stream_open", 1, at: 10) + LogReaderTests.line("stream_open", 1, at: 100)
            + LogReaderTests.end(1, at: 110, lived: 100) + LogReaderTests.end(1, at: 130, lived: 30)
        let streams = LogReaderTests.read([log]).streams
        #expect(streams.map(\.duration) == [100_000, 30_000] && streams.allSatisfy { $0.cause != nil && $0.marks.contains(.openingSeen) })
    }

    @Test("reads rotated files in any order")
    func rotated() {
        let old = LogReaderTests.line("stream_open", 1, at: 10) + LogReaderTests.line("stream_open", 2, at: 11)
        let new = LogReaderTests.end(1, at: 100, lived: 90) + LogReaderTests.line("stream_open", 3, at: 110, client: 2)
        let forward = LogReaderTests.read([old, new]).streams
        let backward = LogReaderTests.read([new, old]).streams
        #expect(forward.map(\.duration) == [90_000, 99_000, 0] && backward.map(\.duration) == forward.map(\.duration))
        #expect(backward.map(\.openedAt) == forward.map(\.openedAt))
    }

    @Test("takes an opening that is repeated when a log is opened again for the same stream, whichever file is read first")
    func openedAgain() {
        let old = LogReaderTests.line("stream_open", 1, at: 10) + LogReaderTests.line("stream_open", 2, at: 11)
        let again =
            #"{"time":"2026-11-21T00:01:40.000Z","event":"proxy_start","reload":true,"again":true,"routes":[{"heartbeat_ms":1}]}"# + "\n"
            + LogReaderTests.line("stream_open", 1, at: 100, #","again":true,"age_ms":90020"#)
            + LogReaderTests.line("stream_open", 2, at: 100, #","again":true,"age_ms":89000"#)
        let new = again + LogReaderTests.end(1, at: 130, lived: 120.02) + LogReaderTests.line("access", 9, at: 140)
        for files in [[old, new], [new, old], [old + new]] {
            let streams = LogReaderTests.read(files).streams
            #expect(streams.map(\.duration) == [120_020, 129_000], "\(streams)")
            #expect(streams.map { $0.cause == nil } == [false, true])
        }
        let alone = LogReaderTests.read([new]).streams
        #expect(alone.map(\.openedAt) == [zero + 9_980, zero + 11_000] && alone.map(\.duration) == [120_020, 129_000])
        // The same number a minute later is another stream.
        let other = LogReaderTests.line("stream_open", 1, at: 200)
        #expect(LogReaderTests.read([old + new + other]).streams.count == 3)
    }

    @Test("takes refusals from access lines, and what a token was refused for")
    func refusals() {
        let log =
            LogReaderTests.line("access", 1, at: 1, #","status":401,"token":"0123""#) + LogReaderTests.line("access", 2, at: 2)
            + LogReaderTests.line("access", 3, at: 3, #","status":503,"cause":"refused_by_limit""#)
        let facts = LogReaderTests.read([log])
        #expect(facts.refusals.map(\.status) == [401, 503] && facts.refusals.map(\.hasToken) == [true, false])
        #expect(facts.refusals[1].cause == .refusedByLimit && facts.skippedLineCount == 0)
    }

    @Test("counts lines that the proxy could not write")
    func dropped() {
        let line = #"{"time":"2026-11-21T00:01:00.000Z","event":"log_dropped","lines":12}"# + "\n"
        #expect(LogReaderTests.read([line + line]).droppedLineCount == 24)
    }

    @Test("keeps every second client, then every fourth, with all of a client's streams, when there are too many")
    func sample() {
        var log = ""
        for stream in 0..<6_000 {
            let client = stream % 3_000
            log += LogReaderTests.line("stream_open", stream, at: Double(stream) / 10, #","token":"\#(client)""#)
            log += LogReaderTests.end(stream, at: Double(stream) / 10 + 5, lived: 5, #","token":"\#(client)""#)
        }
        let facts = LogReaderTests.read([log], mostStreams: 2_000)
        #expect(facts.keptOneIn == 4 && facts.streams.count <= 2_000 && facts.streams.count > 1_000)
        #expect(facts.streams.count + facts.leftOutStreamCount == 6_000)
        #expect(facts.streams.allSatisfy { $0.cause != nil && $0.duration == 5_000 && $0.client < facts.clientCount })
        let perClient = Dictionary(grouping: facts.streams, by: \.client).mapValues(\.count)
        #expect(perClient.values.allSatisfy { $0 == 2 } && perClient.count == facts.clientCount)
    }

    @Test("keeps every second stream of few clients")
    func fewClients() {
        let log = (0..<1_000).map { LogReaderTests.end($0, at: Double($0), lived: 1, client: $0 % 3) }.joined()
        let facts = LogReaderTests.read([log], mostStreams: 400)
        #expect(facts.clientCount == 3 && facts.keptOneIn > 1 && facts.streams.count <= 400 && facts.streams.count > 100)
    }

    @Test("bears times longer than any, in every place")
    func longestTimes() {
        for cause in ["client_closed", "client_reset", "client_vanished", "upstream_cut_off", "upstream_finished"] {
            for number in ["4294966300", "4294967294", "4294967295", "99999999999", "1000000000000000000000"] {
                let keys = [
                    "client_silence_at_end_ms", "upstream_silence_at_end_ms", "client_silence_before_last_write_ms",
                    "longest_client_silence_ms", "longest_upstream_silence_ms", "heartbeat_ms", "retry_ms", "pending_ms", "age_ms",
                ]
                let more = keys.map { ",\"\($0)\":\(number)" }.joined()
                let log = (0..<20).map {
                    LogReaderTests.line(
                        "stream_end", $0, at: Double($0), ",\"cause\":\"\(cause)\",\"duration_ms\":\(number)\(more)", client: $0)
                }.joined()
                let diagnosis = Diagnosis(of: LogReaderTests.read([log]))
                #expect(diagnosis.ended == 20)
            }
        }
    }

    @Test("reads logs whose streams all have one number, kept or not", arguments: 0..<16)
    func oneNumber(stream: Int) {
        let log = (0..<100).map { LogReaderTests.line("stream_open", stream, at: Double($0)) }.joined()
        let facts = LogReaderTests.read([log], mostStreams: 20)
        #expect(facts.lineCount == 100 && facts.streams.count <= 20)
    }

    @Test("gives no stream the end of another one that was taken out", arguments: 400..<408)
    func noOtherEnd(most: Int) {
        var log = ""
        for stream in 0..<1_000 { log += LogReaderTests.line("stream_open", stream, at: 1, client: stream % 3) }
        for stream in 0..<1_000 { log += LogReaderTests.end(stream, at: Double(stream + 2), lived: Double(stream + 1), client: stream % 3) }
        let facts = LogReaderTests.read([log], mostStreams: most)
        #expect(facts.streams.allSatisfy { facts.addresses[Int($0.address)] == "192.0.2.\(($0.duration / 1_000 - 1) % 3)" })
    }

    @Test("has bounded tables, whatever paths, hosts and addresses strangers think of")
    func bounds() {
        let log = (0..<40_000).map { number in
            LogReaderTests.end(number, at: Double(number) / 100, lived: 1, #","path":"/\#(number)","host":"\#(number)""#)
        }.joined()
        let facts = LogReaderTests.read([log])
        #expect(facts.surroundings.count <= 16_384 && facts.streams.count == 40_000 && facts.clientCount == 40_000)
        #expect(facts.streams.allSatisfy { $0.surroundings < facts.surroundings.count })
        #expect(facts.surroundings.last?.path == "(others)")
    }

    @Test("knows its keys: each by its own bytes, and no other text")
    func keys() {
        let table = LogKeyTable()
        func key(_ text: String) -> LogKey? {
            let bytes = [UInt8](repeating: 0x20, count: 8) + Array(text.utf8) + [UInt8](repeating: 0x22, count: 8)
            return table.key(bytes.span, 8..<(8 + text.utf8.count))
        }
        for known in LogKey.allCases {
            #expect(key("\(known.name)") == known)
            #expect(key("\(known.name)x") == nil && key("x\(known.name)") == nil)
            #expect(key(String("\(known.name)".dropLast())).map { $0 != known } ?? true)
        }
        #expect(key("longest_xxxxxx_silence_ms") == nil && key("") == nil)
    }
}
