// Which page a request came from, as far as its browser says it (RFC 6454; Fetch Metadata). Browsers send cookies along with what any page
// makes them send; `Authorization` they never add by themselves. A cookie that becomes `Authorization` opens a server that was immune
// against forgery across sites, so the proxy has to look.

import Configuration
import Downstreams
import HTTP

extension RequestForwarding {
    /// Whether the request was made by a page of an origin that is neither its own nor allowed by the route. A request that says nothing
    /// of its page does not come from a browser of today, and nobody can make another program send a cookie.
    var isForeign: Bool {
        let origins = head.fields.filter { $0.known == .origin }.map(\.value)
        if origins.count > 1 { return true }
        if let origin = origins.first, route.allows(origin: head.bytes.span.extracting(origin)) { return false }
        // No page can forge `Sec-Fetch-Site`, and its browser knows both origins. `Origin` says less: it is `null` for forms of a page with
        // `no-referrer`, and behind a hop that changes Host the proxy does not know what to compare it with.
        let sites = head.values(named: "sec-fetch-site")
        if !sites.isEmpty {
            let bytes = head.bytes.span
            return !sites.allSatisfy { equalsIgnoringCase(bytes, $0, "same-origin") || equalsIgnoringCase(bytes, $0, "none") }
        }
        guard let origin = origins.first else { return false }
        // WebSockets have no `Sec-Fetch-Site`; behind a hop that takes TLS off without a word only the scheme is unknown.
        return !isOwn(head.bytes[origin], anyScheme: !isSchemeCertain)
    }

    /// Whether `Origin` names another host or port than the client asked. Schemes are not compared: a hop in front may take TLS off.
    var isOfOtherHost: Bool {
        guard let origin = head.firstValue(of: .origin) else { return false }
        return !isOwn(head.bytes[origin], anyScheme: true)
    }

    /// Whether the scheme that the client used is known, and not only that of the last hop.
    private var isSchemeCertain: Bool { client.isSecured || client.isTrusted && head.contains(.xForwardedProto) }

    private func isOwn(_ origin: ArraySlice<UInt8>, anyScheme: Bool) -> Bool {
        let text = origin.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
        guard let mark = text.firstRange(of: Array("://".utf8)) else { return false }
        let scheme = text[..<mark.lowerBound]
        guard scheme.elementsEqual("https".utf8) || scheme.elementsEqual("http".utf8) else { return false }
        let isSecuredPage = anyScheme ? isClientSecured : scheme.elementsEqual("https".utf8)
        guard let page = URLOrigin(text[mark.upperBound...], isSecured: isSecuredPage) else { return false }
        // The port that a proxy in front tells in a field of its own is often that of a hop.
        let host = claim(.xForwardedHost).map { Array(head.bytes[$0]) } ?? Array(head.bytes[head.authority])
        return [host, clientsAuthority ?? host].contains { URLOrigin($0[...], isSecured: isClientSecured) == page }
    }
}

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
