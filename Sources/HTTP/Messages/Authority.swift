// Checks the host and port of a Host field or of an absolute-form target (RFC 3986 section 3.2, RFC
// 9110 section 7.2). Names are not looked up and addresses not converted here.
//
// Invariant: an accepted value is one host with at most one port, and no server can read it as something else: it holds no user, no
// list, no percent escape, no zone. An empty port, which means the scheme's default, is cut off.

import Bytes

/// The host-and-port check.
enum Authority {
    /// The host and port in the range, without the colon of an empty port (RFC 3986 section 3.2.3). Nil unless the range holds a
    /// registered name, an IPv4 address or a bracketed IPv6 address, with or without a port from 0 to 65535. Percent escapes and commas
    /// are refused, although the grammar allows them in a name: real names have none, and attackers use them to disguise one host as
    /// another.
    static func hostAndPort(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int>? {
        guard isValid(bytes, range) else { return nil }
        // An IPv6 address has brackets, so a colon at the end begins a port.
        return bytes[range.upperBound - 1] == 0x3A ? range.lowerBound..<range.upperBound - 1 : range
    }

    private static func isValid(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard !range.isEmpty else { return false }
        var hostEnd = range.lowerBound
        if bytes[hostEnd] == 0x5B {
            while hostEnd < range.upperBound, bytes[hostEnd] != 0x5D { hostEnd += 1 }
            guard hostEnd < range.upperBound else { return false }
            guard isIPv6Address(bytes, range.lowerBound + 1..<hostEnd) else { return false }
            hostEnd += 1
        } else {
            while hostEnd < range.upperBound, isNameByte(bytes[hostEnd]) { hostEnd += 1 }
            guard hostEnd > range.lowerBound else { return false }
        }
        if hostEnd == range.upperBound { return true }
        return bytes[hostEnd] == 0x3A && isPort(bytes, hostEnd + 1..<range.upperBound)
    }

    /// Unreserved characters and sub-delimiters without the comma; a bit for each.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        if byte < 64 { return (0x2BFF_6FD2_0000_0000 as UInt64) >> UInt64(byte) & 1 == 1 }
        if byte < 128 { return (0x47FF_FFFE_87FF_FFFE as UInt64) >> UInt64(byte & 63) & 1 == 1 }
        return false
    }

    private static func isPort(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.count <= 5 else { return false }
        var port = 0
        for index in range {
            guard isDigit(bytes[index]) else { return false }
            port = port * 10 + Int(bytes[index] &- 0x30)
        }
        return port <= 65_535
    }

    /// IPv6address of RFC 3986: eight groups of up to four hexadecimal digits, one run of them possibly
    /// left out as `::`, the last two possibly written as an IPv4 address.
    static func isIPv6Address(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard (2...45).contains(range.count) else { return false }
        var groups = 0
        var hasGap = false
        var index = range.lowerBound
        while index < range.upperBound {
            if bytes[index] == 0x3A {
                guard index + 1 < range.upperBound, bytes[index + 1] == 0x3A, !hasGap else { return false }
                hasGap = true
                index += 2
                continue
            }
            let start = index
            while index < range.upperBound, hexadecimalValue(bytes[index]) != nil { index += 1 }
            if index < range.upperBound, bytes[index] == 0x2E {
                guard isIPv4Address(bytes, start..<range.upperBound) else { return false }
                groups += 2
                break
            }
            guard (1...4).contains(index - start) else { return false }
            groups += 1
            // One colon must follow here, except at the end or at a gap; the code above handles a gap.
            guard index < range.upperBound else { break }
            guard bytes[index] == 0x3A, index + 1 < range.upperBound else { return false }
            if bytes[index + 1] != 0x3A { index += 1 }
        }
        return hasGap ? groups <= 7 : groups == 8
    }

    /// Four decimal numbers up to 255 without leading zeros.
    private static func isIPv4Address(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.count <= 15 else { return false }
        var numbers = 0
        var index = range.lowerBound
        while true {
            let start = index
            var value = 0
            while index < range.upperBound, isDigit(bytes[index]) {
                value = value * 10 + Int(bytes[index] &- 0x30)
                index += 1
            }
            guard (1...3).contains(index - start), value <= 255 else { return false }
            guard index - start == 1 || bytes[start] != 0x30 else { return false }
            numbers += 1
            if index == range.upperBound { return numbers == 4 }
            guard numbers < 4, bytes[index] == 0x2E else { return false }
            index += 1
        }
    }
}
