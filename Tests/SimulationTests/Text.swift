// What the actors write and read: requests, chunks, random event streams.

import Reactor
import TestSupport

enum Text {
    /// A request's head as a server received it.
    struct RequestHead {
        var method: String
        var path: String
        var lastEventID: [UInt8]
        /// The first address in X-Forwarded-For.
        var forwardedFor: String?
        var count: Int
        let lines: [String]
        private var length: Int
        private var isChunked: Bool
        /// Whether it says that a body follows, which may be empty.
        var hasBody: Bool { isChunked || Text.value("content-length", in: lines) != nil }

        fileprivate init(_ lines: [String], count: Int) {
            let words = lines[0].split(separator: " ").map(String.init)
            method = words[0]
            path = words[1]
            self.count = count
            self.lines = lines
            lastEventID = Array((Text.value("last-event-id", in: lines) ?? "").utf8)
            forwardedFor = Text.value("x-forwarded-for", in: lines)?.split(separator: ",").first.map(String.init)
            length = Text.value("content-length", in: lines).flatMap(Int.init) ?? 0
            isChunked = Text.value("transfer-encoding", in: lines) == "chunked"
        }

        /// The body behind the head and how many bytes it takes there; nil while it is not whole.
        func body(in bytes: [UInt8]) -> (bytes: [UInt8], count: Int)? {
            guard isChunked else { return bytes.count >= count + length ? (Array(bytes[count..<(count + length)]), length) : nil }
            var body: [UInt8] = []
            var index = count
            while let end = bytes[index...].firstIndex(of: 10) {
                guard let size = Int(String(decoding: bytes[index..<(end - 1)], as: UTF8.self), radix: 16) else { return nil }
                guard bytes.count >= end + 1 + size + 2 else { return nil }
                body += bytes[(end + 1)..<(end + 1 + size)]
                index = end + 1 + size + 2
                if size == 0 { return (body, index - count) }
            }
            return nil
        }
    }

    private static func endOfHead(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 0...(bytes.count - 4)
        where bytes[index] == 13 && bytes[index + 1] == 10 && bytes[index + 2] == 13 && bytes[index + 3] == 10 {
            return index + 4
        }
        return nil
    }

    private static func value(_ name: String, in lines: [String]) -> String? {
        lines.first { $0.lowercased().hasPrefix(name + ":") }.map { String($0.dropFirst(name.utf8.count + 1).drop { $0 == " " }) }
    }

    /// The values of the fields that a server may take for this one: many fold what stands between the words of a name.
    static func values(like name: String, in lines: [String]) -> [String] {
        lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let folded = line[..<colon].lowercased().replacing("_", with: "-").replacing(".", with: "-")
            return folded == name ? String(line[colon...].dropFirst().drop { $0 == " " }) : nil
        }
    }

    /// A request's head at the beginning of the received bytes.
    static func head(in bytes: [UInt8]) -> RequestHead? {
        guard let end = endOfHead(bytes) else { return nil }
        return RequestHead(String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n").map(String.init), count: end)
    }

    /// Random chunks that hold the bytes, without the last chunk.
    static func chunks(_ bytes: [UInt8], _ chance: inout Chance) -> [UInt8] {
        var framed: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = chance.permille(700) ? rest.count : chance.number(1...rest.count)
            framed += Array("\(String(count, radix: 16))\r\n".utf8) + rest.prefix(count) + [13, 10]
            rest = rest.dropFirst(count)
        }
        return framed
    }

    /// A TLS record that nobody can decrypt; with `isWhole` unset only the beginning of one.
    static func spoiltRecord(_ chance: inout Chance, isWhole: Bool) -> [UInt8] {
        [23, 3, 3, 0, 40] + (0..<(isWhole ? 40 : 10)).map { _ in UInt8(truncatingIfNeeded: chance.next()) }
    }

    /// Whether the last line of a stream is a blank one that certainly ends with its LF.
    static func endsBlank(_ stream: [UInt8]) -> Bool {
        guard stream.last == 10 else { return stream.isEmpty }
        let rest = stream.dropLast()
        let before = rest.last == 13 ? rest.dropLast() : rest
        return before.last.map { $0 == 10 || $0 == 13 } ?? true
    }

    /// An answer without a request.
    static let unasked = Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong".utf8)

    /// Bytes that look like a compressed stream.
    static func noise(_ chance: inout Chance) -> [UInt8] {
        (0..<chance.number(1...200)).map { _ in UInt8(truncatingIfNeeded: chance.next()) }
    }

    /// A piece of an event stream: whole events, single lines, ends in the middle of anything.
    static func streamPiece(_ chance: inout Chance, isFirst: Bool) -> [UInt8] {
        let fragments = [
            "data: hello\n\n", "data: a\r\n\r\n", "data: b\r\r", "id: 7\ndata: x\n\n", "id\ndata\n\n", "event: tick\ndata: y\n\n",
            ": comment\n", "\n", "\r",
            "\r\n", "data: part", "da", "ta: z\n", "retry: 500\n", "id: 9\n\n", "data: ä\n", "event: heartbeat-like\n", "x: y\n", "\n\n",
            ":\r",
            "data: \(chance.number(0...99_999))\n\n", "id: \(chance.number(0...99))\n",
        ]
        var piece: [UInt8] = []
        if isFirst, chance.permille(200) { piece += [0xEF, 0xBB, 0xBF].prefix(chance.number(1...3)) }
        for _ in 0..<chance.number(1...5) { piece += Array(chance.pick(fragments).utf8) }
        if chance.permille(10) { piece += Array(repeating: 0x78, count: chance.number(1...90_000)) }
        if chance.permille(600) { piece += Array("\n\n".utf8) }
        return piece
    }

    /// An event that alone takes much of a small window.
    static func largeEvent(_ chance: inout Chance) -> [UInt8] {
        Array("\n\ndata: ".utf8) + Array(repeating: 0x78, count: chance.number(10_000...40_000)) + [10, 10]
    }

    /// A header of the PROXY protocol, of either version.
    static func proxyHeader(of client: SocketAddress, _ chance: inout Chance) -> [UInt8] {
        guard chance.permille(600) else { return Array("PROXY TCP4 \(client.host) 10.9.9.9 \(client.port) 80\r\n".utf8) }
        let more = (0..<(chance.permille(300) ? chance.number(3...200) : 0)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]
        let ports = [UInt8(client.port >> 8), UInt8(client.port & 0xFF), 0, 80]
        return signature + [0x21, 0x11, 0, UInt8(12 + more.count)] + client.bytes + [10, 9, 9, 9] + ports + more
    }
}
