// Responses as field blocks, read back by the decoder.

import HTTP
import HTTP2
import Testing

@Suite("A response as a field block")
struct ResponseBlockTests {
    private func fields(_ response: OutgoingResponse, isTunnel: Bool = false) throws -> [PlainField] {
        var block: [UInt8] = []
        appendResponseBlock(response, isTunnel: isTunnel, to: &block)
        var decoding = Decoding()
        let fields = try decoding.decode(block)
        #expect(decoding.table.isEmpty)
        return fields
    }

    private func response(_ text: String) throws -> OutgoingResponse {
        let bytes = Array(text.utf8)
        let head = try ResponseHead.parse(bytes.span, limits: HeadLimits())
        var response = OutgoingResponse(statusOf: head)
        for index in head.fields.indices { response.fields.copy(fieldIndex: index, of: head) }
        return response
    }

    @Test("an event stream's head: status, names in lower case, values as they are, nothing about the connection")
    func stream() throws {
        var response = OutgoingResponse(status: 200)
        response.fields.field("Content-Type", "text/event-stream")
        try response.fields.field("X-Accel-Buffering", text: "no")
        response.fields.field("Content-Length", 7)
        response.fields.field("Connection", "close")
        response.fields.field("Transfer-Encoding", "chunked")
        response.body = .untilEnd
        response.allowsReuse = false
        #expect(
            try fields(response) == [
                PlainField(":status", "200"), PlainField("content-type", "text/event-stream"), PlainField("x-accel-buffering", "no"),
            ])
        var block: [UInt8] = []
        appendResponseBlock(response, isTunnel: false, to: &block)
        #expect(block.starts(with: [0x88] + octets("0f10 11") + Array("text/event-stream".utf8)))
    }

    @Test("cookies are never joined, and never indexed; an empty value stays empty")
    func cookies() throws {
        let response = try response(
            "HTTP/1.1 201 Made\r\nSet-Cookie: a=1\r\nX:\r\nset-cookie: b=2, c\r\nKeep-Alive: timeout=5\r\nTE: x\r\n\r\n")
        #expect(
            try fields(response) == [
                PlainField(":status", "201"), PlainField("set-cookie", "a=1", isNeverIndexed: true), PlainField("x", ""),
                PlainField("set-cookie", "b=2, c", isNeverIndexed: true),
            ])
    }

    @Test("the length is what is known of the body")
    func lengths() throws {
        for (body, expected) in [
            (.none(announcedLength: nil), nil), (.none(announcedLength: 0), "0"), (.none(announcedLength: 5), "5"),
            (.length(UInt64.max), "18446744073709551615"), (.whole([1, 2, 3]), "3"), (.untilEnd, nil),
        ] as [(OutgoingResponse.Body, String?)] {
            var response = OutgoingResponse(status: 404)
            response.body = body
            let lengths = try fields(response).filter { $0.name == "content-length" }.map(\.value)
            #expect(lengths == (expected.map { [$0] } ?? []))
        }
    }

    @Test("an interim response has its status and fields")
    func interim() throws {
        var response = OutgoingResponse(status: 103)
        try response.fields.field("Link", text: "</a>; rel=preload")
        #expect(try fields(response) == [PlainField(":status", "103"), PlainField("link", "</a>; rel=preload")])
        response.fields.end()
        #expect(try fields(response).count == 2)
    }

    @Test("a 101 opens a tunnel as a 200 without the handshake of HTTP/1.1; no other success can")
    func tunnels() throws {
        let switching = try response(
            "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n"
                + "Sec-WebSocket-Protocol: chat\r\n\r\n")
        #expect(try fields(switching, isTunnel: true) == [PlainField(":status", "200"), PlainField("sec-websocket-protocol", "chat")])
        for status in [200, 204, 299] { #expect(try fields(OutgoingResponse(status: status), isTunnel: true)[0].value == "502") }
        for status in [103, 199, 300, 403, 503] {
            #expect(try fields(OutgoingResponse(status: status), isTunnel: true)[0].value == "\(status)")
        }
    }
}
