// What every field of HTTP/2 has to keep to (RFC 9113 section 8.2), whether it came as a literal or out of a table. An entry that was
// refused once comes back as an index, so each use is checked.
//
// Invariant: a name and a value that pass may be written into a line of HTTP/1.1. Neither can end the line or begin another one.

import Bytes
import HTTP

extension DecodedFields {
    /// Whether the name begins with a colon.
    static func isPseudo(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool { !name.isEmpty && bytes[name.lowerBound] == 0x3A }

    /// Refuses a name of a regular field that is empty or no token in lower case.
    static func requireName(_ bytes: Span<UInt8>, _ name: Range<Int>) throws(RequestProblem) {
        guard !name.isEmpty else { throw .malformed(.invalidFieldName) }
        for index in name where !isNameCharacter(bytes[index]) { throw .malformed(.invalidFieldName) }
    }

    /// Whether the byte may stand in a token and is no capital letter. The two constants hold one bit for each of the 128 ASCII characters.
    @inline(__always)
    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        if byte < 64 { return (0x03FF_6CFA_0000_0000 as UInt64) >> UInt64(byte) & 1 == 1 }
        if byte < 128 { return (0x57FF_FFFF_C000_0000 as UInt64) >> UInt64(byte & 63) & 1 == 1 }
        return false
    }

    /// Refuses a value with NUL, CR or LF anywhere, or with a blank at either end.
    static func requireValue(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(RequestProblem) {
        guard !value.isEmpty else { return }
        guard !isBlank(bytes[value.lowerBound]), !isBlank(bytes[value.upperBound - 1]) else { throw .malformed(.invalidFieldValue) }
        var index = value.lowerBound
        while true {
            index = firstControlByte(bytes, from: index, to: value.upperBound)
            guard index < value.upperBound else { return }
            let byte = bytes[index]
            guard byte != 0, byte != carriageReturn, byte != lineFeed else { throw .malformed(.invalidFieldValue) }
            index += 1
        }
    }

    /// Whether the field speaks of one connection of HTTP/1.1 (section 8.2.2). TE has its own rule.
    static func isOfConnection(_ name: FieldName) -> Bool { connectionNames.contains(name) }

    private static let connectionNames: FieldNameSet = [.connection, .proxyConnection, .keepAlive, .transferEncoding, .upgrade]
}

/// Checks the trailers of a request: valid names and values, no pseudo-field, no field of a connection (RFC 9113 section 8.1). They are
/// dropped then, whatever they say: a trailer with `content-length` or `authorization` does nothing (RFC 9110 section 6.5).
/// - Throws: what is wrong with them.
package func checkTrailers(_ fields: borrowing DecodedFields) throws(RequestProblem) {
    let bytes = fields.bytes.span
    for field in fields.fields {
        guard !DecodedFields.isPseudo(bytes, field.name) else { throw .malformed(.misplacedPseudoField) }
        try DecodedFields.requireName(bytes, field.name)
        try DecodedFields.requireValue(bytes, field.value)
        guard !DecodedFields.isOfConnection(FieldName(bytes, field.name)) else { throw .malformed(.connectionField) }
    }
    guard !fields.isTooLarge else { throw .refused(.trailersTooLarge) }
}
