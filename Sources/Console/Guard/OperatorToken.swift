// The operator's token in an Authorization field: as a Bearer token (RFC 6750) for programs, or as the password of Basic (RFC 7617),
// which a browser asks for by itself and then also sends with an EventSource. No cookie is needed.

import Bytes

enum OperatorToken {
    /// The token that a field's value brings; nil for none.
    static func presented(in bytes: Span<UInt8>, _ value: Range<Int>) -> [UInt8]? {
        if hasPrefixIgnoringCase(bytes, value, "bearer ") {
            return copy(bytes, trimmingBlanks(bytes, value.lowerBound + 7..<value.upperBound))
        }
        guard hasPrefixIgnoringCase(bytes, value, "basic "),
            let login = decodedBase64(copy(bytes, trimmingBlanks(bytes, value.lowerBound + 6..<value.upperBound))),
            let colon = login.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        return Array(login[(colon + 1)...])
    }

    private static func copy(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] { range.map { bytes[$0] } }

    /// Decodes base64 (RFC 4648 section 4) with or without its padding; nil for other characters.
    static func decodedBase64(_ text: [UInt8]) -> [UInt8]? {
        let digits = text[..<(text.lastIndex { $0 != UInt8(ascii: "=") }.map { $0 + 1 } ?? 0)]
        guard text.count - digits.count <= 2, digits.count % 4 != 1 else { return nil }
        var decoded: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for digit in digits {
            guard let value = value(of: digit) else { return nil }
            bits = bits << 6 | value
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            decoded.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return decoded
    }

    private static func value(of digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
