// All verdicts of a probe together.

/// What a probe came to.
package struct ProbeReport: Sendable {
    /// The verdict of each step that ran, in order.
    package private(set) var steps: [(step: ProbeStep, verdict: Verdict)] = []
    /// Why the probe ended early; nil if it did not.
    package let refusal: String?
    /// The proxy's longest heartbeat in seconds, as its endpoint says; nil where that is not known.
    package let heartbeatSeconds: Double?
    /// The intermediaries that fields name.
    package let hops: [String]
    /// The version of HTTP that was spoken, as logs have it; nil if none was.
    package let http: String?

    /// Judges what was seen.
    package init(_ results: ProbeResults, steps asked: [ProbeStep], refusal: String?) {
        self.refusal = refusal
        heartbeatSeconds = HeartbeatJudgement.interval(results).map { Double($0) / 1_000 }
        hops = MeetingJudgement.hops(results)
        http = MeetingJudgement.http(results)
        for step in asked.sorted() { steps.append((step, ProbeReport.verdict(of: step, results))) }
    }

    /// What hurts, the surest first; of two findings about one limit only the surer one.
    package var findings: [ProbeFinding] {
        var kept: [ProbeFinding] = []
        for finding in steps.flatMap(\.verdict.findings).sorted(by: { $0.confidence > $1.confidence }) {
            let isKnown = kept.contains { other in
                guard other.kind == finding.kind, other.side == finding.side else { return false }
                guard let one = other.seconds, let two = finding.seconds else { return finding.isSilentDrop || finding.kind == .buffering }
                return abs(one - two) <= max(1, one * 0.03)
            }
            if !isKnown { kept.append(finding) }
        }
        return kept
    }

    /// What was seen to be fine.
    package var proved: [String] { steps.flatMap(\.verdict.proved) }
    /// What could not be told.
    package var untold: [String] { steps.flatMap(\.verdict.untold) }
    /// Plain facts.
    package var facts: [String] { steps.flatMap(\.verdict.facts) }

    /// What one step came to.
    package static func verdict(of step: ProbeStep, _ results: ProbeResults) -> Verdict {
        switch step {
        case .meeting: MeetingJudgement.meeting(results)
        case .head: PassageJudgement.head(results)
        case .firstEvent: PassageJudgement.firstEvent(results)
        case .buffering: PassageJudgement.buffering(results)
        case .comments: PassageJudgement.comments(results)
        case .limits: LimitJudgement.verdict(results)
        case .forgetting: ForgettingJudgement.verdict(results)
        case .heartbeat: HeartbeatJudgement.verdict(results)
        case .lateHead: ReachJudgement.lateHead(results)
        case .leaving: ReachJudgement.leaving(results)
        case .width: ReachJudgement.width(results)
        case .watching: MeetingJudgement.watching(results)
        }
    }
}
