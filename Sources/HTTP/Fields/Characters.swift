// The character classes that only HTTP knows. Those that other formats share, and comparing, are in `Bytes`.

import Bytes

/// Whether the byte may stand in a field value: visible ASCII, blank, tab, and anything from 0x80 on,
/// which passes as it is (RFC 9110 section 5.5). Control characters other than the tab may not.
@inline(__always)
func isFieldValueByte(_ byte: UInt8) -> Bool {
    (byte >= 0x20 && byte != 0x7F) || byte == horizontalTab
}

/// Whether the byte may stand in a request target: visible ASCII but `#`, which begins a fragment and
/// is never sent. Raw bytes from 0x80 on are refused: browsers escape them, and servers disagree.
@inlinable @inline(__always)
package func isTargetByte(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte < 0x7F && byte != 0x23
}

/// The range up to the first of a semicolon or, if told so, an equals sign, without blanks at its end:
/// a media type or a directive without its parameters.
func withoutParameters(_ bytes: Span<UInt8>, _ range: Range<Int>, endingAtEqualsSign: Bool = false) -> Range<Int> {
    var end = range.lowerBound
    while end < range.upperBound, bytes[end] != 0x3B, !(endingAtEqualsSign && bytes[end] == 0x3D) { end += 1 }
    return trimmingBlanks(bytes, range.lowerBound..<end)
}
