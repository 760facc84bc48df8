// Why a request of HTTP/2 is not served. No case holds a byte of the client.

import HTTP

/// A request that is no message at all (RFC 9113 section 8.1.1): its stream ends with RST_STREAM(PROTOCOL_ERROR), and nothing of it goes
/// to a server.
package enum MalformedRequest: UInt8, Error, Equatable, Sendable, CaseIterable {
    /// A pseudo-field behind a regular field, or in trailers (section 8.3).
    case misplacedPseudoField
    /// The same pseudo-field twice.
    case doubledPseudoField
    /// A pseudo-field that requests do not have, also one in capital letters.
    case unknownPseudoField
    /// No `:method`, `:scheme` or `:path`; no `:authority` where CONNECT needs it.
    case missingPseudoField
    /// `:protocol` without CONNECT, or before it was announced (RFC 8441 section 4).
    case misplacedProtocol
    /// CONNECT with `:scheme` or `:path`, but without `:protocol` (section 8.5).
    case misplacedTarget
    /// The method of the connection preface (section 11.6).
    case reservedMethod
    /// A name that is empty, holds a capital letter or anything that no token has (section 8.2.1).
    case invalidFieldName
    /// A value with NUL, CR or LF, or with a blank at an end (section 8.2.1).
    case invalidFieldValue
    /// A field of one connection, which HTTP/2 has not (section 8.2.2).
    case connectionField
    /// A TE that is not `trailers`, or more than one (section 8.2.2).
    case invalidTE
    /// Content-Length several times, not as plain digits below 2^63, or with a tunnel (sections 8.1.1 and 8.5).
    case invalidContentLength
    /// Content-Length is not the number of the body's bytes (section 8.1.1).
    case otherBodyLength
    /// A Host that is not `:authority` (section 8.3.1).
    case otherHost

    /// A short phrase for logs.
    package var reason: StaticString {
        switch self {
        case .misplacedPseudoField: "pseudo-field behind a field"
        case .doubledPseudoField: "pseudo-field twice"
        case .unknownPseudoField: "unknown pseudo-field"
        case .missingPseudoField: "missing pseudo-field"
        case .misplacedProtocol: "misplaced :protocol"
        case .misplacedTarget: "CONNECT with :scheme or :path"
        case .reservedMethod: "reserved method"
        case .invalidFieldName: "invalid field name"
        case .invalidFieldValue: "invalid field value"
        case .connectionField: "field of an HTTP/1.1 connection"
        case .invalidTE: "invalid TE"
        case .invalidContentLength: "invalid Content-Length"
        case .otherBodyLength: "Content-Length differs from the body"
        case .otherHost: "Host differs from :authority"
        }
    }
}

/// Why a request is not served.
package enum RequestProblem: Error, Equatable, Sendable {
    /// No answer: the stream is reset.
    case malformed(MalformedRequest)
    /// The stream is answered with the error's status.
    case refused(HTTPError)
}
