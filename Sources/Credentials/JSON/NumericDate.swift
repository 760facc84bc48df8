// A moment as tokens write it: seconds since 1970, as any JSON number (RFC 7519 section 2). The number is read digit by digit, because a
// floating-point value would turn a number that is too large into a moment that never comes.

import Bytes

/// Seconds since 1970, and whether a part of a second follows.
struct NumericDate: Equatable {
    /// The last second of the year 9999. A larger number is a mistake, for example milliseconds.
    static let latest: Int64 = 253_402_300_799

    /// The whole seconds at or before the moment.
    let seconds: Int64
    /// Whether the moment lies between that second and the next one.
    let hasFraction: Bool

    /// The first whole second at or after the moment.
    var roundedUp: Int64 { seconds + (hasFraction ? 1 : 0) }

    init(seconds: Int64, hasFraction: Bool = false) {
        self.seconds = seconds
        self.hasFraction = hasFraction
    }

    /// Nil for any value but a number within the years that clocks show.
    init?(_ value: JSONValue) {
        guard value.kind == .number else { return nil }
        let text = value.written
        let isNegative = text.first == UInt8(ascii: "-")
        let mantissa = text.dropFirst(isNegative ? 1 : 0).prefix { $0 | 0x20 != UInt8(ascii: "e") }
        let exponent = NumericDate.exponent(text[mantissa.endIndex...].dropFirst())
        let whole = mantissa.prefix { $0 != UInt8(ascii: ".") }
        let digits = Array(whole) + Array(mantissa[whole.endIndex...].dropFirst())
        // 0.0000017e15 is a number of ten digits: what counts is the place of the point behind the zeros at the start.
        let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
        let significant = digits[zeros...]
        guard !significant.isEmpty else {
            self.init(seconds: 0)
            return
        }
        let wholeCount = whole.count - zeros + exponent
        guard wholeCount <= 12 else { return nil }
        var seconds: Int64 = 0
        for place in 0..<max(wholeCount, 0) {
            let index = significant.startIndex + place
            seconds = seconds * 10 + (index < significant.endIndex ? Int64(significant[index] & 0x0F) : 0)
        }
        let fraction = significant.dropFirst(max(wholeCount, 0))
        let hasFraction = fraction.contains { $0 != UInt8(ascii: "0") }
        guard seconds < NumericDate.latest || (seconds == NumericDate.latest && !hasFraction) else { return nil }
        self.init(seconds: isNegative ? -seconds - (hasFraction ? 1 : 0) : seconds, hasFraction: hasFraction)
    }

    /// The exponent behind its `e`, 0 without one. Far beyond any date it stays at the same value: its size no longer matters.
    private static func exponent(_ text: ArraySlice<UInt8>) -> Int {
        var result = 0
        for byte in text where isDigit(byte) && result < 1_000_000 { result = result * 10 + Int(byte & 0x0F) }
        return text.first == UInt8(ascii: "-") ? -result : result
    }
}
