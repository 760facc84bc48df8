// Feeds the world's log to `diagnose`. In most worlds no hop stands between the clients, the proxy and the servers, and nobody has a timer
// of his own, so whatever hop it named would be one that is not there. In the others it has to find the one that is there.

import Diagnosis
import TestSupport

extension Scenario {
    /// What only a hop can do.
    private static let ofHops: Set<Finding.Kind> = [.idleTimeout, .absoluteTimeout, .buffering, .hopRestart]
    /// With so many streams that a hop has cut, it is found for certain.
    private static let enoughCuts = 15
    /// How far the limit that is named may be from the true one.
    private static let toleranceSeconds = 1.0

    /// The method claims no limit and no restart of a hop that is not there; and the reader matches each end with its opening.
    func checkDiagnosis(_ log: LogView) {
        var reader = LogReader()
        reader.beginFile("world")
        reader.read(lines.bytes.span)
        reader.endFile()
        let facts = reader.finish()
        expect(facts.skippedLineCount == 0, "diagnose cannot read \(facts.skippedLineCount) lines of \(facts.lineCount)")
        let diagnosis = Diagnosis(of: facts)
        let endCount = log.records.count { $0["event"] as? String == "stream_end" }
        // Where the clock was wrong for a while, it leaves out what happened meanwhile, and says so.
        let isDated = facts.wrongTimeLineCount == 0
        expect(isDated || plan.troubles.clock, "diagnose calls \(facts.wrongTimeLineCount) times wrong, and the clock was right")
        expect(
            isDated ? diagnosis.ended == endCount : diagnosis.ended <= endCount,
            "diagnose sees \(diagnosis.ended) ends of streams, and there are \(endCount)")
        let claims = diagnosis.findings.filter { $0.isClaim && Scenario.ofHops.contains($0.kind) }
        for finding in claims where !isTrue(finding) {
            // Not known to `diagnose` yet: a request that a hop cut before its answer is sent once more, and its stream's age counts both.
            if let hop = plan.hop, hop.side != .client, !hop.isIdle, let seconds = finding.seconds,
                abs(seconds - Double(2 * hop.milliseconds) / 1_000) <= Scenario.toleranceSeconds
            {
                continue
            }
            // While the machine stood still clients left at any time, and the proxy saw all of them leave in one moment.
            if finding.kind == .hopRestart, world.hasLeapt { continue }
            outcome.misjudgements.append(
                """
                diagnose names a hop that is not there: \(finding.kind.rawValue) \(finding.side) \(finding.seconds ?? 0) s, \
                \(finding.evidence); there is \(plan.hop?.description ?? "none")
                """
            )
        }
        guard let hop = plan.hop else { return }
        let cutCount = watchers.reduce(0) { $0 + $1.cutCount } + servers.reduce(0) { $0 + $1.cutCount }
        guard cutCount >= Scenario.enoughCuts else { return }
        world.count("diagnose has to find a hop: \(hop.side) \(hop.isIdle ? "idle" : "absolute")")
        expect(
            claims.contains(where: isTrue), "diagnose does not find the hop \(hop), which cut \(cutCount) streams: \(diagnosis.findings)")
    }

    private func isTrue(_ finding: Finding) -> Bool {
        guard let hop = plan.hop, let seconds = finding.seconds else { return false }
        let kind: Finding.Kind = hop.isIdle ? .idleTimeout : .absoluteTimeout
        return finding.side == (hop.side == .client ? .client : .upstream) && (finding.kind == kind || finding.alternative == kind)
            && abs(seconds - Double(hop.milliseconds) / 1_000) <= Scenario.toleranceSeconds
    }
}
