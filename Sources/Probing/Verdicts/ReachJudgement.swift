// Late heads, clients that leave, many streams at once, caches.

import ProbeScripts

/// The verdicts of the last three steps.
enum ReachJudgement {
    // MARK: Late head

    static func lateHead(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        let plays = results.all(of: .lateHead)
        guard !plays.isEmpty else { return verdict }
        let good = plays.filter(\.isFromEndpoint).compactMap { $0.plan.script?.holdMilliseconds }.max()
        if let good { verdict.proved.append("a head may come \(spoken(Int64(good))) after the request") }
        let bad = plays.filter { !$0.isFromEndpoint && ($0.status >= 400 || $0.wasEnded) }
        let moments = bad.map { $0.headAt ?? $0.endedAt }.sorted()
        guard let first = moments.first, let observation = bad.first(where: { ($0.headAt ?? $0.endedAt) == first }) else { return verdict }
        let isRepeated = moments.filter { $0 - first <= 1_000 }.count > 1
        let answer = observation.status > 0 ? "answers \(observation.status) itself" : "gives up"
        var finding = ProbeFinding(
            .firstByteTimeout, .client, seconds: seconds(first), confidence: isRepeated ? 0.95 : 0.7, streams: bad.count,
            "A hop before the proxy \(answer) when no head has come \(seconds(first)) s after the request.")
        finding.evidence = bad.map { play in
            let hold = spoken(Int64(play.plan.script?.holdMilliseconds ?? 0))
            let answer = play.status > 0 ? "status \(play.status)" : Manner.text(play)
            return "head held for \(hold): \(answer) after \(play.headAt ?? play.endedAt) ms"
        }
        if !observation.firstLine.isEmpty { finding.evidence.append("its page begins: \(observation.firstLine)") }
        finding.advice = "Answer streams at once, before their first event (the route's \"early\" does that), or raise the hop's limit."
        verdict.findings.append(finding)
        return verdict
    }

    // MARK: Leaving

    static func leaving(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        guard let left = results.rounds(of: .leaving).first?.first else { return verdict }
        guard !left.items.isEmpty else {
            verdict.untold.append("whether the proxy hears that a client leaves: the stream did not begin; \(Manner.text(left))")
            return verdict
        }
        switch results.sighting(of: left) {
        case .ended(_, let after)?:
            let delay = max(0, after - left.endedAt)
            guard delay > 2_000 else {
                let manner = left.http == "2" ? "reset its stream (RST_STREAM)" : "left"
                verdict.proved.append("the proxy hears within \(spoken(max(delay, 1))) that a client has \(manner)")
                return verdict
            }
            let what = "hears only after \(spoken(delay)) that a client has left a silent stream"
            verdict.findings.append(unnoticed(what, seconds(delay), left))
        case .open(let sighting)?:
            verdict.findings.append(
                unnoticed(
                    "does not hear that a client has left a silent stream: it was still open after \(spoken(sighting.silenceMilliseconds))",
                    nil, left))
        case .unknown?:
            verdict.untold.append(
                "whether the proxy hears that a client leaves: the process that was asked does not know the stream (several run there?)")
        case nil: verdict.untold.append("whether the proxy hears that a client leaves: it could not be asked")
        }
        return verdict
    }

    private static func unnoticed(_ what: String, _ seconds: Double?, _ left: Observation) -> ProbeFinding {
        var finding = ProbeFinding(.leavingUnnoticed, .client, seconds: seconds, confidence: 0.9, streams: 1, "The proxy \(what).")
        let isStream = left.http == "2"
        let manner =
            isStream
            ? "reset its stream after the first event and kept the connection, as browsers do (RST_STREAM, CANCEL)"
            : "closed its connection after the first event"
        finding.evidence = ["the probe \(manner); a hop in between kept the proxy's side open"]
        let known = isStream ? "Caddy does that with \"flush_interval -1\"" : "HAProxy needs \"option abortonclose\""
        finding.advice = "\(known); behind other hops heartbeats end such streams, because they are written to somebody who is gone."
        return finding
    }

    // MARK: Width

    static func width(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        guard let round = results.rounds(of: .width).first, !round.isEmpty else { return verdict }
        let open = round.filter(\.isFromEndpoint).count
        let isOneConnection = round.allSatisfy { $0.http == "2" }
        if open == round.count {
            verdict.proved.append("\(open) streams of one client run side by side\(isOneConnection ? " on one connection of HTTP/2" : "")")
        } else {
            let others = round.filter { !$0.isFromEndpoint }
            let statuses = Set(others.map(\.status)).sorted().map { $0 == 0 ? "no response" : "\($0)" }.joined(separator: ", ")
            var finding = ProbeFinding(
                .connectionLimit, .client, confidence: 0.8, streams: open,
                "Of \(round.count) streams of one client at once, \(open) ran; the others met: \(statuses).")
            finding.evidence = others.map { "\($0.plan.label): \($0.status > 0 ? "status \($0.status) \($0.firstLine)" : Manner.text($0))" }
            let isGoingAway = others.contains { $0.ending == .leftBehind }
            finding.advice = widthAdvice(isOneConnection: isOneConnection, isGoingAway: isGoingAway)
            verdict.findings.append(finding)
        }
        if let again = results.labelled("again", of: .width).first {
            if again.isFromEndpoint || again.status == 304 {
                var finding = ProbeFinding(
                    .cached, .client, confidence: 0.95, streams: 1, "A cache before the proxy answers an event stream's request.")
                finding.evidence = ["the same request, sent twice, was answered with the same nonce twice; the endpoint plays it once"]
                finding.advice = "Exempt event streams from the cache; the endpoint's responses say no-store."
                verdict.findings.append(finding)
            } else if again.status == 409 {
                verdict.proved.append("no cache answers: a request sent twice reaches the proxy twice")
            }
        }
        return verdict
    }

    private static func widthAdvice(isOneConnection: Bool, isGoingAway: Bool) -> String {
        if isGoingAway {
            return "A hop takes few requests on a connection and then says GOAWAY (nginx: keepalive_requests): browsers need another one."
        }
        guard isOneConnection else {
            return "A limit on a client's connections: this proxy's (connections_per_client, the endpoint's own) or a hop's."
        }
        return """
            A limit on the streams of one connection: of HTTP/2 (MAX_CONCURRENT_STREAMS), or the endpoint's own. A browser waits in \
            silence then, with all other requests to the host.
            """
    }
}
