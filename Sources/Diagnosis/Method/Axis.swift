// One measure of the streams on one side: their age, or the silence at their end. Holds the ends in order and how long all streams were at
// risk, so that each step asks for a range in no time. Invariant: a stream whose end is no candidate is censored: it counts as at risk.

import Telemetry

/// What is measured.
enum Measure { case age, silence }

/// An end and where it lies, as one number, so that a million of them sort quickly: milliseconds above, the stream's index below.
struct EndPoint {
    private let bits: UInt64

    /// `isRefuted`: it is an end, but known not to be this measure's limit.
    init(_ milliseconds: UInt32, stream: Int, isRefuted: Bool = false) {
        bits = UInt64(milliseconds) << 32 | (isRefuted ? 1 << 31 : 0) | UInt64(stream)
    }

    private init(bits: UInt64) { self.bits = bits }
    var milliseconds: Int { Int(bits >> 32) }
    var stream: Int { Int(bits & 0x7FFF_FFFF) }
    var isRefuted: Bool { bits & 1 << 31 != 0 }

    /// From the earliest on.
    static func ordered(_ ends: [EndPoint]) -> [EndPoint] {
        var bits = ends.map(\.bits)
        bits.sortByDigits(from: 32)
        return bits.map(EndPoint.init(bits:))
    }
}

struct Axis {
    let measure: Measure
    /// The ends that may be a limit's, from the earliest on.
    private(set) var ends: [EndPoint]
    /// How far each stream came, ended or not, in order.
    private let reached: [UInt32]
    /// For each prefix of `reached`, its sum.
    private let sums: [Double]

    /// Of these streams.
    init(_ measure: Measure, on side: Finding.Side, of streams: ArraySlice<UInt32>, in book: Casebook) {
        self.measure = measure
        let shadow = measure == .silence && side == .client ? HeartbeatShadow(streams, in: book) : nil
        var ends: [EndPoint] = []
        var reached: [UInt32] = []
        for index in streams.lazy.map(Int.init) {
            let stream = book.facts.streams[index]
            // A held stream is older than what its server sent: its age says nothing of a hop behind the proxy.
            if measure == .age, side == .upstream, stream.marks.contains(.wasHeld) { continue }
            guard let far = stream.reached(measure, on: side) else { continue }
            reached.append(far)
            guard stream.mayBeLimit(on: side), !book.isExplained[index], let value = stream.atEnd(measure, on: side) else { continue }
            if let shadow, shadow.hides(value, of: stream) { continue }
            // It had borne a longer silence before, on the same way: this one did not end it.
            let isRefuted = measure == .silence && Int(far) > Int(value) + Limit.margin(Double(value) / 1_000)
            ends.append(EndPoint(value, stream: index, isRefuted: isRefuted))
        }
        reached.sortByDigits()
        var sum = 0.0
        sums =
            [0]
            + reached.map { far in
                sum += Double(far)
                return sum
            }
        self.ends = EndPoint.ordered(ends)
        self.reached = reached
    }

    /// Leaves out ends that a round has explained.
    mutating func removeEnds(where isExplained: (EndPoint) -> Bool) { ends.removeAll(where: isExplained) }

    /// How many streams came farther than that, in milliseconds.
    func count(beyond milliseconds: Int) -> Int {
        var (low, high) = (0, reached.count)
        while low < high {
            let middle = (low + high) / 2
            if Int(reached[middle]) <= milliseconds { low = middle + 1 } else { high = middle }
        }
        return reached.count - low
    }

    /// A place that moves only forward along `reached`, so that a whole scan costs one pass.
    struct RiskCursor {
        private var index = 0

        /// The time that all streams together spent below that value, in milliseconds.
        mutating func time(below milliseconds: Int, on axis: Axis) -> Double {
            axis.sums[move(to: milliseconds, on: axis)] + Double(axis.reached.count - index) * Double(milliseconds)
        }

        /// How many streams came to that value.
        mutating func count(from milliseconds: Int, on axis: Axis) -> Int { axis.reached.count - move(to: milliseconds, on: axis) }

        private mutating func move(to milliseconds: Int, on axis: Axis) -> Int {
            while index < axis.reached.count, Int(axis.reached[index]) < milliseconds { index += 1 }
            return index
        }
    }
}

extension StreamFacts {
    /// The value at its end; nil where the logs do not tell it.
    func atEnd(_ measure: Measure, on side: Finding.Side) -> UInt32? {
        guard measure == .silence else { return duration }
        let silence = side == .client ? clientSilenceAtEnd : upstreamSilenceAtEnd
        return silence == Self.missing ? nil : min(silence, duration)
    }

    /// How far it came, at its end or before.
    func reached(_ measure: Measure, on side: Finding.Side) -> UInt32? {
        guard measure == .silence else { return duration }
        let longest = side == .client ? longestClientSilence : longestUpstreamSilence
        let last = atEnd(.silence, on: side)
        return longest == Self.missing ? last : max(min(longest, duration), last ?? 0)
    }
}

/// Heartbeats keep the client's silences below their interval, so silences pile up just below the interval. These say nothing of a hop.
struct HeartbeatShadow {
    private let intervals: [UInt32]
    private let routeOf: [Int]

    /// The interval of a route where the log does not tell it: the middle of the longest silences of streams that had heartbeats.
    init(_ streams: ArraySlice<UInt32>, in book: Casebook) {
        routeOf = book.routeOf
        var silences = [[UInt32]](repeating: [], count: book.routes.count)
        for index in streams {
            let stream = book.facts.streams[Int(index)]
            let told = stream.heartbeatInterval
            guard stream.heartbeats > 0 || told != StreamFacts.missing else { continue }
            let interval = told == StreamFacts.missing ? stream.longestClientSilence : told
            if interval != StreamFacts.missing { silences[book.routeOf[Int(stream.surroundings)]].append(interval) }
        }
        intervals = silences.map { all in all.isEmpty ? StreamFacts.missing : all.sorted()[all.count / 2] }
    }

    func hides(_ silence: UInt32, of stream: StreamFacts) -> Bool {
        guard stream.marks.contains(.isWoven), !stream.marks.contains(.endedMidLine) else { return false }
        let told = stream.heartbeatInterval
        let interval = told == StreamFacts.missing ? intervals[routeOf[Int(stream.surroundings)]] : told
        return interval != StreamFacts.missing && Double(silence) > 0.93 * Double(interval)
    }
}
