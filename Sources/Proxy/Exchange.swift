// One request and its response, between a downstream that takes a head, body bytes and an end, and an upstream
// connection that is chosen, replaced where repeating is safe, and given back. How bytes are framed for the client is the
// downstream's matter; how records are written is ExchangeLog.swift's.
// Invariant: an exchange finishes exactly once, with one cause; afterwards it holds neither side.

import Configuration
import Downstreams
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

/// Why an exchange is over, for the log.
struct Ending {
    var cause: Cause
    /// What was seen: the proxy's own words.
    var evidence: String
    /// The system's error, by name.
    var errnoName: String?
    /// The limit of the configuration that was reached, by name.
    var limit: String?
}

/// One request and its response.
final class Exchange {
    /// Facts about the exchange that are either so or not.
    struct Flags: OptionSet {
        let rawValue: UInt16
        /// The request may be sent again on another connection: idempotent (RFC 9110 section 9.2.2), without a body.
        static let isRepeatable = Flags(rawValue: 1)
        static let expectsContinue = Flags(rawValue: 1 << 1)
        static let asksForUpgrade = Flags(rawValue: 1 << 2)
        static let responseHeadSent = Flags(rawValue: 1 << 3)
        static let isStream = Flags(rawValue: 1 << 4)
        static let isTunnel = Flags(rawValue: 1 << 5)
        /// A token came in the URL or a cookie, so the answer is kept from shared caches.
        static let isBridged = Flags(rawValue: 1 << 6)
        /// The client is an EventSource, or what behaves like one: it would rather wait than be refused.
        static let awaitsStream = Flags(rawValue: 1 << 7)
        static let isFinished = Flags(rawValue: 1 << 8)
        static let clientEnded = Flags(rawValue: 1 << 10)
        static let upstreamEnded = Flags(rawValue: 1 << 11)
        static let usedReusedConnection = Flags(rawValue: 1 << 12)
        /// The proxy has answered in its server's place, and no server has taken over yet.
        static let isHeld = Flags(rawValue: 1 << 13)
        /// The request's head was sent, so that its body may follow.
        static let requestHeadSent = Flags(rawValue: 1 << 14)
        /// A token came in the URL, so the answer keeps the URL out of `Referer`.
        static let urlHeldToken = Flags(rawValue: 1 << 15)
    }

    let proxy: ExchangeWorker
    /// What was in force when it began, and is for it to its end.
    let generation: Generation
    let number: UInt64
    let summary: RequestSummary
    let method: Method
    var flags: Flags
    private(set) var sink: Sink?
    var upstream: UpstreamConnection?
    /// Tells the stream's events apart for the log of events; nil where they are not logged.
    var follower: EventFollower?
    /// Nil when none matched.
    private(set) var route: CompiledRoute?
    /// What matters only until a response begins; nil from then on.
    var request: PendingRequest?
    /// From when on a stream is ended between two events, because the proxy shuts down; `.max` while it does not.
    var endsAt = Int64.max
    private var requestFraming = OutgoingFraming.none
    var account: ExchangeAccount
    var weaver: Weaver
    /// Why the stream is not woven; nil when it is. Matters for streams only.
    var notWovenBecause: NotWovenReason?

    init(proxy: ExchangeWorker, sink: Sink, head: RequestHead?) {
        self.proxy = proxy
        generation = proxy.generation
        self.sink = sink
        number = proxy.takeExchangeNumber()
        summary = RequestSummary(head, isTrusted: head != nil && sink.client.isTrusted)
        method = head?.method ?? .other
        flags = []
        account = ExchangeAccount(now: proxy.worker.now)
        weaver = Weaver(resumes: head?.contains(.lastEventID) ?? false)
    }

    var settings: Settings { generation.settings }
    var isStream: Bool { flags.contains(.isStream) }
    var isTunnel: Bool { flags.contains(.isTunnel) }
    var now: Int64 { proxy.worker.now }
    /// The value of a `Date` field.
    var date: [UInt8] { proxy.date() }

    // MARK: The request

    /// Finds the route, applies its rules and begins to look for a server. Called once.
    func begin(_ head: RequestHead) {
        guard let sink else { return }
        let client = sink.client
        if let port = client.redirectPort { return redirect(head, toPort: port) }
        if client.certificateIsOver {
            return refuse(Refusal(status: 403, cause: .clientTLSError, evidence: "the client's certificate has ended since the handshake"))
        }
        let bytes = head.bytes.span
        let target = bytes.extracting(head.target)
        let path = RequestSummary.path(of: target)
        guard
            let index = settings.table.match(
                host: bytes.extracting(head.authority), path: target.extracting(path))
        else {
            let isAmbiguous = settings.table.isAmbiguous(host: bytes.extracting(head.authority), path: target.extracting(path))
            let reason = isAmbiguous ? "servers could read this path as one of another route" : "no route for this host and path"
            return refuse(Refusal(status: 404, cause: .noRoute, evidence: reason, closes: false))
        }
        let route = settings.routes[index]
        self.route = route
        if head.method.isIdempotent, head.framing == .none, head.upgradeProtocol == nil { flags.insert(.isRepeatable) }
        let forwarding = RequestForwarding(
            head: head, route: route, peer: sink.peer, client: client,
            withheld: settings.withheldNames(and: client.subjectField, isTrusted: client.isTrusted))
        if let limit = sink.exceededLimit {
            // Tokens were not looked for yet, so the answer is kept from referrers wherever there could be one.
            if route.holdsToken(url: target) { flags.insert(.urlHeldToken) }
            let request = PendingRequest(head: [], hostOffset: nil)
            request.allowedOrigin = route.allowedOrigin(of: head)
            self.request = request
            expectToWait(forwarding, in: request)
            return refuse(head, on: route, proxy.refusal(of: .tooMany(limit)))
        }
        if head.hasUnknownExpectation {
            return refuse(
                head, on: route, Refusal(status: 417, cause: .clientProtocolError, evidence: "an expectation other than 100-continue"))
        }
        do {
            switch try forwarding.build(fingerprinter: proxy.shared.fingerprinter) {
            case .refused(var refusal):
                if refusal.urlHeldToken { flags.insert(.urlHeldToken) }
                refusal.allowedOrigin = route.allowedOrigin(of: head)
                return refuse(head, on: route, refusal)
            case .forward(let request):
                let pending = PendingRequest(head: request.head, hostOffset: request.hostOffset)
                pending.allowedOrigin = route.allowedOrigin(of: head)
                self.request = pending
                expectToWait(forwarding, in: pending)
                pending.redirects = request.redirects
                account.token = request.token
                if request.isBridged { flags.insert(.isBridged) }
                if request.urlHeldToken { flags.insert(.urlHeldToken) }
            }
        } catch {
            return refuse(head, on: route, Refusal(error))
        }
        requestFraming =
            switch head.framing {
            case .none, .untilClose: .none
            case .length: .plain
            case .chunked: .chunked
            }
        if head.expectsContinue { flags.insert(.expectsContinue) }
        if let offered = head.upgradeProtocol {
            flags.insert(.asksForUpgrade)
            request?.offeredProtocols = Array(head.bytes[offered])
        }
        connect()
    }

    /// Whether (more of) the request's body, or of a tunnel's bytes, can be taken now.
    var takesRequestBody: Bool {
        (isTunnel || flags.contains(.requestHeadSent)) && upstream.map { $0.pendingCount == 0 } == true
    }

    /// Whether all of the request has been received and passed on.
    var isRequestComplete: Bool { sink?.isRequestComplete ?? true }

    /// A piece of the request's body came. Returns whether more can be taken.
    func received(body payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool {
        account.requestBytes += UInt64(payload.count)
        request?.continueDeadline = .max
        upstream?.sendBody(requestFraming.frame(payload, isLast: isLast), isLast: isLast)
        return upstream.map { $0.pendingCount > 0 } != true || !mayWait()
    }

    // MARK: The response's head

    /// A 1xx came: it is passed on to clients that know such (RFC 9110 section 15.2).
    func receiveInterim(_ head: ResponseHead) {
        // In a response that has begun in the server's place it would stand in the middle of the body.
        guard let sink, let request, !flags.contains(.responseHeadSent) else { return }
        if head.status == 100 {
            guard request.continueDeadline < .max else { return }
            request.continueDeadline = .max
        }
        var response = OutgoingResponse(statusOf: head)
        response.fields.copyForwardableFields(of: head, edits: edits(of: head, by: request.redirects))
        sink.sendInterim(response)
    }

    /// The upstream did not say whether it wants the body; the client shall not wait for ever (RFC 9110 section 10.1.1).
    func continueByItself() {
        guard let request, request.continueDeadline < .max else { return }
        request.continueDeadline = .max
        sink?.sendInterim(OutgoingResponse(status: 100))
    }

    /// The response's head came.
    func receiveHead(_ head: ResponseHead, framing: BodyFraming) {
        guard let sink, let upstream, let route else { return }
        if head.status == 101 { return startTunnel(head) }
        if waitsPast(status: head.status) {
            return refuse(.outageAnswer(head.status))
        }
        if request?.search.isWaiting == true {
            upstream.server.served(now: now)
            endProbe()
        }
        if flags.contains(.isHeld), !joins(head, framing) { return }
        account.responseMilliseconds = UInt32(clamping: now - (request?.sentAt ?? now))
        let redirects = request?.redirects
        request = nil
        account.upstreamBegan(now: now)
        upstream.readLimitBytes = UInt32(clamping: settings.configuration.limits.pendingBytesPerStream)
        // Of a client that was held a response has begun already.
        if !flags.contains(.responseHeadSent) { begin(head, framing, redirects, to: sink, of: route) }
    }

    private func begin(_ head: ResponseHead, _ framing: BodyFraming, _ redirects: RedirectTerms?, to sink: Sink, of route: CompiledRoute) {
        account.status = UInt16(clamping: head.status)
        let isStream = head.isEventStream && head.status == 200 && framing != .none
        if isStream {
            flags.insert(.isStream)
            notWovenBecause = !head.contentEncodingIsIdentity ? .compressed : route.heartbeat == nil ? .heartbeatOff : nil
        }
        let forwarding = ResponseForwarding(
            head: head, framing: framing, isWoven: isStream && notWovenBecause == nil, isStream: isStream,
            wouldBeWoven: head.isEventStream && head.status == 200 && head.contentEncodingIsIdentity && route.heartbeat != nil,
            isBridged: flags.contains(.isBridged), urlHeldToken: flags.contains(.urlHeldToken), writesVia: route.route.writesVia,
            strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date, edits: edits(of: head, by: redirects))
        flags.insert(.responseHeadSent)
        // Most often the body's beginning came along, and `receiveBody` follows.
        sink.begin(forwarding.response(to: method), opening: isStream ? takeOpeningComment(of: route) : nil, awaitsBody: true)
        if isStream { streamBegan(heldBecause: nil) } else { account.clientWasSent(now: now) }
    }

    /// The comment that opens the stream; nil where none does.
    func takeOpeningComment(of route: CompiledRoute) -> [UInt8]? {
        guard notWovenBecause == nil, let comment = route.openingComment(in: weaver) else { return nil }
        weaver.didWeave()
        account.bytesToClient += UInt64(comment.count)
        return comment
    }

    /// The head of an event stream went to the client.
    func streamBegan(heldBecause reason: HeldReason?) {
        account.clientWasSent(now: now)
        writeOpening(heldBecause: reason)
        if proxy.eventLog != nil { followEvents() }
        // Otherwise the first heartbeat is the moment at which the server's silence begins to matter.
        if notWovenBecause == nil { sink?.wake(atMilliseconds: nextHeartbeatAt) } else { probeServer() }
        if let moment = proxy.takeDrainMoment() { endAtBoundary(from: moment) }
    }

    // MARK: The response's body

    /// How long the server may send nothing of its response, in milliseconds; nil for as long as it likes.
    var silenceLimitMilliseconds: Int64? {
        let upstream = group.upstream
        return isStream ? upstream.streamSilenceTimeoutMilliseconds.map(Int64.init) : Int64(upstream.idleTimeoutMilliseconds)
    }

    /// A piece of the response's body came; behind the head it may be empty.
    func receiveBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        guard let sink, let upstream else { return }
        if isLast, upstream.isCloseDelimited { return finishCloseDelimited(sink) }
        if !payload.isEmpty || isLast { pass(payload, isLast: isLast, to: sink) }
        sink.flush()
        if isLast {
            // The rest of a whole response waits like any other.
            if sink.waitingCount > 0, proxy.clients.isFarTooFull, !mayWait() { return }
            finishResponse(evidence: "the response's end was received")
        } else if now >= endsAt, isAtBoundary {
            endStream()
        } else if sink.waitingCount > 0, mayWait() {
            upstream.pause(for: .slowClient)
        }
    }

    /// Whether the proxy has room for one more who reads slowly; where it has none the exchange is over.
    func mayWait() -> Bool {
        guard let full = proxy.refusalOfPending() else { return true }
        if proxy.clients.isFarTooFull, let sink, sink.waitingCount > 0 {
            // What waits already would go on to wait, for as long as its client may stall.
            finish(Ending(full), .abandoned)
        } else {
            refuse(full)
        }
        return false
    }

    private func pass(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool, to sink: Sink) {
        account.upstreamSent(payload.count, now: now)
        guard isStream, notWovenBecause != .compressed else {
            account.sentToClient(payload.count, now: now)
            sink.send(payload, isLast: isLast)
            return
        }
        let events = weaver.scanner.eventCount
        let received = UnsafeMutableRawBufferPointer(payload).bindMemory(to: UInt8.self)
        let forward = weaver.receive(UnsafeBufferPointer(received).span)
        if events == 0, weaver.scanner.eventCount > 0 { account.noteFirstEvent(now: now) }
        var out = UnsafeMutableRawBufferPointer(rebasing: payload[forward.range])
        if forward.withheldCount > 0 {
            // They lie before the range, in room that is free: bytes already taken, or the buffer's headroom.
            let start = out.baseAddress! - forward.withheldCount
            let mark = Weaver.byteOrderMark
            start.storeBytes(of: mark.0, as: UInt8.self)
            if forward.withheldCount > 1 { start.storeBytes(of: mark.1, toByteOffset: 1, as: UInt8.self) }
            out = UnsafeMutableRawBufferPointer(start: start, count: out.count + forward.withheldCount)
        }
        account.sentToClient(out.count, now: now)
        if !out.isEmpty || isLast { sink.send(out, isLast: isLast) }
        // Only now: what is written down of an event must not make it late. Where a byte order mark was dropped, the end of the chunk's
        // size line lies over it by now. That reads as a line of one hexadecimal digit, a field that nobody knows.
        if let log = proxy.eventLog { logEvents(of: UnsafeBufferPointer(received).span, in: log) }
    }

    private func finishResponse(evidence: String) {
        // A client that could not take the end is told of at the turn's end, and is the cause then.
        guard sink?.isConnected == true else { return }
        finish(isStream ? Ending(cause: .upstreamFinished, evidence: evidence) : nil, .complete)
    }

    /// The server's end was the end of the body.
    private func finishCloseDelimited(_ sink: Sink) {
        if isStream, notWovenBecause != .compressed {
            let withheld = weaver.finish()
            if withheld > 0 { sink.send(own: withheld == 1 ? [0xEF] : [0xEF, 0xBB]) }
        }
        sink.send(own: [], isLast: true)
        finishResponse(evidence: "the server closed a body that ends with its connection")
    }

    // MARK: Flow control

    /// The server has taken all that was sent to it.
    func serverDrained() { sink?.readOn() }

    /// The client has taken all that was sent to it.
    func clientDrained() {
        // What drains before this exchange has answered is an earlier one's.
        if flags.contains(.responseHeadSent) { account.clientWasSent(now: now) }
        upstream?.resume(for: .slowClient)
    }

    // MARK: The end

    /// Ends the exchange, once: writes its record, gives its server up, and ends the client's side, with an answer where there is one.
    func finish(_ ending: Ending?, _ end: ResponseEnd, answer: OutgoingResponse? = nil) {
        guard !flags.contains(.isFinished), let sink else { return }
        flags.insert(.isFinished)
        writeRecord(ending)
        endProbe()
        leaveUpstream()
        request = nil
        self.sink = nil
        if let answer { sink.begin(answer) }
        sink.end(end)
    }
}

extension Exchange: RequestReceiver {
    /// Answers a request that cannot be read or not be served.
    func refuse(_ failure: RequestFailure) { refuse(proxy.refusal(of: failure)) }

    /// The client is gone, or is no longer waited for. The upstream's side ends at once.
    func clientLeft(_ departure: ClientDeparture) { finish(Ending(departure), .abandoned) }

    /// Does what is due; returns when to look again.
    func deadlineReached(now: Int64) -> Int64 {
        endIfDue()
        let next = min(beat(now: now), attend())
        // Past its moment a stream waits for its server to end the event; nothing can be done about that at any time.
        return endsAt > now ? min(next, endsAt) : next
    }

    /// The proxy ends: a stream ends at its moment, and any other exchange when it is done.
    func drain() {
        if let moment = proxy.takeDrainMoment() { endAtBoundary(from: moment) }
    }
}
