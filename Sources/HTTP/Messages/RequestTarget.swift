// The first line of a request and its target (RFC 9112 section 3): which forms are accepted, and what is forwarded. Routing and
// credentials inside a target are not handled here.
//
// Invariant: the forwarded target is `*` or begins with `/`, and is byte for byte what the client sent. The only exception is the one
// character that an absolute-form target without a path leaves out.

import Bytes

/// The three parts of a request line, as they were sent.
struct RequestLine {
    let method: Range<Int>
    let target: Range<Int>
    let minorVersion: Int
    /// Where the first field line begins.
    let end: Int

    /// Parses it, empty lines before it skipped (RFC 9112 section 2.2).
    init(_ bytes: Span<UInt8>, limits: HeadLimits) throws(HTTPError) {
        var start = 0
        while start + 1 < bytes.count, bytes[start] == carriageReturn, bytes[start + 1] == lineFeed { start += 2 }
        let lineEnd = try FieldSection.lineEnd(bytes, from: start)
        guard let firstSpace = Self.firstSpace(bytes, start..<lineEnd), firstSpace > start,
            let secondSpace = Self.firstSpace(bytes, firstSpace + 1..<lineEnd), secondSpace > firstSpace + 1
        else { throw .malformedRequestLine }
        method = start..<firstSpace
        target = firstSpace + 1..<secondSpace
        for index in method where !isTokenCharacter(bytes[index]) { throw .malformedRequestLine }
        for index in target where !isTargetByte(bytes[index]) { throw .malformedTarget }
        guard target.count <= limits.targetBytes else { throw .targetTooLong }
        let version = secondSpace + 1..<lineEnd
        for index in version where isBlank(bytes[index]) { throw .malformedRequestLine }
        if equals(bytes, version, "HTTP/1.1") {
            minorVersion = 1
        } else if equals(bytes, version, "HTTP/1.0") {
            minorVersion = 0
        } else if equals(bytes, start..<lineEnd, "PRI * HTTP/2.0") {
            throw .http2Preface
        } else {
            throw .unsupportedVersion
        }
        end = lineEnd + 2
    }

    private static func firstSpace(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
        for index in range where bytes[index] == space { return index }
        return nil
    }
}

/// A target in the form in which it is forwarded.
struct RequestTarget {
    /// The path and query, or `*`.
    let forwarded: Range<Int>
    /// The host and port that an absolute-form target names.
    let authority: Range<Int>?

    /// Resolves the target at `raw`. An absolute-form target without a path gets its `/` (for OPTIONS its `*`, RFC 9112 section 3.2.4).
    /// For this the authority moves within these bytes, over one of the slashes before it; nothing outside the target changes.
    init(resolving raw: Range<Int>, in bytes: inout [UInt8], method: Method) throws(HTTPError) {
        guard method != .connect else { throw .connectNotSupported }
        if bytes[raw.lowerBound] == 0x2F {
            forwarded = raw
            authority = nil
            return
        }
        if raw.count == 1, bytes[raw.lowerBound] == 0x2A {
            guard method == .options else { throw .malformedTarget }
            forwarded = raw
            authority = nil
            return
        }
        let (host, pathStart) = try Self.authority(ofAbsolute: raw, bytes.span)
        if pathStart < raw.upperBound, bytes[pathStart] == 0x2F {
            forwarded = pathStart..<raw.upperBound
            authority = host
            return
        }
        for index in host { bytes[index - 1] = bytes[index] }
        let isWholeServer = method == .options && pathStart == raw.upperBound
        bytes[pathStart - 1] = isWholeServer ? 0x2A : 0x2F
        forwarded = pathStart - 1..<raw.upperBound
        authority = host.lowerBound - 1..<host.upperBound - 1
    }

    /// The authority of an `http` or `https` URL (RFC 9112 section 3.2.2), and the offset behind it, and behind the colon of an empty
    /// port. Any other target is refused.
    private static func authority(
        ofAbsolute target: Range<Int>, _ bytes: Span<UInt8>
    ) throws(HTTPError) -> (host: Range<Int>, pathStart: Int) {
        let start: Int
        if hasPrefixIgnoringCase(bytes, target, "http://") {
            start = target.lowerBound + 7
        } else if hasPrefixIgnoringCase(bytes, target, "https://") {
            start = target.lowerBound + 8
        } else {
            throw .malformedTarget
        }
        var end = start
        while end < target.upperBound, bytes[end] != 0x2F, bytes[end] != 0x3F { end += 1 }
        guard let host = Authority.hostAndPort(bytes, start..<end) else { throw .invalidHost }
        return (host, end)
    }
}
