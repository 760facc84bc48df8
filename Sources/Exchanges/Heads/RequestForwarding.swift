// Which parts of a request go to the upstream, and what is replaced: the token bridge, the forwarding fields, the framing. It makes
// bytes and sends none. Invariant: the output is one strictly valid request head, and a token from the URL or a cookie stands in it
// once, in Authorization.

import Bytes
import Configuration
import Credentials
import Downstreams
import EventStream
import HTTP
import Reactor
import Telemetry

/// A request's head for the upstream.
struct RequestForwarding {
    /// A head that can be sent.
    struct Request {
        var head: [UInt8]
        /// Where the Host field must be inserted, if it is the server's own name, which is not known yet; nil if the field is there.
        var hostOffset: Int?
        /// What the log may know of its token; nil without one.
        var token: KnownToken?
        /// Whether a token was taken out of the URL or a cookie, or was checked: what it opened is for this client alone.
        var isBridged: Bool
        /// Whether the URL held a token.
        var urlHeldToken: Bool
        /// How URLs in the response's head must be changed; nil for not at all.
        var redirects: RedirectTerms?
    }

    let head: RequestHead
    let route: CompiledRoute
    let peer: SocketAddress
    let client: ClientFacts
    /// The fields that this client may not send.
    let withheld: WithheldNames
    /// What was taken out of its URL.
    var taken = TakenParameters()

    /// Writes the head with the bridge's result for the credentials and with what was found out about them; `bridged` is nil if the bridge
    /// changed nothing, `findings` on routes without a step.
    func build(_ bridged: BridgedRequest?, _ findings: Findings? = nil, fingerprinter: Fingerprinter) throws(HTTPError) -> Request {
        var request = Request(
            head: [], isBridged: bridged?.urlHeldToken == true || bridged?.cookieHeldToken == true || findings?.checked != nil,
            urlHeldToken: bridged?.urlHeldToken == true)
        request.redirects = redirectTerms(bridged)
        try write(bridged, findings, to: &request)
        request.token = knownToken(bridged, findings, fingerprinter)
        return request
    }

    /// What the log may know of the token that the request goes on with; nil without one.
    private func knownToken(_ bridged: BridgedRequest?, _ findings: Findings?, _ fingerprinter: Fingerprinter) -> KnownToken? {
        let known = findings?.checked?.fingerprint
        func bind(_ token: BoundToken) -> BoundToken {
            token.identity = findings?.checked?.identity
            token.ticket = findings?.ticket?.used
            return token
        }
        if route.route.recording != nil, let token = bridged?.token ?? tokenInAuthorization() {
            let origin = bridged?.token == nil ? .authorization : bridged?.origin
            return bind(RecordedToken(token, fingerprint: known ?? fingerprinter.fingerprint(of: token)?.value, origin: origin))
        }
        func make(_ token: Span<UInt8>, _ origin: TokenOrigin?) -> KnownToken {
            let fingerprint = known ?? fingerprinter.fingerprint(ofBytes: token)?.value
            let echo = TokenEcho(ofEncoded: token)
            guard findings?.checked != nil || findings?.ticket != nil else {
                return KnownToken(fingerprint: fingerprint, origin: origin, echo: echo)
            }
            return bind(BoundToken(fingerprint: fingerprint, origin: origin, echo: echo))
        }
        if let token = bridged?.token { return token.withBytes { make($0, bridged?.origin) } }
        // A token that goes on where it stands need not be copied for the log.
        guard let value = head.firstValue(of: .authorization) else { return nil }
        let field = head.bytes.span.extracting(value)
        return Token.rangeInAuthorization(field).map { make(field.extracting($0), .authorization) }
    }

    /// The id that the client brought; nil without one that a field may hold.
    var clientEventID: ClientIdentifier? {
        guard let value = head.firstValue(of: .lastEventID), !head.hasUnfitLastEventID else { return nil }
        return ClientIdentifier(Array(head.bytes[value]))
    }

    func tokenInAuthorization() -> Token? {
        guard let value = head.firstValue(of: .authorization) else { return nil }
        return Token.inAuthorization(head.bytes.span.extracting(value))
    }

    private func write(_ bridged: BridgedRequest?, _ findings: Findings?, to request: inout Request) throws(HTTPError) {
        var writer = HeadWriter(reservingCapacity: head.bytes.count + 256)
        if let target = target(bridged) { try writer.requestLine(of: head, target: target) } else { writer.requestLine(of: head) }
        let identity = sharedIdentity(bridged, findings)
        if route.route.hostField == .preserve, !head.authority.isEmpty {
            // Clients that write it differently share a stream.
            if identity != nil {
                try writer.field("Host", lowercasedBytes(head.bytes.span, head.authority))
            } else {
                writer.field("Host", head.authority, of: head)
            }
        } else {
            // HTTP/1.1 requires a Host. If an HTTP/1.0 client sent none, it is the server's own name.
            request.hostOffset = writer.count
        }
        if let identity {
            try writeShared(identity, bridged, findings, to: &writer)
            return request.head = writer.take()
        }
        let hops = remainingHops
        var replaced = Self.rewrittenFields
        if !client.isTrusted { replaced.formUnion(Self.believedOfTheTrusted) }
        if hops != nil { replaced.insert(.maxForwards) }
        let clientEventID = self.clientEventID
        let holdsOwnID = clientEventID.map { $0.server.count != $0.bytes.count } ?? false
        if holdsOwnID { replaced.insert(.lastEventID) }
        if isWithoutCredentials { replaced.formUnion([.authorization, .cookie]) }
        let bringsToken = bridged?.token != nil && (bridged?.origin != .authorization || bridged?.dropAuthorization == true)
        let own = ownCredentials(findings)
        if bringsToken || bridged?.dropAuthorization == true || own?.replacesAuthorization == true { replaced.insert(.authorization) }
        if bridged?.cookies != nil { replaced.insert(.cookie) }
        // No heartbeat can be added to a compressed stream, and no event be kept, so the request asks for an uncompressed one.
        let wantsPlain = route.route.asksForIdentity || (head.acceptsEventStream && (route.heartbeat != nil || isManaged))
        if wantsPlain { replaced.insert(.acceptEncoding) }
        writer.copyForwardableFields(
            of: head, except: replaced, withheld: withheld, edits: leftoverEdits(bridged, except: replaced))
        if let field = client.subjectField, let subject = client.subject, !isWithoutCredentials {
            try writer.field(named: Array(field.utf8), subject)
        }
        // A server repeats a TRACE (RFC 9110 section 9.3.8).
        if head.method != .trace {
            // One after the other, because a copy of all findings would cost more than this.
            for field in findings?.checked?.fields ?? [] { try writer.field(named: Array(field.name.utf8), field.value) }
            for field in findings?.fields ?? [] { try writer.field(named: Array(field.name.utf8), field.value) }
        }
        if let own { try writeCredentials(own, bridged, &writer) }
        if bringsToken, own?.replacesAuthorization != true, let token = bridged?.token {
            var value: [UInt8] = []
            token.appendAuthorizationValue(to: &value)
            try writer.field("Authorization", value)
        }
        if let cookies = bridged?.cookies, !cookies.isEmpty, !isWithoutCredentials { try writer.field("Cookie", cookies) }
        if holdsOwnID, let id = clientEventID?.server, !id.isEmpty { try writer.field("Last-Event-ID", id) }
        if wantsPlain { writer.field("Accept-Encoding", "identity") }
        if let hops, hops > 0 { writer.field("Max-Forwards", UInt64(hops - 1)) }
        try writeForwarded(&writer)
        if head.expectsContinue { writer.field("Expect", "100-continue") }
        writer.framing(ofRequest: head.framing)
        if let upgrade = head.upgradeProtocol {
            writer.field("Connection", "upgrade")
            writer.field("Upgrade", upgrade, of: head)
        }
        writer.end()
        request.head = writer.take()
    }

    private static let rewrittenFields: FieldNameSet = [.host, .via, .xForwardedFor, .xForwardedProto, .xForwardedHost, .expect]
    /// An untrusted client's claims about its origin are not passed on.
    private static let believedOfTheTrusted: FieldNameSet = [.forwarded, .xForwardedPort, .xRealIP]

    private func writeForwarded(_ writer: inout HeadWriter) throws(HTTPError) {
        if client.isTrusted, head.contains(.xForwardedFor) {
            try writer.field("X-Forwarded-For", forwardedFor)
        } else {
            // A field may hold digits, letters and colons, so this cannot throw.
            peer.withHost { host in try? writer.field("X-Forwarded-For", host.span) }
        }
        if client.isTrusted, let value = head.firstValue(of: .xForwardedProto), !value.isEmpty {
            writer.field("X-Forwarded-Proto", value, of: head)
        } else {
            writer.field("X-Forwarded-Proto", client.isSecured ? "https" : "http")
        }
        if client.isTrusted, let value = head.firstValue(of: .xForwardedHost), !value.isEmpty {
            writer.field("X-Forwarded-Host", value, of: head)
        } else if !head.authority.isEmpty {
            writer.field("X-Forwarded-Host", head.authority, of: head)
        }
        for field in head.fields where field.known == .via { writer.field("Via", field.value, of: head) }
        if route.route.writesVia {
            writer.field("Via", client.speaksHTTP2 ? "2 heartwire" : head.minorVersion == 0 ? "1.0 heartwire" : "1.1 heartwire")
        }
    }

    /// The addresses that the request came from, as the proxy tells them: those that a trusted client names, and the client's own.
    var forwardedFor: [UInt8] {
        var forwardedFor: [UInt8] = []
        if client.isTrusted {
            for field in head.fields where field.known == .xForwardedFor && !field.value.isEmpty {
                forwardedFor += head.bytes[field.value]
                forwardedFor += Array(", ".utf8)
            }
        }
        peer.appendHost(to: &forwardedFor)
        return forwardedFor
    }

    /// How many more proxies a tracing request may pass (RFC 9110 section 7.6.2); nil for no limit.
    var remainingHops: Int? {
        guard head.method == .trace || head.method == .options, let value = head.firstValue(of: .maxForwards) else { return nil }
        return Int(String(decoding: head.bytes[value], as: UTF8.self)).flatMap { $0 >= 0 ? $0 : nil }
    }

    /// The host that a request was sent to.
    static func hostWithoutPort(_ head: RequestHead) -> ArraySlice<UInt8> {
        let authority = head.bytes[head.authority]
        // A colon inside brackets belongs to an IPv6 address.
        guard let colon = authority.lastIndex(of: UInt8(ascii: ":")), authority.last != UInt8(ascii: "]") else { return authority }
        return authority[..<colon]
    }

    /// The last address in `X-Forwarded-For`: the client of the proxy in front.
    static func lastForwardedClient(_ head: RequestHead) -> [UInt8]? {
        guard let field = head.fields.last(where: { $0.known == .xForwardedFor }) else { return nil }
        var elements = ListElements(field.value)
        var last: Range<Int>?
        while let element = elements.next(in: head.bytes.span) { last = element }
        return last.map { Array(head.bytes[$0].prefix(64)) }
    }
}
