// A response for a client, as a value: a status, fields, and what is known of the body. The client's protocol side decides how the body
// is delimited, whether the connection is kept, and the bytes of the head. Invariant: no field concerns one connection: no Connection,
// no Transfer-Encoding, no Content-Length.

/// A response's head, and what is known of its body before the body comes.
public struct OutgoingResponse: Sendable {
    /// What is known of a response's body.
    public enum Body: Sendable, Equatable {
        /// No body follows. An answer to HEAD and a 304 may announce the length of the body that they do not have (RFC 9110 section 8.6).
        case none(announcedLength: UInt64?)
        /// That many bytes follow.
        case length(UInt64)
        /// Bytes follow until the response is ended.
        case untilEnd
        /// The body is these bytes, and nothing follows.
        case whole([UInt8])
    }

    /// The status: three digits.
    public let status: Int
    /// What is known of the body.
    public var body = Body.none(announcedLength: nil)
    /// False if the client's connection must not serve another request after this response.
    public var allowsReuse = true
    /// Writes the fields. The status line is in front of them already, so HTTP/1 sends these bytes unchanged.
    public var fields: HeadWriter

    /// The proxy's own response, without fields yet. `capacityBytes` is room for the head.
    public init(status: Int, capacityBytes: Int = 512) {
        self.status = status
        fields = HeadWriter(reservingCapacity: capacityBytes)
        fields.statusLine(status)
    }

    /// A response with the status and the reason phrase of a server's response, without fields yet.
    public init(statusOf head: ResponseHead) {
        status = head.status
        fields = HeadWriter(reservingCapacity: head.bytes.count + 256)
        fields.statusLine(of: head)
    }
}
