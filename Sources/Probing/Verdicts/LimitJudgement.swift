// Limits on silence and on age, from streams that are silent and streams that talk now and then, all begun at about the same time.
// One long run is exact and needs no search where the hop closes the connection for all to see.

import ProbeScripts

/// The verdict of the step about limits.
enum LimitJudgement {
    /// Two cuts of the same kind within this are one timer.
    private static func agree(_ one: Int64, _ other: Int64) -> Bool { abs(one - other) <= max(1_000, min(one, other) * 3 / 100) }

    static func verdict(_ results: ProbeResults) -> Verdict {
        let silent = results.labelled("silent", of: .limits).filter { !$0.items.isEmpty }
        let talking = results.labelled("talking", of: .limits).filter { !$0.items.isEmpty }
        var verdict = Verdict()
        guard let shown = silent.first, let other = talking.first else {
            if !results.all(of: .limits).isEmpty { verdict.untold.append("limits on silence and age: no stream began") }
            return verdict
        }
        let silentCuts = silent.filter { $0.wasEnded && Silences.cut($0) != nil }
        let talkingCuts = talking.filter { $0.wasEnded && $0.items.count < ($0.plan.script?.itemCount ?? 0) + 1 && isCut($0) }
        let limit = shown.plan.limitMilliseconds

        switch (silentCuts.first, talkingCuts.first) {
        case (let idle?, let absolute?) where agree(idle.endedAt, absolute.endedAt):
            verdict.findings.append(self.absolute(silentCuts + talkingCuts, results, hasOther: true))
        case (let idle?, let absolute?):
            verdict.findings.append(self.idle(silentCuts, of: silent.count, lived: absolute.endedAt, results))
            verdict.findings.append(self.absolute(talkingCuts, results, hasOther: false))
            _ = idle
        case (_?, nil):
            verdict.findings.append(self.idle(silentCuts, of: silent.count, lived: other.endedAt, results))
            verdict.proved.append("no absolute limit below \(spoken(other.endedAt)): a stream with comments lived that long")
        case (nil, _?):
            verdict.findings.append(self.absolute(talkingCuts, results, hasOther: false))
        case (nil, nil):
            if let forgotten = forgotten(silent, results) {
                verdict.findings.append(forgotten)
            } else if let survived = silent.filter({ Silences.survived($0) }).map({ Silences.planned($0) }).max() {
                verdict.proved.append("no idle limit below \(spoken(survived)): a stream without a byte survived that silence")
            }
            verdict.proved.append("no absolute limit below \(spoken(limit)): streams lived that long")
        }
        return verdict
    }

    /// Whether a stream that talks was ended by somebody else before the probe had its time.
    private static func isCut(_ observation: Observation) -> Bool {
        observation.endedAt < observation.plan.limitMilliseconds - 50
    }

    private static func idle(
        _ cuts: [Observation], of count: Int, lived: Int64, _ results: ProbeResults
    ) -> ProbeFinding {
        let silences = cuts.map(\.silenceAtEnd).sorted()
        let (side, seen, isSure) = Manner.side(of: cuts[0], results)
        let isRepeated = silences.count >= 2 && agree(silences[0], silences[silences.count - 1])
        let limit = seconds(silences[0])
        var finding = ProbeFinding(
            .idleTimeout, side, seconds: limit, confidence: (isRepeated ? 0.95 : 0.7) - (isSure ? 0 : 0.15), streams: cuts.count,
            "\(place(side)) ends streams after \(limit) s without a byte.")
        finding.evidence = cuts.map { "silent for \($0.silenceAtEnd) ms, then \(Manner.text($0))" }
        finding.evidence.append("a stream with comments lived \(spoken(lived))")
        if let seen { finding.evidence.append(seen) }
        finding.advice = "A heartbeat below \(spoken(silences[0] / 2)) keeps streams alive; or raise the hop's idle timeout."
        return finding
    }

    private static func absolute(_ cuts: [Observation], _ results: ProbeResults, hasOther: Bool) -> ProbeFinding {
        let ages = cuts.map(\.endedAt).sorted()
        let (side, seen, isSure) = Manner.side(of: cuts[0], results)
        let isRepeated = ages.count >= 2 && agree(ages[0], ages[ages.count - 1])
        let limit = seconds(ages[0])
        var finding = ProbeFinding(
            .absoluteTimeout, side, seconds: limit, confidence: (isRepeated ? 0.95 : 0.7) - (isSure ? 0 : 0.15), streams: cuts.count,
            "\(place(side)) ends streams \(limit) s after they began, whatever is sent.")
        finding.evidence = cuts.map { "aged \($0.endedAt) ms, silent for \($0.silenceAtEnd) ms, then \(Manner.text($0))" }
        if hasOther { finding.evidence.append("silent streams and streams with comments ended at the same age") }
        if let seen { finding.evidence.append(seen) }
        finding.advice = "No heartbeat helps. Raise the hop's limit, or end streams in good order before it, with a retry."
        return finding
    }

    /// Nobody closed the silent streams, and their last event did not come: the connection was forgotten, or one half of it closed.
    private static func forgotten(_ silent: [Observation], _ results: ProbeResults) -> ProbeFinding? {
        let lost = silent.filter { !Silences.survived($0) }
        guard let first = lost.first else { return nil }
        var limit: Double?
        let (side, seen, _) = Manner.side(of: first, results)
        if case .ended(let sighting, let after)? = results.sighting(of: first), after < Silences.planned(first) - 100 {
            limit = seconds(sighting.silenceMilliseconds)
        }
        var finding = ProbeFinding(
            .idleTimeout, side, seconds: limit, confidence: lost.count == silent.count && lost.count > 1 ? 0.85 : 0.6, streams: lost.count,
            "\(place(side)) forgets silent streams and closes nothing: no later byte arrives.")
        finding.isSilentDrop = true
        finding.evidence = ["an event after \(spoken(Silences.planned(first))) of silence never came, and nobody closed the connection"]
        if limit == nil {
            finding.between = 0...seconds(Silences.planned(first))
            finding.evidence.append("after how long it is forgotten is what step \(ProbeStep.forgetting.rawValue) finds out")
        }
        if let seen { finding.evidence.append(seen) }
        finding.advice = "A heartbeat below the limit keeps streams alive."
        return finding
    }

    /// Who did it, as the subject of a sentence.
    static func place(_ side: ProbeFinding.Side) -> String {
        switch side {
        case .client: "A hop before the proxy"
        case .proxy: "The proxy itself"
        case .unknown: "A hop or the server"
        }
    }
}
