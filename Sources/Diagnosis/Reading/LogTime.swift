// The log's moments as numbers: `2026-07-04T12:34:56.789Z`, always 24 characters, always UTC.

import Bytes

/// Reads moments. Most of them lie on the day of the one before.
struct LogTime {
    private var day: (first: UInt64, last: UInt16) = (0, 0)
    private var dayStart: Int64 = 0

    /// Milliseconds since 1970-01-01 UTC; nil for anything that is no moment in this form. Behind the range eight bytes can be loaded.
    @inline(__always)
    mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int64? {
        guard range.count == 24 else { return nil }
        let start = range.lowerBound
        let first = ByteWord.load(bytes, at: start)
        let last = UInt16(truncatingIfNeeded: ByteWord.load(bytes, at: start &+ 8))
        if first != day.first || last != day.last {
            guard let read = LogTime.dayStart(bytes, start) else { return nil }
            day = (first, last)
            dayStart = read
        }
        guard bytes[unchecked: start &+ 10] == UInt8(ascii: "T"), bytes[unchecked: start &+ 13] == UInt8(ascii: ":"),
            bytes[unchecked: start &+ 16] == UInt8(ascii: ":"), bytes[unchecked: start &+ 19] == UInt8(ascii: "."),
            bytes[unchecked: start &+ 23] == UInt8(ascii: "Z"), let hour = LogTime.number(bytes, start &+ 11, 2),
            let minute = LogTime.number(bytes, start &+ 14, 2), let second = LogTime.number(bytes, start &+ 17, 2),
            let millisecond = LogTime.number(bytes, start &+ 20, 3), hour < 24, minute < 60, second <= 60
        else { return nil }
        return dayStart &+ ((hour &* 60 &+ minute) &* 60 &+ second) &* 1_000 &+ millisecond
    }

    @inline(__always)
    private static func number(_ bytes: Span<UInt8>, _ start: Int, _ count: Int) -> Int64? {
        var value: Int64 = 0
        for offset in 0..<count {
            let byte = bytes[unchecked: start &+ offset]
            guard isDigit(byte) else { return nil }
            value = value &* 10 &+ Int64(byte &- 0x30)
        }
        return value
    }

    private static func dayStart(_ bytes: Span<UInt8>, _ start: Int) -> Int64? {
        guard let year = number(bytes, start, 4), let month = number(bytes, start + 5, 2), let day = number(bytes, start + 8, 2),
            bytes[start + 4] == UInt8(ascii: "-"), bytes[start + 7] == UInt8(ascii: "-"), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        return daysSince1970(year: year, month: month, day: day) * 86_400_000
    }

    /// The days of the Gregorian calendar. Years are counted from March, so that the leap day is a year's last.
    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
