// Finding the end of a line in bytes, a word of eight at a time.
//
// The scanner decides what a line means. Invariant: every load lies inside the span; the last bytes that fill no word are read one by
// one.

import Bytes

enum ByteSearch {
    private static let shiftOuts: UInt64 = 0x0E0E_0E0E_0E0E_0E0E

    /// The offset of the first CR or LF at or after `start`, or the span's count where there is none.
    /// `start` lies between 0 and the count.
    @inline(__always)
    static func firstLineEnd(in bytes: Span<UInt8>, from start: Int) -> Int {
        let count = bytes.count
        var offset = start
        while true {
            // Long lines: one branch for eight words. This test is cheaper than the exact one and also stops at a tab.
            while count &- offset >= 64 {
                let smallBytes =
                    smallByteMask(in: bytes, at: offset) | smallByteMask(in: bytes, at: offset &+ 16)
                    | smallByteMask(in: bytes, at: offset &+ 32) | smallByteMask(in: bytes, at: offset &+ 48)
                if (smallBytes[0] | smallBytes[1]) & ByteWord.highestBits != 0 { break }
                offset &+= 64
            }
            let end = min(count, offset &+ 64)
            while end &- offset >= 8 {
                let matches = lineEndMask(ByteWord.load(bytes, at: offset))
                if matches != 0 {
                    return offset &+ (matches.trailingZeroBitCount >> 3)
                }
                offset &+= 8
            }
            if end == count { break }
        }
        while offset < count {
            let byte = bytes[offset]
            if byte == lineFeed || byte == carriageReturn {
                return offset
            }
            offset &+= 1
        }
        return count
    }

    /// Sets the highest bit of a byte below 0x0E among the sixteen from `offset`, and perhaps of others above it. The caller guarantees
    /// that there are sixteen.
    @inline(__always)
    private static func smallByteMask(in bytes: Span<UInt8>, at offset: Int) -> SIMD2<UInt64> {
        let words = bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: SIMD2<UInt64>.self)
        return (words &- SIMD2(repeating: shiftOuts)) & ~words
    }

    /// A mask whose lowest set bit lies in the first byte that is a CR or an LF; zero when there is none.
    ///
    /// Only that lowest bit may be used. The subtraction borrows out of a matching byte into the ones above
    /// it, so bits above a first match may be false; below it, none is.
    @inline(__always)
    private static func lineEndMask(_ word: UInt64) -> UInt64 {
        ByteWord.zeroBytes(word ^ ByteWord.repeated(lineFeed)) | ByteWord.zeroBytes(word ^ ByteWord.repeated(carriageReturn))
    }
}
