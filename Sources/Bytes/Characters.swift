// The classes of ASCII characters, as bytes: blanks, digits, letters, hexadecimal digits and tokens.
//
// Every rule is inlined into the target that uses it, so a loop over single bytes makes no call and loads no constant.
// Invariant: only A to Z are folded to lower case, so that no other byte is ever treated as a letter.

/// CR, the first byte of a line end in HTTP, and a whole line end in an event stream.
@inlinable package var carriageReturn: UInt8 {
    @inline(__always) get { 0x0D }
}

/// LF, which ends a line.
@inlinable package var lineFeed: UInt8 {
    @inline(__always) get { 0x0A }
}

/// The blank.
@inlinable package var space: UInt8 {
    @inline(__always) get { 0x20 }
}

/// The tab, which is a blank too (RFC 9110 section 5.6.3).
@inlinable package var horizontalTab: UInt8 {
    @inline(__always) get { 0x09 }
}

/// Whether the byte is a blank or a tab (OWS, RFC 9110 section 5.6.3).
@inlinable @inline(__always)
package func isBlank(_ byte: UInt8) -> Bool {
    byte == space || byte == horizontalTab
}

/// Whether the character is a blank or a tab.
@inlinable
package func isBlank(_ scalar: Unicode.Scalar) -> Bool {
    scalar == " " || scalar == "\t"
}

/// Whether the byte is one of `0` to `9`.
@inlinable @inline(__always)
package func isDigit(_ byte: UInt8) -> Bool {
    byte &- 0x30 < 10
}

/// Whether the byte is one of `A` to `Z` and `a` to `z`.
@inlinable @inline(__always)
package func isLetter(_ byte: UInt8) -> Bool {
    (byte | 0x20) &- 0x61 < 26
}

/// Whether the byte is an ASCII letter or a digit.
@inlinable @inline(__always)
package func isLetterOrDigit(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte)
}

/// Whether the byte may stand in a token: a method, a field name, a connection option (RFC 9110 section 5.6.2). The two constants
/// hold one bit for each of the 128 ASCII characters.
@inlinable @inline(__always)
package func isTokenCharacter(_ byte: UInt8) -> Bool {
    if byte < 64 { return (0x03FF_6CFA_0000_0000 as UInt64) >> UInt64(byte) & 1 == 1 }
    if byte < 128 { return (0x57FF_FFFF_C7FF_FFFE as UInt64) >> UInt64(byte & 63) & 1 == 1 }
    return false
}

/// The value of a hexadecimal digit in either case, 0 to 15; nil for any other byte.
@inlinable @inline(__always)
package func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte &- 0x30
    case 0x41...0x46: byte &- 0x41 &+ 10
    case 0x61...0x66: byte &- 0x61 &+ 10
    default: nil
    }
}

/// The hexadecimal digit, in lower case, of a value from 0 to 15.
@inlinable @inline(__always)
package func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? value &+ 0x30 : value &- 10 &+ 0x61
}

/// A letter in lower case, any other byte as it is.
@inlinable @inline(__always)
package func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
}
