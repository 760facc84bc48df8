// An IPv4 or IPv6 address with a port, or the path of a UNIX socket, as a value of 24 bytes, and its conversion to and from the C
// structures. `Kernel.resolve` looks up names.

import CLinux
import Glibc

/// A peer's address: an IPv4 or IPv6 address and a port, or the path of a UNIX socket.
///
/// IPv4 addresses mapped into IPv6 (`::ffff:a.b.c.d`) are stored as IPv4 addresses, so that a client has the same address on every
/// socket.
public struct SocketAddress: Hashable, Sendable {
    private enum Family: UInt8 {
        case ipv4, ipv6
        /// `high` is the number of the path in `UnixSocketPath`.
        case unix
    }

    private var high: UInt64
    private var low: UInt64
    private var scope: UInt32
    /// The port, in host order; 0 for a UNIX socket.
    public var port: UInt16
    private let family: Family

    /// Whether the address is an IPv6 one.
    public var isIPv6: Bool { family == .ipv6 }

    /// Whether it is the path of a UNIX socket.
    public var isUnix: Bool { family == .unix }

    /// Makes an address of four or sixteen bytes in network order.
    public init(bytes: [UInt8], port: UInt16, scope: UInt32 = 0) {
        precondition(bytes.count == 4 || bytes.count == 16)
        var halves: (UInt64, UInt64) = (0, 0)
        for (index, byte) in bytes.enumerated() {
            if index < 8 { halves.0 = halves.0 << 8 | UInt64(byte) } else { halves.1 = halves.1 << 8 | UInt64(byte) }
        }
        if bytes.count == 16 {
            self.init(halves.0, halves.1, scope: scope, port: port)
        } else {
            self.init(high: halves.0, low: 0, scope: scope, port: port, family: .ipv4)
        }
    }

    /// An IPv6 address, or the IPv4 address that is mapped into it.
    private init(_ high: UInt64, _ low: UInt64, scope: UInt32, port: UInt16) {
        if high == 0, low >> 32 == 0xFFFF {
            self.init(high: low & 0xFFFF_FFFF, low: 0, scope: 0, port: port, family: .ipv4)
        } else {
            self.init(high: high, low: low, scope: scope, port: port, family: .ipv6)
        }
    }

    private init(high: UInt64, low: UInt64, scope: UInt32, port: UInt16, family: Family) {
        self.high = high
        self.low = low
        self.scope = scope
        self.port = port
        self.family = family
    }

    /// A UNIX socket by its path, or, after `@`, its abstract name (unix(7)); nil if that has more than `UnixSocketPath.maximumBytes`.
    public init?(unixPath path: String) {
        guard let number = UnixSocketPath.number(of: path) else { return nil }
        self.init(high: UInt64(number), low: 0, scope: 0, port: 0, family: .unix)
    }

    /// An address that needs no look-up: a numeric address, or `unix:` and a path; nil for a name.
    public init?(literal host: String, port: UInt16) {
        if let path = UnixSocketPath.path(in: host) { self.init(unixPath: path) } else { self.init(numeric: host, port: port) }
    }

    /// Reads a numeric address (`127.0.0.1`, `::1`, without brackets); `nil` for anything else.
    public init?(numeric host: String, port: UInt16) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            self.init(bytes: withUnsafeBytes(of: &four) { Array($0) }, port: port)
        } else if inet_pton(AF_INET6, host, &six) == 1 {
            self.init(bytes: withUnsafeBytes(of: &six) { Array($0) }, port: port)
        } else {
            return nil
        }
    }

    /// The address of clients of a UNIX socket, which usually have none. It is the same for all of them, since a path is kept for good.
    static let unixClient = SocketAddress(high: UInt64(UnixSocketPath.numberOfClients), low: 0, scope: 0, port: 0, family: .unix)

    /// The file of a UNIX socket; nil for an abstract one, and for other addresses.
    var unixFile: String? {
        guard isUnix else { return nil }
        let path = UnixSocketPath.path(high)
        return path.hasPrefix("/") ? path : nil
    }

    /// Removes the file of a UNIX socket that is no longer listened on.
    public func removeUnixFile() {
        if let file = unixFile { unlink(file) }
    }

    /// Reads what `accept`, `getsockname` or `getaddrinfo` filled in; `nil` for another family.
    init?(_ pointer: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(pointer)
        switch Int32(pointer.pointee.sa_family) {
        case AF_INET:
            let address = raw.loadUnaligned(as: sockaddr_in.self)
            self.init(
                high: UInt64(UInt32(bigEndian: address.sin_addr.s_addr)), low: 0, scope: 0, port: UInt16(bigEndian: address.sin_port),
                family: .ipv4)
        case AF_INET6:
            let address = raw.loadUnaligned(as: sockaddr_in6.self)
            let (high, low) = withUnsafeBytes(of: address.sin6_addr) { bytes in
                (
                    UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                )
            }
            self.init(high, low, scope: address.sin6_scope_id, port: UInt16(bigEndian: address.sin6_port))
        case AF_UNIX: self = .unixClient
        default:
            return nil
        }
    }

    /// The address that a socket is bound to; `nil` where it is none of these families.
    init?(boundTo descriptor: Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let found = withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard getsockname(descriptor, pointer, &length) == 0 else { return nil as SocketAddress? }
                let isUnix = Int32(pointer.pointee.sa_family) == AF_UNIX
                return isUnix ? UnixSocketPath.read(pointer, Int(length)).flatMap(SocketAddress.init(unixPath:)) : SocketAddress(pointer)
            }
        }
        guard let found else { return nil }
        self = found
    }

    static func everyIPv6(port: UInt16) -> SocketAddress { SocketAddress(bytes: [UInt8](repeating: 0, count: 16), port: port) }

    /// The four or sixteen bytes of the address in network order; none for a UNIX socket.
    public var bytes: [UInt8] {
        if isUnix { return [] }
        let count = isIPv6 ? 16 : 4
        let first = isIPv6 ? high : high << 32
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count {
                buffer[index] = UInt8(truncatingIfNeeded: (index < 8 ? first : low) >> (56 - 8 * UInt64(index & 7)))
            }
            initialized = count
        }
    }

    /// The same address with port 0, which all connections of one client share.
    public var withoutPort: SocketAddress {
        var copy = self
        copy.port = 0
        return copy
    }

    /// Whether it is a loopback address (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3).
    var isLoopback: Bool {
        switch family {
        case .ipv4: high >> 24 == 127
        case .ipv6: high == 0 && low == 1
        case .unix: true
        }
    }

    /// Whether it means every address of the machine.
    var isUnspecified: Bool { !isUnix && high == 0 && low == 0 }

    /// The numeric address alone, without brackets, or `unix:` and the path.
    public var host: String {
        if isUnix { return UnixSocketPath.prefix + UnixSocketPath.path(high) }
        var text: [UInt8] = []
        appendHost(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the numeric address, without brackets; not for a UNIX socket.
    public func appendHost(to text: inout [UInt8]) { withHost { text.append(contentsOf: $0) } }

    /// Lends the numeric address, without brackets; not for a UNIX socket, since no client has such an address.
    public func withHost(_ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(INET6_ADDRSTRLEN)) { room in
            body(UnsafeBufferPointer(rebasing: room[..<write(hostInto: room)]))
        }
    }

    private func write(hostInto room: UnsafeMutableBufferPointer<UInt8>) -> Int {
        precondition(!isUnix)
        var count = 0
        guard isIPv6 else {
            func append(_ byte: UInt8) {
                room[count] = byte
                count += 1
            }
            var shift: UInt64 = 32
            while shift > 0 {
                shift -= 8
                let value = UInt8(truncatingIfNeeded: high >> shift)
                if value >= 100 { append(0x30 + value / 100) }
                if value >= 10 { append(0x30 + value / 10 % 10) }
                append(0x30 + value % 10)
                if shift > 0 { append(UInt8(ascii: ".")) }
            }
            return count
        }
        room.withMemoryRebound(to: CChar.self) { text in
            inet_ntop(AF_INET6, bytes, text.baseAddress, socklen_t(text.count))
            while text[count] != 0 { count += 1 }
        }
        return count
    }

    /// Lends the C structure to a call.
    func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var storage = sockaddr_storage()
        return withUnsafeMutableBytes(of: &storage) { raw in
            let length: Int
            if isUnix {
                length = UnixSocketPath.write(UnixSocketPath.path(high), into: raw)
            } else if isIPv6 {
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = port.bigEndian
                address.sin6_scope_id = scope
                withUnsafeMutableBytes(of: &address.sin6_addr) { bytes in
                    bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
                    bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
                }
                length = MemoryLayout<sockaddr_in6>.size
                raw.storeBytes(of: address, as: sockaddr_in6.self)
            } else {
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = port.bigEndian
                address.sin_addr.s_addr = UInt32(truncatingIfNeeded: high).bigEndian
                length = MemoryLayout<sockaddr_in>.size
                raw.storeBytes(of: address, as: sockaddr_in.self)
            }
            return body(raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(length))
        }
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/app.sock`.
    public var description: String { isUnix ? host : isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
