// The field names that the proxy acts upon. A name is recognised once, when the head is parsed, and is a number from then on. Every
// other field is `other` and keeps its own bytes.
//
// Invariant: a name is recognised only if all its bytes are equal, ignoring the case of letters. `_` and `.` never match `-`.

import Bytes

/// A field name with a meaning for the proxy, or `other`.
public enum FieldName: UInt8, Sendable, CaseIterable {
    /// Any name that is not listed here.
    case other
    case accept, acceptEncoding, accessControlAllowOrigin, age, authorization, cacheControl, connection
    case contentEncoding, contentLength, contentRange, contentType, cookie, date, etag, expect, expires
    case forwarded, host, http2Settings, keepAlive, lastEventID, lastModified, location, maxForwards
    case origin, pragma, proxyAuthenticate, proxyAuthenticationInfo, proxyAuthorization, proxyConnection
    case range, referer, referrerPolicy, retryAfter, server, setCookie, strictTransportSecurity, te, trailer, transferEncoding
    case upgrade, userAgent, vary, via, wwwAuthenticate, xAccelBuffering, xForwardedFor, xForwardedHost
    case xForwardedPort, xForwardedProto, xRealIP

    /// The name as it is registered, in lower case; empty for `other`.
    public var lowercasedName: StaticString {
        switch self {
        case .other: ""
        case .accept: "accept"
        case .acceptEncoding: "accept-encoding"
        case .accessControlAllowOrigin: "access-control-allow-origin"
        case .age: "age"
        case .authorization: "authorization"
        case .cacheControl: "cache-control"
        case .connection: "connection"
        case .contentEncoding: "content-encoding"
        case .contentLength: "content-length"
        case .contentRange: "content-range"
        case .contentType: "content-type"
        case .cookie: "cookie"
        case .date: "date"
        case .etag: "etag"
        case .expect: "expect"
        case .expires: "expires"
        case .forwarded: "forwarded"
        case .host: "host"
        case .http2Settings: "http2-settings"
        case .keepAlive: "keep-alive"
        case .lastEventID: "last-event-id"
        case .lastModified: "last-modified"
        case .location: "location"
        case .maxForwards: "max-forwards"
        case .origin: "origin"
        case .pragma: "pragma"
        case .proxyAuthenticate: "proxy-authenticate"
        case .proxyAuthenticationInfo: "proxy-authentication-info"
        case .proxyAuthorization: "proxy-authorization"
        case .proxyConnection: "proxy-connection"
        case .range: "range"
        case .referer: "referer"
        case .referrerPolicy: "referrer-policy"
        case .retryAfter: "retry-after"
        case .server: "server"
        case .setCookie: "set-cookie"
        case .strictTransportSecurity: "strict-transport-security"
        case .te: "te"
        case .trailer: "trailer"
        case .transferEncoding: "transfer-encoding"
        case .upgrade: "upgrade"
        case .userAgent: "user-agent"
        case .vary: "vary"
        case .via: "via"
        case .wwwAuthenticate: "www-authenticate"
        case .xAccelBuffering: "x-accel-buffering"
        case .xForwardedFor: "x-forwarded-for"
        case .xForwardedHost: "x-forwarded-host"
        case .xForwardedPort: "x-forwarded-port"
        case .xForwardedProto: "x-forwarded-proto"
        case .xRealIP: "x-real-ip"
        }
    }

    /// The name that these bytes spell, in any case of letters. There is at most one candidate, so a longer list costs nothing more.
    package init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        guard range.count >= 2 else {
            self = .other
            return
        }
        let candidate = Self.candidates[
            Self.place(count: range.count, first: bytes[range.lowerBound], lastButOne: bytes[range.upperBound - 2])]
        self = equalsIgnoringCase(bytes, range, candidate.lowercasedName) ? candidate : .other
    }

    /// The place of a name with that length and these letters among the candidates. A search found factors for which no two names share
    /// a place. A new name may need other factors.
    @inline(__always)
    private static func place(count: Int, first: UInt8, lastButOne: UInt8) -> Int {
        (count &+ 11 &* Int(first | 0x20) &+ 31 &* Int(lastButOne | 0x20)) & 255
    }

    private static let candidates: InlineArray<256, FieldName> = {
        var candidates = InlineArray<256, FieldName>(repeating: .other)
        for name in allCases where name != .other {
            let text = name.lowercasedName
            let count = text.utf8CodeUnitCount
            let place = place(count: count, first: text.utf8Start[0], lastButOne: text.utf8Start[count - 2])
            precondition(candidates[place] == .other, "no two names share a place")
            candidates[place] = name
        }
        return candidates
    }()
}
