// URLs in a response's head that are right for the proxy and wrong for its client. The server redirects to the URL of its request, which
// lacks the token and the last event id, and with `host server` uses the server's own address. This file makes values and writes none.
// Invariant: the token goes only to the host that the client asked for, over nothing less secure than the client's own connection.

import Bytes
import Configuration
import Credentials
import Downstreams
import HTTP
import Upstreams

/// What a redirect must tell the client and its server cannot know. It lives only until the request has its response.
final class RedirectTerms {
    /// Whether the client uses TLS, and the host and port that it asked for, as a trusted proxy in front reported them; empty if it
    /// named none, in HTTP/1.0.
    let isSecured: Bool
    /// Whether the client may use TLS with an untrusted hop in front.
    let mayBeSecured: Bool
    let authority: [UInt8]
    /// The host and the path with which this request found its route.
    let host: [UInt8]
    let path: [UInt8]
    /// The parameter with the token, which was taken out of the URL; nil for none.
    let parameter: TakenParameter?
    /// The parameter with the last event id; nil for none.
    let eventID: TakenParameter?
    /// Whether servers get their own address as Host and not the client's.
    let namesServer: Bool

    init(
        isSecured: Bool, mayBeSecured: Bool, authority: [UInt8], host: [UInt8], path: [UInt8], parameter: TakenParameter?,
        eventID: TakenParameter?, namesServer: Bool
    ) {
        self.isSecured = isSecured
        self.mayBeSecured = mayBeSecured
        self.authority = authority
        self.host = host
        self.path = path
        self.parameter = parameter
        self.eventID = eventID
        self.namesServer = namesServer
    }

    /// The servers of an upstream, any of which may have named itself or another server.
    struct Servers {
        let isSecured: Bool
        let addresses: [URLOrigin]

        fileprivate func include(_ origin: URLOrigin) -> Bool {
            addresses.contains { $0.host == origin.host && $0.port == origin.port }
        }
    }

    /// The client's target, for the token: over TLS if that is possible at all.
    private var origin: URLOrigin? { URLOrigin(authority[...], isSecured: mayBeSecured) }

    /// The replacements for the head's fields that name URLs. `route` finds the route of a host and a path.
    func edits(
        of head: ResponseHead, from servers: Servers, route: (_ host: [UInt8], _ path: [UInt8]) -> CompiledRoute?
    ) -> FieldEdits {
        var edits = FieldEdits()
        let redirects = (300...399).contains(head.status)
        for (index, field) in head.fields.enumerated() where field.isForwardable {
            let isLocation = field.known == .location
            guard isLocation || field.known == .other else { continue }
            var value = head.bytes[field.value]
            var isChanged = false
            if namesServer, isLocation || Self.namesURL(head, field), let mapped = mapped(value, isWhole: isLocation, servers) {
                (value, isChanged) = (mapped[...], true)
            }
            if isLocation, redirects, let completed = completed(value, route: route) { (value, isChanged) = (completed[...], true) }
            if isChanged { edits.replace(fieldIndex: index, by: Array(value)) }
        }
        return edits
    }

    /// Besides `Location`: fields that name this resource, that browsers follow, or that they fetch.
    private static func namesURL(_ head: ResponseHead, _ field: Field) -> Bool {
        let bytes = head.bytes.span
        return equalsIgnoringCase(bytes, field.name, "content-location") || equalsIgnoringCase(bytes, field.name, "refresh")
            || equalsIgnoringCase(bytes, field.name, "link")
    }

    // MARK: The server's address

    /// The value with the client's address in place of a server's; nil if it holds no server's address. If the value `isWhole` a URL,
    /// only its beginning counts; otherwise every URL in it that begins after a separator.
    private func mapped(_ value: ArraySlice<UInt8>, isWhole: Bool, _ servers: Servers) -> [UInt8]? {
        var result: [UInt8] = []
        var isChanged = false
        var copied = value.startIndex
        var start = value.startIndex
        while start < value.endIndex {
            if let reference = URLReference(value[start...], isWhole: isWhole), let origin = reference.origin(from: servers.isSecured),
                servers.include(origin), let replacement = replacement(before: value[reference.pathStart...])
            {
                result += value[copied..<start] + replacement
                copied = reference.pathStart
                isChanged = true
            }
            if isWhole { break }
            // The next place where a URL can begin, after a separator.
            guard let mark = value[start...].firstIndex(where: Self.isSeparator) else { break }
            start = mark + 1
        }
        return isChanged ? result + value[copied...] : nil
    }

    /// What replaces a server's scheme, host and port; nil for nothing. For a client that named no host the path is enough. But a path
    /// that begins with two slashes would be read as a host.
    private func replacement(before path: ArraySlice<UInt8>) -> [UInt8]? {
        guard authority.isEmpty else { return Array((isSecured ? "https://" : "http://").utf8) + authority }
        let slash = UInt8(ascii: "/")
        return path.first != slash || path.dropFirst().first == slash || path.dropFirst().first == UInt8(ascii: "\\") ? nil : []
    }

    private static func isSeparator(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "<"), UInt8(ascii: "="), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: " "), UInt8(ascii: ";"): true
        default: false
        }
    }

    // MARK: The parameters that were taken out

    /// The URL with the parameters back in its query; nil if it must not have them, or has them already.
    private func completed(_ value: ArraySlice<UInt8>, route: (_ host: [UInt8], _ path: [UInt8]) -> CompiledRoute?) -> [UInt8]? {
        guard parameter != nil || eventID != nil, let origin, Self.isUnambiguous(value) else { return nil }
        var path: [UInt8]
        if let reference = URLReference(value, isWhole: true) {
            guard let target = reference.origin(from: mayBeSecured), origin.includes(target) else { return nil }
            path = Self.path(of: value[reference.pathStart...])
            if path.isEmpty { path = [UInt8(ascii: "/")] }
        } else {
            guard !Self.hasScheme(value) else { return nil }
            path = Self.path(of: value)
            if path.first != UInt8(ascii: "/") { path = Self.resolve(path, from: self.path) }
        }
        guard let next = route(host, path) else { return nil }
        var result: [UInt8]?
        // If the target's route does not take the parameter out again, a server would see the token in its URL.
        if let parameter, let bridge = next.bridge, parameter.isTaken(by: bridge) { result = parameter.added(to: Array(value)) }
        if let eventID, let taker = next.continuity?.parameters ?? next.eventIDParameter, eventID.isTaken(by: taker) {
            result = eventID.added(to: result ?? Array(value)) ?? result
        }
        return result
    }

    /// Whether browsers read it as the standard does. Browsers take a backslash for a slash and drop tabs and blanks, so something that
    /// looks like a path may become a host.
    private static func isUnambiguous(_ value: ArraySlice<UInt8>) -> Bool {
        value.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") }
    }

    private static func path(of reference: ArraySlice<UInt8>) -> [UInt8] {
        Array(reference.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
    }

    private static func hasScheme(_ reference: ArraySlice<UInt8>) -> Bool {
        // A colon in the first segment of a relative reference would turn the text before it into a scheme (RFC 3986 section 4.2).
        reference.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }.contains(UInt8(ascii: ":"))
    }

    /// The path that a relative one leads to (RFC 3986 sections 5.2.3 and 5.2.4).
    private static func resolve(_ relative: [UInt8], from base: [UInt8]) -> [UInt8] {
        guard !relative.isEmpty else { return base }
        let slash = UInt8(ascii: "/")
        let folder = base.lastIndex(of: slash).map { base[..<$0] } ?? []
        var segments: [ArraySlice<UInt8>] = []
        let all =
            folder.split(separator: slash, omittingEmptySubsequences: false).dropFirst()
            + relative.split(separator: slash, omittingEmptySubsequences: false)
        for (index, segment) in all.enumerated() {
            let dots = segment.allSatisfy { $0 == UInt8(ascii: ".") } ? segment.count : 0
            if dots == 2, !segments.isEmpty { segments.removeLast() }
            if dots != 1, dots != 2 { segments.append(segment) } else if index == all.count - 1 { segments.append([]) }
        }
        return segments.flatMap { [slash] + $0 }
    }
}

// MARK: - Where it begins and ends

extension RequestForwarding {
    /// How URLs in the response's head must be changed; nil for not at all.
    func redirectTerms(_ bridged: BridgedRequest?) -> RedirectTerms? {
        let namesServer = route.route.hostField == .server
        guard bridged?.parameter != nil || taken.eventID != nil || namesServer else { return nil }
        let target = head.bytes[head.target]
        return RedirectTerms(
            isSecured: isClientSecured, mayBeSecured: mayClientBeSecured, authority: clientsAuthority ?? [],
            host: Array(head.bytes[head.authority]),
            path: Array(target.prefix { $0 != UInt8(ascii: "?") }), parameter: bridged?.parameter, eventID: taken.eventID,
            namesServer: namesServer)
    }

}

extension ClientRequest {
    /// What a trusted proxy reports of the client's side: the first element comes from the first proxy.
    func claim(_ name: FieldName) -> Range<Int>? {
        guard client.isTrusted, let value = head.firstValue(of: name) else { return nil }
        var elements = ListElements(value)
        return elements.next(in: head.bytes.span)
    }

    /// Whether the client itself uses TLS, as far as it is known.
    var isClientSecured: Bool {
        guard let scheme = claim(.xForwardedProto) else { return client.isSecured }
        let bytes = head.bytes.span
        if equalsIgnoringCase(bytes, scheme, "https") { return true }
        return equalsIgnoringCase(bytes, scheme, "http") ? false : client.isSecured
    }

    /// Whether the client uses TLS or may use it: some hop says so, or its browser sends a field that it sends only to secure places
    /// (Fetch Metadata section 2) and to its own machine.
    var mayClientBeSecured: Bool {
        if isClientSecured { return true }
        let bytes = head.bytes.span
        for field in head.fields where field.known == .xForwardedProto {
            var elements = ListElements(field.value)
            while let scheme = elements.next(in: bytes) {
                if equalsIgnoringCase(bytes, scheme, "https") { return true }
            }
        }
        return !head.values(named: "sec-fetch-site").isEmpty && !isOnOwnMachine
    }

    private var isOnOwnMachine: Bool {
        let host = String(decoding: RequestForwarding.hostWithoutPort(head), as: UTF8.self).lowercased()
        return host == "localhost" || host.hasSuffix(".localhost") || host.hasPrefix("127.") || host == "[::1]"
    }

    /// The host and port that the client asked for.
    var clientsAuthority: [UInt8]? {
        guard let host = claim(.xForwardedHost).flatMap(head.hostAndPort) else {
            return head.authority.isEmpty ? nil : Array(head.bytes[head.authority])
        }
        let authority = Array(head.bytes[host])
        let usual = isClientSecured ? "443" : "80"
        guard !authority.contains(UInt8(ascii: ":")), let port = claim(.xForwardedPort).map({ head.bytes[$0] }),
            UInt16(String(decoding: port, as: UTF8.self)) != nil, !port.elementsEqual(usual.utf8)
        else { return authority }
        return authority + [UInt8(ascii: ":")] + port
    }
}

extension Exchange {
    /// The replacements for URLs in the response's head.
    func edits(of head: ResponseHead, by terms: RedirectTerms?) -> FieldEdits {
        guard let terms else { return FieldEdits() }
        let isSecured = group.upstream.tls != nil
        let addresses = group.servers.compactMap { URLOrigin(Array($0.server.authority.utf8)[...], isSecured: isSecured) }
        return terms.edits(of: head, from: RedirectTerms.Servers(isSecured: isSecured, addresses: addresses)) { host, path in
            settings.table.match(host: host.span, path: path.span).map { settings.routes[$0] }
        }
    }
}
