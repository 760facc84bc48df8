// A request head, checked and understood (RFC 9110 and RFC 9112 sections 3 to 9). HeadScanner finds its end. Routing and credentials
// are not handled here.
//
// Invariant: a value of this type is a request with one meaning only: one host, at most one framing, a target that may be written into
// a request line, and fields that may be written into field lines.

import Bytes

/// A request head with its own copy of the bytes; all ranges are into that copy. It is a class because it is passed around often and
/// never changes: a copy of a struct would retain and release two arrays each time.
public final class RequestHead: Sendable {
    @usableFromInline let section: FieldSection

    /// The method, if it is one the proxy knows; its bytes are at `methodRange`.
    public let method: Method
    /// The method's bytes, their case kept.
    public let methodRange: Range<Int>
    /// The target of the request line to be forwarded: path and query, or `*` with OPTIONS. Of an absolute-form target it is the part
    /// behind the authority.
    public let target: Range<Int>
    /// The host and port to be forwarded in Host: those of an absolute-form target, else of the Host
    /// field, without the colon of an empty port. Empty only in HTTP/1.0 without Host.
    public let authority: Range<Int>
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public let minorVersion: Int
    /// How the body is delimited; never `.untilClose`.
    public let framing: BodyFraming
    /// Whether the client wants to send another request on the connection (RFC 9112 section 9.3).
    public let keepsAlive: Bool
    /// Whether the client waits for a 100 before it sends the body (RFC 9110 section 10.1.1): never
    /// without a body, never in HTTP/1.0.
    public let expectsContinue: Bool
    /// Whether an Expect field holds anything other than `100-continue`, to be answered with 417.
    public let hasUnknownExpectation: Bool
    /// The protocols of an upgrade that may be passed on, as the Upgrade field's value; nil if none is
    /// asked for, in HTTP/1.0, with a body, and if the list holds HTTP/2 or TLS.
    public let upgradeProtocol: Range<Int>?
    /// Whether Accept names `text/event-stream`, in any case of letters, with a weight other than 0 (RFC 9110 section 12.4.2). Other
    /// parameters are ignored.
    public let acceptsEventStream: Bool

    /// Parses one whole head as `HeadScanner` delimited it, empty lines before it included. Throws on
    /// the first violation; bytes missing or left over are `truncatedHead`.
    public static func parse(_ bytes: Span<UInt8>, limits: HeadLimits) throws(HTTPError) -> RequestHead {
        try RequestHead(bytes, limits)
    }

    private init(_ bytes: Span<UInt8>, _ limits: HeadLimits) throws(HTTPError) {
        var section = try FieldSection(copying: bytes, limits: limits)
        let line = try RequestLine(bytes, limits: limits)
        methodRange = line.method
        method = Method(bytes, line.method)
        minorVersion = line.minorVersion
        let target = try RequestTarget(resolving: line.target, in: &section.bytes, method: method)
        self.target = target.forwarded
        try section.parseFields(from: line.end, of: .request, limits: limits)
        let options = try section.applyConnectionOptions()
        self.section = section

        authority = try Self.authority(section, target: target, minorVersion: line.minorVersion)
        let framingFields = try FramingFields(section, kind: .request, minorVersion: line.minorVersion)
        framing = framingFields.isChunked ? .chunked : framingFields.contentLength.map { .length($0) } ?? .none
        keepsAlive = !options.close && (minorVersion == 1 || options.keepAlive)
        let hasBody = framing != .none && framing != .length(0)
        let expectation = Self.expectation(section)
        expectsContinue = expectation.isContinue && minorVersion == 1 && hasBody
        hasUnknownExpectation = expectation.isUnknown
        upgradeProtocol = options.upgrade && minorVersion == 1 && !hasBody ? Self.upgradeProtocol(section) : nil
        acceptsEventStream = Self.acceptsEventStream(section)
    }

    /// The bytes of the head as they were received. The one exception: inside an absolute-form target the missing `/` of an empty path
    /// may have been added.
    @inlinable public var bytes: [UInt8] { section.bytes }

    /// The field lines in their order.
    @inlinable public var fields: [Field] { section.fields }

    /// Whether a Last-Event-ID holds control characters, which a field may not hold. Such a field has no value here and is not
    /// forwardable: its client has a last event id that the server does not get.
    public var hasUnfitLastEventID: Bool { section.hasUnfitLastEventID }

    /// The value of the first field of that name.
    public func firstValue(of name: FieldName) -> Range<Int>? { section.firstValue(of: name) }

    /// How many fields of that name there are.
    public func count(of name: FieldName) -> Int { section.count(of: name) }

    /// Whether there is a field of that name.
    public func contains(_ name: FieldName) -> Bool { section.names.contains(name) }

    /// The values of all fields of a name that need not be a `FieldName`, given in lower case. It looks at every field, so only rare
    /// requests should need it.
    public func values(named lowercasedName: StaticString) -> [Range<Int>] {
        section.values(named: lowercasedName)
    }

    /// Whether a `?` or `#` stands in the range: without one, a URL has no parameters.
    public func hasQueryOrFragment(_ range: Range<Int>) -> Bool { section.has(0x3F, in: range) || section.has(0x23, in: range) }

    /// Whether a field is a precondition (`If-Match`, `If-Range`…, RFC 9110 section 13.1) or offers protocols within a WebSocket (RFC
    /// 6455 section 11.3.4). Without such a field the answer would be a different one, or one that the client does not accept.
    public func isConditionOrSubprotocol(_ field: Field) -> Bool {
        hasPrefixIgnoringCase(bytes.span, field.name, "if-")
            || field.name.count == 22 && hasPrefixIgnoringCase(bytes.span, field.name, "sec-websocket-protocol")
    }

    /// The host and port that the range holds, as a `Host` field may; nil where it holds something else.
    public func hostAndPort(_ range: Range<Int>) -> Range<Int>? { section.hostAndPort(range) }

    /// Whether an element of any field of that name is this token, which must be given in lower case. What follows `;` or `=` in an
    /// element is ignored.
    public func listContains(_ name: FieldName, _ lowercasedToken: StaticString) -> Bool {
        section.listContains(name, lowercasedToken)
    }

    /// Whether the field is passed on unchanged (RFC 9110 section 7.6.1). False for fields of this connection, for those that
    /// Connection names unless they are meant for every recipient, for those that frame the body, and for Host, which is written from
    /// `authority`.
    public func isForwardable(fieldIndex: Int) -> Bool { section.fields[fieldIndex].isForwardable }
}

// MARK: - The meaning of single fields

extension RequestHead {
    /// One valid Host field, which an absolute-form target replaces (RFC 9112 sections 3.2 and 3.2.2).
    private static func authority(
        _ section: FieldSection, target: RequestTarget, minorVersion: Int
    ) throws(HTTPError) -> Range<Int> {
        guard let host = section.firstValue(of: .host) else {
            guard minorVersion == 0 else { throw .missingHost }
            return target.authority ?? target.forwarded.lowerBound..<target.forwarded.lowerBound
        }
        guard section.count(of: .host) == 1 else { throw .doubledHost }
        if let authority = target.authority {
            guard host.isEmpty || Authority.hostAndPort(section.bytes.span, host) != nil else { throw .invalidHost }
            return authority
        }
        guard let authority = Authority.hostAndPort(section.bytes.span, host) else { throw .invalidHost }
        return authority
    }

    private static func expectation(_ section: FieldSection) -> (isContinue: Bool, isUnknown: Bool) {
        guard section.names.contains(.expect) else { return (false, false) }
        var isContinue = false
        var isUnknown = false
        for field in section.fields where field.known == .expect {
            if equalsIgnoringCase(section.bytes.span, field.value, "100-continue") {
                isContinue = true
            } else {
                isUnknown = true
            }
        }
        return (isContinue, isUnknown)
    }

    /// The value of the one Upgrade field (RFC 9110 section 7.8). Nil if it offers HTTP itself or TLS: passed through as plain bytes,
    /// these would hide requests from the proxy.
    private static func upgradeProtocol(_ section: FieldSection) -> Range<Int>? {
        guard section.count(of: .upgrade) == 1, let value = section.firstValue(of: .upgrade) else { return nil }
        let bytes = section.bytes.span
        var elements = ListElements(value)
        var isEmpty = true
        while let element = elements.next(in: bytes) {
            isEmpty = false
            var nameEnd = element.lowerBound
            while nameEnd < element.upperBound, isTokenCharacter(bytes[nameEnd]) { nameEnd += 1 }
            let name = element.lowerBound..<nameEnd
            guard !name.isEmpty, nameEnd == element.upperBound || bytes[nameEnd] == 0x2F else { return nil }
            if equalsIgnoringCase(bytes, name, "h2c") || equalsIgnoringCase(bytes, name, "h2")
                || equalsIgnoringCase(bytes, name, "http") || equalsIgnoringCase(bytes, name, "tls")
            {
                return nil
            }
        }
        return isEmpty ? nil : value
    }

    private static func acceptsEventStream(_ section: FieldSection) -> Bool {
        guard section.names.contains(.accept) else { return false }
        for field in section.fields where field.known == .accept {
            var elements = ListElements(field.value)
            while let element = elements.next(in: section.bytes.span) {
                let mediaType = withoutParameters(section.bytes.span, element)
                guard equalsIgnoringCase(section.bytes.span, mediaType, "text/event-stream") else { continue }
                if !hasZeroWeight(section.bytes.span, mediaType.upperBound..<element.upperBound) { return true }
            }
        }
        return false
    }
}
