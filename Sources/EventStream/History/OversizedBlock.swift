// Hands on a block that is larger than the limit, in parts as it comes, without holding more than a line's beginning.
//
// The parts are normalised like any block, with one difference: `id` lines are taken out, and the id is known at the end. So the log can
// write the id that its readers need in one place, before the blank line. Invariant: the parts, an `id` line and a blank line together
// read like the block.

import Bytes

struct OversizedBlock: Sendable {
    /// How many bytes decide what a line is that has not ended: enough for each name, and for each usual type and number.
    private static let decidingByteCount = 64

    private enum Line: UInt8 {
        /// So little of the line has come that it may still be anything.
        case beginning
        case passing
        case skipped
        case identifier
    }

    /// What can be handed on and has not been taken yet.
    private(set) var part: [UInt8] = []
    /// The block's id so far, if one of its lines sets or empties it.
    private(set) var identifier: [UInt8]?
    /// The block's type so far.
    private(set) var type: [UInt8] = []
    /// The facts so far. Its ranges mean nothing.
    private(set) var facts = Block()
    /// The open line's bytes, as long as they are not handed on.
    private var line: [UInt8] = []
    private var kind: Line = .beginning
    /// Of all parts that have been handed on. The same bytes in other pieces give the same.
    private var hasher = Hasher()
    private let limit: Int

    /// A block without bytes yet. An id longer than the limit is dropped.
    init(limit: Int) {
        self.limit = limit
        facts.isOversized = true
    }

    /// The bytes that come next belong to a line to be skipped whose beginning has been left out.
    mutating func goOnSkipping() { kind = .skipped }

    /// A hash of what has been handed on, which nobody outside of this process can foresee. Any split of the same block gives the same.
    var hash: UInt64 { UInt64(truncatingIfNeeded: hasher.finalize()) }

    /// Forgets the part that was handed on.
    mutating func partTaken() {
        part.withUnsafeBytes { hasher.combine(bytes: $0) }
        part.removeAll(keepingCapacity: true)
    }

    /// Follows the block from `offset` to its end or to the end of the piece. Returns whether the blank line has come.
    mutating func receive(_ piece: Span<UInt8>, from offset: inout Int, _ lineEnds: inout LineEnds) -> Bool {
        while offset < piece.count {
            let end = ByteSearch.firstLineEnd(in: piece, from: offset)
            let isBlank = end == offset && kind == .beginning && line.isEmpty
            if !isBlank { goOn(piece.extracting(offset..<end)) }
            guard end < piece.count else {
                offset = end
                return false
            }
            offset = lineEnds.next(after: end, in: piece)
            if isBlank { return true }
            endLine()
        }
        return false
    }

    /// More of the open line.
    private mutating func goOn(_ bytes: Span<UInt8>) {
        switch kind {
        case .skipped: return
        case .passing: append(bytes, to: &part)
        case .identifier:
            if line.count <= limit { append(bytes, to: &line) }
        case .beginning:
            append(bytes, to: &line)
            if line.count >= Self.decidingByteCount { decide() }
        }
    }

    /// The line is long and has not ended: its beginning says whether it has to be held.
    private mutating func decide() {
        if FieldLine.isSkipped(line.span, 0..<line.count) {
            kind = .skipped
            line.removeAll()
        } else if line.starts(with: "id:".utf8) {
            kind = .identifier
        } else {
            if line.starts(with: "data:".utf8) { facts.hasData = true }
            kind = .passing
            part += line
            line.removeAll(keepingCapacity: true)
        }
    }

    private mutating func endLine() {
        defer {
            kind = .beginning
            line.removeAll(keepingCapacity: true)
        }
        switch kind {
        case .skipped: return
        case .passing: part.append(lineFeed)
        case .beginning, .identifier:
            guard line.count <= limit || kind == .beginning else { return }
            let field = FieldLine.read(line.span, 0..<line.count)
            facts.note(field, at: 0, shift: 0)
            switch field {
            case .skipped: return
            case .identifier(let value): identifier = Array(line[value])
            case .type(let value):
                type = Array(line[value])
                part += line
                part.append(lineFeed)
            case .data, .retry, .other:
                part += line
                part.append(lineFeed)
            }
        }
    }

    private func append(_ bytes: Span<UInt8>, to array: inout [UInt8]) { bytes.withUnsafeBufferPointer { array.append(contentsOf: $0) } }
}
