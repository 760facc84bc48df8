// Addresses as values, and UNIX sockets over the real kernel.

import Glibc
import Testing

@testable import Reactor

@Suite struct SocketAddressTests {
    @Test("numeric addresses are read and written as people write them")
    func numeric() throws {
        for (host, shown) in [
            ("127.0.0.1", "127.0.0.1:8080"), ("::1", "[::1]:8080"), ("2001:db8::7", "[2001:db8::7]:8080"),
            ("255.255.255.255", "255.255.255.255:8080"), ("::", "[::]:8080"),
        ] {
            let address = try #require(SocketAddress(numeric: host, port: 8080))
            #expect(address.description == shown)
            #expect(SocketAddress(bytes: address.bytes, port: 8080) == address)
        }
        for host in ["localhost", "", "1.2.3", "1.2.3.4.5", "[::1]", "::g", "127.0.0.1 "] {
            #expect(SocketAddress(numeric: host, port: 1) == nil, "\(host)")
        }
    }

    @Test("an IPv4 address that is mapped into IPv6 is the IPv4 address")
    func mapped() {
        #expect(SocketAddress(numeric: "::ffff:192.0.2.7", port: 1) == SocketAddress(numeric: "192.0.2.7", port: 1))
    }

    @Test("the path of a UNIX socket is an address too, and its path alone identifies it")
    func unix() throws {
        let address = try #require(SocketAddress(unixPath: "/run/app.sock"))
        #expect(address.description == "unix:/run/app.sock" && address.host == "unix:/run/app.sock" && address.isUnix && !address.isIPv6)
        #expect(address == SocketAddress(literal: "unix:/run/app.sock", port: 0) && address.bytes.isEmpty && address.port == 0)
        #expect(
            address != SocketAddress(unixPath: "/run/app2.sock") && address.hashValue == SocketAddress(unixPath: "/run/app.sock")?.hashValue
        )
        #expect(
            SocketAddress(literal: "::1", port: 8) == SocketAddress(numeric: "::1", port: 8)
                && SocketAddress(literal: "app", port: 8) == nil)
        #expect(SocketAddress(numeric: "unix:/run/app.sock", port: 0) == nil)
        #expect(SocketAddress(unixPath: "/" + String(repeating: "x", count: 106)) != nil)
        #expect(SocketAddress(unixPath: "/" + String(repeating: "x", count: 107)) == nil && SocketAddress(unixPath: "") == nil)
    }

    @Test("a UNIX socket is connected to by its path, of any length, or by its abstract name", arguments: [0, 1, 2])
    func connecting(kind: Int) throws {
        let folder = "/tmp/hw-\(getpid())-\(kind)"
        let path =
            kind == 2 ? "@heartwire-test-\(getpid())" : kind == 1 ? folder + String(repeating: "x", count: 107 - folder.utf8.count) : folder
        defer { unlink(path) }
        let listening = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        defer { close(listening) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
        let isBound = withUnsafeMutableBytes(of: &address) { raw in
            raw[offset...].copyBytes(from: path.utf8)
            if kind == 2 { raw[offset] = 0 }
            let length = socklen_t(offset + path.utf8.count + (kind == 0 ? 1 : 0))
            return bind(listening, raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), length) == 0
        }
        #expect(isBound && listen(listening, 0) == 0)
        let kernel = LinuxKernel()
        let target = try #require(SocketAddress(unixPath: path))
        let connection = try kernel.connect(to: target)
        #expect(connection.isConnected && kernel.transportInformation(of: connection.descriptor) == nil)
        // Its backlog of one is full now.
        #expect(throws: SystemError.wouldBlock) { try kernel.connect(to: target) }
        let accepted = accept(listening, nil, nil)
        kernel.close(connection.descriptor, abortively: false)
        close(accepted)
    }

    @Test("a missing UNIX socket, or one without a listener, is reported at once")
    func failing() throws {
        let kernel = LinuxKernel()
        #expect(throws: SystemError(ENOENT)) { try kernel.connect(to: SocketAddress(unixPath: "/tmp/hw-\(getpid())-none")!) }
        #expect(throws: SystemError.connectionRefused) { try kernel.connect(to: SocketAddress(unixPath: "/etc/passwd")!) }
    }

    @Test("it stays small, because every connection holds one")
    func size() { #expect(MemoryLayout<SocketAddress>.size <= 24) }
}
