// The fields of a request found and checked (RFC 9113 sections 8.2, 8.3 and 8.5), before anything is written.
//
// Invariant: after `init` every name and value has passed the rules of `FieldRules.swift`, and there is at most one of each pseudo-field
// and one Content-Length.

import Bytes
import HTTP

/// Where in the decoded bytes a request's parts are.
struct RequestFields {
    private(set) var method: Range<Int>?
    private(set) var scheme: Range<Int>?
    private(set) var path: Range<Int>?
    private(set) var authority: Range<Int>?
    private(set) var tunnelProtocol: Range<Int>?
    private(set) var host: Range<Int>?
    private(set) var hasSeveralHosts = false
    private(set) var contentLength: UInt64?
    private var hasTE = false

    /// Finds them.
    init(_ fields: borrowing DecodedFields) throws(RequestProblem) {
        let bytes = fields.bytes.span
        var isInFront = true
        for field in fields.fields {
            try DecodedFields.requireValue(bytes, field.value)
            if DecodedFields.isPseudo(bytes, field.name) {
                guard isInFront else { throw .malformed(.misplacedPseudoField) }
                try addPseudoField(bytes, field)
            } else {
                isInFront = false
                try DecodedFields.requireName(bytes, field.name)
                try addRegularField(bytes, field)
            }
        }
    }

    private mutating func addPseudoField(_ bytes: Span<UInt8>, _ field: DecodedField) throws(RequestProblem) {
        let before: Range<Int>?
        if equals(bytes, field.name, ":method") {
            before = method
            method = field.value
        } else if equals(bytes, field.name, ":scheme") {
            before = scheme
            scheme = field.value
        } else if equals(bytes, field.name, ":path") {
            before = path
            path = field.value
        } else if equals(bytes, field.name, ":authority") {
            before = authority
            authority = field.value
        } else if equals(bytes, field.name, ":protocol") {
            before = tunnelProtocol
            tunnelProtocol = field.value
        } else {
            throw .malformed(.unknownPseudoField)
        }
        guard before == nil else { throw .malformed(.doubledPseudoField) }
    }

    private mutating func addRegularField(_ bytes: Span<UInt8>, _ field: DecodedField) throws(RequestProblem) {
        let known = FieldName(bytes, field.name)
        guard !DecodedFields.isOfConnection(known) else { throw .malformed(.connectionField) }
        switch known {
        case .te:
            guard !hasTE, equals(bytes, field.value, "trailers") else { throw .malformed(.invalidTE) }
            hasTE = true
        case .host:
            hasSeveralHosts = host != nil
            host = field.value
        case .contentLength:
            guard contentLength == nil, let length = Self.number(bytes, field.value) else { throw .malformed(.invalidContentLength) }
            contentLength = length
        default: break
        }
    }

    /// A number of digits only, below 2^63.
    private static func number(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty else { return nil }
        var number: UInt64 = 0
        for index in range {
            guard isDigit(bytes[index]), number < 1 << 60 else { return nil }
            number = number * 10 + UInt64(bytes[index] &- 0x30)
        }
        return number < 1 << 63 ? number : nil
    }

    /// Whether Host, if there is one beside `:authority`, names the same host (section 8.3.1): without regard to the case of letters and
    /// to the scheme's default port.
    func hostFits(_ bytes: Span<UInt8>, isSecured: Bool) -> Bool {
        guard let host, let authority else { return true }
        let first = Self.withoutDefaultPort(bytes, host, isSecured: isSecured)
        let second = Self.withoutDefaultPort(bytes, authority, isSecured: isSecured)
        guard first.count == second.count else { return false }
        for offset in 0..<first.count
        where lowercased(bytes[first.lowerBound + offset]) != lowercased(bytes[second.lowerBound + offset]) { return false }
        return true
    }

    private static func withoutDefaultPort(_ bytes: Span<UInt8>, _ range: Range<Int>, isSecured: Bool) -> Range<Int> {
        let port: StaticString = isSecured ? ":443" : ":80"
        for ending in [port, ":"] {
            let start = range.upperBound - ending.utf8CodeUnitCount
            if start > range.lowerBound, equals(bytes, start..<range.upperBound, ending) { return range.lowerBound..<start }
        }
        return range
    }
}
