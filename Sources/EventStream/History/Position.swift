// Places in a log, and the ids that name them.
//
//     hw1.EEEEEEEE.s      hw1   the version of the form
//                         E     the epoch: 48 bits in base64url, eight characters
//                         s     the sequence in base 36, without leading zeros
//
// An id names the place BEHIND a block: the client that brings it has read up to there. Nothing in it is secret, and nothing depends on
// that: an id only selects a place within the log that the request's own key has found. Invariant: one spelling for each position, so that
// ids can be compared as bytes; at most 26 bytes, all of them printable.

import Bytes

/// What tells a log from every other, also from one of the same stream that may have other blocks: 48 bits that are used once.
package struct Epoch: Sendable, Hashable {
    /// The eight characters, the first one lowest: they are written with each block, and read once.
    let characters: UInt64

    /// An epoch from the lower 48 bits of a number. The number must be chance or hold chance, so that no two logs share their epoch.
    package init(truncating number: UInt64) {
        var characters: UInt64 = 0
        for place in 0..<8 { characters = characters << 8 | UInt64(PositionID.base64URLDigit(number >> UInt64(6 * place) & 0x3F)) }
        self.characters = characters
    }
}

/// The place behind a block.
package struct Position: Sendable, Equatable {
    /// The log.
    package var epoch: Epoch
    /// The number of the block that stands before the place. Blocks are counted from 1, so 0 is the log's beginning.
    package var sequence: UInt64

    /// The place behind that block of that log.
    package init(_ epoch: Epoch, _ sequence: UInt64) {
        self.epoch = epoch
        self.sequence = sequence
    }
}

/// Writing positions as ids, and reading them.
package enum PositionID {
    /// The length of the longest id.
    package static let longestByteCount = 26
    /// The bytes before the sequence.
    static let prefixByteCount = 13
    private static let version: StaticString = "hw1."
    private static let versionWord: UInt32 = 0x2E31_7768
    /// 36 to the power of 8.
    private static let mostOfEightDigits: UInt64 = 2_821_109_907_456
    /// What separates a server's id from the position behind it.
    static let separator = UInt8(ascii: "~")

    /// Appends the id.
    package static func append(_ position: Position, to bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: longestByteCount) { memory in
            let count = write(position, to: memory.baseAddress!)
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: memory[..<count]))
        }
    }

    /// Writes the id and returns how many bytes it has. There is room for `longestByteCount` bytes.
    @inline(__always)
    static func write(_ position: Position, to memory: UnsafeMutablePointer<UInt8>) -> Int {
        let start = UnsafeMutableRawPointer(memory)
        start.storeBytes(of: versionWord.littleEndian, as: UInt32.self)
        (start + 4).storeBytes(of: position.epoch.characters.littleEndian, as: UInt64.self)
        memory[12] = UInt8(ascii: ".")
        guard position.sequence < mostOfEightDigits else { return writeLong(position.sequence, to: memory) }
        // The last digit comes first, and moves up as others come before it.
        var digits: UInt64 = 0
        var count = 0
        var rest = position.sequence
        repeat {
            digits = digits << 8 | UInt64(base36Digit(rest % 36))
            rest /= 36
            count &+= 1
        } while rest > 0
        (start + prefixByteCount).storeBytes(of: digits.littleEndian, as: UInt64.self)
        return prefixByteCount &+ count
    }

    /// A sequence of more than eight digits, which no stream reaches that has a million blocks a second for a month.
    private static func writeLong(_ sequence: UInt64, to memory: UnsafeMutablePointer<UInt8>) -> Int {
        let digits = Array(String(sequence, radix: 36).utf8)
        for (place, digit) in digits.enumerated() { memory[prefixByteCount + place] = digit }
        return prefixByteCount + digits.count
    }

    /// The position that exactly these bytes name; nil if they are spelled in any other way.
    package static func read(_ bytes: Span<UInt8>) -> Position? {
        guard bytes.count > prefixByteCount, bytes.count <= longestByteCount, begins(bytes, at: 0), bytes[12] == UInt8(ascii: ".") else {
            return nil
        }
        var epoch: UInt64 = 0
        for index in 4..<12 {
            guard let value = base64URLValue(bytes[index]) else { return nil }
            epoch = epoch << 6 | value
        }
        guard bytes[prefixByteCount] != UInt8(ascii: "0") || bytes.count == prefixByteCount + 1 else { return nil }
        var sequence: UInt64 = 0
        for index in prefixByteCount..<bytes.count {
            guard let value = base36Value(bytes[index]) else { return nil }
            let (product, isTooLarge) = sequence.multipliedReportingOverflow(by: 36)
            let (sum, isSumTooLarge) = product.addingReportingOverflow(value)
            guard !isTooLarge, !isSumTooLarge else { return nil }
            sequence = sum
        }
        return Position(Epoch(truncating: epoch), sequence)
    }

    /// Whether an id of this proxy's begins at the offset, as far as its version says.
    static func begins(_ bytes: Span<UInt8>, at offset: Int) -> Bool { equals(bytes, offset..<min(bytes.count, offset + 4), version) }

    static func base64URLDigit(_ value: UInt64) -> UInt8 {
        switch UInt8(truncatingIfNeeded: value) {
        case let value where value < 26: value + UInt8(ascii: "A")
        case let value where value < 52: value - 26 + UInt8(ascii: "a")
        case let value where value < 62: value - 52 + UInt8(ascii: "0")
        case 62: UInt8(ascii: "-")
        default: UInt8(ascii: "_")
        }
    }

    private static func base64URLValue(_ digit: UInt8) -> UInt64? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt64(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt64(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }

    @inline(__always)
    private static func base36Digit(_ value: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: value) + (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
    }

    private static func base36Value(_ digit: UInt8) -> UInt64? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(digit - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt64(digit - UInt8(ascii: "a")) + 10
        default: nil
        }
    }
}
