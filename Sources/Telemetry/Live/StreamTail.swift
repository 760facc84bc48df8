// The latest lines about streams, as the stream log writes them, for an operator who looks now. One worker's; a console asks for what
// came after a number that it knows. Invariant: it holds at most so many lines, and a reader learns how many it has missed.

/// The latest openings and endings of one worker's streams.
package struct StreamTail: Sendable {
    /// How many lines are kept.
    package static let capacity = 2_000
    /// How many lines one answer holds.
    package static let answerLines = 200

    private var lines: [[UInt8]] = []
    /// How many lines there were in all.
    private var count: UInt64 = 0

    /// An empty tail.
    package init() {}

    /// Keeps one more line, with its line end.
    package mutating func note(_ line: [UInt8]) {
        if lines.count < StreamTail.capacity { lines.append(line) } else { lines[Int(count % UInt64(StreamTail.capacity))] = line }
        count += 1
    }

    /// The lines after that number, the oldest first, at most `answerLines`. A number of 0 asks for what is there.
    package func lines(after known: UInt64) -> TailPart {
        let oldest = count - UInt64(lines.count)
        let first = max(min(known, count), oldest)
        let end = min(count, first + UInt64(StreamTail.answerLines))
        let found = (first..<end).map { lines[Int($0 % UInt64(StreamTail.capacity))] }
        var part = TailPart()
        part.lines = found
        part.last = end
        part.missed = known == 0 ? 0 : first - min(known, count)
        part.isLatest = end == count
        return part
    }
}

/// Lines of a tail.
package struct TailPart: Sendable, Equatable {
    /// The lines, each with its line end.
    package var lines: [[UInt8]] = []
    /// The number to ask with for what follows.
    package var last: UInt64 = 0
    /// How many lines came and went since the number that was asked with.
    package var missed: UInt64 = 0
    /// Whether there are no more.
    package var isLatest = true

    /// No lines.
    package init() {}
}
