// Which opening an end belongs to: the last one of its number, and at the end of all files those that were left over on both sides.

import Telemetry

struct Matching {
    /// An opening whose number came again, or an end that came before its opening.
    private struct Leftover {
        var number: UInt64
        var stream: UInt32
        /// When the number came again, or when the stream ended.
        var time: Int64
    }

    private var openings = NumberTable()
    private var replaced: [Leftover] = []
    private var ends: [Leftover] = []

    /// The stream that was opened last with that number and has not ended.
    @inline(__always)
    func opening(of number: UInt64) -> UInt32? { openings[number] }

    @inline(__always)
    mutating func close(_ number: UInt64) { openings.remove(number) }

    @inline(__always)
    mutating func open(_ number: UInt64, _ stream: UInt32, at time: Int64) {
        forget(number, at: time)
        openings.set(number, stream)
    }

    /// The number was given to another stream.
    @inline(__always)
    mutating func forget(_ number: UInt64, at time: Int64) {
        guard let before = openings[number] else { return }
        replaced.append(Leftover(number: number, stream: before, time: time))
        openings.remove(number)
    }

    @inline(__always)
    mutating func endWithoutOpening(_ number: UInt64, _ stream: UInt32, at time: Int64) {
        ends.append(Leftover(number: number, stream: stream, time: time))
    }

    /// Streams were taken out: new numbers by the old ones, `UInt32.max` for none.
    mutating func renumber(_ numbers: [UInt32]) {
        var left = NumberTable()
        openings.forEach { number, stream in if numbers[Int(stream)] != .max { left.set(number, numbers[Int(stream)]) } }
        openings = left
        Matching.renumber(&replaced, numbers)
        Matching.renumber(&ends, numbers)
    }

    private static func renumber(_ leftovers: inout [Leftover], _ numbers: [UInt32]) {
        leftovers.removeAll { numbers[Int($0.stream)] == .max }
        for index in leftovers.indices { leftovers[index].stream = numbers[Int(leftovers[index].stream)] }
    }

    /// Joins ends with openings that came after them in the files, and lets every stream that has no end last as long as is known.
    mutating func matchLeftovers(in facts: inout LogFacts) {
        for leftover in replaced { facts.streams[Int(leftover.stream)].duration = Matching.span(facts, leftover.stream, to: leftover.time) }
        var opened: [Leftover] = replaced
        openings.forEach { number, stream in
            facts.streams[Int(stream)].duration = Matching.span(facts, stream, to: facts.lastTime)
            opened.append(Leftover(number: number, stream: stream, time: facts.streams[Int(stream)].openedAt))
        }
        for index in opened.indices { opened[index].time = facts.streams[Int(opened[index].stream)].openedAt }
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

    /// How long a stream without an end lived at least, in milliseconds: until the next process began, which may have ended it, or until
    /// that time.
    private static func span(_ facts: LogFacts, _ stream: UInt32, to time: Int64) -> UInt32 {
        let openedAt = facts.streams[Int(stream)].openedAt
        var (low, high) = (0, facts.starts.count)
        while low < high {
            let middle = (low + high) / 2
            if facts.starts[middle].time > openedAt { high = middle } else { low = middle + 1 }
        }
        let start = facts.starts[low...].first { !$0.isReload }?.time ?? time
        return UInt32(clamping: max(0, min(time, start) - openedAt))
    }
}

/// Causes by the bytes of their names.
struct CauseTable {
    private var numbers = NumberTable()

    init() {
        for (number, cause) in Cause.allCases.enumerated() {
            let text = Array(cause.rawValue.utf8) + [UInt8](repeating: 0, count: 8)
            var hash = TextHash()
            hash.add(text.span, 0..<cause.rawValue.utf8.count)
            numbers.set(hash.bits, UInt32(number))
        }
    }

    subscript(bytes: Span<UInt8>, range: Range<Int>) -> Cause? {
        var hash = TextHash()
        hash.add(bytes, range)
        return numbers[hash.bits].map { Cause.allCases[Int($0)] }
    }
}
