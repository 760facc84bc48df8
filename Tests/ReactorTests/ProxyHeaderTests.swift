// The header of the PROXY protocol, whole, byte by byte and in every two-part split.

import Reactor
import Testing

@Suite("A PROXY header")
struct ProxyHeaderTests {
    private enum Answer: Equatable {
        case client(ProxiedClient, consumed: Int)
        case refused(ProxyHeaderError)
        case incomplete
    }

    /// Reads like a link: never more than is missing, and in pieces that end at `cuts`.
    private func read(_ bytes: [UInt8], cuts: Set<Int>) -> Answer {
        var parser = ProxyHeaderParser()
        var offset = 0
        while offset < bytes.count {
            var end = min(bytes.count, offset + parser.missingCount)
            if let cut = ((offset + 1)..<(end + 1)).first(where: { cuts.contains($0) }) { end = cut }
            do throws(ProxyHeaderError) {
                if let client = try parser.receive(Array(bytes[offset..<end]).span) { return .client(client, consumed: end) }
            } catch { return .refused(error) }
            offset = end
        }
        return .incomplete
    }

    private func check(_ bytes: [UInt8], _ expected: Answer, _ what: String) {
        #expect(read(bytes, cuts: []) == expected, "\(what), whole")
        #expect(read(bytes, cuts: Set(0...bytes.count)) == expected, "\(what), byte by byte")
        for cut in bytes.indices { #expect(read(bytes, cuts: [cut]) == expected, "\(what), cut at \(cut)") }
    }

    private func address(_ host: String, _ port: UInt16) -> SocketAddress { SocketAddress(numeric: host, port: port)! }

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

    private func binary(_ command: UInt8, _ family: UInt8, _ payload: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? payload.count
        return ProxyHeaderTests.signature + [command, family, UInt8(length >> 8), UInt8(length & 0xff)] + payload
    }

    private static let four: [UInt8] = [192, 0, 2, 7, 10, 0, 0, 1, 0xC3, 0x50, 1, 0xBB]
    private static let six: [UInt8] =
        [0x20, 1, 0xD, 0xB8] + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 9, count: 16) + [0xC3, 0x50, 1, 0xBB]

    @Test(
        "of version 1 names the client, and leaves what follows it",
        arguments: [
            ("PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\r\n", "192.0.2.7", 50_000), ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0", 0),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255", 65_535),
            ("PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "2001:db8::7", 1), ("PROXY TCP6 :: :: 0 0\r\n", "::", 0),
            (
                "PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".replacing("f...f", with: "ffff:ffff:ffff:ffff:ffff:ffff"),
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65_535
            ),
            ("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 50000 443\r\n", "192.0.2.7", 50_000),
        ] as [(String, String, UInt16)])
    func line(text: String, host: String, port: UInt16) {
        let header = Array(text.utf8)
        for rest in ["", "GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}", "\r\n"] {
            check(header + Array(rest.utf8), .client(.client(address(host, port)), consumed: header.count), text)
        }
        for count in 1..<header.count { check(Array(header[..<count]), .incomplete, "\(count) bytes of \(text)") }
    }

    @Test(
        "that does not know the client says so",
        arguments: [
            "PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "PROXY UNKNOWN \r\n",
            "PROXY UNKNOWN \(String(repeating: "x", count: 91))\r\n",
        ])
    func unknown(text: String) {
        check(Array((text + "GET").utf8), .client(.unknown, consumed: text.utf8.count), text)
    }

    @Test(
        "of version 1 that is malformed is refused",
        arguments: [
            "PROXY TCP4 192.0.2.7 10.0.0.1 50000\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 50000 443 \r\n",
            "PROXY TCP4  192.0.2.7 10.0.0.1 50000 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 050000 443\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 -1 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 +1 443\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 1 00\r\n",
            "PROXY TCP4 192.0.2.256 10.0.0.1 50000 443\r\n",
            "PROXY TCP4 192.0.2.07 10.0.0.1 50000 443\r\n", "PROXY TCP4 192.0.2 10.0.0.1 50000 443\r\n", "PROXY TCP4 ::1 ::1 50000 443\r\n",
            "PROXY TCP6 192.0.2.7 10.0.0.1 50000 443\r\n", "PROXY TCP6 ::1%lo ::1 50000 443\r\n",
            "PROXY TCP5 192.0.2.7 10.0.0.1 50000 443\r\n", "PROXY tcp4 192.0.2.7 10.0.0.1 50000 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\n", "PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\rX", "PROXY UNKNOWNX\r\n",
            "PROXY TCP4 192.0.2.7\0 10.0.0.1 50000 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\t\r\n", "PROXY  UNKNOWN\r\n", "PROXY \r\nGET / HTTP/1.1\r\n",
        ])
    func malformed(text: String) { check(Array(text.utf8), .refused(.malformedLine), text) }

    @Test("of version 1 has at most 107 bytes")
    func longLine() {
        check(Array("PROXY UNKNOWN \(String(repeating: "x", count: 92))\r\n".utf8), .refused(.lineTooLong), "108 bytes")
        check(Array("PROXY TCP4 \(String(repeating: "1", count: 200))".utf8), .refused(.lineTooLong), "no end")
        check(Array("PROXY UNKNOWN \(String(repeating: "x", count: 92))\r".utf8), .refused(.lineTooLong), "no room for the LF")
    }

    @Test(
        "that is none is refused at the first byte that tells",
        arguments: [
            "GET / HTTP/1.1\r\n", "PROXX TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "PUT / HTTP/1.1\r\n", "proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
            "\u{16}\u{3}\u{1}abcdefghijklmnop", "\r\n\r\n\0\r\nQUIX\n!!!!",
        ])
    func none(text: String) {
        check(Array(text.utf8), .refused(.noHeader), text)
        var parser = ProxyHeaderParser()
        #expect(throws: ProxyHeaderError.noHeader) { for byte in text.utf8 { _ = try parser.receive([byte].span) } }
    }

    @Test("of version 2 names the client, and leaves what follows it")
    func binaryClients() {
        for rest in [[], Array("GET / HTTP/1.1\r\n\r\n".utf8), [0x16, 3, 1]] as [[UInt8]] {
            check(binary(0x21, 0x11, Self.four) + rest, .client(.client(address("192.0.2.7", 50_000)), consumed: 28), "IPv4")
            check(binary(0x21, 0x21, Self.six) + rest, .client(.client(address("2001:db8::7", 50_000)), consumed: 52), "IPv6")
            let more: [UInt8] = [4, 0, 3, 1, 2, 3, 0x20, 0xff, 0xff]
            check(
                binary(0x21, 0x11, Self.four + more) + rest, .client(.client(address("192.0.2.7", 50_000)), consumed: 37), "IPv4 and more")
            check(binary(0x21, 0x31, [UInt8](repeating: 0x2F, count: 216)) + rest, .client(.unknown, consumed: 232), "a UNIX socket")
            check(binary(0x21, 0x00, [1, 2, 3]) + rest, .client(.unknown, consumed: 19), "nobody")
            check(binary(0x21, 0x12, Self.four) + rest, .client(.unknown, consumed: 28), "datagrams")
            check(binary(0x20, 0x00, []) + rest, .client(.proxyItself, consumed: 16), "the proxy itself")
            check(binary(0x20, 0x11, Self.four) + rest, .client(.proxyItself, consumed: 28), "the proxy itself, with addresses")
        }
        for count in 1..<28 { check(Array(binary(0x21, 0x11, Self.four)[..<count]), .incomplete, "\(count) bytes") }
    }

    @Test("of version 2 that is impossible is refused")
    func impossible() {
        check(binary(0x21, 0x11, Array(Self.four.dropLast())), .refused(.impossibleLength), "too short for IPv4")
        check(binary(0x21, 0x21, Array(Self.six.dropLast())), .refused(.impossibleLength), "too short for IPv6")
        check(binary(0x21, 0x31, [1, 2, 3]), .refused(.impossibleLength), "too short for a path")
        check(binary(0x21, 0x11, Self.four, length: 0xFFFF), .refused(.impossibleLength), "too long")
        check(binary(0x21, 0x11, Self.four, length: 4_081), .refused(.impossibleLength), "a byte too long")
        for command: UInt8 in [0x00, 0x11, 0x22, 0x2F, 0x31] {
            check(binary(command, 0x11, Self.four), .refused(.unknownVariant), "command \(command)")
        }
        for family: UInt8 in [0x01, 0x10, 0x13, 0x40, 0xFF] {
            check(binary(0x21, family, Self.six), .refused(.unknownVariant), "family \(family)")
        }
        let longest = binary(0x21, 0x11, Self.four + [UInt8](repeating: 0, count: 4_080 - 12))
        #expect(read(longest + [1], cuts: []) == .client(.client(address("192.0.2.7", 50_000)), consumed: 4_096))
    }
}
