// The classes of characters, for each of the 256 bytes, against their lists in the standards.

import Bytes
import Testing

@Suite("Characters") struct CharactersTests {
    private static let digits = "0123456789"
    private static let small = "abcdefghijklmnopqrstuvwxyz"
    private static let capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

    private func check(_ isMember: (UInt8) -> Bool, _ members: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let wrong = (UInt8.min...UInt8.max).filter { isMember($0) != members.utf8.contains($0) }
        #expect(wrong.isEmpty, "\(wrong)", sourceLocation: sourceLocation)
    }

    @Test("a class holds its characters and no other byte")
    func classes() {
        check(isBlank, " \t")
        check(isDigit, Self.digits)
        check(isLetter, Self.small + Self.capitals)
        check(isLetterOrDigit, Self.digits + Self.small + Self.capitals)
        // tchar (RFC 9110 section 5.6.2).
        check(isTokenCharacter, "!#$%&'*+-.^_`|~" + Self.digits + Self.small + Self.capitals)
        check({ hexadecimalValue($0) != nil }, Self.digits + "abcdefABCDEF")
    }

    @Test("a blank as a Unicode character is one of the same two")
    func blankScalars() {
        for scalar: Unicode.Scalar in [" ", "\t", "\n", "\u{B}", "\u{A0}", "\u{2003}", "x"] {
            #expect(isBlank(scalar) == (scalar == " " || scalar == "\t"), "\(scalar.value)")
        }
    }

    @Test("a hexadecimal digit has its value in either case, and a value its digit in lower case")
    func hexadecimal() {
        for (value, digit) in "0123456789abcdef".utf8.enumerated() {
            #expect(hexadecimalValue(digit) == UInt8(value) && hexadecimalDigit(UInt8(value)) == digit)
        }
        for (value, digit) in "ABCDEF".utf8.enumerated() { #expect(hexadecimalValue(digit) == UInt8(value + 10)) }
    }

    @Test("lower case is another byte for A to Z only")
    func lowerCase() {
        let capitals = Array(Self.capitals.utf8)
        let small = Array(Self.small.utf8)
        for byte in UInt8.min...UInt8.max {
            #expect(lowercased(byte) == (capitals.firstIndex(of: byte).map { small[$0] } ?? byte))
        }
        let text = Array("[Aé{Z".utf8)
        #expect(lowercasedBytes(text.span, 1..<text.count) == Array("aé{z".utf8))
    }
}
