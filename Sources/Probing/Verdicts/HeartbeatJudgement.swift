// Whether the heartbeat that the proxy is configured with keeps a stream alive on this path.

import ProbeScripts

/// The verdict of the heartbeat's step.
enum HeartbeatJudgement {
    /// The proxy's longest heartbeat in milliseconds, as its endpoint says; nil if it has none.
    static func interval(_ results: ProbeResults) -> Int? {
        results.all(of: .meeting).lazy.compactMap { $0.fact("heartbeat") }.first.flatMap { Int($0) }.flatMap { value in
            (100...3_600_000).contains(value) ? value : nil
        }
    }

    /// The idle limit that earlier steps found, in milliseconds.
    static func idleLimit(_ results: ProbeResults) -> Int64? {
        let found = LimitJudgement.verdict(results).findings + ForgettingJudgement.verdict(results).findings
        return found.filter { $0.kind == .idleTimeout }.compactMap(\.seconds).min().map { Int64($0 * 1_000) }
    }

    static func verdict(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        // Without the steps that search limits there is nothing to compare with.
        guard !results.all(of: .limits).isEmpty || !results.all(of: .forgetting).isEmpty else { return verdict }
        guard let gap = interval(results) else {
            verdict.untold.append("whether the heartbeat is short enough: the proxy has none")
            return verdict
        }
        guard let observation = results.all(of: .heartbeat).first, let limit = idleLimit(results) else { return verdict }
        guard observation.isFromEndpoint else { return verdict }
        let age = observation.endedAt
        if observation.items.count == observation.plan.script?.itemCount {
            verdict.proved.append(
                "a comment each \(spoken(Int64(gap))), the configured heartbeat, kept a stream alive for \(spoken(age)), three limits"
            )
        } else {
            var finding = ProbeFinding(
                .heartbeatTooSlow, .client, seconds: seconds(limit), confidence: 0.9, streams: 1,
                "The heartbeat of \(spoken(Int64(gap))) does not keep a stream alive: it ended after \(spoken(age)).")
            finding.evidence = ["\(observation.items.count - 1) comments came, then \(Manner.text(observation))"]
            finding.advice = "Set the route's heartbeat to less than half of \(spoken(limit))."
            verdict.findings.append(finding)
        }
        return verdict
    }
}
