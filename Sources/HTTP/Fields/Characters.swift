// The character classes of RFC 9110 section 5.6 and comparisons of bytes with the names this proxy
// knows. All of it works on single bytes and ranges, allocates nothing and knows no String. What looks at eight bytes at once is
// in ByteWords.swift.
//
// Invariant: a letter is folded only if it is A to Z, so that no other byte is ever taken for a letter.

let carriageReturn: UInt8 = 0x0D
let lineFeed: UInt8 = 0x0A
let space: UInt8 = 0x20
let horizontalTab: UInt8 = 0x09

/// Whether the byte may stand in a token: a method, a field name, a connection option (RFC 9110
/// section 5.6.2). The two constants hold one bit for each of the 128 ASCII characters.
@inline(__always)
func isTokenCharacter(_ byte: UInt8) -> Bool {
    if byte < 64 { return (0x03FF_6CFA_0000_0000 as UInt64) >> UInt64(byte) & 1 == 1 }
    if byte < 128 { return (0x57FF_FFFF_C7FF_FFFE as UInt64) >> UInt64(byte & 63) & 1 == 1 }
    return false
}

/// Whether the byte may stand in a field value: visible ASCII, blank, tab, and anything from 0x80 on,
/// which passes as it is (RFC 9110 section 5.5). Control characters other than the tab may not.
@inline(__always)
func isFieldValueByte(_ byte: UInt8) -> Bool {
    (byte >= 0x20 && byte != 0x7F) || byte == horizontalTab
}

/// Whether the byte may stand in a request target: visible ASCII but `#`, which begins a fragment and
/// is never sent. Raw bytes from 0x80 on are refused: browsers escape them, and servers disagree.
@inline(__always)
func isTargetByte(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte < 0x7F && byte != 0x23
}

@inline(__always)
func isBlank(_ byte: UInt8) -> Bool {
    byte == space || byte == horizontalTab
}

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool {
    byte &- 0x30 < 10
}

/// The value of a hexadecimal digit, or nil.
@inline(__always)
func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte &- 0x30
    case 0x41...0x46: byte &- 0x41 &+ 10
    case 0x61...0x66: byte &- 0x61 &+ 10
    default: nil
    }
}

@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
}

/// A copy of the range with the letters A to Z in lower case.
func lowercasedBytes(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    bytes.extracting(range).withUnsafeBufferPointer { $0.map(lowercased) }
}

/// Whether the bytes in the range are exactly these.
func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ expected: StaticString) -> Bool {
    guard range.count == expected.utf8CodeUnitCount else { return false }
    for index in 0..<range.count where bytes[range.lowerBound + index] != expected.utf8Start[index] {
        return false
    }
    return true
}

/// Whether the bytes in the range are these without regard to the case of ASCII letters, as field names, media
/// types and most tokens are compared. The expected text has to be given in lower case.
public func equalsIgnoringCase(_ bytes: Span<UInt8>, _ range: Range<Int>, _ lowercasedText: StaticString) -> Bool {
    guard range.count == lowercasedText.utf8CodeUnitCount else { return false }
    // Most candidates of the same length differ in the first letter already.
    if !range.isEmpty, lowercased(bytes[range.lowerBound]) != lowercasedText.utf8Start[0] { return false }
    return hasPrefixIgnoringCase(bytes, range, lowercasedText)
}

/// The range without the blanks and tabs at either end (OWS, RFC 9110 section 5.6.3).
func trimmingBlanks(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
    var lower = range.lowerBound
    var upper = range.upperBound
    while lower < upper, isBlank(bytes[lower]) { lower += 1 }
    while upper > lower, isBlank(bytes[upper - 1]) { upper -= 1 }
    return lower..<upper
}

/// The range up to the first of a semicolon or, if told so, an equals sign, without blanks at its end:
/// a media type or a directive without its parameters.
func withoutParameters(_ bytes: Span<UInt8>, _ range: Range<Int>, endingAtEqualsSign: Bool = false) -> Range<Int> {
    var end = range.lowerBound
    while end < range.upperBound, bytes[end] != 0x3B, !(endingAtEqualsSign && bytes[end] == 0x3D) { end += 1 }
    return trimmingBlanks(bytes, range.lowerBound..<end)
}
