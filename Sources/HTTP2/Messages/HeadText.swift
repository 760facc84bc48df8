// The text of a head, as HTTP/1.1 writes it (RFC 9112 sections 3 and 4).
//
// Invariant: names and values have passed the rules of `FieldRules.swift`, and the request line is checked here. A response's status is
// three digits.

import Bytes
import HTTP

/// Writes the text of a head. Names and values have been checked.
struct HeadText {
    /// What has been written, and zeros behind it. Copying into existing room costs a third of appending.
    private var room: [UInt8]
    private var count = 0

    /// Room for the text of these fields.
    init(_ fields: borrowing DecodedFields) {
        // For each field a colon, a blank and a line end; the rest is for what HTTP/2 does not send.
        let capacity = fields.bytes.count + 4 * fields.fields.count + 160
        room = [UInt8](unsafeUninitializedCapacity: capacity) { zeros, count in
            zeros.initialize(repeating: 0)
            count = capacity
        }
    }

    /// Reads what has been written as a request's head.
    func parse(limits: HeadLimits) throws(HTTPError) -> RequestHead {
        try RequestHead.parse(room.span.extracting(0..<count), limits: limits)
    }

    /// Reads what has been written as a response's head.
    func parseResponse(limits: HeadLimits) throws(HTTPError) -> ResponseHead {
        try ResponseHead.parse(room.span.extracting(0..<count), limits: limits)
    }

    /// Makes room for so many bytes and has them filled.
    @inline(__always)
    private mutating func append(count added: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        let end = count + added
        if end > room.count { room.append(contentsOf: repeatElement(0, count: end)) }
        room.withUnsafeMutableBytes { fill(UnsafeMutableRawBufferPointer(rebasing: $0[count..<end])) }
        count = end
    }

    mutating func append(_ text: StaticString) {
        append(count: text.utf8CodeUnitCount) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }
    }

    private mutating func append(_ source: Span<UInt8>, _ range: Range<Int>) {
        source.extracting(range).withUnsafeBytes { bytes in append(count: bytes.count) { $0.copyMemory(from: bytes) } }
    }

    mutating func line(_ name: StaticString, _ source: Span<UInt8>, _ value: Range<Int>) {
        append(name)
        append(": ")
        append(source, value)
        append("\r\n")
    }

    /// A field as it came: its value lies behind its name.
    mutating func line(_ source: Span<UInt8>, _ field: DecodedField) {
        let nameCount = field.name.count
        source.extracting(field.name.lowerBound..<field.value.upperBound).withUnsafeBytes { bytes in
            append(count: bytes.count + 4) { line in
                line.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<nameCount]))
                line[nameCount] = 0x3A
                line[nameCount + 1] = space
                UnsafeMutableRawBufferPointer(rebasing: line[(nameCount + 2)...]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[nameCount...]))
                line[line.count - 2] = carriageReturn
                line[line.count - 1] = lineFeed
            }
        }
    }

    /// The request line. A method that is no token and a target with a blank would move the borders between its parts.
    mutating func requestLine(
        _ source: Span<UInt8>, method: Range<Int>, path: Range<Int>, isTunnel: Bool
    ) throws(RequestProblem) {
        guard !method.isEmpty else { throw .refused(.malformedRequestLine) }
        for index in method where !isTokenCharacter(source[index]) { throw .refused(.malformedRequestLine) }
        // The absolute form, which HTTP/1.1 knows, would name another host (RFC 9113 section 8.3.1).
        guard !path.isEmpty, source[path.lowerBound] == 0x2F || equals(source, path, "*") else { throw .refused(.malformedTarget) }
        for index in path where !isTargetByte(source[index]) { throw .refused(.malformedTarget) }
        if isTunnel { append("GET") } else { append(source, method) }
        append(" ")
        append(source, path)
        append(" HTTP/1.1\r\n")
    }

    /// The status line, without a reason.
    mutating func statusLine(_ source: Span<UInt8>, status: Range<Int>) {
        append("HTTP/1.1 ")
        append(source, status)
        append(" \r\n")
    }

    /// What a WebSocket's upgrade has in HTTP/1.1 and not in HTTP/2 (RFC 8441 section 5).
    mutating func upgrade(key: [UInt8]) {
        precondition(key.count == 24, "the connection allows tunnels and gives no key")
        append("connection: upgrade\r\nupgrade: websocket\r\n")
        line("sec-websocket-key", key.span, 0..<key.count)
    }

    /// The fields in their order. The parts of a divided cookie are joined where the first one stands (RFC 9113 section 8.2.3).
    mutating func regularFields(_ fields: borrowing DecodedFields, isTunnel: Bool) {
        let source = fields.bytes.span
        var hasCookie = false
        for field in fields.fields where !DecodedFields.isPseudo(source, field.name) {
            // Few names have one of these lengths.
            switch field.name.count {
            case 2 where equals(source, field.name, "te"): continue
            case 4 where equals(source, field.name, "host"): continue
            case 6 where equals(source, field.name, "cookie"):
                if !hasCookie { cookie(fields) }
                hasCookie = true
            case 14 where equals(source, field.name, "http2-settings"): continue
            case 17 where isTunnel && equals(source, field.name, "sec-websocket-key"): continue
            default: line(source, field)
            }
        }
    }

    private mutating func cookie(_ fields: borrowing DecodedFields) {
        let source = fields.bytes.span
        append("cookie: ")
        var isFirst = true
        for field in fields.fields where !field.value.isEmpty && equals(source, field.name, "cookie") {
            if !isFirst { append("; ") }
            isFirst = false
            append(source, field.value)
        }
        append("\r\n")
    }
}
