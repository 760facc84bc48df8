// Searches bytes a word of eight at a time: for the next control byte, or for the byte that ends a name.
//
// Only `ByteWord.load` loads words from bytes. The caller decides what a found byte means.
// Invariant: every load lies inside the span; the last bytes that fill no word are read one by one.

/// Eight bytes as one number, the first byte lowest.
@usableFromInline
package enum ByteWord {
    /// The lowest bit of each byte.
    @inlinable package static var lowestBits: UInt64 {
        @inline(__always) get { 0x0101_0101_0101_0101 }
    }

    /// The highest bit of each byte.
    @inlinable package static var highestBits: UInt64 {
        @inline(__always) get { 0x8080_8080_8080_8080 }
    }

    /// That byte in each place of a word.
    @inlinable @inline(__always)
    package static func repeated(_ byte: UInt8) -> UInt64 { UInt64(byte) &* lowestBits }

    /// The eight bytes from `offset`. The caller guarantees that there are eight.
    @inlinable @inline(__always)
    package static func load(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    /// The highest bit of each byte that is zero. Only the lowest bit that is set is reliable: the subtraction borrows into the bytes
    /// above a first match.
    @inlinable @inline(__always)
    package static func zeroBytes(_ word: UInt64) -> UInt64 { (word &- lowestBits) & ~word & highestBits }

    /// The word with the letters A to Z in lower case; every other byte stays as it is.
    @inlinable @inline(__always)
    package static func lowercased(_ word: UInt64) -> UInt64 {
        // Sums of seven bits each, so that none carries into the next byte.
        let low = word & ~highestBits
        let fromA = low &+ repeated(0x80 - 0x41)
        let behindZ = low &+ repeated(0x80 - 0x5B)
        return word | ((fromA & ~behindZ & ~word & highestBits) >> 2)
    }
}

/// The offset of the first control byte (below 0x20, or 0x7F) at or after `start` and before `end`, or `end` if there is none.
/// `end` is at most the span's count.
@inlinable @inline(__always)
package func firstControlByte(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    precondition(start >= 0 && end <= bytes.count)
    var offset = start
    while end &- offset >= 8 {
        let word = ByteWord.load(bytes, at: offset)
        let matches =
            ((word &- ByteWord.repeated(space)) & ~word & ByteWord.highestBits) | ByteWord.zeroBytes(word ^ ByteWord.repeated(0x7F))
        if matches != 0 { return offset &+ (matches.trailingZeroBitCount >> 3) }
        offset &+= 8
    }
    while offset < end, bytes[offset] >= 0x20, bytes[offset] != 0x7F { offset &+= 1 }
    return offset
}

/// The offset of the first byte of that value in the range, or the range's end if there is none.
@inlinable @inline(__always)
package func firstByte(_ value: UInt8, in bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
    var offset = range.lowerBound
    while range.upperBound &- offset >= 8 {
        let matches = ByteWord.zeroBytes(ByteWord.load(bytes, at: offset) ^ ByteWord.repeated(value))
        if matches != 0 { return offset &+ (matches.trailingZeroBitCount >> 3) }
        offset &+= 8
    }
    while offset < range.upperBound, bytes[offset] != value { offset &+= 1 }
    return offset
}
