// A range of IP addresses in CIDR notation (RFC 4632, RFC 4291 section 2.3).
//
// Invariant: the bits of `network` outside `mask` are zero. IPv4 addresses are stored in the IPv4-mapped part of the IPv6 space
// (::ffff:0:0/96), so that a client has the same address on every socket.

import Bytes
import Glibc

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
package struct AddressRange: Sendable, Equatable {
    private let network: UInt128
    private let mask: UInt128

    /// Reads `ADDRESS` or `ADDRESS/BITS`; nil for anything else, and where bits beyond the prefix are set.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first, let (value, width) = AddressRange.read(String(address)) else { return nil }
        var bits = width
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy(isDigit), let written = Int(parts[1]), written <= width else { return nil }
            bits = written
        }
        let hostBits = width - bits
        let mask = hostBits == 128 ? 0 : UInt128.max << UInt128(hostBits)
        guard value & ~mask == 0 else { return nil }
        self.network = value
        self.mask = mask
    }

    /// Whether an address, four or sixteen bytes in network order, lies in the range; false for any other number of bytes.
    package func contains(_ address: Span<UInt8>) -> Bool {
        guard address.count == 4 || address.count == 16 else { return false }
        var value: UInt128 = address.count == 4 ? 0xffff : 0
        for index in address.indices { value = value << 8 | UInt128(address[index]) }
        return value & mask == network
    }

    private static func read(_ text: String) -> (value: UInt128, width: Int)? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            return (0xffff << 32 | UInt128(UInt32(bigEndian: four.s_addr)), 32)
        }
        var sixteen = in6_addr()
        guard inet_pton(AF_INET6, text, &sixteen) == 1 else { return nil }
        let value = withUnsafeBytes(of: &sixteen) { bytes in
            bytes.reduce(into: UInt128(0)) { $0 = $0 << 8 | UInt128($1) }
        }
        return (value, 128)
    }
}
