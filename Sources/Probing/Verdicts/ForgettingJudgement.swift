// Hops that forget a silent connection without closing it: of many silences side by side, the longest that was survived and the
// shortest that was not. Parallel connections beat a search by halves.

/// The verdict of the step about forgetting hops.
enum ForgettingJudgement {
    static func verdict(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        let plays = results.labelled("silence", of: .forgetting).filter { !$0.items.isEmpty }
        guard !plays.isEmpty else { return verdict }
        let silences = Silences(plays)
        if let survived = silences.longestSurvived {
            verdict.proved.append("a silence of \(spoken(survived)) is survived")
        }
        guard let fatal = silences.shortestFatal else { return verdict }
        let lost = plays.filter { !Silences.survived($0) }
        let survived = silences.longestSurvived ?? 0
        guard survived < fatal else {
            verdict.untold.append(
                "which silence is fatal: \(spoken(survived)) was survived, and \(spoken(fatal)) was not (several paths, or a moment's loss)"
            )
            return verdict
        }
        let (side, seen, isSure) = Manner.side(of: lost[0], results)
        let limit = silences.cutAt.map(seconds) ?? Silences.roundest(between: survived, and: fatal)
        var finding = ProbeFinding(
            .idleTimeout, side, seconds: limit, confidence: (lost.count >= 3 ? 0.95 : 0.75) - (isSure ? 0 : 0.1), streams: lost.count, "")
        if silences.cutAt != nil {
            finding.summary = "\(LimitJudgement.place(side)) ends streams after \(limit) s without a byte."
            finding.evidence = ["\(silences.cuts.count) silent streams were closed after \(silences.cuts[0]) to \(silences.cuts.last!) ms"]
        } else {
            finding.isSilentDrop = true
            finding.between = seconds(survived)...seconds(fatal)
            finding.summary = "\(LimitJudgement.place(side)) forgets streams after about \(limit) s without a byte, and closes nothing."
            finding.evidence = [
                "a silence of \(spoken(survived)) was survived, one of \(spoken(fatal)) was not; \(lost.count) streams were lost"
            ]
        }
        if let seen { finding.evidence.append(seen) }
        finding.advice = "A heartbeat below \(spoken(min(fatal, max(survived, 100)) / 2)) keeps streams alive."
        verdict.findings.append(finding)
        return verdict
    }
}
