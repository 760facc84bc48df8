// What is remembered of a block that was passed on, so that it is known when it comes again.

import Bytes

/// Hashes of a block's bytes.
struct BlockMark: Equatable, RingElement {
    static var filler: BlockMark { BlockMark() }

    /// The hash that equals no other: nothing is known of the block.
    static let none: UInt64 = 0

    /// The hash of the whole block.
    private(set) var whole = BlockMark.none
    /// The hash of the block without the lines of ids.
    private(set) var content = BlockMark.none

    /// Nothing is known.
    init() {}

    /// What the cutter has just found in the piece.
    init(_ cutter: BlockCutter, of piece: Span<UInt8>) {
        guard !cutter.block.isOversized else {
            content = cutter.oversizedHash | 1
            whole = cutter.identifier(in: piece).map { $0.withUnsafeBufferPointer { Self.hash($0, seed: content) } } ?? content
            return
        }
        (whole, content) = cutter.withBlockBytes(of: piece) { bytes in
            let whole = Self.hash(bytes, seed: 0)
            guard cutter.block.identifierLineCount > 0 else { return (whole, whole) }
            return (whole, BlockLog.withoutIdentifierLines(bytes).withUnsafeBufferPointer { Self.hash($0, seed: 0) })
        }
    }

    /// A hash that nobody outside of this process can foresee.
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>, seed: UInt64) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(seed)
        hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
        return UInt64(truncatingIfNeeded: hasher.finalize()) | 1
    }
}
