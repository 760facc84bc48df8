// One bad server of several: it ends streams far more often than its neighbours, at no time and no age in particular.

import Glibc
import Telemetry

enum BadServer {
    private static let fewest = 5
    /// More than three times the others' share, and more than a nuisance.
    private static let timesOthers = 3.0
    private static let share = 0.15
    private static let level = log(1e-5)

    /// The findings, and the streams that they explain.
    static func find(in book: Casebook) -> (findings: [Finding], explained: [Int]) {
        var streams = [Int](repeating: 0, count: book.servers.count)
        var bad = [[Int]](repeating: [], count: book.servers.count)
        for (index, stream) in book.facts.streams.enumerated() where stream.cause != nil && !book.isExplained[index] {
            let server = book.serverOf[Int(stream.surroundings)]
            // The log does not tell which one.
            guard !book.servers[server].name.isEmpty else { continue }
            streams[server] += 1
            if isBad(stream) { bad[server].append(index) }
        }
        var findings: [Finding] = []
        var explained: [Int] = []
        for (_, neighbours) in Dictionary(grouping: book.servers.indices, by: { book.servers[$0].upstream }).sorted(by: { $0.key < $1.key })
        {
            for server in neighbours where neighbours.count > 1 && bad[server].count >= fewest {
                let others = neighbours.filter { $0 != server }
                let othersBad = others.reduce(0) { $0 + bad[$1].count }
                let othersAll = others.reduce(0) { $0 + streams[$1] }
                let usual = (Double(othersBad) + 0.5) / Double(othersAll + 1)
                let own = Double(bad[server].count) / Double(streams[server])
                guard own > share, own > timesOthers * usual, othersAll > 0,
                    Chance.atLeast(bad[server].count, mean: usual * Double(streams[server])) < level,
                    !isLimit(bad[server], in: book), !isMoment(bad[server], in: book)
                else { continue }
                var finding = book.finding(
                    .badServer, .upstream, of: bad[server], confidence: bad[server].count >= 10 ? 0.9 : 0.8)
                finding.evidence = [
                    "\(Words.count(bad[server].count)) of its \(Words.count(streams[server], "stream")) ended badly",
                    "of the other servers' \(Words.count(othersAll, "stream")) \(othersBad == 0 ? "none" : Words.count(othersBad)) did",
                ]
                findings.append(finding)
                explained += bad[server]
            }
        }
        return (findings, explained)
    }

    /// Most of them end in the same quarter of a minute: something happened once.
    private static func isMoment(_ bad: [Int], in book: Casebook) -> Bool {
        let times = bad.map { book.facts.streams[$0].endedAt }.sorted()
        let most = bad.count * 6 / 10
        return times.indices.dropFirst(most).contains { times[$0] - times[$0 - most] <= 15_000 }
    }

    private static func isBad(_ stream: StreamFacts) -> Bool {
        switch stream.cause {
        case .upstreamCutOff, .upstreamReset, .upstreamSilent, .upstreamVanished, .upstreamNoResponse, .connectionRefused: true
        default: false
        }
    }

    /// Most of them end at one age or one silence: this is a limit, and the search for limits says more of it.
    private static func isLimit(_ bad: [Int], in book: Casebook) -> Bool {
        let streams = bad.map(UInt32.init)[...]
        return [Measure.age, .silence].contains { measure in
            let axis = Axis(measure, on: .upstream, of: streams, in: book)
            return Cluster.strongest(on: axis).map { $0.ends.count * 10 >= bad.count * 6 } ?? false
        }
    }
}
