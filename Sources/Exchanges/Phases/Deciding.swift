// The first phase: which route a request takes, whether its credentials are well-formed, and, when the decision has passed, what is sent
// to its server. Nothing is sent here: the result is a request that searches for a server, or an answer.

import Configuration
import Credentials
import Downstreams
import HTTP
import Reactor
import Telemetry

extension Exchange {
    /// Finds the route, decides about the credentials, and begins the search for a server. Called once.
    func begin(_ received: RequestHead) {
        guard let sink else { preconditionFailure("a request begins once") }
        let client = sink.client
        if let port = client.redirectPort { return redirect(received, toPort: port) }
        if client.certificateIsOver {
            return refuse(
                Refusal(status: 403, cause: .clientTLSError, evidence: "the client's certificate has expired since the handshake"))
        }
        if !client.publishKeys.isEmpty { return publish(received, under: client.publishKeys) }
        if let access = settings.probeAccess, access.covers(received) { return answerProbe(received, access) }
        if !settings.tickets.isEmpty, let tickets = settings.tickets(at: received) { return serve(received, tickets) }
        guard let route = findRoute(received) else { return }
        follow(route)
        if let changed = takeEventID(from: received, isTrusted: client.isTrusted) {
            examine(changed.head, on: route, changed.taken, sink, client)
        } else {
            examine(received, on: route, TakenParameters(), sink, client)
        }
    }

    /// Examines a request on its route.
    private func examine(
        _ head: RequestHead, on route: CompiledRoute, _ taken: TakenParameters, _ sink: Sink, _ client: ClientFacts
    ) {
        if head.method.isIdempotent, head.framing == .none, head.upgradeProtocol == nil { flags.insert(.isRepeatable) }
        let forwarding = RequestForwarding(
            head: head, route: route, peer: sink.peer, client: client,
            withheld: settings.withheldNames(and: client.subjectField, isTrusted: client.isTrusted), taken: taken)
        if let limit = sink.exceededLimit { return refuseOverload(forwarding, limit) }
        if head.hasUnknownExpectation {
            let evidence = "an expectation other than 100-continue"
            return refuse(head, on: route, Refusal(status: 417, cause: .clientProtocolError, evidence: evidence))
        }
        if forwarding.remainingHops == 0 { return refuseReadably(head, on: route, .ofLastHop) }
        if forwarding.isPreflight, let answer = forwarding.preflightAnswer { return answerPreflight(head, on: route, answer) }
        guard let bridge = route.bridge else { return takeSteps(forwarding, nil) }
        switch forwarding.examineCredentials(by: bridge) {
        case .untouched: takeSteps(forwarding, nil)
        case .forward(let bridged):
            if forwarding.isForged(tokenFrom: bridged.origin) { return refuseReadably(head, on: route, .ofForgedRequest) }
            takeSteps(forwarding, bridged)
        case .refused(let refusal): refuseReadably(head, on: route, Refusal(refusal))
        }
    }

    /// Most routes have no step, and their requests need not carry what steps find.
    private func takeSteps(_ forwarding: RequestForwarding, _ bridged: BridgedRequest?) {
        if !forwarding.route.hasSteps {
            forward(forwarding, bridged, nil)
        } else if let check = forwarding.route.onlyStep {
            decide(forwarding, bridged, by: check)
        } else {
            decide(Decision(forwarding, bridged))
        }
    }

    /// The route of a request; nil if there is none, and then the client has its answer.
    private func findRoute(_ head: RequestHead) -> CompiledRoute? {
        let bytes = head.bytes.span
        let target = bytes.extracting(head.target)
        let path = RequestSummary.path(of: target)
        if let index = settings.table.match(host: bytes.extracting(head.authority), path: target.extracting(path)) {
            return settings.routes[index]
        }
        let isAmbiguous = settings.table.isAmbiguous(host: bytes.extracting(head.authority), path: target.extracting(path))
        let reason = isAmbiguous ? "servers could read this path as one of another route" : "no route for this host and path"
        refuse(Refusal(status: 404, cause: .noRoute, evidence: reason, closes: false))
        return nil
    }

    /// The credentials are valid, or none are required: the request goes on to a server.
    func forward(_ forwarding: RequestForwarding, _ bridged: BridgedRequest?, _ findings: Findings?) {
        let (head, route) = (forwarding.head, forwarding.route)
        let written: RequestForwarding.Request
        do { written = try forwarding.build(bridged, findings, fingerprinter: proxy.shared.fingerprinter) } catch {
            return refuse(head, on: route, Refusal(error))
        }
        // A decision that had to wait has its request already.
        let paused = self.request
        let request = paused ?? PendingRequest(head: written.head, hostOffset: written.hostOffset)
        if paused != nil { request.decided(head: written.head, hostOffset: written.hostOffset) }
        request.allowedOrigin = route.allowedOrigin(of: head)
        request.redirects = written.redirects
        account.token = written.token
        request.ticket = findings?.ticket
        if let cookies = findings?.cookies { request.serviceCookies = cookies }
        if written.isBridged { flags.insert(.isBridged) }
        if written.urlHeldToken { flags.insert(.urlHeldToken) }
        request.framing = head.framing
        if head.expectsContinue { flags.insert(.expectsContinue) }
        if let offered = head.upgradeProtocol {
            flags.insert(.asksForUpgrade)
            request.offeredProtocols = Array(head.bytes[offered])
        }
        if paused == nil {
            expectToWait(forwarding, in: request)
        } else if request.waiting.earlyAt < .max {
            sink?.wake(atMilliseconds: request.waiting.earlyAt)
        }
        if let bound = written.token?.bound, let identity = bound.identity, limitToToken(bound, identity, head) { return }
        if route.continuity != nil, continues(forwarding, bridged, findings, request) { return }
        enter(.connecting(request))
        if sink?.connectsLater() != true { connect() }
    }

    /// The client's connection exceeds a limit. Its tokens have not been searched for, so the answer protects the URL if it could hold
    /// one.
    private func refuseOverload(_ forwarding: RequestForwarding, _ limit: ConnectionLimit) {
        let (head, route) = (forwarding.head, forwarding.route)
        if route.holdsToken(url: head.bytes.span.extracting(head.target)) { flags.insert(.urlHeldToken) }
        let request = PendingRequest(head: [], hostOffset: nil)
        request.allowedOrigin = route.allowedOrigin(of: head)
        expectToWait(forwarding, in: request)
        enter(.connecting(request))
        refuse(head, on: route, proxy.refusal(of: .tooMany(limit)))
    }

    /// Refuses a request so that pages of allowed origins can read the reason.
    func refuseReadably(
        _ head: RequestHead, on route: CompiledRoute, _ refusal: Refusal, _ known: KnownToken? = nil
    ) {
        var refusal = refusal
        if refusal.urlHeldToken { flags.insert(.urlHeldToken) }
        refusal.allowedOrigin = route.allowedOrigin(of: head)
        refuse(head, on: route, refusal, known)
    }

    /// Refuses a request whose token was not used. The log still needs the token.
    private func refuse(_ head: RequestHead, on route: CompiledRoute, _ refusal: Refusal, _ known: KnownToken? = nil) {
        account.token = known ?? route.knownToken(ofRefused: head)
        refuse(refusal)
    }

    /// Answers a preflight in place of the server.
    private func answerPreflight(_ head: RequestHead, on route: CompiledRoute, _ answer: PreflightAnswer) {
        account.token = route.knownToken(ofRefused: head)
        account.status = 204
        let response = answer.response(strictTransportSecuritySeconds: sink?.strictTransportSecuritySeconds, date: date)
        finish(nil, .complete, answer: response)
    }

    /// Redirects the client to the same URL over HTTPS. Like the request, the answer contains the query.
    private func redirect(_ head: RequestHead, toPort port: UInt16) {
        guard !head.authority.isEmpty else {
            return refuse(Refusal(status: 400, cause: .clientProtocolError, evidence: "a request without a host cannot be sent to https"))
        }
        let target = Array(head.bytes[head.target])
        var location = Array("https://".utf8) + RequestForwarding.hostWithoutPort(head)
        if port != 443 { location += Array(":\(port)".utf8) }
        location += target.first == UInt8(ascii: "/") ? target : [UInt8(ascii: "/")]
        account.status = 308
        var response = OutgoingResponse(status: 308, capacityBytes: 256 + location.count)
        response.body = .whole([])
        // A parsed target and host hold no byte that a field may not hold.
        try? response.fields.field("Location", location)
        response.fields.field("Cache-Control", "no-store")
        response.fields.date(date)
        finish(nil, .complete, answer: response)
    }
}
