import Reactor
import Testing

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

    @Test("it stays small, because every connection holds one")
    func size() { #expect(MemoryLayout<SocketAddress>.size <= 24) }
}
