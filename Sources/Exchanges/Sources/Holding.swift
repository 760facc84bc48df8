// An EventSource that cannot be served now. Any status but 200 ends it for good (WHATWG HTML 9.2). So the proxy answers 200 and holds
// it: the client gets heartbeats while the servers are tried again, and is told when to come back if that does not help. The route's
// `outage` and `early` decide which requests are held. Invariant: where the route names no pages, a response that a page of another
// origin may read only because of the proxy's own permission contains nothing from a server.

import Configuration
import Downstreams
import EventStream
import HTTP
import Telemetry
import Upstreams

extension Exchange {
    /// After about how many milliseconds a client is told to come back.
    static let usualRetryMilliseconds: UInt64 = 3_000

    /// The longest time for which a client is sent away, where its server asks for more.
    static let longestRetryMilliseconds: UInt64 = 60_000
    /// The same for a client that an overloaded proxy has sent away.
    private static let overloadRetryMilliseconds: UInt64 = 8_000
    /// The same if an answer waits for the client. Not much less than the browsers' default, because browsers keep the value.
    private static let promptRetryMilliseconds: UInt64 = 2_000

    /// For how long the client is held before it is refused; nil if it is not held.
    private var holdLimitMilliseconds: Int64? {
        guard flags.contains(.awaitsStream), case .retry(let limit)? = route?.route.outage else { return nil }
        return Int64(limit)
    }

    /// Whether a client whose server answers this status waits for a better answer.
    func waitsPast(status: Int) -> Bool { holdLimitMilliseconds != nil && route?.route.outageAnswers.contains(status) == true }

    /// Prepares a wait of the forwarded request.
    func expectToWait(_ forwarding: RequestForwarding, in request: PendingRequest) {
        let head = forwarding.head
        guard head.acceptsEventStream, head.method == .get, flags.contains(.isRepeatable), let route else { return }
        // A page that the route allows reads the server's answers as well as the proxy's.
        request.waiting.isForeign = request.allowedOrigin == nil && forwarding.isOfOtherHost
        // Other pages read nothing of a route that has a list, and elsewhere only their server can allow them to send cookies.
        if request.waiting.isForeign, route.namesReaders || head.contains(.cookie) || head.contains(.authorization) { return }
        flags.insert(.awaitsStream)
        // A page of another origin needs the fields of its server's answer, so it cannot be answered earlier.
        guard let early = route.route.early, !request.waiting.isForeign else { return }
        request.waiting.earlyAt = now + Int64(early.afterMilliseconds)
        sink?.wake(atMilliseconds: request.waiting.earlyAt)
    }

    // MARK: While it waits

    /// Handles what is due for a request without a response; returns the next deadline.
    func attend(now: Int64) -> Int64 {
        guard let request else { return .max }
        if now >= request.continueDeadline { continueByItself(request) }
        if now >= earlyAt(request) {
            request.waiting.earlyAt = .max
            if !request.isHeld { beginHolding(request, .early) }
        }
        if now >= request.waiting.nextAttemptAt { tryAgain(request) }
        // By now the request may have been answered, and the exchange may be over.
        guard let request = self.request else { return .max }
        return min(request.continueDeadline, earlyAt(request), request.waiting.nextAttemptAt)
    }

    /// When the client is answered before its server has answered. Not while it is undecided whether the request may pass: a refusal
    /// could not be told any more.
    private func earlyAt(_ request: PendingRequest) -> Int64 {
        // To a client that joins a stream nothing can be refused any more.
        let isUndecided = request.decision != nil || request.keeping.map { $0.isSearching && !$0.isJoining } == true
        return isUndecided ? .max : request.waiting.earlyAt
    }

    /// The server did not say whether it wants the body; the client must not wait without limit (RFC 9110 section 10.1.1).
    private func continueByItself(_ request: PendingRequest) {
        request.continueDeadline = .max
        sink?.sendInterim(OutgoingResponse(status: 100))
    }

    private func tryAgain(_ request: PendingRequest) {
        if endsWithToken() { return }
        if request.decision != nil { return decideAgain() }
        // Of all clients that wait for a failed server, one tries it for all (half-open probe).
        if let next = group.nextLook(now: now, failedAt: request.waiting.failedAt, path: summary.pathHash) {
            return wait(until: next + Int64(proxy.chance(below: UInt64(CircuitBreaker.spreadMilliseconds))), request)
        }
        request.waiting.nextAttemptAt = .max
        // By now another client may have opened the stream that this one may share.
        if let keeping = request.keeping, shares(keeping, request) { return }
        request.probe = HalfOpenProbe(of: group.servers, now: now, patienceMilliseconds: connectingPatienceMilliseconds)
        request.search = ServerSearch(isWaiting: true, probe: request.probe)
        account.attempts = 0
        enter(.connecting(request))
        connect()
    }

    /// How long connecting to a server may take.
    private var connectingPatienceMilliseconds: Int64 {
        let handshake = group.security.context == nil ? 0 : settings.configuration.timeouts.handshakeMilliseconds
        return Int64(group.upstream.connectTimeoutMilliseconds + handshake)
    }

    /// Reports that the current server did not serve a waiting client.
    private func noteUnserved() {
        guard let request, let upstream else { return }
        group.noteUnserved(upstream.server, isProbe: request.probe != nil, path: summary.pathHash, now: now)
    }

    /// Finds something better for a client than a refusal; false if there is nothing.
    func spare(_ refusal: Refusal) -> Bool {
        if holdLimitMilliseconds != nil {
            if refusal.isOverload {
                // The proxy may not write into a server's response that is no stream, or that must not be changed.
                let isOwn = !hasBegunResponse || isHeld
                guard isOwn || (isStream && notWovenBecause == nil) else { return false }
                sendBack(Ending(refusal), around: Exchange.overloadRetryMilliseconds)
                return true
            }
            if refusal.isRetired {
                sendBack(Ending(refusal), around: Exchange.promptRetryMilliseconds)
                return true
            }
            if refusal.cause == .authorizationUnavailable {
                hold(because: refusal)
                return true
            }
            switch refusal.failure?.remedy {
            // Of several servers one may be down for a moment and another broken: waiting for the first one makes sense.
            case .wait,
                .tryOnceMore where request?.search.failures.contains { $0.remedy == .wait } == true:
                hold(because: refusal)
                return true
            case .tryOnceMore where sendsOnceMore(): return true
            case .tryOnceMore, .tooLate, nil: break
            }
        }
        guard isHeld else { return false }
        if refusal.failure != nil { noteUnserved() }
        endHolding(Ending(refusal), status: refusal.status)
        return true
    }

    /// Nobody says any longer that a request without a response may go on. An EventSource that could be held is told to come back: its
    /// next request is asked about, and while this one waited nobody would be asked again.
    func refuseUnasked(_ evidence: String) {
        var refusal = Refusal(status: 503, cause: .authorizationUnavailable, evidence: evidence, closes: false)
        refusal.credentialsFault = .unavailable
        refusal.allowedOrigin = request?.allowedOrigin
        guard holdLimitMilliseconds != nil else { return refuse(refusal) }
        sendBack(Ending(refusal), around: Exchange.usualRetryMilliseconds)
    }

    /// Sends the request once more after a server broke HTTP's rules or TLS. False if that was done already, or if the client has an
    /// answer.
    private func sendsOnceMore() -> Bool {
        guard let request, !request.wasSentOnceMore, !request.isHeld, account.attempts < ServerSearch.attemptLimit else {
            return false
        }
        request.wasSentOnceMore = true
        leaveServer()
        request.search = ServerSearch(avoiding: request.search.server, in: group)
        enter(.connecting(request))
        connect()
        return true
    }

    private func hold(because refusal: Refusal) {
        guard let request else { preconditionFailure("a request waits that has no response") }
        request.failedServer = upstream?.server.name ?? request.failedServer
        noteUnserved()
        endProbe()
        leaveServer()
        wait(until: now + request.waiting.failed(refusal, now: now) { proxy.chance(below: $0) }, request)
    }

    /// Waits for the next attempt, or sends the client away if that would be too late.
    private func wait(until next: Int64, _ request: PendingRequest) {
        guard let sink, let refusal = request.waiting.refusal, let since = request.waiting.failingSince else {
            preconditionFailure("a client waits because a server failed")
        }
        guard next < since + (holdLimitMilliseconds ?? 0), !proxy.isDraining else {
            var ending = Ending(refusal)
            ending.evidence += "; the client was told to come back"
            return endHolding(ending, status: refusal.status)
        }
        request.waiting.nextAttemptAt = next
        request.keeping?.rounds = 0
        closesOpening(request.keeping, .notShared(nil))
        enter(.waiting(request))
        if !request.isHeld { beginHolding(request, .outage(refusal.cause, evidence: refusal.evidence)) }
        sink.wake(atMilliseconds: next)
    }

    /// Answers the client and holds it from then on.
    private func beginHolding(_ request: PendingRequest, _ reason: HeldReason) {
        guard let sink, let route else { preconditionFailure("a client is held on a route") }
        request.isHeld = true
        account.status = 200
        account.heldSince(now)
        holdBegan()
        notWovenBecause = route.heartbeat == nil ? .heartbeatOff : nil
        var response = ownResponse(to: sink)
        if let cookie = freshCookie() { response.cookies.append(cookie) }
        sink.begin(response.response(), opening: takeOpeningComment(of: route))
        streamBegan(heldBecause: reason, notKeptBecause: notKeptBecause(request))
    }

    func ownResponse(to sink: Sink) -> OwnStreamResponse {
        OwnStreamResponse(
            urlHeldToken: flags.contains(.urlHeldToken), isForeign: request?.waiting.isForeign ?? false,
            writesVia: route?.route.writesVia ?? true, allowedOrigin: request?.allowedOrigin,
            strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date, cookies: request?.serviceCookies ?? [])
    }

    // MARK: When its server is there

    /// A server has answered. True if its stream goes on in the client's response; otherwise the exchange is over.
    func joins(_ head: ResponseHead, _ framing: BodyFraming, _ request: PendingRequest) -> Bool {
        let isEarly = route?.route.early != nil
        let isStream = head.isEventStream && head.status == 200 && framing != .none && head.contentEncodingIsIdentity
        // A cookie would be lost; a route with early answers accepts that.
        guard isStream, !request.waiting.isForeign, isEarly || !head.contains(.setCookie) else {
            endHolding(
                Ending(cause: .sentBack, evidence: "the server answered \(head.status); the client was told to come back for it"),
                status: head.status)
            return false
        }
        account.holdingEnds(now: now)
        holdEnded(.joined)
        source.probe()
        return true
    }

    // MARK: When it is told to come back

    /// Ends the wait. `status` is the status that the client would have got.
    private func endHolding(_ ending: Ending, status: Int) {
        var event: [UInt8] = []
        // After an event of the proxy, a browser's last event id is the stream's own. So there is no such event if the client brought
        // an id. A page of another origin must not learn what its server answered.
        if isHeld, request?.waiting.isForeign == false, case .event(let name)? = route?.route.early?.onFailure,
            weaver.placement == .betweenEvents
        {
            // An invalid name is not sent; the configuration has checked it.
            try? EventWriter().writeEvent(name: name, data: "{\"status\":\(status),\"cause\":\"\(ending.cause.rawValue)\"}", to: &event)
        }
        let isAnswer = ending.cause == .sentBack
        sendBack(ending, around: isAnswer ? Exchange.promptRetryMilliseconds : Exchange.usualRetryMilliseconds, after: event)
    }

    /// Ends the response in good order and tells the client when to come back: each client at a different moment around the usual one.
    func sendBack(_ ending: Ending, around usual: UInt64 = promptRetryMilliseconds, after event: [UInt8] = []) {
        guard let sink else { preconditionFailure("a client is sent back once") }
        var (bytes, ending) = (event, ending)
        ending.retryMilliseconds = writeRetry(around: usual, to: &bytes)
        guard hasBegunResponse else {
            account.status = 200
            account.bytesToClient += UInt64(bytes.count)
            return finish(ending, .complete, answer: ownResponse(to: sink).response(whole: bytes))
        }
        // The silence at the end is the one before these bytes.
        account.bytesToClient &+= UInt64(bytes.count)
        countPassed(events: 0, fromUpstream: 0, toClient: bytes.count)
        sink.send(own: bytes, isLast: true)
        finish(ending, .complete)
    }

    /// The line that says when to come back. It takes effect at its end (WHATWG HTML 9.2.6). Clients that keep its value dispatch an
    /// empty event at a blank line after it, so a blank line follows only if the route wants blocks. Returns the time, in milliseconds.
    func writeRetry(around usual: UInt64, at place: Placement? = nil, to bytes: inout [UInt8]) -> UInt64 {
        let place = place ?? weaver.placement
        // A truncated event is lost anyway, together with its open line, but the retry is not.
        if place == .nowhere { bytes.append(UInt8(ascii: "\n")) }
        let milliseconds = usual / 2 + proxy.chance(below: max(usual, 1))
        EventWriter().writeRetry(milliseconds: milliseconds, to: &bytes)
        if route?.commentForm == .block, place == .betweenEvents { bytes.append(UInt8(ascii: "\n")) }
        return milliseconds
    }
}
