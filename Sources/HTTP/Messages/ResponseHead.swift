// A response head, checked and understood (RFC 9110 section 15, RFC 9112 sections 4 to 9). An error in it is the upstream's fault and
// becomes a 502. The head does not know its request, so the body's framing is computed from the request's method, which the caller
// gives.
//
// Invariant: a value of this type has at most one framing, and its fields may be written into field lines.

import Bytes

/// A response head with its own copy of the bytes; all ranges are into that copy. A class for the same reason as `RequestHead`.
public final class ResponseHead: Sendable {
    @usableFromInline let section: FieldSection
    private let framingFields: FramingFields

    /// The status code, from 100 to 999.
    public let status: Int
    /// The reason phrase, which may be empty.
    public let reasonRange: Range<Int>
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public let minorVersion: Int
    /// Whether the upstream keeps the connection for another request (RFC 9112 section 9.3), as far as the head says so. Also false
    /// where 1xx or 204 announce a body, which they cannot have: what follows on such a connection could be read in two ways.
    public let keepsAlive: Bool
    /// Whether Content-Type is `text/event-stream`, in any case of letters and with any parameters. Of several types, in a list or in
    /// separate fields, the last valid one counts (Fetch, "extract a MIME type").
    public let isEventStream: Bool
    /// Whether the body is as the origin wrote it: no Content-Encoding but `identity`.
    public let contentEncodingIsIdentity: Bool

    /// Parses one whole head as `HeadScanner` delimited it. Throws on the first violation; bytes
    /// missing or left over are `truncatedHead`.
    public static func parse(_ bytes: Span<UInt8>, limits: HeadLimits) throws(HTTPError) -> ResponseHead {
        try ResponseHead(bytes, limits)
    }

    private init(_ bytes: Span<UInt8>, _ limits: HeadLimits) throws(HTTPError) {
        var section = try FieldSection(copying: bytes, limits: limits)
        let line = try StatusLine(bytes)
        status = line.status
        reasonRange = line.reason
        minorVersion = line.minorVersion
        try section.parseFields(from: line.end, of: .response, limits: limits)
        let options = try section.applyConnectionOptions()
        self.section = section
        framingFields = try FramingFields(section, kind: .response, minorVersion: line.minorVersion)
        let announcesImpossibleBody =
            (status < 200 || status == 204) && (framingFields.isChunked || framingFields.isIdentity || framingFields.contentLength ?? 0 > 0)
        keepsAlive = !options.close && (minorVersion == 1 || options.keepAlive) && !announcesImpossibleBody
        isEventStream = section.isEventStream
        contentEncodingIsIdentity = Self.contentEncodingIsIdentity(section)
    }

    /// Whether this is an interim answer that another one follows: 1xx but 101 (RFC 9110 section 15.2).
    public var isInterim: Bool { status < 200 && status != 101 }

    /// The announced length. For an answer to HEAD and a 304 it is the length that a body would have had. The proxy writes the field
    /// itself, since Content-Length is not forwardable.
    public var contentLength: UInt64? { framingFields.contentLength }

    /// How the body is delimited (RFC 9112 section 6.3), given the method of the request that this head answers. An answer to HEAD, a
    /// 1xx, a 204 and a 304 have no body. `parse` has refused every error in the two framing fields. This throws only for an answer to
    /// CONNECT, which the proxy never sends.
    public func framing(requestMethod: Method) throws(HTTPError) -> BodyFraming {
        guard requestMethod != .connect else { throw .connectNotSupported }
        if requestMethod == .head || status < 200 || status == 204 || status == 304 { return .none }
        if framingFields.isChunked { return .chunked }
        if let length = framingFields.contentLength { return .length(length) }
        return .untilClose
    }

    /// The bytes of the head as they were received.
    @inlinable public var bytes: [UInt8] { section.bytes }

    /// The bytes of the head without the lines of these fields.
    public func bytes(without names: FieldNameSet) -> [UInt8] {
        let bytes = section.bytes
        var kept: [UInt8] = []
        kept.reserveCapacity(bytes.count)
        var start = 0
        // A line ends where the next field's name begins, the last one in front of the blank line.
        for (place, field) in fields.enumerated() where names.contains(field.known) {
            kept += bytes[start..<field.name.lowerBound]
            start = place + 1 < fields.count ? fields[place + 1].name.lowerBound : bytes.count - 2
        }
        return kept + bytes[start...]
    }

    /// The field lines in their order.
    @inlinable public var fields: [Field] { section.fields }

    /// The value of the first field of that name.
    public func firstValue(of name: FieldName) -> Range<Int>? { section.firstValue(of: name) }

    /// How many fields of that name there are.
    public func count(of name: FieldName) -> Int { section.count(of: name) }

    /// Whether there is a field of that name.
    public func contains(_ name: FieldName) -> Bool { section.names.contains(name) }

    /// Whether an element of any field of that name is this token, which must be given in lower case. What follows `;` or `=` in an
    /// element is ignored.
    public func listContains(_ name: FieldName, _ lowercasedToken: StaticString) -> Bool {
        section.listContains(name, lowercasedToken)
    }

    /// Whether an element of any field of that name is this token and nothing more. A directive that names fields, such as
    /// `private="set-cookie"` (RFC 9111 section 5.2.2.7), is a different one from the bare `private`.
    public func listHas(_ name: FieldName, _ lowercasedToken: StaticString) -> Bool {
        section.listHas(name, lowercasedToken)
    }

    /// Whether the field is passed on unchanged (RFC 9110 section 7.6.1), by the same rule as `RequestHead.isForwardable(fieldIndex:)`.
    /// A 101 is no exception: the proxy writes its own Connection and Upgrade.
    public func isForwardable(fieldIndex: Int) -> Bool { section.fields[fieldIndex].isForwardable }

    /// Whether the Upgrade field names only protocols of this list, and at least one. The list is the request's Upgrade field: a server
    /// can only switch to what was offered (RFC 9110 section 7.8).
    public func switches(toOneOf offered: [UInt8]) -> Bool {
        var isNamed = false
        let bytes = section.bytes
        for field in section.fields where field.known == .upgrade {
            var elements = ListElements(field.value)
            while let element = elements.next(in: bytes.span) {
                guard Self.isElement(of: offered, bytes, element) else { return false }
                isNamed = true
            }
        }
        return isNamed
    }

    private static func isElement(of list: [UInt8], _ bytes: [UInt8], _ wanted: Range<Int>) -> Bool {
        var elements = ListElements(0..<list.count)
        while let element = elements.next(in: list.span) {
            guard element.count == wanted.count else { continue }
            if zip(list[element], bytes[wanted]).allSatisfy({ lowercased($0) == lowercased($1) }) { return true }
        }
        return false
    }

    private static func contentEncodingIsIdentity(_ section: FieldSection) -> Bool {
        guard section.names.contains(.contentEncoding) else { return true }
        for field in section.fields where field.known == .contentEncoding {
            var elements = ListElements(field.value)
            while let element = elements.next(in: section.bytes.span) {
                guard equalsIgnoringCase(section.bytes.span, element, "identity") else { return false }
            }
        }
        return true
    }
}

/// The first line of a response (RFC 9112 section 4).
private struct StatusLine {
    let minorVersion: Int
    let status: Int
    let reason: Range<Int>
    /// Where the first field line begins.
    let end: Int

    /// Parses `HTTP/1.x SP 3DIGIT [ SP reason ]`. The standard requires the blank behind the digits. Servers leave it out together with
    /// the reason, and there is no other way to read that.
    init(_ bytes: Span<UInt8>) throws(HTTPError) {
        let lineEnd = try FieldSection.lineEnd(bytes, from: 0)
        guard lineEnd >= 12, equals(bytes, 0..<5, "HTTP/"), isDigit(bytes[5]), bytes[8] == space else {
            throw .malformedStatusLine
        }
        if equals(bytes, 5..<8, "1.1") {
            minorVersion = 1
        } else if equals(bytes, 5..<8, "1.0") {
            minorVersion = 0
        } else {
            throw .unsupportedVersion
        }
        var status = 0
        for index in 9..<12 {
            guard isDigit(bytes[index]) else { throw .malformedStatusLine }
            status = status * 10 + Int(bytes[index] &- 0x30)
        }
        guard status >= 100, lineEnd == 12 || bytes[12] == space else { throw .malformedStatusLine }
        self.status = status
        reason = min(13, lineEnd)..<lineEnd
        end = lineEnd + 2
    }
}
