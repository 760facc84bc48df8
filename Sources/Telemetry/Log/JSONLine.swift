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
        bytes.append(UInt8(ascii: "\""))
        appendHexadecimal(value, digits: 16, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
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
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: most) { text in
        var first = most
        var remaining = value
        while remaining > 0 || most - first < minimumDigits {
            first -= 1
            text[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: remaining % 10)
            remaining /= 10
        }
        bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[first...]))
    }
}

/// Appends exactly `digits` lower-case hexadecimal digits.
func appendHexadecimal(_ value: UInt64, digits: Int, to bytes: inout some LineBytes) {
    for position in stride(from: (digits - 1) * 4, through: 0, by: -4) {
        bytes.append(hexadecimalDigit(UInt8(truncatingIfNeeded: value >> UInt64(position)) & 0xF))
    }
}
