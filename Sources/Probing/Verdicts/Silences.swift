// Which silences connections of one run survived, and which not: an event, a silence, one more event.

import ProbeScripts

/// The silences of some observations.
struct Silences {
    /// Whether the event after the silence came.
    static func survived(_ observation: Observation) -> Bool { observation.items.count >= 2 }

    /// The silence that was planned, in milliseconds.
    static func planned(_ observation: Observation) -> Int64 { Int64(observation.plan.script?.parts.last?.gapMilliseconds ?? 0) }

    /// The silence after which somebody closed the connection before the next event was due; nil if nobody did.
    static func cut(_ observation: Observation) -> Int64? {
        guard observation.wasEnded, observation.items.count == 1 else { return nil }
        return observation.silenceAtEnd < planned(observation) - 100 ? observation.silenceAtEnd : nil
    }

    /// The longest silence that was survived.
    let longestSurvived: Int64?
    /// The shortest silence that was not survived.
    let shortestFatal: Int64?
    /// How many were not survived.
    let fatalCount: Int
    /// The silences after which connections were closed, the shortest first.
    let cuts: [Int64]

    init(_ observations: [Observation]) {
        let begun = observations.filter { !$0.items.isEmpty }
        longestSurvived = begun.filter { Self.survived($0) }.map { Self.planned($0) }.max()
        let fatal = begun.filter { !Self.survived($0) }
        shortestFatal = fatal.map { Self.cut($0) ?? Self.planned($0) }.min()
        fatalCount = fatal.count
        cuts = fatal.compactMap { Self.cut($0) }.sorted()
    }

    /// The silence after which connections are closed for all to see; nil if they are not.
    var cutAt: Int64? {
        guard let first = cuts.first, let last = cuts.last, last - first <= max(2_000, first * 3 / 100) else { return nil }
        return first
    }

    /// The roundest number of seconds between a survived silence and a fatal one, both in milliseconds.
    static func roundest(between survived: Int64, and fatal: Int64) -> Double {
        for step: Int64 in [600_000, 300_000, 60_000, 30_000, 10_000, 5_000, 1_000, 500, 100] {
            let candidate = fatal / step * step
            if candidate > survived, candidate > 0 { return seconds(candidate) }
        }
        return seconds(fatal)
    }
}
