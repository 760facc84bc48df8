// Walks the elements of a comma-separated field value (RFC 9110 section 5.6.1) without copying them.
// What an element means is left to the caller.
//
// Invariant: the walk never leaves the value's range, and all of it together costs one pass.

import Bytes

/// The elements of a comma-separated value. Blanks around an element are cut off, empty elements are skipped, and a comma inside a
/// quoted string does not split. A quoted string without an end includes the rest of the value.
public struct ListElements: Sendable {
    private var position: Int
    private let end: Int

    /// A walk over the value at this range.
    public init(_ value: Range<Int>) {
        position = value.lowerBound
        end = value.upperBound
    }

    /// The range of the next element in the same bytes, or nil after the last one.
    public mutating func next(in bytes: Span<UInt8>) -> Range<Int>? {
        while position < end {
            let start = position
            var isQuoted = false
            scan: while position < end {
                switch bytes[position] {
                case 0x22: isQuoted.toggle()
                case 0x5C where isQuoted: position += 1
                case 0x2C where !isQuoted: break scan
                default: break
                }
                position += 1
            }
            // A backslash at the very end may have moved the position past it.
            let elementEnd = min(position, end)
            position = elementEnd + 1
            let element = trimmingBlanks(bytes, start..<elementEnd)
            if !element.isEmpty { return element }
        }
        return nil
    }
}

/// Whether the parameters in the range, each behind a semicolon, give a weight of 0, which means "not acceptable" (RFC 9110 section
/// 12.4.2). A malformed weight does not count.
func hasZeroWeight(_ bytes: Span<UInt8>, _ parameters: Range<Int>) -> Bool {
    var start = parameters.lowerBound
    while start < parameters.upperBound {
        let end = firstByte(0x3B, in: bytes, start..<parameters.upperBound)
        let parameter = trimmingBlanks(bytes, start..<end)
        if parameter.count >= 3, lowercased(bytes[parameter.lowerBound]) == UInt8(ascii: "q"), bytes[parameter.lowerBound + 1] == 0x3D {
            return isZero(bytes, parameter.lowerBound + 2..<parameter.upperBound)
        }
        start = end + 1
    }
    return false
}

/// Whether the range holds `0`, with or without a point and up to three zeros behind it.
private func isZero(_ bytes: Span<UInt8>, _ weight: Range<Int>) -> Bool {
    guard (1...5).contains(weight.count), bytes[weight.lowerBound] == 0x30 else { return false }
    for (offset, index) in weight.enumerated().dropFirst() where bytes[index] != (offset == 1 ? 0x2E : 0x30) { return false }
    return true
}
