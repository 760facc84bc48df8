// How a body is delimited (RFC 9112 section 6), decided from Content-Length and Transfer-Encoding only. The heads know which messages
// have no body at all.
//
// Invariant: two readers that follow the standard find the same length for every accepted message. Where they could differ, the message
// is refused.

import Bytes

/// How the end of a body is known.
public enum BodyFraming: Sendable, Equatable {
    /// There is no body.
    case none
    /// The body is exactly so many bytes; at most 2^63-1.
    case length(UInt64)
    /// The body is in the chunked coding (RFC 9112 section 7.1).
    case chunked
    /// The body ends when the peer closes; only a response can have that.
    case untilClose

    /// A word for it, as recordings show it.
    public var name: StaticString {
        switch self {
        case .none: "none"
        case .length: "length"
        case .chunked: "chunked"
        case .untilClose: "close"
        }
    }
}

/// What a head's two framing fields say.
struct FramingFields: Sendable, Equatable {
    /// The announced length, if there is a Content-Length.
    var contentLength: UInt64?
    /// Whether there is a Transfer-Encoding that says `chunked`.
    var isChunked = false
    /// Whether a response has a Transfer-Encoding that says `identity` (RFC 2616 section 3.6): the body ends with the connection.
    var isIdentity = false

    /// Reads them. A request may hold one Content-Length and one `chunked` only. Responses may hold more where every reading finds the
    /// same end of the body, because such servers exist and cannot be changed: repeated equal lengths (RFC 9112 section 6.3), repeated
    /// `chunked`, and `identity` without a length.
    init(_ section: FieldSection, kind: HeadKind, minorVersion: Int) throws(HTTPError) {
        if section.names.contains(.transferEncoding) {
            let hasLength = section.names.contains(.contentLength)
            if kind == .response, !hasLength, Self.isEveryCoding(of: section, "identity") {
                isIdentity = true
                return
            }
            guard minorVersion == 1 else { throw .misplacedTransferEncoding }
            guard !hasLength else { throw .conflictingLengths }
            // Some servers say `chunked` twice but apply it once: a framework writes the field, and the server below it writes it
            // again.
            if kind == .request || !Self.isEveryCoding(of: section, "chunked") { try Self.requireChunked(section) }
            isChunked = true
        }
        guard section.names.contains(.contentLength) else { return }
        for field in section.fields where field.known == .contentLength {
            if kind == .request, contentLength != nil { throw .invalidContentLength }
            let length = try Self.contentLength(section.bytes.span, field.value, acceptsList: kind == .response)
            guard contentLength == nil || contentLength == length else { throw .invalidContentLength }
            contentLength = length
        }
    }

    /// Checks that the one transfer coding is `chunked`, once and without parameters (RFC 9112 section 6.1).
    private static func requireChunked(_ section: FieldSection) throws(HTTPError) {
        let bytes = section.bytes.span
        if let value = section.firstValue(of: .transferEncoding), equalsIgnoringCase(bytes, value, "chunked"),
            section.count(of: .transferEncoding) == 1
        {
            return
        }
        for field in section.fields where field.known == .transferEncoding {
            var elements = ListElements(field.value)
            while let element = elements.next(in: bytes) {
                let coding = withoutParameters(bytes, element)
                guard isToken(bytes, coding) else { throw .invalidTransferEncoding }
                guard equalsIgnoringCase(bytes, coding, "chunked") else { throw .unknownTransferCoding }
            }
        }
        throw .invalidTransferEncoding
    }

    /// Whether all transfer codings are this one, none of them with parameters, and no element of a list is empty.
    private static func isEveryCoding(of section: FieldSection, _ name: StaticString) -> Bool {
        let bytes = section.bytes.span
        for field in section.fields where field.known == .transferEncoding {
            var start = field.value.lowerBound
            while true {
                let end = firstByte(0x2C, in: bytes, start..<field.value.upperBound)
                guard equalsIgnoringCase(bytes, trimmingBlanks(bytes, start..<end), name) else { return false }
                if end == field.value.upperBound { break }
                start = end + 1
            }
        }
        return true
    }

    private static func isToken(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for index in range where !isTokenCharacter(bytes[index]) { return false }
        return !range.isEmpty
    }

    /// Reads one Content-Length value: digits only and below 2^63, or several equal values if a list is accepted.
    private static func contentLength(
        _ bytes: Span<UInt8>, _ value: Range<Int>, acceptsList: Bool
    ) throws(HTTPError) -> UInt64 {
        guard acceptsList else { return try number(bytes, value) }
        var elements = ListElements(value)
        var result: UInt64?
        while let element = elements.next(in: bytes) {
            let length = try number(bytes, element)
            guard result == nil || result == length else { throw .invalidContentLength }
            result = length
        }
        guard let result else { throw .invalidContentLength }
        return result
    }

    private static func number(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HTTPError) -> UInt64 {
        guard !range.isEmpty else { throw .invalidContentLength }
        var result: UInt64 = 0
        for index in range {
            let byte = bytes[index]
            guard isDigit(byte) else { throw .invalidContentLength }
            let (product, overflowed) = result.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(UInt64(byte &- 0x30))
            guard !overflowed, !carried, sum <= UInt64(Int64.max) else { throw .invalidContentLength }
            result = sum
        }
        return result
    }
}
