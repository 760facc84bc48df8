// Logs in, `LogFacts` out. It is fed with pieces of bytes, in any split, and touches no file.
//
// A piece is read in one go up to the last line end behind which eight bytes can be loaded; the rest waits for the next piece. Matching
// openings and ends is StreamCollector's.
// Invariant: the facts do not depend on how the bytes are split, and memory is bounded whatever the bytes are.

import Bytes

/// Reads logs.
package struct LogReader {
    /// Longer lines are skipped.
    package static let longestLineBytes = 1 << 20
    /// Behind a line that is scanned so many bytes can be loaded.
    private static let slackBytes = 8

    private var scanner = LineScanner()
    private var collector: StreamCollector
    /// The beginning of a line that has not ended.
    private var rest: [UInt8] = []
    /// The line has become too long: everything up to its end is skipped.
    private var isSkipping = false

    /// A reader that keeps at most so many streams; when there are more, it keeps one in two clients, then one in four, and so on. Which
    /// ones depends on the seed; tests ask for one, otherwise it is the system's randomness.
    package init(mostStreams: Int = 1 << 19, seed: UInt64? = nil) {
        collector = StreamCollector(mostStreams: mostStreams, seed: HashSeed(seed ?? .random(in: 0 ... .max)))
    }

    /// How many lines were read so far.
    package var lineCount: Int { collector.lineCount }

    /// The next bytes belong to a file with this name. At most 65,536 files have numbers of their own.
    package mutating func beginFile(_ name: String) { collector.beginFile(name) }

    /// A file with this name is not read: it is the same as another one.
    package mutating func leaveOutFile(_ name: String) { collector.leaveOutFile(name) }

    /// The file is over: a last line without a line end counts too.
    package mutating func endFile() {
        if isSkipping { collector.skipLine() }
        isSkipping = false
        if !rest.isEmpty {
            rest.append(lineFeed)
            readRest()
        }
    }

    /// All that was read.
    package consuming func finish() -> LogFacts { collector.finish() }

    /// Takes the next bytes of the file.
    package mutating func read(_ piece: Span<UInt8>) {
        var start = 0
        if isSkipping || !rest.isEmpty {
            let end = firstByte(lineFeed, in: piece, 0..<piece.count)
            let isWhole = end < piece.count
            keep(piece, 0..<(isWhole ? end + 1 : end))
            guard isWhole else { return }
            start = end + 1
            if isSkipping { collector.skipLine() } else { readRest() }
            isSkipping = false
        }
        start = readLines(piece, from: start, to: LogReader.lastLineEnd(in: piece, from: start, to: piece.count - LogReader.slackBytes))
        // What follows in this piece are lines without those eight bytes, and the beginning of a line.
        while start < piece.count {
            let end = firstByte(lineFeed, in: piece, start..<piece.count)
            let isWhole = end < piece.count
            keep(piece, start..<(isWhole ? end + 1 : end))
            start = end + 1
            if isWhole { readRest() }
        }
    }

    /// Behind the last LF of the range; its beginning if there is none.
    private static func lastLineEnd(in piece: Span<UInt8>, from start: Int, to end: Int) -> Int {
        var at = end
        while at > start {
            if piece[at - 1] == lineFeed { return at }
            at -= 1
        }
        return start
    }

    private mutating func keep(_ piece: Span<UInt8>, _ range: Range<Int>) {
        guard !isSkipping else { return }
        guard rest.count + range.count <= LogReader.longestLineBytes + 1 else {
            isSkipping = true
            rest.removeAll()
            return
        }
        piece.extracting(range).withUnsafeBufferPointer { rest.append(contentsOf: $0) }
    }

    /// Reads the line that was put together.
    private mutating func readRest() {
        var line = rest
        rest = []
        let end = line.count
        line.append(contentsOf: repeatElement(0, count: LogReader.slackBytes))
        _ = readLines(line.span, from: 0, to: end)
        line.removeAll(keepingCapacity: line.count < 65_536)
        rest = line
    }

    /// Reads whole lines; `end` is behind an LF. Returns it.
    private mutating func readLines(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        precondition(end <= start || end + LogReader.slackBytes <= bytes.count && bytes[end - 1] == lineFeed)
        var at = start
        while at < end {
            if let lineEnd = scanner.read(bytes, from: at) {
                if lineEnd &- at <= LogReader.longestLineBytes {
                    collector.take(bytes, scanner.values)
                } else {
                    collector.skipLine()
                }
                at = lineEnd &+ 1
                continue
            }
            let lineEnd = firstByte(lineFeed, in: bytes, at..<end)
            if !LogReader.isEmpty(bytes, at..<lineEnd) { collector.skipLine() } else { collector.passLine() }
            at = lineEnd + 1
        }
        return max(start, end)
    }

    private static func isEmpty(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        range.count < 64 && range.allSatisfy { isBlank(bytes[$0]) || bytes[$0] == carriageReturn }
    }
}
