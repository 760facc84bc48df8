// A hop that forgets a silent connection without a word (NAT, a load balancer of layer 4). The next write after the silence is answered by
// a reset or by nothing, whenever that write comes. So there is no constant to see, only an edge: no silence above T was survived.

import Glibc
import Telemetry

struct ForgettingHop {
    let finding: Finding
    let explained: [Int]

    private static let fewest = 5
    /// So many of the silences above the edge may have been survived: some do not pass the hop.
    private static let mostSurvived = 0.03
    /// A reset within this after the last write is an answer to the write, in milliseconds: a round trip.
    private static let answer: UInt32 = 1_000
    /// Below this nobody forgets, in milliseconds.
    private static let shortest: UInt32 = 5_000
    /// Limits of hops that forget, in seconds: two clouds' load balancers, carriers, IPVS, a cloud's NAT, RFC 5382.
    private static let known = [240.0, 300, 350, 900, 1200, 7440]

    /// The silence that was the last one before a write which met nobody; nil if the stream ended otherwise.
    private static func fatal(_ stream: StreamFacts) -> UInt32? {
        switch stream.cause {
        case .clientReset:
            guard stream.clientSilenceAtEnd < answer else { return nil }
            // Several writes within one round trip: the silence was before the first of them, and it is the longest.
            return longestBefore(stream) ?? known(stream.clientSilenceBeforeLastWrite)
        case .clientVanished, .clientStalled: return longestBefore(stream) ?? known(stream.clientSilenceBeforeLastWrite)
        default: return nil
        }
    }

    /// The longest silence after which a write was taken.
    private static func survived(_ stream: StreamFacts) -> UInt32? {
        switch stream.cause {
        case .clientReset where stream.clientSilenceAtEnd < answer: return nil
        case .clientVanished, .clientStalled: return nil
        default: return longestBefore(stream) ?? known(stream.clientSilenceBeforeLastWrite)
        }
    }

    /// The longest silence, if it was not the one at the end: that one met no write.
    private static func longestBefore(_ stream: StreamFacts) -> UInt32? {
        guard let longest = known(stream.longestClientSilence) else { return nil }
        guard let last = known(stream.clientSilenceAtEnd) else { return longest }
        return longest > last + 1_000 ? longest : nil
    }

    private static func known(_ silence: UInt32) -> UInt32? { silence == StreamFacts.missing ? nil : silence }

    /// The clearest one. Streams are compared with those of their route that have heartbeats too, or have none too: silences of others
    /// are not alike.
    static func clearest(in book: Casebook) -> ForgettingHop? {
        var groups: [Int: [UInt32]] = [:]
        for (index, stream) in book.facts.streams.enumerated() where !book.isExplained[index] && !stream.marks.contains(.wasHeld) {
            guard fatal(stream) != nil || survived(stream) != nil else { continue }
            let isWoven = stream.marks.contains(.isWoven)
            groups[book.routeOf[Int(stream.surroundings)] * 2 + (isWoven ? 1 : 0), default: []].append(UInt32(index))
        }
        return groups.sorted { $0.key < $1.key }.compactMap { ForgettingHop($0.value, in: book) }
            .max { $0.explained.count < $1.explained.count }
    }

    private init?(_ streams: [UInt32], in book: Casebook) {
        var ends: [(silence: UInt32, stream: Int?)] = []
        let shadow = HeartbeatShadow(streams[...], in: book)
        for index in streams.map(Int.init) {
            let stream = book.facts.streams[index]
            if let silence = Self.fatal(stream), silence >= Self.shortest {
                if !shadow.hides(silence, of: stream) { ends.append((silence, index)) }
            } else if let silence = Self.survived(stream), !shadow.hides(silence, of: stream) {
                ends.append((silence, nil))
            }
        }
        guard ends.count(where: { $0.stream != nil }) >= Self.fewest else { return nil }
        ends.sort { $0.silence > $1.silence }
        guard let edge = Self.edge(ends, in: book) else { return nil }
        let above = ends[..<edge]
        let fatal = above.compactMap(\.stream)
        let borne = ends[edge...].count { $0.stream == nil && $0.silence >= above[above.count - 1].silence / 3 }
        // Others that never were silent for long prove nothing.
        guard borne >= Self.fewest else { return nil }
        guard !Self.isAbsolute(fatal, in: book) else { return nil }
        // The 3 % point, because a client can be gone for another reason, and meet the same answer.
        let shortest = Double(above.filter { $0.stream != nil }[fatal.count - 1 - fatal.count * 3 / 100].silence) / 1_000
        let longest = Double(ends[edge...].first { $0.stream == nil }?.silence ?? 0) / 1_000
        let seconds = Self.roundest(from: longest, to: shortest)
        let returns = Returns(after: fatal, in: book)
        let lethality = Double(fatal.count) / Double(above.count)
        var confidence = 0.75
        if fatal.count >= 10 { confidence += 0.1 }
        if returns.some { confidence += 0.1 }
        var finding = book.finding(.idleTimeout, .client, of: fatal, seconds: seconds, confidence: confidence)
        finding.isSilentDrop = true
        finding.between = min(longest, shortest)...shortest
        finding.lethality = lethality
        finding.returned = returns.afterPause
        finding.evidence = [
            "they met a reset or nothing with the first write after a silence",
            "the shortest such silence was \(Words.seconds(shortest)), the longest that was survived below it \(Words.seconds(longest))",
        ]
        self.finding = finding
        explained = fatal
    }

    /// Most of them end at one age. A hop that resets at that age meets some streams in the second after a long silence.
    private static func isAbsolute(_ fatal: [Int], in book: Casebook) -> Bool {
        let ages = Axis(.age, on: .client, of: fatal.map(UInt32.init)[...], in: book)
        return Cluster.strongest(on: ages).map { $0.ends.count * 2 > fatal.count } ?? false
    }

    /// How many of the silences, the longest first, lie above the edge; nil if there is none.
    private static func edge(_ ends: [(silence: UInt32, stream: Int?)], in book: Casebook) -> Int? {
        let marked = ends.count { $0.stream != nil }
        guard marked >= fewest else { return nil }
        var best: (count: Int, chance: Double)?
        var (high, highOthers) = (0, 0)
        var longest = LongestOfItsStream()
        for (position, end) in ends.enumerated() {
            guard let stream = end.stream else {
                highOthers += 1
                continue
            }
            high += 1
            longest.add(book.facts.streams[stream])
            guard high >= fewest else { continue }
            guard Double(highOthers) <= mostSurvived * Double(high + highOthers) else { continue }
            let split = Chance.split(marked: marked, others: ends.count - marked, high: high, highOthers: highOthers)
            let chance = split + longest.chance
            if chance < min(Chance.level, best?.chance ?? 0) { best = (position + 1, chance) }
        }
        return best?.count
    }

    /// The limit that somebody has most likely set: one that is known where it is the only one in the gap, else the roundest number.
    private static func roundest(from low: Double, to high: Double) -> Double {
        // In a large log the two bounds meet, and a stray reset can lie a little below the limit.
        let (low, high) = high - low < 1 ? (low - 0.5, high + 0.5) : (low, high)
        let fitting = known.filter { $0 > low && $0 <= high }
        if fitting.count == 1 { return fitting[0] }
        for step in [3_600.0, 1_800, 900, 600, 300, 60, 30, 10, 5, 1] {
            let multiple = (high / step).rounded(.down) * step
            if multiple > low { return multiple }
        }
        return (high * 10).rounded(.down) / 10
    }
}

/// A stream that a hop forgot had borne all its other silences, so the fatal one is the longest. Where a client only went away unnoticed,
/// the fatal silence is any one of the stream's, a long one more often than a short one.
private struct LongestOfItsStream {
    private var longest = 0
    private var others = 0
    private var logarithm = 0.0

    mutating func add(_ stream: StreamFacts) {
        let last = stream.clientSilenceBeforeLastWrite
        guard last != StreamFacts.missing, stream.longestClientSilence != StreamFacts.missing, stream.events > 1 else { return }
        if last + 100 < stream.longestClientSilence {
            others += 1
        } else {
            longest += 1
            // Of n silences that are distributed exponentially, the longest is 1 + 1/2 + … + 1/n times as long as the mean one.
            let count = Double(min(stream.events, 1_000))
            logarithm += log((log(count) + 0.58 + 0.5 / count) / count)
        }
    }

    /// The logarithm of how likely that would be without a hop that forgets; 0 where it is not so.
    var chance: Double { others * 10 <= longest ? min(logarithm, 0) : 0 }
}
