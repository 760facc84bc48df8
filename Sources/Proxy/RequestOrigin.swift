// Which page a request came from, as far as its browser says it (RFC 6454; Fetch Metadata). Browsers send cookies along with what any page
// makes them send; `Authorization` they never add by themselves. A cookie that becomes `Authorization` opens a server that was immune
// against forgery across sites, so the proxy has to look.

import Configuration
import HTTP

extension RequestForwarding {
    /// Whether the request was made by a page of an origin that is neither its own nor allowed by the route. A request that says nothing
    /// of its page does not come from a browser of today, and nobody can make another program send a cookie.
    var isForeign: Bool {
        let origins = head.fields.filter { $0.known == .origin }.map(\.value)
        if origins.count > 1 { return true }
        if let origin = origins.first, route.allows(origin: head.bytes.span.extracting(origin)) { return false }
        let sites = head.values(named: "sec-fetch-site")
        let bytes = head.bytes.span
        for site in sites where !equalsIgnoringCase(bytes, site, "same-origin") && !equalsIgnoringCase(bytes, site, "none") { return true }
        guard let origin = origins.first else { return false }
        // The browser knows its own page's scheme better than a proxy behind one that takes TLS off without a word.
        return !isOwn(PageOrigin(head.bytes[origin]), anyScheme: !isSchemeCertain && !sites.isEmpty)
    }

    /// Whether the scheme that the client used is known, and not only that of the last hop.
    private var isSchemeCertain: Bool { isSecured || isTrusted && head.contains(.xForwardedProto) }

    private func isOwn(_ origin: PageOrigin?, anyScheme: Bool) -> Bool {
        guard let origin else { return false }
        let scheme = forwarded(.xForwardedProto).map { lowercase($0) } ?? Array((isSecured ? "https" : "http").utf8)
        let host = forwarded(.xForwardedHost) ?? head.bytes[head.authority]
        func isSame(_ port: ArraySlice<UInt8>?) -> Bool {
            var text = scheme + Array("://".utf8) + host
            if let port { text += [UInt8(ascii: ":")] + port }
            guard let own = PageOrigin(text[...]), own.host == origin.host else { return false }
            if anyScheme { return own.explicitPort == origin.explicitPort }
            return own.scheme == origin.scheme && own.port == origin.port
        }
        // A proxy in front may tell the port in a field of its own.
        return isSame(nil) || forwarded(.xForwardedPort).map { isSame($0) } == true
    }

    /// What a trusted proxy says of the client's side: the first element is that of the first proxy.
    private func forwarded(_ name: FieldName) -> ArraySlice<UInt8>? {
        guard isTrusted, let value = head.firstValue(of: name) else { return nil }
        var elements = ListElements(value)
        return elements.next(in: head.bytes.span).map { head.bytes[$0] }
    }
}

/// A scheme, a host and a port, as `Origin` has them.
private struct PageOrigin {
    let scheme: [UInt8]
    let host: [UInt8]
    /// Nil where it is the scheme's own.
    let explicitPort: Int?

    /// The port that is meant.
    var port: Int { explicitPort ?? (scheme == Array("https".utf8) ? 443 : 80) }

    /// Nil for `null` and for all else that is no origin of HTTP.
    init?(_ text: ArraySlice<UInt8>) {
        let text = lowercase(text)
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")), text[colon...].starts(with: Array("://".utf8)) else { return nil }
        scheme = Array(text[..<colon])
        var rest = text[(colon + 3)...]
        guard scheme == Array("https".utf8) || scheme == Array("http".utf8), !rest.isEmpty else { return nil }
        var port: Int?
        if let colon = rest.lastIndex(of: UInt8(ascii: ":")), rest.last != UInt8(ascii: "]") {
            // Without digits it is the scheme's own (RFC 3986 section 3.2.3).
            if colon + 1 < rest.endIndex {
                let digits = rest[(colon + 1)...]
                guard digits.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(String(decoding: digits, as: UTF8.self))
                else { return nil }
                port = Int(number)
            }
            rest = rest[..<colon]
        }
        host = Array(rest)
        explicitPort = port == (scheme == Array("https".utf8) ? 443 : 80) ? nil : port
    }
}

private func lowercase(_ bytes: ArraySlice<UInt8>) -> [UInt8] { bytes.map { $0 >= 0x41 && $0 <= 0x5A ? $0 + 0x20 : $0 } }

extension CompiledRoute {
    /// Whether pages of this origin are trusted with cookies.
    func allows(origin: Span<UInt8>) -> Bool { route.allowedOrigins.contains { $0.matches(origin) } }

    /// The request's origin, where the route allows it.
    func allowedOrigin(of head: RequestHead) -> [UInt8]? {
        guard !route.allowedOrigins.isEmpty, head.count(of: .origin) == 1, let origin = head.firstValue(of: .origin),
            allows(origin: head.bytes.span.extracting(origin))
        else { return nil }
        return Array(head.bytes[origin])
    }
}
