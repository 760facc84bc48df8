// A finding of a probe in the words of `diagnose`, as far as `diagnose` knows its kind: the same headline, the same candidates out of the
// table of hops, the same advice.

import Diagnosis

/// A finding, and what is said about it.
struct SaidFinding {
    let finding: ProbeFinding
    /// What happens, in a sentence.
    let headline: String
    /// What to change.
    let advice: [String]
    /// The hops of the table that have this limit.
    let candidates: [Hop]

    /// Says it. `heartbeat` is the proxy's own in seconds, and `hops` what the fields name, where they are known.
    init(_ finding: ProbeFinding, heartbeat: Double?, hops: [String]) {
        self.finding = finding
        guard let same = SaidFinding.asDiagnosed(finding, hops: hops) else {
            headline = finding.summary
            advice = [finding.advice].compactMap { $0 }
            candidates = []
            return
        }
        let explanation = Explanation(same, heartbeatInForce: heartbeat)
        candidates = explanation.candidates
        guard finding.side != .unknown else {
            headline = finding.summary
            advice = [finding.advice].compactMap { $0 }
            return
        }
        headline = explanation.headline
        advice = explanation.advice
    }

    /// The finding as `diagnose` would have made it; nil where it knows no such finding.
    private static func asDiagnosed(_ finding: ProbeFinding, hops: [String]) -> Finding? {
        let kind: Finding.Kind
        switch finding.kind {
        case .idleTimeout: kind = .idleTimeout
        case .absoluteTimeout: kind = .absoluteTimeout
        default: return nil
        }
        guard finding.side != .proxy, finding.seconds != nil else { return nil }
        var same = Finding(
            kind: kind, side: .client, seconds: finding.seconds, streams: finding.streams, confidence: finding.confidence)
        same.isSilentDrop = finding.isSilentDrop
        same.between = finding.between
        same.hops = hops
        return same
    }
}
