// Moments first: many streams of one server, or of one address before the proxy, end within two seconds although they are of all ages. A
// process was replaced there. Their ends are of no limit, so they are taken out before limits are looked for.

import Glibc
import Telemetry

/// One moment in which streams of one server or address ended together.
struct Moment {
    /// Where: a number of `Casebook.servers`, or an address.
    let place: Int
    /// The first end, in milliseconds since 1970-01-01 UTC.
    let time: Int64
    let streams: [Int]
    /// Of the streams that lived there at that time, the share that ended.
    let share: Double
    /// The middle of the silences at their ends if all are the same, in milliseconds.
    let sameSilence: Int?
}

enum Moments {
    private static let fewest = 4
    /// A process closes its connections within this, in milliseconds.
    private static let window: Int64 = 2_500
    /// A large server needs longer, as long as the ends follow each other without a gap.
    private static let longest: Int64 = 15_000
    private static let gap: Int64 = 500
    /// What is usual is taken from five minutes to each side.
    private static let around: Int64 = 300_000
    /// The middle half of the ages is wider than this and this share; else a limit has ended streams that had begun together.
    private static let widthOfAges = 4_000
    private static let shareOfAges = 0.05

    private struct End {
        let time: Int64
        let stream: UInt32
    }

    /// The moments of all places, in order of place and time. `isEnd` chooses the ends that count.
    static func all(
        in book: Casebook, places: Int, place: (StreamFacts) -> Int, side: Finding.Side, isEnd: (StreamFacts) -> Bool
    ) -> [Moment] {
        let streams = book.facts.streams
        let groups = Casebook.grouped(streams.map { UInt32(place($0)) }, into: places)
        return (0..<places).flatMap { number -> [Moment] in
            let here = groups.positions[groups.starts[number]..<groups.starts[number + 1]]
            guard here.count >= fewest else { return [] }
            let ended = here.filter { streams[Int($0)].cause != nil }
            let ends = ended.filter { isEnd(streams[Int($0)]) && !book.isExplained[Int($0)] }
                .map { End(time: streams[Int($0)].endedAt, stream: $0) }.sorted { $0.time < $1.time }
            let dense = denseRanges(ends, facts: book.facts)
            guard !dense.isEmpty else { return [] }
            let opened = here.map { streams[Int($0)].openedAt }
            let closed = ended.map { streams[Int($0)].endedAt }.sorted()
            return dense.compactMap { range in
                let members = range.map { Int(ends[$0].stream) }
                guard differ(members.map { Int(streams[$0].duration) }) else { return nil }
                let time = ends[range.lowerBound].time
                let living = max(opened.count(upTo: time - 1) - closed.count(upTo: time - 1), told(members, side, book.facts))
                let silences = members.compactMap { streams[$0].atEnd(.silence, on: side) }.map(Int.init).sorted()
                return Moment(
                    place: number, time: time, streams: members, share: Double(members.count) / Double(max(living, members.count)),
                    sameSilence: same(silences, of: members.count))
            }
        }
    }

    /// How many streams of the server the proxy counted itself: the openings of some may be in no log that was read.
    private static func told(_ members: [Int], _ side: Finding.Side, _ facts: LogFacts) -> Int {
        guard side == .upstream, facts.keptOneIn == 1 else { return 0 }
        return members.map { facts.streams[$0].openStreamsOfServer }.filter { $0 != .max }.max().map { Int($0) + 1 } ?? 0
    }

    /// The parts of the ends in which improbably many follow each other.
    private static func denseRanges(_ ends: [End], facts: LogFacts) -> [Range<Int>] {
        guard ends.count >= fewest else { return [] }
        let needed = Chance.level - log(Double(ends.count))
        var found: [Range<Int>] = []
        var (first, last, low, high) = (0, 0, 0, 0)
        while first < ends.count {
            let time = ends[first].time
            while last < ends.count, ends[last].time <= time + window { last += 1 }
            while low < ends.count, ends[low].time < time - around { low += 1 }
            while high < ends.count, ends[high].time <= time + window + around { high += 1 }
            let count = last - first
            let next = last
            var isNew = false
            if count >= fewest {
                let from = max(time - around, facts.firstTime)
                let to = min(time + window + around, max(facts.lastTime, ends[ends.count - 1].time))
                let rate = (Double(first - low + high - last) + 0.5) / Double(max(to - from - window, 60_000))
                isNew = Chance.atLeast(count, mean: rate * Double(window)) < needed
            }
            guard isNew else {
                first += 1
                continue
            }
            // The first end of a window may be one that was there by chance: the place with the most is the moment.
            let start = densest(ends, from: first, to: next)
            var end = start
            while end < ends.count, ends[end].time <= ends[start].time + window { end += 1 }
            while end < ends.count, ends[end].time - ends[end - 1].time <= gap, ends[end].time <= ends[start].time + longest { end += 1 }
            found.append(start..<end)
            first = end
            last = max(last, end)
        }
        return found
    }

    private static func densest(_ ends: [End], from first: Int, to last: Int) -> Int {
        var best = (start: first, count: 0)
        var end = first
        for start in first..<last {
            while end < ends.count, ends[end].time <= ends[start].time + window { end += 1 }
            if end - start > best.count { best = (start, end - start) }
        }
        return best.start
    }

    private static func differ(_ ages: [Int]) -> Bool {
        let sorted = ages.sorted()
        let width = sorted[sorted.count * 3 / 4] - sorted[sorted.count / 4]
        return width > widthOfAges && Double(width) > shareOfAges * Double(sorted[sorted.count / 2])
    }

    /// The middle of the silences if nearly all are known and the middle half is as equal as a timer is.
    private static func same(_ silences: [Int], of count: Int) -> Int? {
        guard silences.count * 10 >= count * 8, silences.count >= fewest else { return nil }
        let middle = silences[silences.count / 2]
        let width = silences[silences.count * 3 / 4] - silences[silences.count / 4]
        return middle >= 2_000 && width <= max(1_000, middle / 100) ? middle : nil
    }
}
