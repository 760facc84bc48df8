// What is written: heads from parsed heads, the proxy's own answers, the frame of chunks.

import HTTP
import Testing

@Suite struct HeadWriterTests {
    private func text(_ writer: HeadWriter) -> String { String(decoding: writer.bytes, as: UTF8.self) }

    @Test("a request is forwarded with its target and fields byte for byte, as HTTP/1.1")
    func requests() throws {
        let head = try request(
            """
            \r\nquery http://b.example:8080/p?%41 HTTP/1.0\r\nHost: a\r\nConnection: x-a\r\nX-A: 1\r\nx-B:\t2 \r\nVia: 1.0 c\r\n\
            Cookie: d\r\n\r\n
            """
        )
        var writer = HeadWriter()
        writer.requestLine(of: head)
        writer.field("Host", head.authority, of: head)
        writer.copyForwardableFields(of: head, except: [.via])
        writer.copy(fieldIndex: 4, of: head)
        writer.end()
        #expect(text(writer) == "query /p?%41 HTTP/1.1\r\nHost: b.example:8080\r\nx-B: 2\r\nCookie: d\r\nVia: 1.0 c\r\n\r\n")
        writer.removeAll()
        #expect(writer.bytes.isEmpty)
    }

    @Test("a response is forwarded with its status and reason, as HTTP/1.1")
    func responses() throws {
        let head = try response("HTTP/1.0 299 Fine, é\r\nContent-Length: 5\r\nSet-Cookie: a\r\nset-cookie: b\r\nKeep-Alive: 1\r\n\r\n")
        var writer = HeadWriter()
        writer.statusLine(of: head)
        writer.copyForwardableFields(of: head)
        writer.copy(fieldIndex: 1, of: head)
        writer.field("X", head.fields[2].value, of: head)
        writer.field("Content-Length", try #require(head.contentLength))
        writer.end()
        #expect(
            text(writer) == "HTTP/1.1 299 Fine, é\r\nSet-Cookie: a\r\nset-cookie: b\r\nSet-Cookie: a\r\nX: b\r\nContent-Length: 5\r\n\r\n")
    }

    @Test("the proxy's own answers are written with the standard reason or another")
    func ownAnswers() {
        var writer = HeadWriter(reservingCapacity: 0)
        writer.statusLine(502)
        writer.statusLine(418, reason: "Teapot")
        writer.statusLine(299)
        writer.statusLine(100)
        writer.field("A", "b c")
        writer.field("N", 0)
        writer.field("M", UInt64.max)
        #expect(
            text(writer) == "HTTP/1.1 502 Bad Gateway\r\nHTTP/1.1 418 Teapot\r\nHTTP/1.1 299 Successful\r\nHTTP/1.1 100 Continue\r\n"
                + "A: b c\r\nN: 0\r\nM: 18446744073709551615\r\n")
    }

    @Test("a value from outside that holds a control character is refused, and nothing is written")
    func checkedValues() throws {
        var writer = HeadWriter()
        for byte: UInt8 in Array(0..<0x20) + [0x7F] where byte != 0x09 {
            for value in [[byte], [0x61, byte], [byte, 0x61], [0x61, byte, 0x61]] {
                #expect(throws: HTTPError.unsafeOutgoingBytes) { try writer.field("X", value) }
                #expect(throws: HTTPError.unsafeOutgoingBytes) { try writer.field("X", value[...]) }
                #expect(throws: HTTPError.unsafeOutgoingBytes) { try writer.field("X", value.span) }
                #expect(throws: HTTPError.unsafeOutgoingBytes) { try writer.field("X", text: String(decoding: value, as: UTF8.self)) }
            }
        }
        #expect(writer.bytes.isEmpty)
        try writer.field("X", [0x61, 0x09, 0xFF])
        try writer.field("Y", text: "é")
        #expect(writer.bytes == Array("X: a\t".utf8) + [0xFF] + Array("\r\nY: é\r\n".utf8))
    }

    @Test("a rewritten target is checked, and nothing is written when it is refused")
    func checkedTargets() throws {
        let head = try request("GET /?access_token=x HTTP/1.1\r\nHost: a\r\n\r\n")
        var writer = HeadWriter()
        for target in ["", "a", "/ ", "/\r\n", "/a b", "/\u{00}", "/#", "/é", "/\u{7F}", "**", "http://a/"] {
            #expect(throws: HTTPError.unsafeOutgoingBytes) { try writer.requestLine(of: head, target: Array(target.utf8)) }
        }
        #expect(writer.bytes.isEmpty)
        try writer.requestLine(of: head, target: Array("/?".utf8))
        #expect(text(writer) == "GET /? HTTP/1.1\r\n")
    }

    @Test("a size line ends right before the data, whatever the size")
    func sizeLines() {
        for (count, expected) in [(1, "1"), (15, "f"), (16, "10"), (255, "ff"), (65_536, "10000"), (Int.max, "7fffffffffffffff")] {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 32, alignment: 1)
            defer { buffer.deallocate() }
            for index in buffer.indices { buffer[index] = 0xEE }
            let length = ChunkedCoding.writeSizeLine(count, endingAt: 24, in: buffer)
            #expect(String(decoding: buffer[24 - length..<24], as: UTF8.self) == expected + "\r\n")
            #expect(length <= ChunkedCoding.maximumSizeLineBytes)
            #expect(buffer[..<(24 - length)].allSatisfy { $0 == 0xEE } && buffer[24...].allSatisfy { $0 == 0xEE })
        }
    }

    @Test("what is written in chunks is what the decoder reads")
    func roundTrip() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 18, alignment: 1)
        defer { buffer.deallocate() }
        var wire: [UInt8] = []
        var data: [UInt8] = []
        for count in [1, 9, 10, 300] {
            let piece = [UInt8](repeating: UInt8(truncatingIfNeeded: count), count: count)
            let length = ChunkedCoding.writeSizeLine(count, endingAt: 18, in: buffer)
            wire += buffer[(18 - length)...] + piece + Array(ChunkedCoding.lineEnd.description.utf8)
            data += piece
        }
        wire += Array(ChunkedCoding.lastChunk.description.utf8)
        #expect(decodeInEverySplit(wire, .chunked, closes: true) == Decoded(data: data, end: wire.count))
    }
}
