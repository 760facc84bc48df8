// Line ends of an event stream in pieces: LF, CR or CRLF (WHATWG HTML 9.2.5).
//
// Invariant: a CR ends its line at once, also as the last byte of a piece. An LF that comes behind it belongs to it.

import Bytes

/// Remembers between two pieces whether an LF at the start of the next one belongs to the last one's CR.
struct LineEnds: Sendable {
    private var isAfterCarriageReturn = false

    /// Where the first line of a new piece begins: behind an LF that belongs to the CR before it.
    @inline(__always)
    mutating func start(of piece: Span<UInt8>) -> Int {
        guard isAfterCarriageReturn, piece.count > 0 else { return 0 }
        isAfterCarriageReturn = false
        return piece[0] == lineFeed ? 1 : 0
    }

    /// The offset behind the line end at `index`.
    @inline(__always)
    mutating func next(after index: Int, in piece: Span<UInt8>) -> Int {
        let next = index &+ 1
        guard piece[index] == carriageReturn else { return next }
        if next == piece.count {
            isAfterCarriageReturn = true
            return next
        }
        return piece[next] == lineFeed ? next &+ 1 : next
    }
}
