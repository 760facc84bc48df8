// Everything that can be wrong with a message, as small values. The parser's caller knows which side sent the message: an error in a
// request is answered with `status`, an error in a response always becomes 502.
//
// Invariant: no error carries a byte of the peer, so every error may be logged and shown.

/// A violation of RFC 9110 or RFC 9112, or of a limit. Never retry: the same bytes would fail again, and the bytes that follow on the
/// connection cannot be trusted.
public enum HTTPError: UInt8, Error, Equatable, Sendable, CaseIterable {
    /// A line feed without a carriage return before it.
    case bareLineFeed
    /// A carriage return without a line feed after it.
    case bareCarriageReturn
    /// A NUL or another control character where none may be.
    case controlCharacter
    /// A request line that is not a method, a target and a version with single spaces between them.
    case malformedRequestLine
    /// A status line that is not a version, three digits and a reason.
    case malformedStatusLine
    /// A request target in none of the forms that are served here, or with a byte that no URL holds.
    case malformedTarget
    /// A version other than HTTP/1.0 and HTTP/1.1, or one in another spelling.
    case unsupportedVersion
    /// The first bytes of an HTTP/2 connection, on a connection that does not speak it.
    case http2Preface
    /// A CONNECT request: this is no forward proxy.
    case connectNotSupported
    /// A field name that is empty or no token, a blank before its colon included.
    case invalidFieldName
    /// A field line without a colon.
    case missingColon
    /// A line that begins with a blank: folding, or a blank before the first field.
    case obsoleteFolding
    /// A head over `HeadLimits.headBytes`.
    case headTooLarge
    /// More field lines than `HeadLimits.fieldCount`.
    case tooManyFields
    /// A target over `HeadLimits.targetBytes`.
    case targetTooLong
    /// More connection options than any honest peer sends.
    case tooManyConnectionOptions
    /// An HTTP/1.1 request without Host.
    case missingHost
    /// More than one Host field.
    case doubledHost
    /// A Host, or the authority of an absolute-form target, that is no valid host and port.
    case invalidHost
    /// A request of HTTP/2 whose `:scheme` is not that of its connection.
    case otherScheme
    /// Content-Length and Transfer-Encoding in one message.
    case conflictingLengths
    /// A Content-Length that is no plain number below 2^63, or several of them.
    case invalidContentLength
    /// A Transfer-Encoding that is malformed, or chunked more than once or not last.
    case invalidTransferEncoding
    /// A Transfer-Encoding in an HTTP/1.0 message.
    case misplacedTransferEncoding
    /// A transfer coding other than chunked.
    case unknownTransferCoding
    /// A chunk whose size, extension or end is malformed.
    case invalidChunk
    /// A chunk's size line over `BodyDecoder.maximumChunkLineBytes`.
    case chunkLineTooLong
    /// A trailer line that is no field line.
    case invalidTrailer
    /// Trailers over `BodyDecoder.maximumTrailerBytes`.
    case trailersTooLarge
    /// The peer closed before the announced end of the body.
    case truncatedBody
    /// Bytes that were given as one whole head but are less or more than that.
    case truncatedHead
    /// A value from outside that would break out of its line.
    case unsafeOutgoingBytes

    /// The status for a client whose request is at fault (RFC 9110 section 15). An upstream's error is always a 502.
    public var status: Int {
        switch self {
        case .targetTooLong: 414
        case .headTooLarge, .tooManyFields, .tooManyConnectionOptions: 431
        case .connectNotSupported, .unknownTransferCoding: 501
        case .otherScheme: 421
        case .unsupportedVersion: 505
        default: 400
        }
    }

    /// A short phrase for logs and error pages; it never holds a byte of the peer.
    public var reason: StaticString {
        switch self {
        case .bareLineFeed: "bare line feed"
        case .bareCarriageReturn: "bare carriage return"
        case .controlCharacter: "control character"
        case .malformedRequestLine: "malformed request line"
        case .malformedStatusLine: "malformed status line"
        case .malformedTarget: "malformed request target"
        case .unsupportedVersion: "unsupported HTTP version"
        case .http2Preface: "HTTP/2 preface on an HTTP/1.1 connection"
        case .connectNotSupported: "CONNECT is not supported"
        case .invalidFieldName: "invalid field name"
        case .missingColon: "field line without a colon"
        case .obsoleteFolding: "line begins with a blank"
        case .headTooLarge: "head too large"
        case .tooManyFields: "too many fields"
        case .targetTooLong: "request target too long"
        case .tooManyConnectionOptions: "too many connection options"
        case .missingHost: "missing Host"
        case .doubledHost: "more than one Host"
        case .invalidHost: "invalid Host"
        case .otherScheme: "not the scheme of the connection, and not from a trusted proxy"
        case .conflictingLengths: "Content-Length together with Transfer-Encoding"
        case .invalidContentLength: "invalid Content-Length"
        case .invalidTransferEncoding: "invalid Transfer-Encoding"
        case .misplacedTransferEncoding: "Transfer-Encoding in an HTTP/1.0 message"
        case .unknownTransferCoding: "unknown transfer coding"
        case .invalidChunk: "invalid chunk"
        case .chunkLineTooLong: "chunk size line too long"
        case .invalidTrailer: "invalid trailer"
        case .trailersTooLarge: "trailers too large"
        case .truncatedBody: "body ended early"
        case .truncatedHead: "incomplete head"
        case .unsafeOutgoingBytes: "value not fit for a field"
        }
    }
}
