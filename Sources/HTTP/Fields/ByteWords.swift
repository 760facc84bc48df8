// Looking at bytes a word of eight at a time: finding the next one that text does not hold, or that ends a name, and comparing names.
//
// The only file of this target that loads words out of bytes. The caller decides what a found byte means.
// Invariant: every load lies wholly inside the span or the text; where no word can be had, bytes are looked at singly.

private let lowestBits: UInt64 = 0x0101_0101_0101_0101
private let highestBits: UInt64 = 0x8080_8080_8080_8080

/// That byte in each place of a word.
@inline(__always)
private func repeated(_ byte: UInt8) -> UInt64 { UInt64(byte) &* lowestBits }

@inline(__always)
private func word(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
}

/// The highest bit of each byte that is zero. Only the lowest bit that is set is right: the subtraction borrows into the bytes
/// above a first match.
@inline(__always)
private func zeroBytes(_ word: UInt64) -> UInt64 { (word &- lowestBits) & ~word & highestBits }

/// The offset of the first control byte (below 0x20, or 0x7F) at or after `start` and before `end`, or `end` where there is none.
/// `end` is at most the span's count.
@inline(__always)
func firstControlByte(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    precondition(start >= 0 && end <= bytes.count)
    var offset = start
    while end &- offset >= 8 {
        let word = word(bytes, at: offset)
        let matches = ((word &- repeated(space)) & ~word & highestBits) | zeroBytes(word ^ repeated(0x7F))
        if matches != 0 { return offset &+ (matches.trailingZeroBitCount >> 3) }
        offset &+= 8
    }
    while offset < end, bytes[offset] >= 0x20, bytes[offset] != 0x7F { offset &+= 1 }
    return offset
}

/// The offset of the first byte of that value in the range, or the range's end where there is none.
@inline(__always)
func firstByte(_ value: UInt8, in bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
    var offset = range.lowerBound
    while range.upperBound &- offset >= 8 {
        let matches = zeroBytes(word(bytes, at: offset) ^ repeated(value))
        if matches != 0 { return offset &+ (matches.trailingZeroBitCount >> 3) }
        offset &+= 8
    }
    while offset < range.upperBound, bytes[offset] != value { offset &+= 1 }
    return offset
}

/// Whether the range begins with this text without regard to case. The text has to be given in lower case.
func hasPrefixIgnoringCase(_ bytes: Span<UInt8>, _ range: Range<Int>, _ lowercasedText: StaticString) -> Bool {
    let count = lowercasedText.utf8CodeUnitCount
    guard range.count >= count else { return false }
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
    let text = UnsafeRawPointer(lowercasedText.utf8Start)
    guard count >= 8 else {
        for index in 0..<count where lowercased(bytes[range.lowerBound &+ index]) != lowercasedText.utf8Start[index] { return false }
        return true
    }
    func differs(at offset: Int) -> Bool {
        let expected = UInt64(littleEndian: text.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        return lowercased(word(bytes, at: range.lowerBound &+ offset)) != expected
    }
    var offset = 0
    while count &- offset > 8 {
        if differs(at: offset) { return false }
        offset &+= 8
    }
    // The last word ends where the text does, and may overlap with the one before.
    return !differs(at: count &- 8)
}

/// The word with the letters A to Z in lower case; every other byte stays as it is.
@inline(__always)
private func lowercased(_ word: UInt64) -> UInt64 {
    // Sums of seven bits each, so that none carries into the next byte.
    let low = word & ~highestBits
    let fromA = low &+ repeated(0x80 - 0x41)
    let behindZ = low &+ repeated(0x80 - 0x5B)
    return word | ((fromA & ~behindZ & ~word & highestBits) >> 2)
}
