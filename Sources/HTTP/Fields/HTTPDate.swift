// A moment as HTTP writes it: IMF-fixdate (RFC 9110 section 5.6.7). Where the moment comes from is left to the caller.
// Invariant: always 29 characters, for the years 1970 to 9999.

/// Writes dates of fields such as `Date`.
public struct HTTPDate: Sendable {
    private var second = Int64.min
    private var text: [UInt8] = []

    /// A writer that keeps the last date: all responses within one second share it.
    public init() {}

    /// Like `text(unixSeconds:)`, but computed only when the second has changed.
    public mutating func text(at unixSeconds: Int64) -> [UInt8] {
        if unixSeconds != second {
            second = unixSeconds
            text = HTTPDate.text(unixSeconds: unixSeconds)
        }
        return text
    }

    private static let days: StaticString = "ThuFriSatSunMonTueWed"
    private static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
    private static let lastSecond: Int64 = 253_402_300_799

    /// `Sun, 06 Nov 1994 08:49:37 GMT` for seconds since 1970-01-01 UTC. A moment outside the years is written as the nearest one
    /// inside.
    public static func text(unixSeconds: Int64) -> [UInt8] {
        let seconds = min(max(unixSeconds, 0), lastSecond)
        let day = seconds / 86_400
        let rest = seconds % 86_400
        let (year, month, dayOfMonth) = civilDate(daysSince1970: day)
        var text: [UInt8] = []
        text.reserveCapacity(29)
        append(days, at: Int(day % 7), to: &text)
        text += [0x2C, 0x20]
        append(dayOfMonth, digits: 2, to: &text)
        text.append(0x20)
        append(months, at: Int(month) - 1, to: &text)
        text.append(0x20)
        append(year, digits: 4, to: &text)
        for (value, separator) in [(rest / 3600, UInt8(0x20)), (rest / 60 % 60, 0x3A), (rest % 60, 0x3A)] {
            text.append(separator)
            append(value, digits: 2, to: &text)
        }
        return text + [0x20, 0x47, 0x4D, 0x54]
    }

    private static func append(_ names: StaticString, at index: Int, to text: inout [UInt8]) {
        text += UnsafeBufferPointer(start: names.utf8Start + 3 * index, count: 3)
    }

    private static func append(_ value: Int64, digits: Int, to text: inout [UInt8]) {
        var divisor: Int64 = digits == 4 ? 1000 : 10
        while divisor > 0 {
            text.append(0x30 + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }

    /// The Gregorian date of a day. Years are counted from March, so that the leap day is a year's last.
    private static func civilDate(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}
