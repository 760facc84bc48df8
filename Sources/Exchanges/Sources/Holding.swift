// An EventSource that cannot be served now. Any status but 200 ends it for good (WHATWG HTML 9.2), so it is answered 200
// in its server's place: held with heartbeats while the servers are tried again, and told when to come back where that does
// not help. Which requests are treated so is the route's `outage` and `early`.
// Invariant: nothing of a server's goes into a response that a page of another origin may read only because the proxy said so.

import Configuration
import Downstreams
import EventStream
import HTTP
import Telemetry
import Upstreams

extension Exchange {
    /// About when a client comes back that is told to, in milliseconds.
    private static let usualRetryMilliseconds: UInt64 = 3_000
    /// The same for one that an overloaded proxy has sent away.
    private static let overloadRetryMilliseconds: UInt64 = 8_000
    /// The same where an answer waits for it. Not much less than browsers take by themselves: it stays with them.
    private static let promptRetryMilliseconds: UInt64 = 2_000

    /// For how long the client would rather be held than be refused; nil where it would not.
    private var holdLimitMilliseconds: Int64? {
        guard flags.contains(.awaitsStream), case .retry(let limit)? = route?.route.outage else { return nil }
        return Int64(limit)
    }

    /// Whether a client whose server answers this status waits for a better answer.
    func waitsPast(status: Int) -> Bool { holdLimitMilliseconds != nil && route?.route.outageAnswers.contains(status) == true }

    /// Prepares for a wait of the request that is forwarded.
    func expectToWait(_ forwarding: RequestForwarding, in request: PendingRequest) {
        let head = forwarding.head
        guard head.acceptsEventStream, head.method == .get, flags.contains(.isRepeatable), let route else { return }
        request.waiting.isForeign = forwarding.isOfOtherHost
        // Who may read what comes with cookies, only the server or the route can say.
        if request.waiting.isForeign, request.allowedOrigin == nil, head.contains(.cookie) || head.contains(.authorization) { return }
        flags.insert(.awaitsStream)
        // A page of another origin needs the fields of its server's answer, so nothing can be said before it.
        guard let early = route.route.early, !request.waiting.isForeign else { return }
        request.waiting.earlyAt = now + Int64(early.afterMilliseconds)
        sink?.wake(atMilliseconds: request.waiting.earlyAt)
    }

    // MARK: While it waits

    /// Does what is due for a request without a response; returns when to look again.
    func attend(now: Int64) -> Int64 {
        guard let request else { return .max }
        if now >= request.continueDeadline { continueByItself(request) }
        if now >= request.waiting.earlyAt {
            request.waiting.earlyAt = .max
            if !request.isHeld { beginHolding(request, .early) }
        }
        if now >= request.waiting.nextAttemptAt { tryAgain(request) }
        // It may have been answered, and may be over, by now.
        guard let request = self.request else { return .max }
        return min(request.continueDeadline, request.waiting.earlyAt, request.waiting.nextAttemptAt)
    }

    /// The server did not say whether it wants the body; the client shall not wait for ever (RFC 9110 section 10.1.1).
    private func continueByItself(_ request: PendingRequest) {
        request.continueDeadline = .max
        sink?.sendInterim(OutgoingResponse(status: 100))
    }

    private func tryAgain(_ request: PendingRequest) {
        // Of all who wait for a server that was gone, or did not serve, one tries it for all.
        if let next = group.nextLook(now: now, failedAt: request.waiting.failedAt, path: summary.pathHash) {
            return wait(until: next + Int64(proxy.chance(below: 500)), request)
        }
        request.waiting.nextAttemptAt = .max
        request.probe = HalfOpenProbe(of: group.servers, now: now, patienceMilliseconds: connectingPatienceMilliseconds)
        request.search = ServerSearch(isWaiting: true, probe: request.probe)
        account.attempts = 0
        enter(.connecting(request))
        connect()
    }

    /// For how long a connection to a server may take to come about.
    private var connectingPatienceMilliseconds: Int64 {
        let handshake = group.security.context == nil ? 0 : settings.configuration.timeouts.handshakeMilliseconds
        return Int64(group.upstream.connectTimeoutMilliseconds + handshake)
    }

    /// Says that the server in use did not serve a client that waits.
    private func noteUnserved() {
        guard let request, let upstream else { return }
        group.noteUnserved(upstream.server, isProbe: request.probe != nil, path: summary.pathHash, now: now)
    }

    /// Does better by a client than to refuse it; false where there is nothing better.
    func spare(_ refusal: Refusal) -> Bool {
        if holdLimitMilliseconds != nil {
            if refusal.isOverload {
                // Into what is a server's and no stream, or not to be touched, nothing of the proxy's may be written.
                let isOwn = !hasBegunResponse || isHeld
                guard isOwn || (isStream && notWovenBecause == nil) else { return false }
                sendBack(Ending(refusal), around: Exchange.overloadRetryMilliseconds)
                return true
            }
            switch refusal.failure?.remedy {
            // Of several servers one may be gone for a moment and another broken: it is worth while to wait for the one.
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

    /// Sends the request once more after a server could not be understood, before the client was told anything; false where that
    /// was done, or where it was told something.
    private func sendsOnceMore() -> Bool {
        guard let request, !request.wasSentOnceMore, !request.isHeld, account.attempts < ServerSearch.attemptLimit else {
            return false
        }
        request.wasSentOnceMore = true
        leaveUpstream()
        request.search = ServerSearch(avoiding: request.search.server, in: group)
        enter(.connecting(request))
        connect()
        return true
    }

    private func hold(because refusal: Refusal) {
        guard let request else { return }
        request.failedServer = upstream?.server.name ?? request.failedServer
        noteUnserved()
        endProbe()
        leaveUpstream()
        wait(until: now + request.waiting.failed(refusal, now: now) { proxy.chance(below: $0) }, request)
    }

    /// Waits for the next attempt, or sends the client away where that would be too late for it.
    private func wait(until next: Int64, _ request: PendingRequest) {
        guard let sink, let refusal = request.waiting.refusal, let since = request.waiting.failingSince else { return }
        guard next < since + (holdLimitMilliseconds ?? 0), !proxy.isDraining else {
            var ending = Ending(refusal)
            ending.evidence += "; the client was told to come back"
            return endHolding(ending, status: refusal.status)
        }
        request.waiting.nextAttemptAt = next
        enter(.waiting(request))
        if !request.isHeld { beginHolding(request, .outage(refusal.cause, evidence: refusal.evidence)) }
        sink.wake(atMilliseconds: next)
    }

    /// Answers in the server's place, and keeps the client from then on.
    private func beginHolding(_ request: PendingRequest, _ reason: HeldReason) {
        guard let sink, let route else { preconditionFailure("a client is held on a route") }
        request.isHeld = true
        account.status = 200
        account.heldSince(now)
        notWovenBecause = route.heartbeat == nil ? .heartbeatOff : nil
        sink.begin(ownResponse(to: sink).response(), opening: takeOpeningComment(of: route))
        streamBegan(heldBecause: reason)
    }

    private func ownResponse(to sink: Sink) -> OwnStreamResponse {
        OwnStreamResponse(
            urlHeldToken: flags.contains(.urlHeldToken), isForeign: request?.waiting.isForeign ?? false,
            writesVia: route?.route.writesVia ?? true, allowedOrigin: request?.allowedOrigin,
            strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date)
    }

    // MARK: When its server is there

    /// A server answers at last. True if its stream goes on in the response that the client has; otherwise the exchange is over.
    func joins(_ head: ResponseHead, _ framing: BodyFraming, _ request: PendingRequest) -> Bool {
        let isEarly = route?.route.early != nil
        let isStream = head.isEventStream && head.status == 200 && framing != .none && head.contentEncodingIsIdentity
        // A cookie would be lost; a route that asks for early answers has chosen that.
        guard isStream, !request.waiting.isForeign, isEarly || !head.contains(.setCookie) else {
            endHolding(
                Ending(cause: .sentBack, evidence: "the server answered \(head.status); the client was told to come back for it"),
                status: head.status)
            return false
        }
        account.holdingEnds(now: now)
        probeServer()
        return true
    }

    // MARK: When it is told to come back

    /// Ends the wait. `status` is what the client would have been told.
    private func endHolding(_ ending: Ending, status: Int) {
        var event: [UInt8] = []
        // Behind an event of the proxy's own a browser's last event id is the stream's, so there is none where one was brought along.
        // And a page of another origin does not learn what its server answered.
        if isHeld, request?.waiting.isForeign == false, case .event(let name)? = route?.route.early?.onFailure,
            weaver.placement == .betweenEvents
        {
            // A name that cannot stand in a line is not sent; the configuration has checked it.
            try? EventWriter().writeEvent(name: name, data: "{\"status\":\(status),\"cause\":\"\(ending.cause.rawValue)\"}", to: &event)
        }
        let isAnswer = ending.cause == .sentBack
        sendBack(ending, around: isAnswer ? Exchange.promptRetryMilliseconds : Exchange.usualRetryMilliseconds, after: event)
    }

    /// Ends the response in order and tells the client when to come back: each at another moment around the usual one.
    private func sendBack(_ ending: Ending, around usual: UInt64, after event: [UInt8] = []) {
        guard let sink else { preconditionFailure("a client is sent back once") }
        var bytes = event
        writeRetry(around: usual, to: &bytes)
        guard hasBegunResponse else {
            account.status = 200
            account.bytesToClient += UInt64(bytes.count)
            return finish(ending, .complete, answer: ownResponse(to: sink).response(whole: bytes))
        }
        account.sentToClient(bytes.count, now: now)
        sink.send(own: bytes, isLast: true)
        finish(ending, .complete)
    }

    /// The line that says when to come back. It counts when it ends (WHATWG HTML 9.2.6), and clients that keep its value dispatch an
    /// empty event at a blank line behind it. So one follows only where the route wants blocks.
    func writeRetry(around usual: UInt64, to bytes: inout [UInt8]) {
        // An event that is cut off is lost in any case, and what its open line becomes with it; the retry is not.
        if weaver.placement == .nowhere { bytes.append(UInt8(ascii: "\n")) }
        EventWriter().writeRetry(milliseconds: usual / 2 + proxy.chance(below: max(usual, 1)), to: &bytes)
        if route?.commentForm == .block, weaver.placement == .betweenEvents { bytes.append(UInt8(ascii: "\n")) }
    }
}
