// The three forms of a report on one made finding: what stands in them, and that nothing of a stranger acts in them.

import Foundation
import Telemetry
import TestSupport
import Testing

@testable import Diagnosis

@Suite("A report")
struct ReportTests {
    /// Thirty streams that end after 60 s of silence, ten that do not, and a path by somebody who means harm.
    static func facts(path: String = "/events/prices") -> LogFacts {
        var facts = LogFacts()
        var around = Surroundings()
        (around.route, around.server, around.path) = ("/events/*", "10.0.0.1:9000", path)
        facts.surroundings = [around]
        facts.addresses = ["192.0.2.1"]
        facts.files = ["streams.jsonl"]
        facts.clientCount = 40
        facts.lineCount = 80
        facts.firstTime = 1_795_233_600_000
        facts.lastTime = facts.firstTime + 3_600_000
        for number in 0..<40 {
            var stream = StreamFacts(
                openedAt: facts.firstTime + Int64(number) * 1_000, duration: 61_000 + UInt32(number) * 900, client: UInt32(number),
                address: 0, surroundings: 0, place: LogPlace(file: 0, line: UInt32(number * 2 + 2)))
            stream.cause = .clientClosed
            stream.clientSilenceAtEnd = number < 30 ? 60_003 : UInt32(number) * 1_000
            facts.streams.append(stream)
        }
        return facts
    }

    static func diagnosis() -> Diagnosis {
        var finding = Finding(kind: .idleTimeout, side: .client, seconds: 60, streams: 30, confidence: 0.95)
        (finding.people, finding.addresses, finding.lethality, finding.returned) = (28, 1, 0.99, 0.97)
        (finding.routes, finding.examples) = (["/events/*"], [0, 1, 2])
        var remark = Finding(kind: .mobileSleep, side: .client, streams: 6, confidence: 0.4)
        remark.evidence = ["6 of 40 streams vanished"]
        var diagnosis = Diagnosis()
        diagnosis.findings = [finding, remark]
        (diagnosis.streams, diagnosis.ended) = (40, 40)
        (diagnosis.client.age, diagnosis.client.ageStreams) = (95, 5)
        (diagnosis.upstream.silence, diagnosis.upstream.silenceStreams) = (240, 12)
        return diagnosis
    }

    static func report(path: String = "/events/prices") -> Report { Report(facts(path: path), diagnosis()) }

    @Test("as text says what, who, what to change, how it is known, three lines, the wall, what is excluded, and the remark apart")
    func text() {
        let expected = """
            80 lines of 1 file, 40 streams, 40 of them ended, by 40 clients.
            From 2026-11-21 04:00:00 to 2026-11-21 05:00:00 UTC (60 min).

            One cause found.

            1. Idle timeout, 60 s, clients' side  almost certain (0.95)
               After 60 s without a byte to the client, a hop between the browser and this proxy closes the stream.
               What to change
                 - heartbeat 25s in Heartwire's configuration (below half of 60 s) prevents it, whichever hop it is.
                 - nginx: proxy_read_timeout 1h in the location of the streams, with proxy_http_version 1.1, proxy_buffering off and
                   no gzip.
                 - ingress-nginx: the annotations
            """
        let text = ReportTests.report().text(columns: 140, isColoured: false)
        #expect(text.hasPrefix(expected), "\(text)")
        for part in [
            "Who it may be\n     - nginx proxy_read_timeout, nginx send_timeout, ingress-nginx,", "     - not verified: Azure Front Door",
            "30 streams of 28 clients, by 1 address, on route /events/*", "99 % of the streams that got that far ended there",
            "97 % of the clients came back after a pause, so they had not wanted to leave",
            "streams.jsonl:2 client_closed after 61 s, silent for 60 s, /events/prices",
            "60 to 70 s |############################################################ 30  <- the wall",
            "No idle timeout below 4 min between proxy and server: 12 streams outlived such a silence.",
            "Remarks: too little to claim it\n\n- Sleeping clients, clients' side  possible (0.4)",
        ] { #expect(text.contains(part), "\(part)\nis not in\n\(text)") }
    }

    @Test("as text fits into the terminal, down to 60 columns")
    func width() {
        for columns in [60, 80, 100, 120] {
            let lines = ReportTests.report().text(columns: columns, isColoured: false).split(separator: "\n")
            let wide = lines.filter { $0.count > columns && $0.contains(" ") }
            #expect(wide.isEmpty, "\(columns): \(wide)")
        }
    }

    @Test("has colours only where they are wanted, and the same words")
    func colours() {
        let coloured = ReportTests.report().text(columns: 100, isColoured: true)
        let plain = ReportTests.report().text(columns: 100, isColoured: false)
        #expect(coloured.contains("\u{1B}[1;31m") && !plain.contains("\u{1B}"))
        #expect(coloured.replacing(/\u{1B}\[[0-9;]*m/, with: "") == plain)
    }

    @Test("as JSON is one object, with the contract's keys")
    func json() throws {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(ReportTests.report().json)) as? [String: Any])
        let findings = try #require(object["findings"] as? [[String: Any]])
        #expect(findings.count == 2 && findings[0]["kind"] as? String == "idle_timeout" && findings[0]["side"] as? String == "client")
        #expect(findings[0]["seconds"] as? Double == 60 && findings[0]["confidence"] as? Double == 0.95)
        #expect(findings[0]["streams"] as? Int == 30)
        #expect((findings[0]["candidates"] as? [String])?.first == "nginx proxy_read_timeout")
        #expect((findings[0]["summary"] as? String)?.hasPrefix("After 60 s without a byte") == true)
        #expect(findings[0]["heartbeat_seconds"] as? Int == 25)
        #expect(findings[1]["seconds"] is NSNull)
        #expect((findings[0]["examples"] as? [[String: Any]])?.first?["line"] as? Int == 2)
        #expect(((object["survived"] as? [String: Any])?["upstream"] as? [String: Any])?["silence_seconds"] as? Double == 240)
    }

    @Test("as a page needs nothing from elsewhere, and is well formed")
    func page() throws {
        let page = String(decoding: ReportTests.report().page, as: UTF8.self)
        for part in ["<script", "src=", "href=", "url(", "@import"] { #expect(!page.contains(part)) }
        for part in ["← the wall", "prefers-color-scheme: dark", "heartbeat 25s", "Azure Front Door", "streams.jsonl:2", "<circle"] {
            #expect(page.contains(part), "\(part)")
        }
        var open: [Substring] = []
        for match in page.matches(of: /<(\/?)([a-z0-9]+)([^>]*)>/) {
            let (_, closing, name, rest) = match.output
            if ["meta", "br"].contains(name) || rest.hasSuffix("/") { continue }
            if closing.isEmpty { open.append(name) } else { #expect(open.popLast() == name) }
        }
        #expect(open.isEmpty)
    }

    @Test("as a page has room for each label of its plot, the limits' first, and shows no bar where nothing is")
    func labels() {
        for seconds in [0.7, 1, 9, 55, 58, 60, 70, 240, 300, 301, 330, 3_500, 80_000, 90_000] {
            let finding = Finding(kind: .absoluteTimeout, side: .client, seconds: seconds, streams: 9, confidence: 0.9)
            let lines = EndsPlot(ReportTests.facts(), [finding, finding]).lines
            let labels = lines.filter { !$0.label.isEmpty }
            #expect(labels.first?.label == Words.seconds(seconds) && labels.count >= 4, "\(seconds)")
            #expect(lines.count { $0.isLimit } == 2 && labels.count { $0.isLimit } == 1)
            let heights = labels.map(\.y).sorted()
            #expect(zip(heights.dropFirst(), heights).allSatisfy { $0 - $1 >= 14 }, "\(seconds): \(labels)")
        }
        let page = String(decoding: ReportTests.report().page, as: UTF8.self)
        #expect(page.contains(#"<i style="--share:1.0" class="wall"></i>30 ← the wall"#))
        #expect(page.contains(#"<i style="--share:0.0"></i></div>"#))
    }

    @Test("says each thing once: how many streams, and after what they ended")
    func once() {
        let (facts, _) = PlantedLogs.limit(Hop.table[0], on: .client, streams: 100, seed: 3)
        for said in Report(facts).claims {
            let counts = said.explanation.evidence.filter { $0.hasPrefix(Words.count(said.finding.streams, "stream")) }
            #expect(counts.count == 1, "\(said.explanation.evidence)")
        }
        #expect(!Report(facts).claims.isEmpty)
    }

    @Test("names a day once, and of a stale token only the first moment")
    func moments() {
        func sentence(_ kind: Finding.Kind, _ seconds: [Int64]) -> String? {
            var finding = Finding(kind: kind, side: .client, streams: 9, confidence: 0.9)
            finding.moments = seconds.map { 1_795_233_600_000 + $0 * 1_000 }
            return Report(ReportTests.facts(), Diagnosis()).moments(of: finding)
        }
        #expect(sentence(.hopRestart, []) == nil)
        #expect(sentence(.hopRestart, [0]) == "At 2026-11-21 04:00:00 (UTC).")
        #expect(sentence(.deployment, [0, 60, 86_400]) == "At 2026-11-21 04:00:00, 04:01:00 and 2026-11-22 04:00:00 (UTC).")
        #expect(sentence(.staleToken, [5]) == "The first at 2026-11-21 04:00:05 UTC.")
    }

    @Test("tells crowds from clients that come back without end, and shows of a forgotten connection the silence that was too long")
    func words() throws {
        var storm = Finding(kind: .reconnectStorm, side: .client, streams: 90, confidence: 0.9)
        #expect(Explanation(storm).headline.contains("again and again") && Explanation(storm).advice[0].contains("cause in their lines"))
        storm.moments = [1_795_233_600_000]
        #expect(Explanation(storm).headline.contains("within the same second") && Explanation(storm).advice[0].contains("drain"))
        var (facts, diagnosis) = (ReportTests.facts(), ReportTests.diagnosis())
        for index in facts.streams.indices {
            (facts.streams[index].longestClientSilence, facts.streams[index].clientSilenceAtEnd) = (60_500, 3)
        }
        diagnosis.findings[0].isSilentDrop = true
        let text = Report(facts, diagnosis).text(columns: 120, isColoured: false)
        #expect(text.contains("client_closed after 61 s, once silent for 60.5 s,") && text.contains("Longest silence to the client, of"))
        #expect(Histogram(facts, diagnosis.findings[0])?.rows[6].count == 40)
    }

    @Test("says that a hop before clients with many addresses keeps these addresses")
    func keptAddresses() {
        var finding = Finding(kind: .idleTimeout, side: .client, seconds: 60, streams: 30, confidence: 0.9)
        finding.evidence = ["they ended"]
        func says(_ people: Int, _ addresses: Int) -> Bool {
            (finding.people, finding.addresses) = (people, addresses)
            return Explanation(finding).evidence.contains { $0.contains("PROXY protocol") }
        }
        #expect(says(30, 29) && !says(30, 2) && !says(3, 3))
    }

    @Test("says of a hop with two addresses that it was reloaded once")
    func oneHop() throws {
        var log = ""
        for number in 0..<60 {
            let address = #","client":"10.1.1.\#(number % 2):4711","client_forwarded":"192.0.2.\#(number)","resumes":"#
            log += LogReaderTests.line("stream_open", number, at: Double(number) * 31, address + "false")
            log += LogReaderTests.end(number, at: 3_000 + Double(number) / 50, lived: 3_000 - Double(number) * 31, address + "false")
            log += LogReaderTests.line("stream_open", 100 + number, at: 3_004 + Double(number) / 50, address + "true")
        }
        let found = Diagnosis(of: LogReaderTests.read([log])).findings.filter(\.isClaim)
        #expect(found.map(\.kind) == [.hopRestart] && found.map(\.streams) == [60] && found.map(\.addresses) == [2])
        let said = Explanation(try #require(found.first))
        #expect(said.headline.hasPrefix("All streams of 2 addresses before the proxy ended in one moment, and"))
        #expect(said.evidence.suffix(1) == ["the addresses are 10.1.1.0 and 10.1.1.1"], "\(said.evidence)")
        #expect(said.evidence.contains("these were all of the streams that lived there"), "\(said.evidence)")
        #expect(said.evidence.contains("they were of all ages, and ended in one moment"), "\(said.evidence)")
    }

    @Test("writes all numbers alike, with commas between thousands")
    func thousands() {
        var random = SeededGenerator(seed: 5)
        var lines = ""
        for number in 0..<2_500 {
            let lived = random.uniform(1_300...4_000)
            lines += LogReaderTests.end(
                number, at: 5_000 + Double(number), lived: number % 20 == 0 ? lived : 1_250 + random.uniform(0...0.05),
                #","retry_ms":3000,"resumes":true"#, client: number)
        }
        let report = Report(LogReaderTests.read([lines]))
        let text = report.text(columns: 120, isColoured: false) + String(decoding: report.page, as: UTF8.self)
        let said = report.claims + report.remarks
        #expect(text.contains("2,375 streams") && text.contains("1,250"), "\(text)")
        for clause in said.flatMap(\.explanation.evidence) + said.map(\.explanation.headline) + report.read + report.excluded {
            // Years have four digits too.
            #expect(clause.replacing(/2026-/, with: "").firstMatch(of: /[0-9]{4}/) == nil, "\(clause)")
        }
    }

    @Test("lets nothing of a log act: not on a terminal, not in a page, not in JSON")
    func strangers() throws {
        let path = "/\u{1B}]0;x\u{07}<img src=x onerror=alert(1)>&\"'\u{202E}\u{9B}31m\n\r\u{2028}"
        let report = ReportTests.report(path: path)
        let text = report.text(columns: 100, isColoured: false)
        #expect(!text.unicodeScalars.contains { ($0.value < 0x20 && $0 != "\n") || $0.value == 0x9B || $0.value == 0x202E })
        #expect(text.contains("<img"))
        let page = String(decoding: report.page, as: UTF8.self)
        #expect(!page.contains("<img") && page.contains("&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;"))
        #expect(try JSONSerialization.jsonObject(with: Data(report.json)) is [String: Any])
    }

    @Test("of healthy logs says that nothing was found, and what the path was proved to bear")
    func healthy() {
        var diagnosis = ReportTests.diagnosis()
        diagnosis.findings = []
        let report = Report(ReportTests.facts(), diagnosis)
        let text = report.text(columns: 100, isColoured: false)
        #expect(text.contains("Nothing found") && text.contains("No idle timeout below 4 min") && text.contains("60 to 120 s |####"))
        #expect(!text.contains("Remarks") && String(decoding: report.page, as: UTF8.self).contains("Nothing found"))
    }

    @Test("of no lines at all says which log is needed")
    func empty() throws {
        let report = Report(LogFacts(), Diagnosis())
        #expect(report.text(columns: 80, isColoured: false).contains("no streams in these logs"))
        #expect(!report.page.isEmpty)
        let object = try JSONSerialization.jsonObject(with: Data(report.json)) as? [String: Any]
        #expect((object?["findings"] as? [Any])?.isEmpty == true)
    }

    @Test("says something of every kind on every side, with and without seconds")
    func everyKind() {
        for kind in Finding.Kind.allCases {
            for side in [Finding.Side.client, .upstream, .proxy] {
                for seconds in [nil, 60.0, 37.2, 0.4, 1e9] {
                    var finding = Finding(kind: kind, side: side, seconds: seconds, streams: 5, confidence: 0.8)
                    for alternative in [nil] + Finding.Kind.allCases.map(Optional.some) {
                        finding.alternative = alternative
                        let said = Explanation(finding, heartbeatInForce: 15)
                        #expect(!said.title.isEmpty && said.headline.hasSuffix(".") && !said.summary.isEmpty)
                        #expect(kind == .idleTimeout && seconds == nil || !said.advice.isEmpty, "\(kind) \(side)")
                    }
                }
            }
        }
    }

    @Test("does not recommend a heartbeat where none helps, and says when the one in force should have been enough")
    func heartbeats() {
        func advice(_ kind: Finding.Kind, _ side: Finding.Side, inForce: Double? = nil) -> String {
            let finding = Finding(kind: kind, side: side, seconds: 60, streams: 30, confidence: 0.9)
            return Explanation(finding, heartbeatInForce: inForce).advice.joined(separator: "\n")
        }
        #expect(advice(.idleTimeout, .client).hasPrefix("heartbeat 25s in Heartwire's configuration"))
        #expect(advice(.idleTimeout, .client, inForce: 75).hasPrefix("heartbeat 25s instead of 75 s"))
        #expect(advice(.idleTimeout, .client, inForce: 15).contains("these streams did not get it"))
        #expect(advice(.idleTimeout, .upstream).hasPrefix("Heartbeats of this proxy do not reach hops behind it"))
        #expect(advice(.absoluteTimeout, .client).hasPrefix("No heartbeat helps"))
        #expect(advice(.idleTimeout, .client).contains("nginx: proxy_read_timeout 1h"))
    }
}
