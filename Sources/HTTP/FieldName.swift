// The field names that the proxy acts upon. A name is recognised once, when the head is parsed, and is
// a number from then on. Every other field is `other` and keeps its own bytes.
//
// Invariant: a name is recognised only if all its bytes agree but for the case of letters; `_` and `.`
// are never taken for `-`.

/// A field name that means something to the proxy, or `other`.
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

    /// The name that these bytes spell, in any case of letters. Their count leaves a handful of
    /// candidates, so the cost does not grow with the list.
    init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        func spells(_ name: FieldName) -> Bool { equalsIgnoringCase(bytes, range, name.lowercasedName) }
        self =
            switch range.count {
            case 2 where spells(.te): .te
            case 3 where spells(.age): .age
            case 3 where spells(.via): .via
            case 4 where spells(.date): .date
            case 4 where spells(.etag): .etag
            case 4 where spells(.host): .host
            case 4 where spells(.vary): .vary
            case 5 where spells(.range): .range
            case 6 where spells(.accept): .accept
            case 6 where spells(.cookie): .cookie
            case 6 where spells(.expect): .expect
            case 6 where spells(.origin): .origin
            case 6 where spells(.pragma): .pragma
            case 6 where spells(.server): .server
            case 7 where spells(.expires): .expires
            case 7 where spells(.referer): .referer
            case 7 where spells(.trailer): .trailer
            case 7 where spells(.upgrade): .upgrade
            case 8 where spells(.location): .location
            case 9 where spells(.forwarded): .forwarded
            case 9 where spells(.xRealIP): .xRealIP
            case 10 where spells(.connection): .connection
            case 10 where spells(.keepAlive): .keepAlive
            case 10 where spells(.setCookie): .setCookie
            case 10 where spells(.userAgent): .userAgent
            case 11 where spells(.retryAfter): .retryAfter
            case 12 where spells(.contentType): .contentType
            case 12 where spells(.maxForwards): .maxForwards
            case 13 where spells(.authorization): .authorization
            case 13 where spells(.cacheControl): .cacheControl
            case 13 where spells(.contentRange): .contentRange
            case 13 where spells(.lastEventID): .lastEventID
            case 13 where spells(.lastModified): .lastModified
            case 14 where spells(.contentLength): .contentLength
            case 14 where spells(.http2Settings): .http2Settings
            case 15 where spells(.acceptEncoding): .acceptEncoding
            case 15 where spells(.referrerPolicy): .referrerPolicy
            case 15 where spells(.xForwardedFor): .xForwardedFor
            case 16 where spells(.contentEncoding): .contentEncoding
            case 16 where spells(.proxyConnection): .proxyConnection
            case 16 where spells(.wwwAuthenticate): .wwwAuthenticate
            case 16 where spells(.xForwardedHost): .xForwardedHost
            case 16 where spells(.xForwardedPort): .xForwardedPort
            case 17 where spells(.transferEncoding): .transferEncoding
            case 17 where spells(.xAccelBuffering): .xAccelBuffering
            case 17 where spells(.xForwardedProto): .xForwardedProto
            case 18 where spells(.proxyAuthenticate): .proxyAuthenticate
            case 19 where spells(.proxyAuthorization): .proxyAuthorization
            case 25 where spells(.proxyAuthenticationInfo): .proxyAuthenticationInfo
            case 25 where spells(.strictTransportSecurity): .strictTransportSecurity
            case 27 where spells(.accessControlAllowOrigin): .accessControlAllowOrigin
            default: .other
            }
    }
}
