// A moment as text: RFC 3339 in UTC with milliseconds. Written here because the full Foundation never ships.
// Invariant: always 24 characters, whatever the number.

/// Appends milliseconds since 1970-01-01 UTC as `2026-07-04T12:34:56.789Z`. A moment outside the years 0 to 9999, where RFC 3339
/// section 1 ends, is written as the nearest moment inside.
func appendTimestamp(_ unixMilliseconds: Int64, to bytes: inout some LineBytes) {
    let clamped = clampedToCalendar(unixMilliseconds)
    let millisecondsPerDay: Int64 = 86_400_000
    var day = clamped / millisecondsPerDay
    var rest = clamped % millisecondsPerDay
    if rest < 0 {
        rest += millisecondsPerDay
        day -= 1
    }
    let date = civilDate(daysSince1970: day)
    bytes.append(atMost: timestampByteCount) { text in
        /// Two digits, of a number below 100, and what follows them.
        @inline(__always)
        func write(_ value: UInt32, at start: Int, _ following: Unicode.Scalar) {
            let tens = (value &* 103) >> 10
            text[start] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: tens)
            text[start &+ 1] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value &- tens &* 10)
            text[start &+ 2] = UInt8(ascii: following)
        }
        let year = UInt32(truncatingIfNeeded: date.year)
        let time = UInt32(truncatingIfNeeded: rest)
        let (seconds, milliseconds) = (time / 1_000, time % 1_000)
        // What follows the first two digits of the year, and those of the milliseconds, is overwritten.
        write(year / 100, at: 0, "-")
        write(year % 100, at: 2, "-")
        write(UInt32(truncatingIfNeeded: date.month), at: 5, "-")
        write(UInt32(truncatingIfNeeded: date.day), at: 8, "T")
        write(seconds / 3_600, at: 11, ":")
        write(seconds / 60 % 60, at: 14, ":")
        write(seconds % 60, at: 17, ".")
        write(milliseconds / 10, at: 20, "Z")
        text[22] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: milliseconds % 10)
        text[23] = UInt8(ascii: "Z")
        return timestampByteCount
    }
}

/// What RFC 3339 takes in UTC with milliseconds.
private let timestampByteCount = 24

/// The same as a text.
package func timestampText(_ unixMilliseconds: Int64) -> String {
    var bytes: [UInt8] = []
    appendTimestamp(unixMilliseconds, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
}

private func clampedToCalendar(_ unixMilliseconds: Int64) -> Int64 {
    min(max(unixMilliseconds, -62_167_219_200_000), 253_402_300_799_999)
}

/// Writes one moment after another. Most of them lie in the same second, so that second's text is kept.
struct TimestampCache {
    private var second = Int64.min
    /// The second's text, up to the decimal point.
    private var text: [UInt8] = []

    /// Appends the same text as `appendTimestamp`.
    mutating func append(_ unixMilliseconds: Int64, to bytes: inout some LineBytes) {
        let clamped = clampedToCalendar(unixMilliseconds)
        var milliseconds = clamped % 1000
        if milliseconds < 0 { milliseconds += 1000 }
        let second = (clamped - milliseconds) / 1000
        if second != self.second {
            self.second = second
            text.removeAll(keepingCapacity: true)
            appendTimestamp(clamped, to: &text)
            text.removeLast(4)
        }
        text.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
        appendDecimal(UInt64(milliseconds), minimumDigits: 3, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }
}

/// The proleptic Gregorian date of a day. Years are counted from March, so that the leap day is a year's last, and in
/// eras of 400 years, after which the calendar repeats.
func civilDate(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let daysPerEra: Int64 = 146_097
    let shifted = daysSince1970 + 719_468  // days since 0000-03-01
    let era = (shifted >= 0 ? shifted : shifted - (daysPerEra - 1)) / daysPerEra
    let dayOfEra = shifted - era * daysPerEra
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, day)
}
