// Sets of known field names as one machine word, and the sets that decide what is passed on.

/// A set of known field names; one word, no allocation.
public struct FieldNameSet: Sendable, Equatable, ExpressibleByArrayLiteral {
    private var bits: UInt64 = 0

    /// The empty set.
    public init() {}

    /// The set of these names.
    public init(arrayLiteral names: FieldName...) {
        for name in names { insert(name) }
    }

    /// Whether the name is in the set.
    public func contains(_ name: FieldName) -> Bool {
        bits >> UInt64(name.rawValue) & 1 == 1
    }

    /// Puts the name into the set.
    public mutating func insert(_ name: FieldName) {
        bits |= 1 << UInt64(name.rawValue)
    }

    /// Puts all names of another set into the set.
    public mutating func formUnion(_ other: FieldNameSet) {
        bits |= other.bits
    }

    /// The names of both sets.
    public func union(_ other: FieldNameSet) -> FieldNameSet {
        var union = self
        union.formUnion(other)
        return union
    }

    /// Fields that are never copied: those of one connection only (RFC 9110 section 7.6.1, RFC 7540 section 3.2.1 for HTTP2-Settings);
    /// those that frame a body, because the other side gets its own framing; and Host, which is written from `RequestHead.authority`.
    static let neverForwarded: FieldNameSet = [
        .connection, .keepAlive, .proxyConnection, .proxyAuthenticate, .proxyAuthenticationInfo, .proxyAuthorization,
        .te, .trailer, .transferEncoding, .upgrade, .http2Settings, .contentLength, .host,
    ]

    /// Fields that a Connection option cannot remove. They are meant for every recipient (RFC 9110 section 7.6.1 forbids naming them),
    /// and the proxy vouches for several. Removal by a client has been used to forge identities elsewhere (Traefik CVE-2024-45410,
    /// CVE-2026-29054). A name that begins with `x-forwarded-` is protected without being listed.
    static let notRemovableByConnection: FieldNameSet = [
        .accessControlAllowOrigin, .age, .authorization, .cacheControl, .contentEncoding, .contentLength,
        .contentRange, .contentType, .cookie, .date, .expect, .expires, .forwarded, .host, .lastEventID, .location,
        .origin, .pragma, .range, .referrerPolicy, .retryAfter, .setCookie, .transferEncoding, .vary, .via,
        .wwwAuthenticate, .xAccelBuffering, .xForwardedFor, .xForwardedHost, .xForwardedPort, .xForwardedProto,
        .xRealIP,
    ]
}
