// Whole probes along modelled paths: what is found, on which side, at how many seconds; and what is not found where nothing is.

import Testing

@testable import Probing

@Suite("A probe along a modelled path")
struct VerdictTests {
    private func only(_ report: ProbeReport, sourceLocation: SourceLocation = #_sourceLocation) throws -> ProbeFinding {
        #expect(report.findings.count == 1, "\(report.findings.map(\.summary))", sourceLocation: sourceLocation)
        return try #require(report.findings.first, sourceLocation: sourceLocation)
    }

    @Test("finds nothing on a clean path, says what it proved, takes under two minutes and never more than fourteen connections")
    func clean() {
        var path = Path()
        let (report, mostOpen, duration) = path.probe()
        #expect(report.findings.isEmpty, "\(report.findings)")
        #expect(report.refusal == nil && report.untold.isEmpty)
        #expect(report.proved.contains { $0.contains("no idle limit below 73.0 s") })
        #expect(report.proved.contains { $0.contains("no absolute limit below 75.0 s") })
        #expect(report.proved.contains("comments pass: heartbeats reach the client"))
        #expect(duration < 120_000 && mostOpen <= 14)
    }

    @Test("runs all ten steps within ten minutes' limits and finds nothing on a clean path")
    func cleanLong() {
        var path = Path()
        let (report, mostOpen, _) = path.probe(limitMilliseconds: 600_000)
        #expect(report.findings.isEmpty && report.refusal == nil, "\(report.findings) \(report.refusal ?? "")")
        #expect(report.steps.map(\.step) == [.meeting] + ProbeStep.numbered)
        #expect(report.proved.contains { $0.contains("a silence of 600.0 s is survived") })
        #expect(report.proved.contains { $0.contains("8 streams") } && report.proved.contains { $0.contains("no cache answers") })
        #expect(mostOpen <= ProbeTerms.connectionLimit)
    }

    @Test("finds an idle limit, exact to its lateness, as the hop's and twice", arguments: [5_000, 15_000, 30_000, 45_000, 60_000, 70_000])
    func idle(limit: Int64) throws {
        var path = Path { $0.idle = limit }
        let finding = try only(path.probe().report)
        #expect(finding.kind == .idleTimeout && finding.side == .client && !finding.isSilentDrop)
        #expect(abs(finding.seconds! - Double(limit) / 1_000) <= 0.1)
        #expect(finding.streams == 2 || limit <= 5_000)
        #expect(finding.confidence >= 0.9)
    }

    @Test("finds an absolute limit, not an idle one, where streams with comments end at the same age", arguments: [15_000, 30_000, 60_000])
    func absolute(limit: Int64) throws {
        var path = Path { $0.absolute = limit }
        let finding = try only(path.probe().report)
        #expect(finding.kind == .absoluteTimeout && finding.side == .client)
        #expect(abs(finding.seconds! - Double(limit) / 1_000) <= 0.1 && finding.confidence >= 0.9)
    }

    @Test("finds both where a path has an idle and an absolute limit")
    func both() {
        var path = Path {
            $0.idle = 20_000
            $0.absolute = 50_000
        }
        let found = path.probe().report.findings
        #expect(Set(found.map(\.kind)) == [.idleTimeout, .absoluteTimeout])
        #expect(found.first { $0.kind == .idleTimeout }?.seconds == 20)
        #expect(found.first { $0.kind == .absoluteTimeout }?.seconds == 50)
    }

    @Test("blames the proxy where the proxy ended the stream itself")
    func proxySide() throws {
        var path = Path {
            $0.absolute = 30_000
            $0.endedBy = "proxy"
        }
        #expect(try only(path.probe().report).side == .proxy)
    }

    @Test("sees in a quick run that silent streams are forgotten, and in a long one after how long")
    func forgetting() throws {
        var path = Path { $0.forgets = 60_000 }
        let quick = try only(path.probe().report)
        #expect(quick.kind == .idleTimeout && quick.isSilentDrop)
        for limit: Int64 in [47_000, 240_000, 350_000] {
            path = Path { $0.forgets = limit }
            let long = path.probe([.limits, .forgetting], limitMilliseconds: 600_000).report
            let finding = try #require(long.findings.first { $0.seconds != nil })
            #expect(finding.isSilentDrop && finding.kind == .idleTimeout)
            let between = try #require(finding.between)
            #expect(between.contains(Double(limit) / 1_000) || between.upperBound == Double(limit) / 1_000, "\(between)")
            #expect(between.upperBound - between.lowerBound <= 10)
        }
    }

    @Test("tells a hop that holds the head, one that keeps an event back, one that collects until the end, and one that batches")
    func passage() throws {
        var path = Path { $0.holdsHead = true }
        var finding = try only(path.probe([.head]).report)
        #expect(finding.kind == .headHeld && abs(finding.seconds! - 3) < 0.2)

        path = Path { $0.keepsOneBack = true }
        finding = try only(path.probe([.firstEvent]).report)
        #expect(finding.kind == .buffering && finding.summary.contains("keeps an event back"))

        path = Path { $0.buffer = 4_096 }
        finding = try only(path.probe([.buffering]).report)
        #expect(finding.kind == .buffering && finding.summary.contains("until the response ends"))
        #expect(finding.evidence.contains { $0.contains("4 KiB") }, "\(finding.evidence)")

        path = Path { $0.buffer = 300 }
        finding = try only(path.probe([.buffering]).report)
        #expect(finding.kind == .buffering && finding.summary.contains("collects events"))

        path = Path { $0.batches = 200 }
        finding = try only(path.probe([.buffering]).report)
        #expect(finding.kind == .buffering && finding.summary.contains("wait up to"))
    }

    @Test("says which requests pass where a hop buffers by circumstance")
    func circumstance() throws {
        var path = Path {
            $0.buffer = 8_192
            $0.heedsAccel = true
        }
        var finding = try only(path.probe([.buffering]).report)
        #expect(finding.advice?.contains("X-Accel-Buffering") == true && finding.evidence.contains { $0.contains("8 KiB") })
        path = Path {
            $0.buffer = 8_192
            $0.buffersCompressedOnly = true
        }
        finding = try only(path.probe([.buffering]).report)
        #expect(finding.summary.contains("with gzip allowed") && finding.evidence.contains { $0.contains("compressed: gzip") })
    }

    @Test("sees removed comments, late heads, leaving unheard, narrow paths and caches")
    func others() throws {
        var path = Path { $0.dropsComments = true }
        #expect(try only(path.probe([.comments]).report).kind == .commentsRemoved)

        path = Path { $0.firstByteLimit = 60_000 }
        let late = try only(path.probe([.lateHead], limitMilliseconds: 600_000).report)
        #expect(late.kind == .firstByteTimeout && late.seconds == 60 && late.confidence > 0.9)

        path = Path { $0.hidesLeaving = true }
        #expect(try only(path.probe([.leaving]).report).kind == .leavingUnnoticed)

        path = Path { $0.width = 6 }
        let narrow = try only(path.probe([.width]).report)
        #expect(narrow.kind == .connectionLimit && narrow.streams == 6)

        path = Path { $0.caches = true }
        #expect(try only(path.probe([.width]).report).kind == .cached)
    }

    @Test("says whether the heartbeat suffices: it does below the limit, and does not above")
    func heartbeat() {
        var path = Path { $0.idle = 40_000 }
        let good = path.probe([.limits, .heartbeat], limitMilliseconds: 120_000).report
        #expect(good.proved.contains { $0.contains("kept a stream alive") } && good.findings.map(\.kind) == [.idleTimeout])
        path = Path { $0.idle = 10_000 }
        let bad = path.probe([.limits, .heartbeat], limitMilliseconds: 120_000).report
        #expect(Set(bad.findings.map(\.kind)) == [.idleTimeout, .heartbeatTooSlow])
    }

    @Test("stops at 429 and 503, and where no endpoint answers", arguments: [429, 503, 404, 403])
    func stops(status: Int) throws {
        var path = Path { $0.status = status }
        let (report, mostOpen, _) = path.probe()
        #expect(report.findings.isEmpty && mostOpen <= 2)
        #expect(try #require(report.refusal).isEmpty == false)
    }

    @Test("without the endpoint says what cannot be told")
    func anyURL() {
        var path = Path()
        let report = path.probe(hasSecret: false).report
        #expect(report.steps.map(\.step) == [.meeting, .watching])
        #expect(report.untold.contains { $0.contains("probe_endpoint") } && report.findings.isEmpty)
    }

    // MARK: HTTP/2

    @Test("over HTTP/2 compares with HTTP/1.1, and puts on one connection what a browser would: eight streams, and the one that it leaves")
    func http2() {
        var path = Path { $0.http = "2" }
        let (report, mostOpen, _) = path.probe([.buffering, .leaving, .width])
        #expect(report.findings.isEmpty && report.untold.isEmpty && report.http == "2" && mostOpen <= ProbeTerms.connectionLimit)
        #expect(report.proved.contains { $0.contains("over HTTP/2, with X-Accel-Buffering: no, with gzip allowed, over HTTP/1.1") })
        #expect(report.proved.contains("8 streams of one client run side by side on one connection of HTTP/2"))
        #expect(report.proved.contains { $0.contains("that a client has reset its stream (RST_STREAM)") })
        #expect(path.flown.filter(\.sharesConnection).map(\.label) == ["leaving"] + (1...8).map { "stream \($0)" } + ["seen"])
        #expect(path.flown.filter { $0.version != .usual }.map(\.version) == [.http11])
        var only = Path { $0.http = "2" }
        _ = only.probe([.buffering], isHTTP2Only: true)
        #expect(only.flown.allSatisfy { $0.version == .usual })
        var old = Path()
        #expect(old.probe([.buffering, .width]).report.http == "1.1" && !old.flown.contains(where: \.sharesConnection))
        #expect(old.flown.filter { $0.version != .usual }.map(\.version) == [.http10])
    }

    @Test("says with which code a stream of HTTP/2 was reset, and where its END_STREAM is missing", arguments: [20_000, 60_000])
    func resets(limit: Int64) throws {
        var path = Path {
            ($0.http, $0.idle) = ("2", limit)
            $0.manner = .streamReset("INTERNAL_ERROR")
        }
        let finding = try only(path.probe([.limits]).report)
        #expect(finding.kind == .idleTimeout && finding.streams == 2 && abs(finding.seconds! - Double(limit) / 1_000) <= 0.1)
        #expect(finding.evidence.contains { $0.hasSuffix("then its stream was reset (RST_STREAM, INTERNAL_ERROR)") })
        path = Path { ($0.http, $0.idle) = ("2", limit) }
        let closed = try only(path.probe([.limits]).report)
        #expect(closed.evidence.contains { $0.contains("closed without END_STREAM") })
    }

    @Test("over HTTP/2 blames streams, not connections, where fewer run than were asked for, and where leaving is not heard")
    func narrow() throws {
        var path = Path { ($0.http, $0.width) = ("2", 6) }
        let few = try only(path.probe([.width]).report)
        #expect(few.kind == .connectionLimit && few.advice?.contains("MAX_CONCURRENT_STREAMS") == true)
        path = Path { ($0.http, $0.hidesLeaving) = ("2", true) }
        let unheard = try only(path.probe([.leaving]).report)
        #expect(unheard.kind == .leavingUnnoticed && unheard.evidence[0].contains("RST_STREAM, CANCEL"))
    }
}
