// Clients that are refused again and again with the same token: an EventSource keeps the URL that it was made with, so a token in it is
// never renewed.

import Telemetry

enum StaleTokens {
    private static let fewest = 5
    /// The middle gap between two tries, in milliseconds: an EventSource or a page's own retry comes within seconds.
    private static let longestGap: Int64 = 60_000
    /// One client alone has to try so often.
    private static let ofOneClient = 8

    /// Refused and again refused clients; nil if there are too few. The refusals come back by position, those that belong to it.
    static func find(in facts: LogFacts) -> (finding: Finding?, refusals: Set<Int>) {
        let denied = facts.refusals.indices.filter { [401, 403].contains(facts.refusals[$0].status) && facts.refusals[$0].hasToken }
        let stale = Dictionary(grouping: denied) { facts.refusals[$0].client }.values.filter { refusals in
            guard refusals.count >= fewest else { return false }
            let times = refusals.map { facts.refusals[$0].time }.sorted()
            let gaps = zip(times.dropFirst(), times).map { $0 - $1 }.sorted()
            return gaps[gaps.count / 2] <= longestGap
        }
        let all = Set(stale.joined())
        guard stale.count >= 2 || all.count >= ofOneClient else { return (nil, []) }
        var finding = Finding(
            kind: .staleToken, side: .client, streams: all.count, confidence: stale.count >= 2 || all.count >= 20 ? 0.9 : 0.8)
        finding.people = stale.count
        finding.routes = Set(all.map { facts.surroundings[Int(facts.refusals[$0].surroundings)].route }).subtracting([""]).sorted()
        let most = stale.map(\.count).max() ?? 0
        let gaps = stale.flatMap { refusals -> [Int64] in
            let times = refusals.map { facts.refusals[$0].time }.sorted()
            return zip(times.dropFirst(), times).map { $0 - $1 }
        }.sorted()
        let gap = gaps[gaps.count / 2]
        finding.evidence = [
            "one came \(Words.count(most)) times with the same token",
            "such a client tries again about every \(Words.seconds(Double(gap) / 1_000))",
        ]
        finding.moments = all.map { facts.refusals[$0].time }.min().map { [$0] } ?? []
        return (finding, all)
    }
}
