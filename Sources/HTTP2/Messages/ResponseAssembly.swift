// A response out of its field block (RFC 9113 section 8.3.2): written as the head of HTTP/1.1 that means the same, and read by HTTP/1.1's
// parser, as requests are.
//
// Invariant: names and values are checked before they are written, so the text is exactly one head.

import Bytes
import HTTP

/// Why a response is none. No case holds a byte of the server.
package enum ResponseProblem: Error, Equatable, Sendable {
    /// No `:status` in front, more than one, or not three digits from 100 to 999.
    case status
    /// A pseudo-field that responses do not have, or behind a regular field.
    case pseudoField
    /// A name or a value that no field may have (section 8.2.1).
    case invalidField
    /// A field of an HTTP/1.1 connection (section 8.2.2).
    case connectionField
    /// 101, which HTTP/2 has not (section 8.6).
    case switching
    /// More fields than the limits allow.
    case tooLarge
    /// What HTTP/1.1's rules refuse.
    case refused(HTTPError)

    /// A short phrase.
    package var reason: StaticString {
        switch self {
        case .status: "no valid :status in front"
        case .pseudoField: "unknown or misplaced pseudo-field"
        case .invalidField: "invalid field name or value"
        case .connectionField: "field of an HTTP/1.1 connection"
        case .switching: "101 over HTTP/2"
        case .tooLarge: "head too large"
        case .refused(let error): error.reason
        }
    }
}

/// The response of a field block, an interim one too.
/// - Throws: why it is malformed; its stream has to end.
package func assembleResponse(_ fields: borrowing DecodedFields, limits: HeadLimits) throws(ResponseProblem) -> ResponseHead {
    let bytes = fields.bytes.span
    guard !fields.isTooLarge else { throw .tooLarge }
    guard let first = fields.fields.first, equals(bytes, first.name, ":status"), first.value.count == 3,
        first.value.allSatisfy({ isDigit(bytes[$0]) }), bytes[first.value.lowerBound] != 0x30
    else { throw .status }
    guard !equals(bytes, first.value, "101") else { throw .switching }
    var text = HeadText(fields)
    text.statusLine(bytes, status: first.value)
    for field in fields.fields.dropFirst() {
        guard !DecodedFields.isPseudo(bytes, field.name) else { throw .pseudoField }
        do throws(RequestProblem) {
            try DecodedFields.requireName(bytes, field.name)
            try DecodedFields.requireValue(bytes, field.value)
        } catch {
            throw .invalidField
        }
        guard !DecodedFields.isOfConnection(FieldName(bytes, field.name)) else { throw .connectionField }
        text.line(bytes, field)
    }
    text.append("\r\n")
    do throws(HTTPError) {
        return try text.parseResponse(limits: limits)
    } catch {
        throw .refused(error)
    }
}
