// Which opening an end belongs to: the last one of its number, and at the end of all files those that were left over on both sides.

import Telemetry

struct Matching {
    /// An opening whose number came again, or an end that came before its opening.
    private struct Leftover {
        var number: UInt64
        var stream: UInt32
        /// When it was opened, or when it ended.
        var time: Int64 = 0
    }

    private var openings = NumberTable()
    /// The opening before that one, where it has not ended either.
    private var older = NumberTable()
    private var recent = RecentEnds()
    private var replaced: [Leftover] = []
    private var ends: [Leftover] = []

    /// The stream that was opened last with that number and has not ended.
    @inline(__always)
    func opening(of number: UInt64) -> UInt32? { openings[number] }

    /// The one before that, which another process may have opened.
    @inline(__always)
    func olderOpening(of number: UInt64) -> UInt32? { older.count == 0 ? nil : older[number] }

    /// The stream of that number that ended last, if it was lately.
    @inline(__always)
    func recentEnd(of number: UInt64) -> UInt32? { recent[number] }

    /// A stream of that number has ended.
    @inline(__always)
    mutating func end(_ number: UInt64, _ stream: UInt32) { recent.add(number, stream) }

    /// That stream has ended.
    @inline(__always)
    mutating func close(_ number: UInt64, isOlder: Bool) { if isOlder { older.remove(number) } else { openings.remove(number) } }

    mutating func open(_ number: UInt64, _ stream: UInt32) { openings.set(number, stream) }

    /// The number is given to another stream. Returns the stream that had it and has not ended.
    @inline(__always)
    mutating func forget(_ number: UInt64) -> UInt32? {
        guard let before = openings[number] else { return nil }
        if let oldest = older[number] { replaced.append(Leftover(number: number, stream: oldest)) }
        older.set(number, before)
        openings.remove(number)
        return before
    }

    @inline(__always)
    mutating func endWithoutOpening(_ number: UInt64, _ stream: UInt32, at time: Int64) {
        ends.append(Leftover(number: number, stream: stream, time: time))
    }

    /// Streams were taken out: new numbers by the old ones, `UInt32.max` for none.
    mutating func renumber(_ numbers: [UInt32]) {
        Matching.renumber(&openings, numbers)
        Matching.renumber(&older, numbers)
        recent.renumber(numbers)
        Matching.renumber(&replaced, numbers)
        Matching.renumber(&ends, numbers)
    }

    private static func renumber(_ table: inout NumberTable, _ numbers: [UInt32]) {
        var left = NumberTable()
        table.forEach { number, stream in if numbers[Int(stream)] != .max { left.set(number, numbers[Int(stream)]) } }
        table = left
    }

    private static func renumber(_ leftovers: inout [Leftover], _ numbers: [UInt32]) {
        leftovers.removeAll { numbers[Int($0.stream)] == .max }
        for index in leftovers.indices { leftovers[index].stream = numbers[Int(leftovers[index].stream)] }
    }

    /// Joins ends with openings that came after them in the files, and lets every stream that has no end last as long as is known.
    mutating func matchLeftovers(in facts: inout LogFacts) {
        var opened: [Leftover] = replaced
        for table in [openings, older] { table.forEach { opened.append(Leftover(number: $0, stream: $1)) } }
        for index in opened.indices {
            let stream = opened[index].stream
            opened[index].time = facts.streams[Int(stream)].openedAt
            facts.streams[Int(stream)].duration = Matching.span(facts, facts.streams[Int(stream)])
        }
        guard !opened.isEmpty, !ends.isEmpty else { return }
        opened.sort { ($0.number, $0.time) < ($1.number, $1.time) }
        ends.sort { ($0.number, $0.time) < ($1.number, $1.time) }
        var isJoined = [Bool](repeating: false, count: facts.streams.count)
        var first = 0
        for end in ends {
            while first < opened.count, opened[first].number < end.number { first += 1 }
            let began = facts.streams[Int(end.stream)].openedAt
            var best: Int?
            var at = first
            while at < opened.count, opened[at].number == end.number {
                let time = opened[at].time
                if !isJoined[Int(opened[at].stream)], time >= began - 5_000, time <= end.time {
                    if let found = best, (opened[found].time - began).magnitude <= (time - began).magnitude {} else { best = at }
                }
                at += 1
            }
            guard let best else { continue }
            let opening = opened[best].stream
            isJoined[Int(opening)] = true
            facts.streams[Int(end.stream)].openedAt = facts.streams[Int(opening)].openedAt
            facts.streams[Int(end.stream)].marks.insert(.openingSeen)
        }
        var index = -1
        facts.streams.removeAll { _ in
            index += 1
            return isJoined[index]
        }
    }

    /// How long a stream without an end lived at least, in milliseconds: until its number came again, until the next process began,
    /// which may have ended it, or until the last line.
    private static func span(_ facts: LogFacts, _ stream: StreamFacts) -> UInt32 {
        var (low, high) = (0, facts.starts.count)
        while low < high {
            let middle = (low + high) / 2
            if facts.starts[middle].time > stream.openedAt { high = middle } else { low = middle + 1 }
        }
        let start = facts.starts[low...].first { !$0.isReload }?.time ?? facts.lastTime
        let replaced = stream.duration == 0 ? Int64.max : stream.openedAt + Int64(stream.duration)
        return UInt32(clamping: max(0, min(facts.lastTime, start, replaced) - stream.openedAt))
    }
}

/// The streams that ended last, by their numbers, so that a later line can name one as the previous stream of its client. Two ends with the
/// same place stay; the older of three is forgotten, and its client is then looked for by its openings as in logs without that field.
private struct RecentEnds {
    private struct End {
        var number: UInt64 = 0
        var stream = UInt32.max
    }

    private static let places = 1 << 12

    /// Two for each place, the later one first.
    private var ends = [End](repeating: End(), count: 2 * places)

    @inline(__always)
    private func place(_ number: UInt64) -> Int { Int(truncatingIfNeeded: number &>> 17) & (RecentEnds.places &- 1) &<< 1 }

    @inline(__always)
    subscript(number: UInt64) -> UInt32? {
        let place = place(number)
        let end = ends[place].number == number ? ends[place] : ends[place + 1]
        return end.number == number && end.stream != .max ? end.stream : nil
    }

    @inline(__always)
    mutating func add(_ number: UInt64, _ stream: UInt32) {
        let place = place(number)
        if ends[place].number != number { ends[place + 1] = ends[place] }
        ends[place] = End(number: number, stream: stream)
    }

    mutating func renumber(_ numbers: [UInt32]) {
        for index in ends.indices where ends[index].stream != .max { ends[index].stream = numbers[Int(ends[index].stream)] }
    }
}

/// Causes by the bytes of their names.
struct CauseTable {
    private var numbers = NumberTable()

    init() {
        for (number, cause) in Cause.allCases.enumerated() {
            let text = Array(cause.rawValue.utf8) + [UInt8](repeating: 0, count: 8)
            var hash = TextHash(.fixed)
            hash.add(text.span, 0..<cause.rawValue.utf8.count)
            numbers.set(hash.bits, UInt32(number))
        }
    }

    subscript(bytes: Span<UInt8>, range: Range<Int>) -> Cause? {
        var hash = TextHash(.fixed)
        hash.add(bytes, range)
        return numbers[hash.bits].map { Cause.allCases[Int($0)] }
    }
}
