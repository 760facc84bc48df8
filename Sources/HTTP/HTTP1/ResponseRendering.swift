// An outgoing response on an HTTP/1 connection: how the body is delimited (RFC 9112 section 6.3), whether the connection is kept
// (section 9.3), and the bytes of the head.

/// What a client's request and connection allow for a response.
public struct ResponseTerms: Sendable, Equatable {
    /// HTTP/1.0: no chunks, no interim responses.
    public var isHTTP10: Bool
    /// Whether the connection can serve another request after this response.
    public var canKeepAlive: Bool

    /// Terms of a request.
    public init(isHTTP10: Bool, canKeepAlive: Bool) {
        self.isHTTP10 = isHTTP10
        self.canKeepAlive = canKeepAlive
    }
}

/// A response as HTTP/1 sends it.
public struct RenderedResponse: Sendable {
    /// The head, and the bytes that follow it at once.
    public var bytes: [UInt8]
    /// How the rest of the body is framed.
    public let framing: OutgoingFraming
    /// Whether the connection can serve another request after the response.
    public let keepsAlive: Bool
    /// Whether the body is close-delimited: only the connection's end tells the client that the body is complete.
    public let endsByClosing: Bool

    /// Renders a response. `opening` is the body's beginning if that is known already; a whole body ignores it.
    public init(_ response: consuming OutgoingResponse, for terms: ResponseTerms, opening: [UInt8]? = nil) {
        var writer = response.fields
        response.fields = HeadWriter(reservingCapacity: 0)
        var isCloseDelimited = false
        switch response.body {
        case .none(let length):
            framing = .none
            if let length { writer.field("Content-Length", length) }
        case .length(let length):
            framing = .plain
            writer.field("Content-Length", length)
        case .whole(let body):
            framing = .none
            writer.field("Content-Length", body.count)
        case .untilEnd where terms.isHTTP10:
            framing = .plain
            isCloseDelimited = true
        case .untilEnd:
            framing = .chunked
            writer.field("Transfer-Encoding", "chunked")
        }
        endsByClosing = isCloseDelimited
        keepsAlive = terms.canKeepAlive && response.allowsReuse && !isCloseDelimited
        // HTTP/1.1 keeps a connection by default, HTTP/1.0 does not.
        if !keepsAlive { writer.field("Connection", "close") } else if terms.isHTTP10 { writer.field("Connection", "keep-alive") }
        writer.end()
        bytes = writer.take()
        if case .whole(let body) = response.body { bytes += body }
        if let opening { framing.append(opening, to: &bytes) }
    }

    /// The head of an interim response (RFC 9110 section 15.2), or of one that switches protocols.
    public static func headOnly(_ response: consuming OutgoingResponse) -> [UInt8] {
        response.fields.end()
        return response.fields.take()
    }
}

extension OutgoingFraming {
    /// Adds bytes of a body after a head, framed like the rest of the body.
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
