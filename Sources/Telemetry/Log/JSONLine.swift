// Writing one JSON object on one line, straight into bytes (RFC 8259). It knows nothing of records.
// Invariant: whatever bytes come in, the output is valid UTF-8 without a control character, so no value can break a line or reach a
// terminal as an escape sequence.

import Bytes

/// A line of a record, of which none is like the other.
typealias RecordLine = JSONLine<GrowingBytes>

/// A JSON object under construction at the end of some bytes.
struct JSONLine<Bytes: LineBytes>: ~Copyable {
    private(set) var bytes: Bytes
    private var isFirst = true

    /// Takes over the bytes and appends to them; `finish` returns them.
    init(appendingTo bytes: consuming Bytes) {
        self.bytes = bytes
        self.bytes.append(UInt8(ascii: "{"))
    }

    /// Closes the object and the line.
    consuming func finish() -> Bytes {
        bytes.append(UInt8(ascii: "}"))
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    mutating func openObject(_ key: StaticString) {
        self.key(key)
        bytes.append(UInt8(ascii: "{"))
        isFirst = true
    }

    mutating func closeObject() {
        bytes.append(UInt8(ascii: "}"))
        isFirst = false
    }

    mutating func openArray(_ key: StaticString) {
        self.key(key)
        bytes.append(UInt8(ascii: "["))
        isFirst = true
    }

    /// Opens an object in an array; `closeObject` closes it.
    mutating func openElement() {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        bytes.append(UInt8(ascii: "{"))
        isFirst = true
    }

    mutating func closeArray() {
        bytes.append(UInt8(ascii: "]"))
        isFirst = false
    }

    mutating func constant(_ key: StaticString, _ value: StaticString) {
        self.key(key)
        constant(value)
    }

    mutating func constants(_ key: StaticString, _ values: [StaticString]) {
        self.key(key)
        bytes.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            constant(value)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func constant(_ value: StaticString) {
        bytes.append(UInt8(ascii: "\""))
        append(value)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func boolean(_ key: StaticString, _ value: Bool) {
        self.key(key)
        append(value ? "true" : "false")
    }

    mutating func null(_ key: StaticString) {
        self.key(key)
        append("null")
    }

    mutating func number(_ key: StaticString, _ value: UInt64) {
        self.key(key)
        appendDecimal(value, minimumDigits: 1, to: &bytes)
    }

    mutating func number(_ key: StaticString, _ value: Int64) {
        self.key(key)
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        appendDecimal(value.magnitude, minimumDigits: 1, to: &bytes)
    }

    mutating func numberOrNull(_ key: StaticString, _ value: Int64?) {
        if let value { number(key, value) } else { null(key) }
    }

    mutating func string(_ key: StaticString, _ value: String) {
        self.key(key)
        bytes.append(UInt8(ascii: "\""))
        var value = value
        value.withUTF8 { appendEscaped($0.span, to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func string(_ key: StaticString, _ value: Span<UInt8>) {
        self.key(key)
        bytes.append(UInt8(ascii: "\""))
        appendEscaped(value, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func hexadecimal(_ key: StaticString, _ value: UInt64) {
        self.key(key)
        bytes.append(atMost: 18) { text in
            text[0] = UInt8(ascii: "\"")
            let digits = UnsafeMutableRawPointer(text + 1)
            digits.storeBytes(of: hexadecimalDigits(UInt32(truncatingIfNeeded: value >> 32)), as: UInt64.self)
            digits.storeBytes(of: hexadecimalDigits(UInt32(truncatingIfNeeded: value)), toByteOffset: 8, as: UInt64.self)
            text[17] = UInt8(ascii: "\"")
            return 18
        }
    }

    mutating func timestamp(_ key: StaticString, _ unixMilliseconds: Int64) {
        self.key(key)
        bytes.append(UInt8(ascii: "\""))
        appendTimestamp(unixMilliseconds, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func timestamp(_ key: StaticString, _ unixMilliseconds: Int64, _ cache: inout TimestampCache) {
        self.key(key)
        bytes.append(UInt8(ascii: "\""))
        cache.append(unixMilliseconds, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func stream(_ key: StaticString, _ stream: StreamIdentifier) {
        self.key(key)
        bytes.append(UInt8(ascii: "\""))
        stream.append(to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func key(_ key: StaticString) {
        let comma = isFirst ? 0 : 1
        isFirst = false
        let count = key.utf8CodeUnitCount
        bytes.append(atMost: count + 4) { target in
            target[0] = UInt8(ascii: ",")
            target[comma] = UInt8(ascii: "\"")
            copyShort(key, to: target + comma + 1)
            target[comma + 1 + count] = UInt8(ascii: "\"")
            target[comma + 2 + count] = UInt8(ascii: ":")
            return comma + 3 + count
        }
    }

    private mutating func append(_ text: StaticString) { bytes.append(text) }
}

/// Appends a decimal number with leading zeros up to `minimumDigits`.
func appendDecimal(_ value: UInt64, minimumDigits: Int, to bytes: inout some LineBytes) {
    // Most numbers are short.
    if value < 10, minimumDigits <= 1 { return bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value)) }
    let most = 20
    precondition(minimumDigits <= most, "no number of 64 bits is longer")
    var count = 1
    var bound: UInt64 = 10
    while value >= bound, count < most {
        count &+= 1
        bound &*= 10
    }
    count = max(count, minimumDigits)
    bytes.append(atMost: count) { text in
        var remaining = value
        var place = count
        while place > 0 {
            place &-= 1
            let rest = remaining / 10
            text[place] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: remaining &- rest &* 10)
            remaining = rest
        }
        return count
    }
}

/// The eight lower-case hexadecimal digits of a number, in memory from the first to the last.
private func hexadecimalDigits(_ value: UInt32) -> UInt64 {
    // Each half byte gets a byte of its own.
    var digits = UInt64(value)
    digits = (digits << 16 | digits) & 0x0000_FFFF_0000_FFFF
    digits = (digits << 8 | digits) & 0x00FF_00FF_00FF_00FF
    digits = (digits << 4 | digits) & 0x0F0F_0F0F_0F0F_0F0F
    // From 10 on the sum reaches the next half byte, and a letter stands further from `0` than a digit.
    let letters = ((digits &+ ByteWord.repeated(6)) >> 4) & ByteWord.lowestBits
    return (digits &+ ByteWord.repeated(UInt8(ascii: "0")) &+ letters &* UInt64(UInt8(ascii: "a") - UInt8(ascii: "0") - 10)).bigEndian
}

/// Appends exactly `digits` lower-case hexadecimal digits.
func appendHexadecimal(_ value: UInt64, digits: Int, to bytes: inout some LineBytes) {
    bytes.append(atMost: digits) { text in
        var rest = value
        for index in (0..<digits).reversed() {
            text[index] = hexadecimalDigit(UInt8(truncatingIfNeeded: rest) & 0xF)
            rest >>= 4
        }
        return digits
    }
}
