// Compares ranges of bytes with known texts, with or without regard to case, and trims blanks.
//
// Only `lowercasedBytes` allocates, and nothing uses String.
// Invariant: a comparison without regard to case ignores the case of ASCII letters only.

/// A copy of the range with the letters A to Z in lower case.
@inlinable
package func lowercasedBytes(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    bytes.extracting(range).withUnsafeBufferPointer { $0.map(lowercased) }
}

/// Whether the bytes in the range are exactly these.
@inlinable
package func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ expected: StaticString) -> Bool {
    guard range.count == expected.utf8CodeUnitCount else { return false }
    for index in 0..<range.count where bytes[range.lowerBound + index] != expected.utf8Start[index] {
        return false
    }
    return true
}

/// Whether the bytes in the range are exactly these.
@inlinable
package func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ expected: [UInt8]) -> Bool {
    guard range.count == expected.count else { return false }
    for offset in expected.indices where bytes[range.lowerBound + offset] != expected[offset] { return false }
    return true
}

/// Whether the bytes in the range are this text without regard to the case of ASCII letters, as field names, media types and most
/// tokens are compared. The text has to be given in lower case.
@inlinable
package func equalsIgnoringCase(_ bytes: Span<UInt8>, _ range: Range<Int>, _ lowercasedText: StaticString) -> Bool {
    guard range.count == lowercasedText.utf8CodeUnitCount else { return false }
    // Most candidates of the same length differ in the first letter already.
    if !range.isEmpty, lowercased(bytes[range.lowerBound]) != lowercasedText.utf8Start[0] { return false }
    return hasPrefixIgnoringCase(bytes, range, lowercasedText)
}

/// Whether the range begins with this text without regard to case. The text has to be given in lower case.
@usableFromInline
package func hasPrefixIgnoringCase(_ bytes: Span<UInt8>, _ range: Range<Int>, _ lowercasedText: StaticString) -> Bool {
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
        return ByteWord.lowercased(ByteWord.load(bytes, at: range.lowerBound &+ offset)) != expected
    }
    var offset = 0
    while count &- offset > 8 {
        if differs(at: offset) { return false }
        offset &+= 8
    }
    // The last word ends where the text does, and may overlap with the one before.
    return !differs(at: count &- 8)
}

/// The range without the blanks and tabs at either end (OWS, RFC 9110 section 5.6.3).
@inlinable
package func trimmingBlanks(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
    var lower = range.lowerBound
    var upper = range.upperBound
    while lower < upper, isBlank(bytes[lower]) { lower += 1 }
    while upper > lower, isBlank(bytes[upper - 1]) { upper -= 1 }
    return lower..<upper
}
