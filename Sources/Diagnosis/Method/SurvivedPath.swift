// What each side was proved to bear: the longest silence and the longest life that several streams outlived. No limit below them is there.

import Telemetry

extension Diagnosis.Survived {
    /// So many streams make a fact of it, and in a large log so large a share: a few may have gone another way.
    private static let fewest = 3
    private static let share = 0.005

    /// Of one side; a limit that was found there bounds what was proved.
    init(of side: Finding.Side, in book: Casebook, limits: [Finding]) {
        self.init()
        var silences: [UInt32] = []
        var ages: [UInt32] = []
        for stream in book.facts.streams {
            if let silence = Self.outlived(stream, on: side) { silences.append(silence) }
            ages.append(stream.duration)
        }
        let claims = limits.filter { $0.isClaim && $0.side == side }
        let idle = claims.filter { $0.kind == .idleTimeout }.compactMap(\.seconds).min()
        let absolute = claims.filter { $0.kind == .absoluteTimeout || $0.kind == .buffering }.compactMap(\.seconds).min()
        (silence, silenceStreams) = Self.longest(of: silences, below: idle)
        (age, ageStreams) = Self.longest(of: ages, below: absolute)
    }

    /// The longest silence that the side bore, in milliseconds: one that was followed by bytes, or one that ended for a reason of the
    /// other side.
    private static func outlived(_ stream: StreamFacts, on side: Finding.Side) -> UInt32? {
        guard let longest = stream.reached(.silence, on: side) else { return nil }
        let endedHere = stream.cause.map { $0.side.rawValue == side.rawValue } ?? false
        guard endedHere else { return longest }
        guard let last = stream.atEnd(.silence, on: side) else { return nil }
        return longest > last + 1_000 ? longest : nil
    }

    private static func longest(of values: [UInt32], below limit: Double?) -> (Double?, Int) {
        let most = limit.map { UInt32(max($0 * 1_000 - 1, 0)) } ?? .max
        var fitting = values.filter { $0 <= most }
        fitting.sortByDigits()
        let needed = max(fewest, Int(share * Double(values.count)))
        guard fitting.count >= needed else { return (nil, 0) }
        let value = fitting[fitting.count - needed]
        guard value >= 1_000 else { return (nil, 0) }
        return (Double(value) / 1_000, values.count { $0 >= value })
    }
}
