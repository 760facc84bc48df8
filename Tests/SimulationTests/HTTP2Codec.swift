// Frames and field blocks of HTTP/2 on a client's side (RFC 9113, RFC 7541), as strictly as the standard allows. It shares no code with the
// proxy, so that the proxy does not judge itself.

import TestSupport

/// A frame as it came.
struct PlainFrame {
    let type: UInt8
    let flags: UInt8
    let stream: UInt32
    let payload: [UInt8]

    static let (data, headers, priority, reset, settings): (UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 1, 2, 3, 4)
    static let (ping, goAway, windowUpdate, continuation, priorityUpdate): (UInt8, UInt8, UInt8, UInt8, UInt8) = (6, 7, 8, 9, 16)

    /// END_STREAM; for SETTINGS and PING, ACK.
    var isEnd: Bool { flags & 1 != 0 }
    var endsBlock: Bool { flags & 4 != 0 }

    /// Four octets of the payload as a number.
    func number(at position: Int) -> UInt32 { payload[position..<(position + 4)].reduce(0) { $0 << 8 | UInt32($1) } }

    /// A frame to be sent.
    static func bytes(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let length = [UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 255), UInt8(payload.count & 255)]
        return length + [type, flags] + octets(stream) + payload
    }

    static func octets(_ number: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } }
}

/// Cuts received bytes into frames.
struct PlainFrameReader {
    private var waiting: [UInt8] = []

    /// The next whole frame; nil until more bytes come.
    mutating func next(_ bytes: [UInt8] = []) -> PlainFrame? {
        waiting += bytes
        guard waiting.count >= 9 else { return nil }
        let length = Int(waiting[0]) << 16 | Int(waiting[1]) << 8 | Int(waiting[2])
        guard waiting.count >= 9 + length else { return nil }
        let stream = waiting[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let frame = PlainFrame(type: waiting[3], flags: waiting[4], stream: stream, payload: Array(waiting[9..<(9 + length)]))
        waiting.removeFirst(9 + length)
        return frame
    }
}

/// Field blocks without Huffman code and without a dynamic table.
enum PlainFields {
    struct Problem: Error { let what: String }
    typealias Field = (name: String, value: String)

    /// The static table (RFC 7541 appendix A).
    private static let table: [Field] = {
        let text = """
            :authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|:status=206|\
            :status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|\
            accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|\
            content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|\
            if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|\
            proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|strict-transport-security|\
            transfer-encoding|user-agent|vary|via|www-authenticate
            """
        return text.split(separator: "|").map { entry in
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            return (parts[0], parts.count > 1 ? parts[1] : "")
        }
    }()

    // MARK: Writing

    private static func integer(_ number: Int, prefixBits: Int, pattern: UInt8) -> [UInt8] {
        let most = (1 << prefixBits) - 1
        guard number >= most else { return [pattern | UInt8(number)] }
        var (rest, bytes) = (number - most, [pattern | UInt8(most)])
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    private static func text(_ string: String) -> [UInt8] { integer(string.utf8.count, prefixBits: 7, pattern: 0) + Array(string.utf8) }

    /// A block of these fields, with names from the static table or literal ones.
    static func block(_ fields: [Field], _ chance: inout Chance) -> [UInt8] {
        fields.flatMap { field -> [UInt8] in
            if let index = table.firstIndex(where: { $0 == field }), chance.permille(700) {
                return integer(index + 1, prefixBits: 7, pattern: 0x80)
            }
            let pattern: UInt8 = chance.permille(500) ? 0x10 : 0
            if let index = table.firstIndex(where: { $0.name == field.name }), chance.permille(700) {
                return integer(index + 1, prefixBits: 4, pattern: pattern) + text(field.value)
            }
            return [pattern] + text(field.name) + text(field.value)
        }
    }

    // MARK: Reading

    /// Reads a block. `isFirst`: it must begin with the update that says that the table stays empty, and no other may.
    static func read(_ block: [UInt8], isFirst: Bool) throws(Problem) -> [Field] {
        var rest = block[...]
        if isFirst {
            guard rest.first == 0x20 else { throw Problem(what: "the first field block does not say that its table is empty") }
            rest = rest.dropFirst()
        }
        var fields: [Field] = []
        while let first = rest.first {
            if first & 0x80 != 0 {
                let index = try integer(&rest, prefixBits: 7)
                guard table.indices.contains(index - 1) else { throw Problem(what: "a field of index \(index)") }
                fields.append(table[index - 1])
                continue
            }
            guard first & 0x60 == 0 else { throw Problem(what: "a field for a dynamic table, or a change of it") }
            let index = try integer(&rest, prefixBits: 4)
            guard index <= table.count else { throw Problem(what: "a name of index \(index)") }
            let name = index == 0 ? try text(&rest) : table[index - 1].name
            fields.append((name, try text(&rest)))
        }
        return fields
    }

    private static func integer(_ rest: inout ArraySlice<UInt8>, prefixBits: Int) throws(Problem) -> Int {
        guard let first = rest.popFirst() else { throw Problem(what: "a field block ends in a number") }
        let most = (1 << prefixBits) - 1
        var number = Int(first) & most
        guard number == most else { return number }
        for shift in stride(from: 0, to: 28, by: 7) {
            guard let next = rest.popFirst() else { throw Problem(what: "a field block ends in a number") }
            number += (Int(next) & 127) << shift
            if next & 128 == 0 { return number }
        }
        throw Problem(what: "a number without an end")
    }

    private static func text(_ rest: inout ArraySlice<UInt8>) throws(Problem) -> String {
        guard let first = rest.first, first & 0x80 == 0 else { throw Problem(what: "Huffman code, or no text") }
        let count = try integer(&rest, prefixBits: 7)
        guard rest.count >= count else { throw Problem(what: "a field block ends in a text") }
        defer { rest = rest.dropFirst(count) }
        return String(decoding: rest.prefix(count), as: UTF8.self)
    }

    /// Checks a response's fields (section 8.3.2) and gives them as the text of an HTTP/1.1 head; interim ones too.
    static func head(_ fields: [Field], hasBody: Bool) throws(Problem) -> (text: String, status: Int, length: Int?) {
        guard let status = fields.first, status.name == ":status", let code = Int(status.value), 100...599 ~= code, code != 101 else {
            throw Problem(what: "a response begins with \(fields.first?.name ?? "nothing")")
        }
        var text = "HTTP/1.1 \(code) of HTTP/2\r\n"
        var length: Int?
        for field in fields.dropFirst() {
            guard !field.name.hasPrefix(":"), field.name == field.name.lowercased(), !field.name.isEmpty else {
                throw Problem(what: "a field is called '\(field.name)'")
            }
            guard !["connection", "transfer-encoding", "keep-alive", "upgrade", "te"].contains(field.name) else {
                throw Problem(what: "\(field.name) is no field of HTTP/2")
            }
            guard !field.value.utf8.contains(where: { $0 < 32 && $0 != 9 }) else { throw Problem(what: "a value of several lines") }
            if field.name == "content-length" { length = Int(field.value) }
            text += "\(field.name): \(field.value)\r\n"
        }
        if hasBody, code >= 200, length == nil, code != 204, code != 304 { text += "transfer-encoding: chunked\r\n" }
        return (text + "\r\n", code, length)
    }
}
