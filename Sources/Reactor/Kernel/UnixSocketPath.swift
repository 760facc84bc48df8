// The paths of UNIX sockets, each with a number, so that a `SocketAddress` stays small: every connection holds one. Paths come only
// from configurations and are never dropped, so a number means the same path for the life of the process.

import Glibc
import Synchronization

/// The path of a UNIX socket.
public enum UnixSocketPath {
    /// What stands before a path in the place of a host.
    public static let prefix = "unix:"
    /// The room for a path in `sockaddr_un` without the zero at its end (unix(7)).
    public static let maximumBytes = 107

    /// The first entry stands for all clients of UNIX sockets.
    private static let known = Mutex<[String]>(["client"])
    static let numberOfClients = 0

    /// The path after `unix:`; nil if the host is not such a path.
    public static func path(in host: String) -> String? { host.hasPrefix(prefix) ? String(host.dropFirst(prefix.count)) : nil }

    static func number(of path: String) -> Int? {
        guard (1...maximumBytes).contains(path.utf8.count), !path.utf8.contains(0) else { return nil }
        return known.withLock { known in
            if let number = known[1...].firstIndex(of: path) { return number }
            known.append(path)
            return known.count - 1
        }
    }

    static func path(_ number: UInt64) -> String { known.withLock { $0[Int(number)] } }

    /// The path in a C structure of that length; nil for a socket without one.
    static func read(_ pointer: UnsafePointer<sockaddr>, _ length: Int) -> String? {
        guard let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path), length > offset else { return nil }
        let bytes = UnsafeRawBufferPointer(start: UnsafeRawPointer(pointer) + offset, count: length - offset)
        guard bytes[0] == 0 else { return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
        return "@" + String(decoding: bytes.dropFirst(), as: UTF8.self)
    }

    /// Writes the C structure and returns its length. An abstract name begins with a zero and ends with the structure.
    static func write(_ path: String, into raw: UnsafeMutableRawBufferPointer) -> Int {
        guard let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) else { preconditionFailure("sockaddr_un has a path") }
        raw.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
        raw[offset...].copyBytes(from: path.utf8)
        let isAbstract = path.utf8.first == UInt8(ascii: "@")
        if isAbstract { raw[offset] = 0 }
        return offset + path.utf8.count + (isAbstract ? 0 : 1)
    }
}
