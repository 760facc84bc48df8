// A request's head written as a field block (RFC 9113 section 8.3.1).
//
// Invariant: no field of a connection crosses, whatever the caller has among its fields.

import Bytes
import HTTP

/// A GET, as a client makes it.
package struct OutgoingRequest: Sendable {
    /// Whether the scheme is https, else http.
    package var isSecured: Bool
    /// Host and port of the URL. A Host among the fields replaces it.
    package var authority: String
    /// Path and query, as they stand in a request line.
    package var path: String
    /// The fields in their order; names in any case of letters, values without control characters.
    package var fields: [(name: String, value: String)] = []

    /// A request without fields.
    package init(isSecured: Bool, authority: String, path: String) {
        self.isSecured = isSecured
        self.authority = authority
        self.path = path
    }

    /// The field block. Fields of an HTTP/1.1 connection are left out (section 8.2.2), and so is a TE that is not `trailers`.
    package var block: [UInt8] {
        var host = authority
        var regular: [(name: String, value: String)] = []
        for field in fields {
            let name = field.name.utf8Span.span
            let known = FieldName(name, 0..<name.count)
            let value = OutgoingRequest.trimmed(field.value)
            if known == .host { host = value }
            if known == .host || DecodedFields.isOfConnection(known) || known == .te && value != "trailers" { continue }
            regular.append((field.name, value))
        }
        var block: [UInt8] = []
        HPACKEncoder.appendGet(isSecured: isSecured, authority: host.utf8Span.span, path: path.utf8Span.span, to: &block)
        for field in regular {
            HPACKEncoder.appendField(lowercasing: field.name.utf8Span.span, value: field.value.utf8Span.span, to: &block)
        }
        return block
    }

    /// The value without blanks at its ends, which HTTP/2 forbids (section 8.2.1).
    private static func trimmed(_ value: String) -> String {
        let bytes = value.utf8Span.span
        let range = trimmingBlanks(bytes, 0..<bytes.count)
        return String(decoding: value.utf8.dropFirst(range.lowerBound).prefix(range.count), as: UTF8.self)
    }
}
