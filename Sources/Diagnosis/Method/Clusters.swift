// Ends that gather where nobody would expect them. A window over the ends in order holds a cluster if it holds far more than the rate
// around it explains: the hazard (ends for each second at risk) times the time at risk in the window.

import Glibc

/// The ends in a window.
struct Cluster {
    let measure: Measure
    /// From the earliest on.
    let ends: [EndPoint]
    /// How wide the window is, in milliseconds.
    let width: Int
    /// The logarithm of how likely as many would be by chance.
    let chance: Double

    var streams: [Int] { ends.map(\.stream) }
    /// From the first to the last of them, in milliseconds.
    var spread: Int { ends[ends.count - 1].milliseconds - ends[0].milliseconds }
}

extension Cluster {
    /// Fewer may be friends who closed their laptops together.
    private static let fewest = 4
    /// Below this a rate that was only misjudged could pass, however many ends there are.
    private static let timesExpected = 8.0
    /// An exact timer, one that is checked now and then, a busy hop, a process that looks once a second, a managed platform.
    private static let widths: [@Sendable (Int) -> Int] = [
        { _ in 50 }, { _ in 200 }, { _ in 600 }, { _ in 1_600 }, { max(2_000, $0 * 3 / 100) },
    ]
    /// No window is wider than a quarter of its value: nobody sets a timer that is late by more than that, and people who stay for a few
    /// seconds all end within a few seconds.
    private static let leastWidths = 4
    /// So many ends before a window say how the rate is just there.
    private static let preceding = 5
    /// No limit is shorter than this, in milliseconds.
    private static let earliest = 1_000

    /// The least likely window of the axis, if it is one at all.
    static func strongest(on axis: Axis) -> Cluster? {
        let ends = axis.ends
        guard ends.count >= fewest else { return nil }
        let needed = Chance.level - log(Double(ends.count * widths.count))
        var best: (range: Range<Int>, width: Int, chance: Double)?
        var possible = [0]
        possible.reserveCapacity(ends.count + 1)
        for end in ends { possible.append(possible[possible.count - 1] + (end.isRefuted ? 0 : 1)) }
        for width in widths {
            var scan = Scan()
            for first in ends.indices {
                let start = ends[first].milliseconds
                guard start >= max(earliest, leastWidths * width(start)), !ends[first].isRefuted,
                    first == 0 || ends[first - 1].milliseconds != start || ends[first - 1].isRefuted
                else { continue }
                let range = scan.window(from: first, width: width(start), on: axis)
                let count = possible[range.upperBound] - possible[first]
                guard count >= fewest else { continue }
                let expected = scan.expected(from: start, width: width(start), on: axis)
                guard Double(count) >= timesExpected * expected else { continue }
                let chance = Chance.atLeast(count, mean: expected)
                if chance < min(needed, best?.chance ?? 0) { best = (range, width(start), chance) }
            }
        }
        return best.map {
            Cluster(measure: axis.measure, ends: ends[$0.range].filter { !$0.isRefuted }, width: $0.width, chance: $0.chance)
        }
    }

    /// One pass over the axis with windows of one width. All places only move forward.
    private struct Scan {
        private var end = 0
        private var lowEnd = 0
        private var startEnd = 0
        private var nearest = Axis.RiskCursor()
        private var belowEnd = 0
        private var highEnd = 0
        private var low = Axis.RiskCursor()
        private var below = Axis.RiskCursor()
        private var start = Axis.RiskCursor()
        private var stop = Axis.RiskCursor()
        private var high = Axis.RiskCursor()

        mutating func window(from first: Int, width: Int, on axis: Axis) -> Range<Int> {
            let last = axis.ends[first].milliseconds + width
            while end < axis.ends.count, axis.ends[end].milliseconds <= last { end += 1 }
            startEnd = first
            return first..<end
        }

        /// How many ends the rate beside the window explains.
        mutating func expected(from first: Int, width: Int, on axis: Axis) -> Double {
            let reach = max(first * 4 / 10, 10 * width)
            let bottom = max(first - reach, earliest)
            let last = first + width
            Self.move(&lowEnd, to: bottom, on: axis)
            Self.move(&belowEnd, to: max(first - 4 * width, earliest), on: axis)
            Self.move(&highEnd, to: last + reach, on: axis)
            let timeAtStart = start.time(below: first, on: axis)
            // Half an end is added: where nothing ended, the rate is not zero but unknown.
            let around =
                (Double(startEnd - lowEnd + highEnd - end) + 0.5)
                / max(
                    timeAtStart - low.time(below: bottom, on: axis) + high.time(below: last + reach, on: axis)
                        - stop.time(below: last, on: axis), 1)
            // A limit has an edge on its lower side. A hump of people who leave has none: it is as high just below.
            let justBelow =
                Double(startEnd - belowEnd) / max(timeAtStart - below.time(below: max(first - 4 * width, earliest), on: axis), 1)
            return max(around, justBelow, beforeIt(timeAtStart, on: axis)) * Double(start.count(from: first, on: axis)) * Double(width)
        }

        /// The rate of the last few ends before the window, however near they are: it follows a rate that rises to the end of a range.
        private mutating func beforeIt(_ timeAtStart: Double, on axis: Axis) -> Double {
            guard startEnd >= Cluster.preceding else { return 0 }
            let first = axis.ends[startEnd - Cluster.preceding].milliseconds
            return Double(Cluster.preceding - 1) / max(timeAtStart - nearest.time(below: first, on: axis), 1)
        }

        private static func move(_ place: inout Int, to milliseconds: Int, on axis: Axis) {
            while place < axis.ends.count, axis.ends[place].milliseconds < milliseconds { place += 1 }
        }
    }
}
