// What a client's session tells its connection, one thing at a time.

import HTTP

/// Something that happened on a connection. Streams are named by their numbers. Behind an event that ends a stream nothing more is told of
/// it.
package enum ClientEvent: Sendable {
    /// The head of a response; interim ones are passed over. `isLast`: there is no body, and the stream has ended.
    case head(stream: UInt32, ResponseHead, isLast: Bool)
    /// A piece of the body, as a range of the input. It is empty only where `isLast` says that the stream has ended.
    case data(stream: UInt32, Range<Int>, isLast: Bool)
    /// The body has ended with trailers, which are dropped. The stream has ended.
    case trailers(stream: UInt32)
    /// The server reset the stream.
    case reset(stream: UInt32, HTTP2ErrorCode)
    /// The server broke a rule of the stream, and the session has reset it.
    case failed(stream: UInt32, HTTP2ErrorCode, StaticString)
    /// The server takes no new streams. Those above `last` have ended without being served; the others go on (RFC 9113 section 6.8).
    case goAway(last: UInt32, HTTP2ErrorCode)
}
