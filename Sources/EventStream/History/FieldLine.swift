// What one complete line of an event stream means (WHATWG HTML 9.2.6).
//
// The scanner reads lines byte by byte, because it keeps none. Code that holds whole lines asks here instead, which costs a comparison of
// words. Invariant: both read the same from the same line.

import Bytes

/// A complete line that is not blank.
enum FieldLine: Equatable {
    /// A comment, or a line that begins with a byte order mark. Inside a stream such a line is an unknown field; at the start of a client's
    /// response its mark would be dropped and the rest would be read. So it is no part of a block.
    case skipped
    /// A `data` line: the block is an event.
    case data
    /// An `id` line that takes effect, with the range of its value. An empty value empties the last event id.
    case identifier(Range<Int>)
    /// An `event` line, with the range of its value.
    case type(Range<Int>)
    /// A `retry` line that takes effect, in milliseconds. A value that does not fit is the largest one.
    case retry(UInt64)
    /// Any other line, which changes nothing in a browser: an unknown field, or an `id` or `retry` whose value is not allowed.
    case other

    // Field names as little-endian words, with their colon.
    private static let dataName: UInt64 = 0x3A_6174_6164
    private static let identifierName: UInt64 = 0x3A_6469
    private static let typeName: UInt64 = 0x3A74_6E65_7665
    private static let retryName: UInt64 = 0x3A79_7274_6572
    private static let byteOrderMark: UInt64 = 0xBF_BBEF

    /// Reads the line in this range, which holds its bytes without the line end and is not empty.
    @inline(__always)
    static func read(_ bytes: Span<UInt8>, _ range: Range<Int>) -> FieldLine {
        let head = firstWord(bytes, range)
        if head & 0xFF_FFFF_FFFF == dataName { return .data }
        switch head & 0xFF {
        case 0x3A: return .skipped
        case 0xEF: return head & 0xFF_FFFF == byteOrderMark ? .skipped : .other
        case 0x64: return range.count == 4 && head == dataName & 0xFFFF_FFFF ? .data : .other
        case 0x65:
            if let value = value(of: typeName, 5, head, bytes, range) { return .type(value) }
        case 0x69:
            // An id with a NUL is ignored as a whole.
            if let value = value(of: identifierName, 2, head, bytes, range), firstByte(0, in: bytes, value) == value.upperBound {
                return .identifier(value)
            }
        case 0x72:
            if let value = value(of: retryName, 5, head, bytes, range), let milliseconds = number(bytes, value) {
                return .retry(milliseconds)
            }
        default: break
        }
        return .other
    }

    /// Whether a line that has not ended is skipped, whatever comes. False as long as its beginning does not say so.
    static func isSkipped(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        let head = firstWord(bytes, range)
        return head & 0xFF == 0x3A || head & 0xFF_FFFF == byteOrderMark
    }

    /// The line's first eight bytes, or all of them with zeros behind.
    @inline(__always)
    private static func firstWord(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        if bytes.count &- range.lowerBound >= 8 {
            let word = ByteWord.load(bytes, at: range.lowerBound)
            return range.count >= 8 ? word : word & ((1 << UInt64(range.count &* 8)) &- 1)
        }
        var word: UInt64 = 0
        for place in 0..<min(8, range.count) { word |= UInt64(bytes[range.lowerBound &+ place]) << UInt64(place &* 8) }
        return word
    }

    /// The value behind the name and its colon, without one leading blank; empty where the line is the name alone; nil for another name.
    @inline(__always)
    private static func value(
        of name: UInt64, _ nameCount: Int, _ head: UInt64, _ bytes: Span<UInt8>, _ range: Range<Int>
    ) -> Range<Int>? {
        let nameMask: UInt64 = (1 << UInt64(nameCount &* 8)) &- 1
        guard head & nameMask == name & nameMask else { return nil }
        if range.count == nameCount { return range.upperBound..<range.upperBound }
        guard (head ^ name) & (nameMask << 8 | 0xFF) == 0 else { return nil }
        let start = range.lowerBound &+ nameCount &+ 1
        return (start < range.upperBound && bytes[start] == space ? start &+ 1 : start)..<range.upperBound
    }

    private static func number(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty else { return nil }
        var number: UInt64 = 0
        for index in range {
            guard isDigit(bytes[index]) else { return nil }
            let (tenfold, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isSumTooLarge) = tenfold.addingReportingOverflow(UInt64(bytes[index] &- 0x30))
            number = isTooLarge || isSumTooLarge ? .max : sum
        }
        return number
    }
}
