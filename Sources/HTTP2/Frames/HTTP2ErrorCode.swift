// The codes with which either side of HTTP/2 says why a stream or a connection ends (RFC 9113 section 7).
//
// Invariant: a code that this list does not know stays as it came, and is no error (section 7).

/// Why a stream or a connection of HTTP/2 ends (RFC 9113 section 7).
package struct HTTP2ErrorCode: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    package let rawValue: UInt32

    /// A code as it came; any number is one.
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Nothing is wrong: an end in good order.
    package static let noError = HTTP2ErrorCode(rawValue: 0)
    /// The peer broke a rule that has no code of its own.
    package static let protocolError = HTTP2ErrorCode(rawValue: 1)
    /// The sender failed at something that is not the peer's fault.
    package static let internalError = HTTP2ErrorCode(rawValue: 2)
    /// More DATA than a window allowed, or a window over 2^31-1.
    package static let flowControlError = HTTP2ErrorCode(rawValue: 3)
    /// A frame for a stream that the sender has ended.
    package static let streamClosed = HTTP2ErrorCode(rawValue: 5)
    /// A frame of a length that it may not have.
    package static let frameSizeError = HTTP2ErrorCode(rawValue: 6)
    /// The stream was refused before anything was done with it, so the request may be sent again.
    package static let refusedStream = HTTP2ErrorCode(rawValue: 7)
    /// The stream is no longer wanted.
    package static let cancel = HTTP2ErrorCode(rawValue: 8)
    /// A field block cannot be decoded.
    package static let compressionError = HTTP2ErrorCode(rawValue: 9)
    /// The peer behaves as an attacker would.
    package static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 11)

    private static let names: [StaticString] = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
        "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ]

    /// The code's name in the standard, for logs; nil for a number that the standard does not know.
    package var name: StaticString? {
        rawValue < UInt32(HTTP2ErrorCode.names.count) ? HTTP2ErrorCode.names[Int(rawValue)] : nil
    }

    /// Whether the code says that the client broke a rule.
    var isClientsFault: Bool {
        switch self {
        case .protocolError, .flowControlError, .streamClosed, .frameSizeError, .compressionError, .enhanceYourCalm: true
        default: false
        }
    }
}
