// What the actors write and read: heads, chunks, event streams of chance, and the responses in what a client received. A
// parser of its own, so that the proxy is not judged by itself.

enum Text {
    struct RequestHead {
        var method: String
        var path: String
        var contentLength: Int
        var count: Int
    }

    private static func endOfHead(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in bytes.startIndex...(bytes.endIndex - 4) where bytes[index..<(index + 4)].elementsEqual([13, 10, 13, 10]) { return index + 4 }
        return nil
    }

    private static func lines(_ head: ArraySlice<UInt8>) -> [String] {
        String(decoding: head, as: UTF8.self).split(separator: "\r\n").map(String.init)
    }

    private static func value(_ name: String, in lines: [String]) -> String? {
        lines.first { $0.lowercased().hasPrefix(name + ":") }.map { String($0.dropFirst(name.utf8.count + 1).drop { $0 == " " }) }
    }

    /// A request's head at the beginning of what came.
    static func head(in bytes: [UInt8]) -> RequestHead? {
        guard let end = endOfHead(bytes[...]) else { return nil }
        let lines = lines(bytes[..<end])
        let words = lines[0].split(separator: " ").map(String.init)
        return RequestHead(method: words[0], path: words[1], contentLength: value("content-length", in: lines).flatMap(Int.init) ?? 0, count: end)
    }

    /// Chunks of chance that hold the bytes, without the last one.
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

    /// A piece of an event stream: whole events, single lines, ends in the middle of anything.
    static func streamPiece(_ chance: inout Chance, isFirst: Bool) -> [UInt8] {
        let fragments = [
            "data: hello\n\n", "data: a\r\n\r\n", "data: b\r\r", "id: 7\ndata: x\n\n", "id\ndata\n\n", "event: tick\ndata: y\n\n", ": comment\n", "\n", "\r",
            "\r\n", "data: part", "da", "ta: z\n", "retry: 500\n", "id: 9\n\n", "data: ä\n", "event: heartbeat-like\n", "x: y\n", "\n\n", ":\r",
        ]
        var piece: [UInt8] = []
        if isFirst, chance.permille(200) { piece += [0xEF, 0xBB, 0xBF].prefix(chance.number(1...3)) }
        for _ in 0..<chance.number(1...5) { piece += Array(chance.pick(fragments).utf8) }
        if chance.permille(30) { piece += Array(repeating: 0x78, count: chance.number(1...90_000)) }
        if chance.permille(600) { piece += Array("\n\n".utf8) }
        return piece
    }

    /// One response as a client received it.
    struct Response {
        var status = 0
        var body: [UInt8] = []
        /// Whether all of it came, as its framing tells.
        var isComplete = false
    }

    /// The responses in what came, one for each request; a missing or half one is not complete.
    static func responses(in bytes: [UInt8], to truths: [Truth], isHTTP10: Bool, hasEnded: Bool) -> [Response] {
        var rest = bytes[...]
        return truths.map { truth in
            var response = Response()
            while let end = endOfHead(rest) {
                let lines = lines(rest[..<end])
                response.status = Int(lines[0].split(separator: " ")[1]) ?? 0
                rest = rest[end...]
                guard response.status >= 200 else { continue }
                read(lines, &rest, &response, isHEAD: truth.path.contains("head"), hasEnded: hasEnded)
                break
            }
            return response
        }
    }

    private static func read(_ lines: [String], _ rest: inout ArraySlice<UInt8>, _ response: inout Response, isHEAD: Bool, hasEnded: Bool) {
        if isHEAD {
            response.isComplete = true
        } else if value("transfer-encoding", in: lines) == "chunked" {
            while let end = rest.indices.dropLast().first(where: { rest[$0] == 13 && rest[$0 + 1] == 10 }) {
                guard let count = Int(String(decoding: rest[rest.startIndex..<end], as: UTF8.self), radix: 16) else { preconditionFailure("the proxy sent a bad chunk size") }
                if count == 0 {
                    guard rest.count >= end - rest.startIndex + 4 else { return }
                    rest = rest[(end + 4)...]
                    response.isComplete = true
                    return
                }
                let data = rest[(end + 2)...].prefix(count)
                response.body += data
                guard rest.count >= end - rest.startIndex + 2 + count + 2 else {
                    rest = []
                    return
                }
                rest = rest[(end + 2 + count + 2)...]
            }
        } else if let count = value("content-length", in: lines).flatMap(Int.init) {
            response.body = Array(rest.prefix(count))
            response.isComplete = rest.count >= count
            rest = rest.dropFirst(count)
        } else {
            response.body = Array(rest)
            response.isComplete = hasEnded
            rest = []
        }
    }
}
