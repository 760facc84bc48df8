// Numbers with units: counts, sizes in bytes, durations in milliseconds.
//
// Invariant: reading never traps and never rounds silently; `read` reads every value that `text` writes.

import Bytes

/// The kind of number of a setting, and its allowed values.
struct Quantity: Sendable, Equatable {
    enum Unit: Sendable, Equatable { case count, bytes, milliseconds }

    var unit: Unit
    var range: ClosedRange<Int>

    static func count(_ range: ClosedRange<Int>) -> Quantity { Quantity(unit: .count, range: range) }
    static func bytes(_ range: ClosedRange<Int>) -> Quantity { Quantity(unit: .bytes, range: range) }
    static func milliseconds(_ range: ClosedRange<Int>) -> Quantity { Quantity(unit: .milliseconds, range: range) }

    /// Why a text is not such a number.
    struct Failure: Error, Equatable { var message: String }

    /// The value of a text such as `15s`, `64KiB` or `100`.
    func read(_ text: String) throws(Failure) -> Int {
        guard let (digits, decimals, suffix) = Quantity.parts(text) else { throw malformed(text) }
        guard let unitSize = Quantity.size(of: suffix, in: unit) else {
            if unit == .milliseconds, suffix.isEmpty {
                throw Failure(message: "the duration \(quoted(text)) has no unit: write \(text)s, or \(text)ms, \(text)m, \(text)h")
            }
            throw malformed(text)
        }
        guard let value = Quantity.scale(digits: digits, decimals: decimals, by: unitSize) else {
            throw Failure(message: "\(quoted(text)) is too large or not a whole number of \(smallestUnit); \(allowed)")
        }
        guard range.contains(value) else { throw Failure(message: "\(quoted(text)) is out of range; \(allowed)") }
        return value
    }

    /// A value in the largest unit that needs no fraction.
    func text(_ value: Int) -> String {
        let units: [(String, Int)] =
            switch unit {
            case .count: []
            case .bytes: [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
            case .milliseconds: [("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
            }
        if unit == .milliseconds, value == 0 { return "0s" }
        for (name, size) in units where value >= size && value % size == 0 { return "\(value / size)\(name)" }
        return unit == .milliseconds ? "\(value)ms" : "\(value)"
    }

    /// What stands in the manual in place of a value.
    var placeholder: String {
        switch unit {
        case .count: "COUNT"
        case .bytes: "SIZE"
        case .milliseconds: "DURATION"
        }
    }

    /// The range in words, for messages and for the manual.
    var rangeText: String { "\(text(range.lowerBound)) to \(text(range.upperBound))" }

    private var allowed: String { "it may be from \(rangeText)" }

    private var smallestUnit: String {
        switch unit {
        case .count: "pieces"
        case .bytes: "bytes"
        case .milliseconds: "milliseconds"
        }
    }

    private func malformed(_ text: String) -> Failure {
        switch unit {
        case .count: Failure(message: "\(quoted(text)) is not a whole number; \(allowed)")
        case .bytes: Failure(message: "\(quoted(text)) is not a size; write bytes or a unit: 16KiB, 64k, 1MiB")
        case .milliseconds: Failure(message: "\(quoted(text)) is not a duration; write a number and a unit: 250ms, 15s, 2m, 1h")
        }
    }

    /// Splits `1.5s` into `1`, `5` and `s`; nil if it does not begin with a digit or the point has no digit after it.
    private static func parts(_ text: String) -> (digits: Substring, decimals: Substring, suffix: Substring)? {
        let bytes = text.utf8
        let digits = bytes.prefix(while: isDigit)
        guard !digits.isEmpty else { return nil }
        var rest = bytes[digits.endIndex...]
        var decimals = rest.prefix(0)
        if rest.first == UInt8(ascii: ".") {
            decimals = rest.dropFirst().prefix(while: isDigit)
            guard !decimals.isEmpty else { return nil }
            rest = bytes[decimals.endIndex...]
        }
        return (Substring(digits), Substring(decimals), Substring(rest))
    }

    private static func size(of suffix: Substring, in unit: Unit) -> Int? {
        switch unit {
        case .count: return suffix.isEmpty ? 1 : nil
        case .bytes:
            switch suffix.lowercased() {
            case "", "b": return 1
            case "k", "kib": return 1 << 10
            case "m", "mib": return 1 << 20
            case "g", "gib": return 1 << 30
            default: return nil
            }
        case .milliseconds:
            switch suffix {
            case "ms": return 1
            case "s": return 1_000
            case "m": return 60_000
            case "h": return 3_600_000
            default: return nil
            }
        }
    }

    /// `digits.decimals` times a factor; nil if that is no whole number or too large.
    private static func scale(digits: Substring, decimals: Substring, by factor: Int) -> Int? {
        guard let whole = Int(digits), decimals.utf8.count <= 9 else { return nil }
        let (scaled, overflow) = whole.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        if decimals.isEmpty { return scaled }
        var divisor = 1
        for _ in decimals.utf8 { divisor *= 10 }
        // Nine digits times the largest factor stay far below the largest integer.
        guard let fraction = Int(decimals), fraction * factor % divisor == 0 else { return nil }
        let (sum, sumOverflow) = scaled.addingReportingOverflow(fraction * factor / divisor)
        return sumOverflow ? nil : sum
    }
}
