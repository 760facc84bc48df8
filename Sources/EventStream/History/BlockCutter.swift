// Cuts a server's event stream, in any pieces, into whole normalised blocks (WHATWG HTML 9.2.5, 9.2.6).
//
// The cutter holds a block until its blank line has come. Others decide what becomes of a block. Invariants: any split of the same bytes
// gives the same blocks; a parser reads from the blocks, one behind the other, what it reads from the server's bytes; between two blocks
// the cutter holds nothing. A block that lies in one piece with LF ends and no comment inside is not copied.
//
//     piece:   ... data: a \n \n  id: 7 \n  data: b \n \n  event: x \n da|
//                         block 1             block 2       held
//
// Bytes that a block has in common with the piece are not moved: its bytes are `held`, followed by `piece[start..<…]`. Every step that
// leaves bytes out (a comment, a CR) first moves what stands before them into `held`.

import Bytes

/// Finds the blocks in one response of a server.
package struct BlockCutter: Sendable {
    /// What the cutter has come to.
    package enum Step: Sendable, Equatable {
        /// All bytes have been followed.
        case more
        /// A block has ended: see `block`.
        case block
        /// There are bytes of a block that is larger than the limit: see `part`. Its last part comes before its `block`.
        case part
    }

    private enum State: UInt8 {
        /// So far all bytes may be a byte order mark, which only the start of a response has.
        case mark
        /// Between lines, or in a line whose beginning is held.
        case lines
        /// In a comment or another line without meaning, of which nothing is held.
        case skipping
        /// In a block above the limit.
        case oversized
    }

    /// A block above the limit, outside of the cutter: nearly all cutters never have one, and each stream has a cutter.
    private indirect enum LargeBlock {
        case none
        case open(OversizedBlock)
    }

    /// How much memory the cutter keeps for the next block that has to be copied.
    private static let keptByteCount = 1_024
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// The beginning of the open block, or the whole of the last one, where it does not lie in one piece.
    private(set) var held: [UInt8] = []
    /// Where the last block lies in the piece, unless it is held.
    private var rangeStart: UInt32 = 0
    private var rangeEnd: UInt32 = 0
    /// The facts of the block that has just ended.
    package private(set) var block = Block()
    private var large: LargeBlock = .none
    /// Where the open line begins in `held`; -1 between lines.
    private var heldLineStart: Int32 = -1
    private let shortLimit: UInt32
    private var state: State = .mark
    private var markCount: UInt8 = 0
    private var lineEnds = LineEnds()
    /// The last step was a block, so the next one begins with nothing.
    private var isOver = false
    /// The blank line of a block above the limit has come, and its last part has been handed on.
    private var isOversizedOver = false

    /// A cutter at the start of a response.
    ///
    /// - Parameter limit: how many normalised bytes a block may have, its blank line included: 1 to 1 GiB.
    package init(limit: Int) {
        precondition(limit > 0 && limit <= 1 << 30, "the limit of a block")
        shortLimit = UInt32(limit)
    }

    private var limit: Int { Int(shortLimit) }

    private var heldLine: Int? {
        get { heldLineStart < 0 ? nil : Int(heldLineStart) }
        set { heldLineStart = Int32(truncatingIfNeeded: newValue ?? -1) }
    }

    /// Whether the server has begun a block and not ended it. If the server ends here, the block is dropped, as a browser would.
    package var isInsideBlock: Bool { !isOver && (state == .oversized || !held.isEmpty) }

    /// Whether parts of the open block have been handed on. If the server ends here, so must the responses that have them.
    /// For tests: a kept stream knows whether its reader has parts.
    package var isInsideOversized: Bool { !isOver && state == .oversized }

    /// More bytes of a block above the limit: whole or broken lines, without its `id` lines. Valid until the next call of `next`.
    package var part: [UInt8] { oversized?.part ?? [] }

    /// Whether the last block's bytes are `held`; otherwise they are the piece's `range`.
    var isHeld: Bool { !held.isEmpty }

    /// The id that the last block sets, empties (an empty array) or leaves alone (nil). The piece is the one that `next` had.
    package func identifier(in piece: Span<UInt8>) -> [UInt8]? {
        if block.isOversized { return oversized?.identifier }
        return block.identifierEffect == .none ? nil : bytes(block.identifier, in: piece)
    }

    /// The last block's type as it came; empty for a `message`. Of a block above the limit it is known only while short, and from the
    /// part on that holds it.
    package func type(in piece: Span<UInt8>) -> [UInt8] {
        state == .oversized || block.isOversized ? oversized?.type ?? [] : bytes(block.type, in: piece)
    }

    /// The last block's normalised bytes, its blank line included; empty for a block above the limit. A copy.
    package func bytes(in piece: Span<UInt8>) -> [UInt8] {
        block.isOversized ? [] : bytes(0..<block.byteCount, in: piece)
    }

    private func bytes(_ part: Range<Int>, in piece: Span<UInt8>) -> [UInt8] {
        withBlockBytes(of: piece) { Array($0[part]) }
    }

    /// The last block's normalised bytes where they lie.
    @inline(__always)
    func withBlockBytes<Result>(of piece: Span<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        if isHeld { return held.withUnsafeBufferPointer(body) }
        return piece.extracting(Int(rangeStart)..<Int(rangeEnd)).withUnsafeBufferPointer(body)
    }

    /// Follows the bytes from `offset` to what comes next in them, and moves `offset` there. Start with 0 for a new piece, and call until
    /// `more` before the next piece, which has less than 1 GiB. Allocates only for blocks that have to be copied.
    package mutating func next(in piece: Span<UInt8>, from offset: inout Int) -> Step {
        if isOver {
            // Nearly every block ends its piece.
            if offset == piece.count, offset > 0 { return .more }
            reset()
        }
        if offset == 0 {
            offset = lineEnds.start(of: piece)
            if state == .mark, !readMark(piece, from: &offset) { return .more }
        }
        if state == .oversized { return nextPart(in: piece, from: &offset) }
        var index = offset
        if state == .skipping || heldLine != nil {
            guard endOpenLine(piece, from: &index) else {
                offset = piece.count
                return whenPieceEnds()
            }
        }
        return cut(piece, from: index, movingTo: &offset)
    }

    /// From here on each line begins in the piece, at `first`.
    @inline(__always)
    private mutating func cut(_ piece: Span<UInt8>, from first: Int, movingTo offset: inout Int) -> Step {
        var start = first
        var index = first
        while index < piece.count {
            let end = ByteSearch.firstLineEnd(in: piece, from: index)
            guard end < piece.count else { break }
            let next = lineEnds.next(after: end, in: piece)
            if end == index {
                if index == start, held.isEmpty {
                    // A blank line behind a blank line, or behind comments alone: there is no block.
                    start = next
                } else {
                    offset = next
                    return endBlock(piece, start, blankLineAt: end)
                }
            } else {
                let field = FieldLine.read(piece, index..<end)
                if case .skipped = field {
                    hold(piece, start..<index)
                    start = next
                } else {
                    block.note(field, at: index, shift: held.count &- start)
                    if piece[end] == carriageReturn {
                        hold(piece, start..<end)
                        held.append(lineFeed)
                        start = next
                    }
                }
            }
            index = next
        }
        if index < piece.count, FieldLine.isSkipped(piece, index..<piece.count) {
            hold(piece, start..<index)
            state = .skipping
        } else {
            if index < piece.count { heldLine = held.count &+ index &- start }
            hold(piece, start..<piece.count)
        }
        offset = piece.count
        return whenPieceEnds()
    }

    /// A block has ended whose bytes are `held` and those from `start` to its blank line.
    @inline(__always)
    private mutating func endBlock(_ piece: Span<UInt8>, _ start: Int, blankLineAt end: Int) -> Step {
        if held.isEmpty, piece[end] == lineFeed {
            rangeStart = UInt32(truncatingIfNeeded: start)
            rangeEnd = UInt32(truncatingIfNeeded: end &+ 1)
            block.byteCount = end &+ 1 &- start
        } else {
            hold(piece, start..<end)
            held.append(lineFeed)
            block.byteCount = held.count
        }
        guard block.byteCount <= limit else {
            if !isHeld { hold(piece, start..<end &+ 1) }
            return beginOversized()
        }
        isOver = true
        return .block
    }

    /// Ends the skipped or held line that the bytes before left open. Returns false where its end has not come yet.
    private mutating func endOpenLine(_ piece: Span<UInt8>, from index: inout Int) -> Bool {
        let end = ByteSearch.firstLineEnd(in: piece, from: index)
        if let heldLine {
            hold(piece, index..<end)
            let isSkipped = FieldLine.isSkipped(held.span, heldLine..<held.count)
            if isSkipped {
                held.removeSubrange(heldLine...)
                self.heldLine = nil
                state = .skipping
            }
            guard end < piece.count else { return false }
            state = .lines
            if !isSkipped {
                block.note(FieldLine.read(held.span, heldLine..<held.count), at: heldLine, shift: 0)
                held.append(lineFeed)
                self.heldLine = nil
            }
        } else {
            guard end < piece.count else { return false }
            state = .lines
        }
        index = lineEnds.next(after: end, in: piece)
        return true
    }

    private mutating func hold(_ piece: Span<UInt8>, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        piece.extracting(range).withUnsafeBufferPointer { held.append(contentsOf: $0) }
    }

    private mutating func whenPieceEnds() -> Step {
        // The first two bytes of a line may still be the beginning of one that is skipped.
        let undecided = heldLine.map { held.count &- $0 } ?? 0
        let certain = held.count &- (undecided < 3 ? undecided : 0)
        // A blank line is to come at least.
        return certain < limit ? .more : beginOversized()
    }

    private mutating func reset() {
        isOver = false
        if !held.isEmpty { held.removeAll(keepingCapacity: held.capacity <= Self.keptByteCount) }
        if state == .oversized {
            state = .lines
            large = .none
        }
        block = Block()
    }

    // MARK: The byte order mark

    /// Drops a byte order mark. Returns false while the bytes may still be one.
    private mutating func readMark(_ piece: Span<UInt8>, from offset: inout Int) -> Bool {
        while offset < piece.count, markCount < 3, piece[offset] == Self.byteOrderMark[Int(markCount)] {
            markCount += 1
            offset += 1
        }
        guard markCount == 3 || offset < piece.count else { return false }
        state = .lines
        if markCount == 1 || markCount == 2 {
            // These bytes are no mark, so they begin a line with an unknown field.
            held = Array(Self.byteOrderMark[..<Int(markCount)])
            heldLine = 0
        }
        return true
    }

    // MARK: Blocks above the limit

    /// What is held of the block is too much, or all of it: it is handed on.
    private mutating func beginOversized() -> Step {
        let bytes = held
        held = []
        heldLine = nil
        var block = OversizedBlock(limit: limit)
        var offset = 0
        var noEnds = LineEnds()
        isOversizedOver = block.receive(bytes.span, from: &offset, &noEnds)
        if state == .skipping { block.goOnSkipping() }
        state = .oversized
        return partEnds(block)
    }

    private mutating func nextPart(in piece: Span<UInt8>, from offset: inout Int) -> Step {
        guard var block = oversized else { preconditionFailure("no block above the limit") }
        // Only one of both may own the bytes that are appended to.
        large = .none
        block.partTaken()
        if !isOversizedOver { isOversizedOver = block.receive(piece, from: &offset, &lineEnds) }
        return partEnds(block)
    }

    private mutating func partEnds(_ oversized: OversizedBlock) -> Step {
        large = .open(oversized)
        guard oversized.part.isEmpty else { return .part }
        guard isOversizedOver else { return .more }
        isOversizedOver = false
        block = oversized.facts
        isOver = true
        return .block
    }

    /// A hash of the last block without the lines of ids, where it is above the limit; 0 for others.
    var oversizedHash: UInt64 { oversized?.hash ?? 0 }

    private var oversized: OversizedBlock? { if case .open(let block) = large { block } else { nil } }
}
