// The head of an event stream that the proxy answers by itself, in the place of a server that is gone. It makes bytes and
// sends none. Invariant: it holds nothing of the request.

import HTTP

/// An event stream of the proxy's own.
struct OwnStreamResponse {
    let client: ResponseTerms
    /// Whether the request's URL held a token.
    let urlHeldToken: Bool
    /// Whether the page is of another origin than the request goes to: without leave to read it a browser takes 200 for an error.
    let isForeign: Bool
    /// Whether a `Via` of the proxy's own is written.
    let writesVia: Bool
    /// The page's origin, where the route allows it.
    let allowedOrigin: [UInt8]?
    let strictTransportSecuritySeconds: Int?
    let date: [UInt8]

    /// How the body is framed for the client.
    var framing: OutgoingFraming { client.isHTTP10 ? .plain : .chunked }

    /// Whether nothing but the connection's end ends the body.
    var endsByClosing: Bool { client.isHTTP10 }

    /// Whether the connection can serve another request afterwards.
    var keepsAlive: Bool { client.canKeepAlive && !endsByClosing }

    /// The head of a response whose body follows piece by piece.
    func head() -> [UInt8] {
        var writer = begin()
        if framing == .chunked { writer.field("Transfer-Encoding", "chunked") }
        writer.connection(closes: !keepsAlive, isHTTP10: client.isHTTP10)
        writer.end()
        return writer.take()
    }

    /// A whole response with this body.
    func head(whole body: [UInt8]) -> [UInt8] {
        var writer = begin()
        writer.field("Content-Length", body.count)
        writer.connection(closes: !client.canKeepAlive, isHTTP10: client.isHTTP10)
        writer.end()
        return writer.take() + body
    }

    private func begin() -> HeadWriter {
        var writer = HeadWriter(reservingCapacity: 384)
        writer.statusLine(200)
        writer.field("Content-Type", "text/event-stream")
        writer.field("Cache-Control", "no-store, no-transform")
        writer.field("X-Accel-Buffering", "no")
        if urlHeldToken { writer.keepURLSecret() }
        writer.field("Vary", "Origin")
        // Everybody may read what the proxy itself says. To requests with credentials browsers do not apply this, and they get none.
        if let allowedOrigin {
            writer.allow(origin: allowedOrigin)
        } else if isForeign {
            writer.field("Access-Control-Allow-Origin", "*")
        }
        writer.date(date)
        if let strictTransportSecuritySeconds { writer.strictTransportSecurity(strictTransportSecuritySeconds) }
        if writesVia { writer.field("Via", "1.1 heartwire") }
        return writer
    }

    /// Adds bytes of the body behind a head.
    func append(_ body: [UInt8], to head: inout [UInt8]) { framing.append(body, to: &head) }
}

extension OutgoingFraming {
    /// Adds bytes of the proxy's own behind a head, framed as the body will be.
    func append(_ body: [UInt8], to head: inout [UInt8]) {
        guard self == .chunked else {
            head += body
            return
        }
        withUnsafeTemporaryAllocation(byteCount: ChunkedCoding.maximumSizeLineBytes, alignment: 1) { room in
            let count = ChunkedCoding.writeSizeLine(body.count, endingAt: room.count, in: room)
            head.append(contentsOf: room.suffix(count))
        }
        head.append(contentsOf: body)
        head.append(contentsOf: UnsafeBufferPointer(start: ChunkedCoding.lineEnd.utf8Start, count: ChunkedCoding.lineEnd.utf8CodeUnitCount))
    }
}
