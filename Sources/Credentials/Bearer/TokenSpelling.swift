// How a byte of a token may be written where others repeat it: as itself, as a URL writes it (`%2B`, RFC 3986 section 2.1), as a JSON
// string does (`\/`, `\"`, `\\`, `\u002B`, RFC 8259 section 7), and as one of these within another (`%252B`, `\\u002b`, `\u00252B`).
// Everything that looks for a token reads texts through this file. Invariant: the cost of a byte is bounded, whatever follows it.

import Bytes

/// One byte of a text, whichever way it was written.
struct PeeledByte {
    /// The byte; 0xFF for a character of JSON that no token holds.
    var byte: UInt8
    /// Where the next byte begins.
    var next: Int
    /// Whether the text ends within an escape, perhaps: with more text the byte could be another one.
    var isCut = false
}

/// So many spellings, one within the other, are taken off. Each of them makes six bytes of one at most.
private let layers = 4
/// No spelling of a byte that is taken off is longer.
let longestSpellingBytes = 6 * 6 * 6 * 6

/// The byte at `index` with its escapes taken off: `+`, `%2B`, `%252B`, `\u002b` and `\\u00252B` are one byte. `next` is set to where the
/// next byte begins.
func peeledByte(_ bytes: Span<UInt8>, at index: Int, next: inout Int) -> UInt8 {
    let peeled = peeledByte(bytes, at: index)
    next = peeled.next
    return peeled.byte
}

/// The byte at `index` with its escapes taken off.
@inline(__always)
func peeledByte(_ bytes: Span<UInt8>, at index: Int) -> PeeledByte {
    let byte = bytes[index]
    guard byte == UInt8(ascii: "%") || byte == UInt8(ascii: "\\") else { return PeeledByte(byte: byte, next: index + 1) }
    return peeled(bytes, at: index, layers)
}

/// The byte at `index` after so many layers of escapes were taken off, the outermost first. An escape of a layer consists of bytes from
/// which the layers around it are taken off already.
private func peeled(_ bytes: Span<UInt8>, at index: Int, _ layers: Int) -> PeeledByte {
    guard index < bytes.count else { return PeeledByte(byte: 0, next: index, isCut: true) }
    let byte = bytes[index]
    guard layers > 0, byte == UInt8(ascii: "%") || byte == UInt8(ascii: "\\") else { return PeeledByte(byte: byte, next: index + 1) }
    let first = peeled(bytes, at: index, layers - 1)
    guard !first.isCut, let decoded = escape(first, bytes, layers - 1) else { return first }
    return decoded.isCut ? PeeledByte(byte: first.byte, next: first.next, isCut: true) : decoded
}

/// The escape that begins with a byte; nil if it begins none.
private func escape(_ first: PeeledByte, _ bytes: Span<UInt8>, _ layers: Int) -> PeeledByte? {
    switch first.byte {
    case UInt8(ascii: "%"): return digits(2, bytes, at: first.next, layers)
    case UInt8(ascii: "\\"):
        let kind = peeled(bytes, at: first.next, layers)
        if kind.isCut { return kind }
        switch kind.byte {
        case UInt8(ascii: "/"), UInt8(ascii: "\""), UInt8(ascii: "\\"): return kind
        case UInt8(ascii: "u"): return digits(4, bytes, at: kind.next, layers)
        // A control character is no byte of a token. Left as they are, these two bytes cannot hide a token that follows a backslash.
        default: return nil
        }
    default: return nil
    }
}

/// The byte that so many hexadecimal digits say; nil where others stand.
private func digits(_ count: Int, _ bytes: Span<UInt8>, at start: Int, _ layers: Int) -> PeeledByte? {
    var value = 0
    var next = start
    for _ in 0..<count {
        let digit = peeled(bytes, at: next, layers)
        if digit.isCut { return digit }
        guard let digitValue = hexadecimalValue(digit.byte) else { return nil }
        value = value << 4 | Int(digitValue)
        next = digit.next
    }
    return PeeledByte(byte: UInt8(exactly: value) ?? 0xFF, next: next)
}
