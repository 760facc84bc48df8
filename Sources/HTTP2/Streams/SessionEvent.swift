// What a server's session tells its connection, one thing at a time, and the error that ends both, on either side.

/// A connection error (RFC 9113 section 5.4.1): GOAWAY with the code, then the connection closes.
package struct SessionError: Error, Sendable {
    /// The code that GOAWAY carries.
    package let code: HTTP2ErrorCode
    /// What the peer did, for the log; GOAWAY carries it as its debug data.
    package let reason: StaticString
    /// Whether the peer spent a budget as attackers do. A broken rule alone is none: an old or wrong program breaks rules too.
    package let isAbuse: Bool

    init(_ code: HTTP2ErrorCode, _ reason: StaticString, isAbuse: Bool = false) {
        self.code = code
        self.reason = reason
        self.isAbuse = isAbuse
    }
}

/// Something that happened on a connection. Streams are named by their slots: small numbers, which are used again after
/// `Session.release`.
package enum SessionEvent: Sendable {
    /// A request begins on a new stream. Its fields are in `Session.fields` until `Session.next` is called again. `isLast`: it has no body.
    case request(slot: Int, isLast: Bool)
    /// A piece of the request's body, as a range of the input. It is empty only where `isLast` says that the body has ended.
    case data(slot: Int, Range<Int>, isLast: Bool)
    /// The request's body has ended with trailers. They are in `Session.fields` until `Session.next` is called again.
    case trailers(slot: Int)
    /// The client reset the stream. Nothing more may be sent on it.
    case reset(slot: Int, HTTP2ErrorCode)
    /// The client broke a rule of the stream, and the session has reset it: its exchange must end, nothing more may be sent on it.
    case failed(slot: Int, HTTP2ErrorCode, StaticString)
    /// More DATA may be sent: on this stream, or, where there is no slot, on any of them.
    case windowOpened(slot: Int?)
    /// The client opens no more streams; those that are open go on.
    case goAway(HTTP2ErrorCode)
    /// The last PING of ours was answered.
    case pong
}
