// Request methods (RFC 9110 section 9). Only methods that the proxy acts upon have names. Any other token is `other` and passes with
// its own bytes.

import Bytes

/// A request method; letters are compared exactly, for methods are case-sensitive.
public enum Method: UInt8, Sendable {
    case get, head, post, put, delete, options, trace, patch, connect, other

    /// Whether a request may be sent again after a connection died (RFC 9110 section 9.2.2).
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .options, .trace, .put, .delete: true
        case .post, .patch, .connect, .other: false
        }
    }

    /// The method that these bytes spell.
    init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        self =
            switch range.count {
            case 3 where equals(bytes, range, "GET"): .get
            case 3 where equals(bytes, range, "PUT"): .put
            case 4 where equals(bytes, range, "HEAD"): .head
            case 4 where equals(bytes, range, "POST"): .post
            case 5 where equals(bytes, range, "TRACE"): .trace
            case 5 where equals(bytes, range, "PATCH"): .patch
            case 6 where equals(bytes, range, "DELETE"): .delete
            case 7 where equals(bytes, range, "OPTIONS"): .options
            case 7 where equals(bytes, range, "CONNECT"): .connect
            default: .other
            }
    }
}
