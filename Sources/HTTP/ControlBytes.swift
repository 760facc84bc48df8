// Finding the next byte that text does not hold, a word of eight at a time.
//
// The only file of this target that loads words out of bytes. What such a byte means is for whoever asked.
// Invariant: every load lies wholly inside the span; the last bytes that fill no word are looked at singly.

private let lowestBits: UInt64 = 0x0101_0101_0101_0101
private let highestBits: UInt64 = 0x8080_8080_8080_8080
private let blanks: UInt64 = 0x2020_2020_2020_2020
private let deletes: UInt64 = 0x7F7F_7F7F_7F7F_7F7F

/// The offset of the first control byte (below 0x20, or 0x7F) at or after `start` and before `end`, or `end` where there is none.
/// `end` is at most the span's count.
@inline(__always)
func firstControlByte(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    precondition(start >= 0 && end <= bytes.count)
    var offset = start
    while end &- offset >= 8 {
        let word = UInt64(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
        let zeroAtDelete = word ^ deletes
        // Both subtractions borrow into the bytes above a first match only, so the lowest bit is right.
        let matches = (((word &- blanks) & ~word) | ((zeroAtDelete &- lowestBits) & ~zeroAtDelete)) & highestBits
        if matches != 0 { return offset &+ (matches.trailingZeroBitCount >> 3) }
        offset &+= 8
    }
    while offset < end, bytes[offset] >= 0x20, bytes[offset] != 0x7F { offset &+= 1 }
    return offset
}
