// What the hops do to what passes: the head, the first event, steady events, comments.

import ProbeScripts

/// The verdicts of the steps about passing through.
enum PassageJudgement {
    /// A delay below this could be a slow network's.
    private static let heldMilliseconds: Int64 = 1_000

    // MARK: Head

    static func head(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        guard let observation = results.all(of: .head).first else { return verdict }
        guard let headAt = observation.headAt, let planned = observation.plan.script?.firstGap else {
            verdict.untold.append("whether the head comes before the first event: \(Manner.text(observation)), without a head")
            return verdict
        }
        let delay = headAt - results.quickestWay
        guard delay >= heldMilliseconds else {
            verdict.proved.append("the head comes at once (after \(headAt) ms), before the first event: a browser's onopen is on time")
            return verdict
        }
        let isWithBody = (observation.arrivals.first?.at ?? .max) - headAt < 100 && delay >= planned - 500
        var finding = ProbeFinding(
            .headHeld, .client, seconds: seconds(delay), confidence: isWithBody ? 0.95 : 0.9, streams: 1,
            isWithBody
                ? "A hop before the proxy holds the response's head back until the first byte of the body comes."
                : "A hop before the proxy holds the response's head back for \(spoken(delay)).")
        finding.evidence = ["the head was sent at once and came after \(headAt) ms\(isWithBody ? ", together with the first event" : "")"]
        let nginx = observation.http == "2" ? "does not help nginx over HTTP/2" : "does too in nginx"
        finding.advice = """
            A browser's onopen is late. A comment behind the head ends the wait: the heartbeat's opening comment does. \
            "proxy_buffering off" \(nginx).
            """
        verdict.findings.append(finding)
        return verdict
    }

    // MARK: First event

    static func firstEvent(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        guard let observation = results.all(of: .firstEvent).first else { return verdict }
        guard let first = observation.items.first else {
            verdict.untold.append("whether the first event comes at once: none came; \(Manner.text(observation))")
            return verdict
        }
        let delay = first.at - first.item.madeAt - results.quickestWay
        guard delay >= heldMilliseconds else {
            verdict.proved.append("a single event comes at once (\(max(0, delay)) ms late), though nothing follows it")
            return verdict
        }
        let isTogether = observation.items.count > 1 && observation.items[1].at - first.at < 100
        var finding = ProbeFinding(
            .buffering, .client, confidence: 0.9, streams: 1,
            isTogether
                ? "A hop before the proxy keeps an event back until the next one, or the end, comes."
                : "A hop before the proxy keeps the first event back for \(spoken(delay)).")
        finding.evidence = ["an event that was sent at \(first.item.madeAt) ms came at \(first.at) ms"]
        finding.advice = "Events sent steadily hide this. Look for virus scanners and buffers (\(bufferAdvice))"
        verdict.findings.append(finding)
        return verdict
    }

    private static let bufferAdvice =
        "nginx: proxy_buffering off, proxy_http_version 1.1, no gzip for text/event-stream; or send X-Accel-Buffering: no)"

    // MARK: Buffering

    static func buffering(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        guard let round = results.rounds(of: .buffering).first else { return verdict }
        let way = results.quickestWay
        var shapes: [(request: String, lumps: Lumps, observation: Observation)] = []
        for observation in round {
            if let lumps = Lumps(observation, way: way) {
                shapes.append((name(observation), lumps, observation))
            } else {
                verdict.untold.append("buffering of the \(observation.plan.label) request: \(Manner.text(observation))")
            }
        }
        let bad = shapes.filter { $0.lumps.kind != .passes }
        let good = shapes.filter { $0.lumps.kind == .passes }
        if !good.isEmpty {
            verdict.proved.append("events come one by one, each when it is sent (\(good.map(\.request).joined(separator: ", ")))")
        }
        guard let worst = bad.first else { return verdict }
        verdict.findings.append(finding(worst.lumps, bad.map(\.request), good.map(\.request), of: shapes.count, worst.observation, results))
        return verdict
    }

    private static let withoutBuffering = "with X-Accel-Buffering: no"

    /// What is special about a request, as a phrase.
    private static func name(_ observation: Observation) -> String {
        switch observation.plan.label {
        case "plain": "over HTTP/\(observation.http)"
        case "X-Accel-Buffering": withoutBuffering
        case "compressed": "with gzip allowed"
        default: "over \(observation.plan.label)"
        }
    }

    private static func finding(
        _ lumps: Lumps, _ bad: [String], _ good: [String], of count: Int, _ observation: Observation, _ results: ProbeResults
    ) -> ProbeFinding {
        let cases = bad.count == count ? "" : " \(bad.joined(separator: " and "))"
        var finding: ProbeFinding
        switch lumps.kind {
        case .late(let delay):
            finding = ProbeFinding(
                .buffering, .client, seconds: seconds(delay), confidence: 0.8, streams: bad.count,
                "A hop before the proxy makes events wait up to \(spoken(delay))\(cases).")
            finding.advice = "HAProxy without \"option http-no-delay\" does that."
        case .collected(let bytes):
            finding = ProbeFinding(
                .buffering, .client, confidence: 0.9, streams: bad.count,
                "A hop before the proxy collects events and sends up to \(bytes) bytes at once\(cases).")
            finding.advice = "Switch its buffer off for event streams (\(bufferAdvice)"
        case .untilEnd, .passes:
            finding = ProbeFinding(
                .buffering, .client, confidence: 0.95, streams: bad.count,
                "A hop before the proxy holds all events back until the response ends\(cases).")
            finding.advice = "Switch its buffer off for event streams (\(bufferAdvice)"
        }
        let sent = observation.plan.script?.itemCount ?? 0
        finding.evidence = ["\(sent) events were sent 250 ms apart and came at \(lumps.moments) moments"]
        if let encoding = observation.value(of: "content-encoding") { finding.evidence.append("the response is compressed: \(encoding)") }
        if !good.isEmpty { finding.evidence.append("they pass \(good.joined(separator: ", "))") }
        if good.contains(withoutBuffering) {
            finding.advice = "Have the response say X-Accel-Buffering: no, as Heartwire does by itself."
        }
        if let large = results.labelled("1 KiB a second", of: .buffering).first {
            let lump = large.arrivals.first.map { first in large.arrivals.prefix { $0.at - first.at < 200 }.reduce(0) { $0 + $1.bytes } }
            finding.evidence.append(
                lump.map { "of larger events it sends about \(max(1, ($0 + 512) / 1_024)) KiB at once" }
                    ?? "of \(large.plan.script?.itemCount ?? 0) KiB nothing came")
        }
        return finding
    }

    // MARK: Comments

    static func comments(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        guard let observation = results.all(of: .comments).first, let script = observation.plan.script else { return verdict }
        let came = Set(observation.items.map(\.item.number))
        let missing = (0..<script.itemCount).filter { !came.contains($0) }
        guard !missing.isEmpty else {
            verdict.proved.append("comments pass: heartbeats reach the client")
            return verdict
        }
        guard observation.items.contains(where: { !$0.item.isComment && $0.item.number > (missing.first ?? 0) }) else {
            verdict.untold.append("whether comments pass: \(Manner.text(observation)) after \(came.count) of \(script.itemCount) items")
            return verdict
        }
        var finding = ProbeFinding(
            .commentsRemoved, .client, confidence: 0.9, streams: 1, "A hop before the proxy removes comments, and heartbeats with them.")
        finding.evidence = ["\(missing.count) of \(script.itemCount) items are missing, and later events came"]
        finding.advice = "Use heartbeats that are events (heartbeat_kind event)."
        verdict.findings.append(finding)
        return verdict
    }
}
