// Which page a request came from, as far as its browser says (RFC 6454; Fetch Metadata). Browsers add cookies to every request that any
// page makes, but never add `Authorization` by themselves. A cookie that becomes `Authorization` exposes a server that was safe from
// forged cross-site requests, so the proxy has to check.

import Bytes
import Configuration
import Downstreams
import HTTP

/// A request's head, and what the proxy knows of its client.
protocol ClientRequest {
    var head: RequestHead { get }
    var client: ClientFacts { get }
}

extension RequestForwarding: ClientRequest {
    /// Whether the request comes from a page whose origin is neither the target's nor allowed by the route.
    var isForeign: Bool {
        if let origin = singleOrigin, route.allows(origin: head.bytes.span.extracting(origin)) { return false }
        return isOfOtherPage
    }
}

extension ClientRequest {
    /// The value of `Origin`; nil if there is none, or more than one.
    var singleOrigin: Range<Int>? { head.count(of: .origin) == 1 ? head.firstValue(of: .origin) : nil }

    /// Whether the request comes from a page whose origin is not the target's. A request without these fields does not come from a
    /// current browser, and nobody can make another program send a cookie.
    var isOfOtherPage: Bool {
        if head.count(of: .origin) > 1 { return true }
        // No page can forge `Sec-Fetch-Site`, and the browser knows both origins. `Origin` says less: it is `null` for forms of a page
        // with `no-referrer`, and behind a hop that changes Host the proxy cannot compare it.
        let sites = head.values(named: "sec-fetch-site")
        if !sites.isEmpty {
            let bytes = head.bytes.span
            return !sites.allSatisfy { equalsIgnoringCase(bytes, $0, "same-origin") || equalsIgnoringCase(bytes, $0, "none") }
        }
        guard let origin = singleOrigin else { return false }
        // WebSockets have no `Sec-Fetch-Site`. Behind a hop that terminates TLS without saying so, only the scheme is unknown.
        return !isOwn(head.bytes[origin], anyScheme: !isSchemeCertain)
    }

    /// Whether the browser says that the page is of another site, to which it gives no usual cookies.
    var isOfOtherSite: Bool {
        let bytes = head.bytes.span
        return head.values(named: "sec-fetch-site").contains { equalsIgnoringCase(bytes, $0, "cross-site") }
    }

    /// Whether `Origin` names another host or port than the client asked for. Schemes are not compared: a hop in front may terminate
    /// TLS.
    var isOfOtherHost: Bool {
        guard let origin = head.firstValue(of: .origin) else { return false }
        return !isOwn(head.bytes[origin], anyScheme: true)
    }

    /// Whether the scheme that the client used is known, and not only that of the last hop.
    private var isSchemeCertain: Bool { client.isSecured || client.isTrusted && head.contains(.xForwardedProto) }

    private func isOwn(_ origin: ArraySlice<UInt8>, anyScheme: Bool) -> Bool {
        let text = origin.map(lowercased)
        guard let mark = text.firstRange(of: Array("://".utf8)) else { return false }
        let scheme = text[..<mark.lowerBound]
        guard scheme.elementsEqual("https".utf8) || scheme.elementsEqual("http".utf8) else { return false }
        let isSecuredPage = anyScheme ? isClientSecured : scheme.elementsEqual("https".utf8)
        guard let page = URLOrigin(text[mark.upperBound...], isSecured: isSecuredPage) else { return false }
        // The port in a separate field of a proxy in front is often that of a hop.
        let host = claim(.xForwardedHost).map { Array(head.bytes[$0]) } ?? Array(head.bytes[head.authority])
        return [host, clientsAuthority ?? host].contains { URLOrigin($0[...], isSecured: isClientSecured) == page }
    }
}

extension CompiledRoute {
    /// Whether pages of this origin may use cookies as tokens.
    func allows(origin: Span<UInt8>) -> Bool { route.allowsCredentials && names(origin) }

    private func names(_ origin: Span<UInt8>) -> Bool { route.allowedOrigins.contains { $0.matches(origin) } }

    /// The request's origin, if the route allows it.
    func allowedOrigin(of head: RequestHead) -> AllowedOrigin? {
        guard !route.allowedOrigins.isEmpty, head.count(of: .origin) == 1, let origin = head.firstValue(of: .origin),
            names(head.bytes.span.extracting(origin))
        else { return nil }
        return AllowedOrigin(bytes: Array(head.bytes[origin]), mayUseCredentials: route.allowsCredentials)
    }
}
