// A response in transit: its head, its body piece by piece, and the comments in an event stream. The head goes out together with the
// bytes behind it.

import Configuration
import Downstreams
import EventStream
import HTTP
import Marks
import Telemetry
import Upstreams

extension Exchange {
    // MARK: The response's head

    /// A 1xx came: it is passed on to clients that understand it (RFC 9110 section 15.2).
    func receiveInterim(_ head: ResponseHead) {
        guard case .awaitingHead(let request) = phase, let sink else { preconditionFailure("an interim response comes before a head") }
        // A held client's response has begun, so the 1xx would stand in the middle of its body.
        if request.isHeld { return Mark.reached(.interimResponseDropped) }
        if head.status == 100 {
            guard request.continueDeadline < .max else { return }
            request.continueDeadline = .max
        }
        var response = OutgoingResponse(statusOf: head)
        response.fields.copyForwardableFields(of: head, edits: edits(of: head, by: request.redirects))
        sink.sendInterim(response)
    }

    /// The response's head came.
    func receiveHead(_ head: ResponseHead, framing: BodyFraming) {
        guard case .awaitingHead(let request) = phase, let upstream else { preconditionFailure("a head comes where it is awaited") }
        if head.status == 101 { return startTunnel(head, request) }
        if request.isHeld || (head.isEventStream && head.status == 200), endsWithToken() { return }
        if looksForStream(head, request) { return }
        if waitsPast(status: head.status) { return refuse(.outageAnswer(head.status)) }
        if request.search.isWaiting {
            upstream.server.served(now: now)
            endProbe()
        }
        if head.status == 401, sendsAgainWithOtherToken() { return }
        if request.isHeld, !joins(head, framing, request) { return }
        account.responseMilliseconds = UInt32(clamping: now - request.sentAt)
        account.upstreamBegan(now: now)
        upstream.readAtMost(bytes: settings.configuration.limits.pendingBytesPerStream)
        // A held client's response has begun already.
        if request.isHeld {
            enter(.streaming)
            observeServer()
            observeHead(head, framing)
        } else {
            // What is kept has other bytes than the server sent: with ids, and without comments.
            let isOfOtherLength = if case .length = framing { keeps(head, request) } else { false }
            begin(head, isOfOtherLength ? .chunked : framing, request)
        }
        if request.keeping != nil { keep(head, from: upstream, request) }
    }

    /// Begins the client's response. `isResumed` says that the head was sent once before, for the part that the client has.
    func begin(_ head: ResponseHead, _ framing: BodyFraming, _ request: PendingRequest, isResumed: Bool = false) {
        guard let sink, let route else { preconditionFailure("a response begins once, on a route") }
        account.status = UInt16(clamping: head.status)
        let isStream = head.isEventStream && head.status == 200 && framing != .none
        if isStream { notWovenBecause = !head.contentEncodingIsIdentity ? .compressed : route.heartbeat == nil ? .heartbeatOff : nil }
        var forwarding = ResponseForwarding(
            head: head, framing: framing, isWoven: isStream && notWovenBecause == nil, isStream: isStream,
            wouldBeWoven: head.isEventStream && head.status == 200 && head.contentEncodingIsIdentity && route.heartbeat != nil,
            isBridged: flags.contains(.isBridged), urlHeldToken: flags.contains(.urlHeldToken),
            readers: route.readers(request.allowedOrigin),
            writesVia: route.route.writesVia, strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date,
            edits: edits(of: head, by: request.redirects), cookies: request.serviceCookies)
        forwarding.isResumed = isResumed
        forwarding.isKept = isResumed || keeps(head, request)
        if isStream, let cookie = freshCookie() { forwarding.cookies.append(cookie) }
        enter(isStream ? .streaming : .relaying)
        // Usually the body's beginning came with the head, and `receiveBody` follows.
        sink.begin(forwarding.response(to: method), opening: isStream ? takeOpeningComment(of: route) : nil, awaitsBody: true)
        guard isStream else { return account.clientWasSent(now: now) }
        streamBegan(heldBecause: nil, notKeptBecause: notKeptBecause(request))
        observeHead(head, framing)
    }

    /// The comment that opens the stream; nil for none.
    func takeOpeningComment(of route: CompiledRoute) -> [UInt8]? {
        guard notWovenBecause == nil, let comment = route.openingComment(in: weaver) else { return nil }
        weaver.didWeave()
        account.bytesToClient += UInt64(comment.count)
        countPassed(events: 0, fromUpstream: 0, toClient: comment.count)
        return comment
    }

    /// The head of an event stream was sent to the client.
    func streamBegan(heldBecause reason: HeldReason?, notKeptBecause: NotKeptReason? = nil) {
        account.clientWasSent(now: now)
        if let waiting = sink?.waitingCount, waiting > 0 { noteWaiting(waiting) }
        observeOpening(heldBecause: reason, notKeptBecause: notKeptBecause)
        // Otherwise the first heartbeat is the moment when the server's silence begins to matter.
        if notWovenBecause == nil { sink?.wake(atMilliseconds: nextHeartbeatAt) } else { source.probe() }
        planTokenEnd()
        if let moment = proxy.takeDrainMoment() { endAtBoundary(from: moment, because: .drain) }
    }

    // MARK: The response's body

    /// How long the server may send nothing of its response, in milliseconds; nil for no limit.
    var silenceLimitMilliseconds: Int64? {
        let upstream = group.upstream
        return isStream ? upstream.streamSilenceTimeoutMilliseconds.map(Int64.init) : Int64(upstream.idleTimeoutMilliseconds)
    }

    /// A piece of the response's body came; after the head it may be empty.
    func receiveBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        guard let sink else { preconditionFailure("a body goes to a client") }
        if isLast, upstream?.isCloseDelimited == true { return finishCloseDelimited() }
        let isTrimmed = (!payload.isEmpty || isLast) && pass(payload, isLast: isLast, to: sink)
        sink.flush()
        if sink.waitingCount > 0 { noteWaiting(sink.waitingCount) }
        if isLast {
            // The rest of a complete response waits like any other bytes.
            if sink.waitingCount > 0, proxy.clients.isFarTooFull, !mayWait() { return }
            finishResponse(evidence: "the response's end was received")
        } else if isTrimmed || now >= dueAt || sink.waitingCount > 0, !source.isFailing {
            if isTrimmed { return endStream(behindWholeEvent: true) }
            if now >= dueAt, isAtBoundary, attendDuty(now: now) == nil { return }
            if sink.waitingCount > 0, mayWait() { source.pause() }
        }
    }

    /// Whether the proxy has room for one more slow client; without room the exchange is over.
    func mayWait() -> Bool {
        guard let full = proxy.refusalOfPending() else { return true }
        if proxy.clients.isFarTooFull, let sink, sink.waitingCount > 0 {
            // Bytes that wait already would go on waiting for the whole `client_stall`.
            finish(Ending(full), .abandoned)
        } else {
            refuse(full)
        }
        return false
    }

    /// Passes a piece on. Returns whether only its whole events went on, because the stream is to end.
    private func pass(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool, to sink: Sink) -> Bool {
        account.upstreamSent(payload.count, now: now)
        guard isStream, notWovenBecause != .compressed else {
            if isStream { countPassed(events: 0, fromUpstream: payload.count, toClient: payload.count) }
            account.sentToClient(payload.count, now: now)
            sink.send(payload, isLast: isLast)
            return false
        }
        let events = weaver.scanner.eventCount
        let received = UnsafeMutableRawBufferPointer(payload).bindMemory(to: UInt8.self)
        let observers = proxy.observers
        // Before the event goes on: afterwards its first bytes may be overwritten.
        if observers.contains(.recordings) { record(UnsafeBufferPointer(received).span) }
        var forward = weaver.receive(UnsafeBufferPointer(received).span)
        let isTrimmed = now >= dueAt && !isLast && trim(&forward)
        let count = weaver.scanner.eventCount
        if events == 0, count > 0 { noteFirstEvent() }
        var out = UnsafeMutableRawBufferPointer(rebasing: payload[forward.range])
        if forward.withheldCount > 0 {
            // Withheld bytes are written before the range, where there is room: bytes already taken, or the buffer's headroom.
            let start = out.baseAddress! - forward.withheldCount
            let mark = Weaver.byteOrderMark
            start.storeBytes(of: mark.0, as: UInt8.self)
            if forward.withheldCount > 1 { start.storeBytes(of: mark.1, toByteOffset: 1, as: UInt8.self) }
            out = UnsafeMutableRawBufferPointer(start: start, count: out.count + forward.withheldCount)
        }
        account.sentToClient(out.count, now: now)
        countPassed(events: count &- events, fromUpstream: payload.count, toClient: out.count)
        if !out.isEmpty || isLast { sink.send(out, isLast: isLast) }
        // Only now: the log must not delay an event. If a byte order mark was dropped, the end of the chunk's size line has overwritten
        // it. That reads as a line of one hexadecimal digit, an unknown field.
        if !observers.isDisjoint(with: .ofEvents) { observeEvents(in: UnsafeBufferPointer(received).span) }
        return isTrimmed
    }

    private func noteFirstEvent() {
        account.noteFirstEvent(now: now)
        guard let route else { return }
        proxy.counters.observe(.streamFirstEvent, of: route.series.route, milliseconds: now - account.startedAt)
    }

    private func finishResponse(evidence: String) {
        // If the client could not take the end, that is reported at the end of the turn, and the client is the cause.
        guard sink?.isConnected == true else { return }
        finish(isStream ? Ending(cause: .upstreamFinished, evidence: evidence) : nil, .complete)
    }

    /// The server's end was the end of the body.
    func finishCloseDelimited() {
        guard let sink else { preconditionFailure("a response ends once") }
        if isStream, notWovenBecause != .compressed {
            let withheld = weaver.finish()
            if withheld > 0 { sink.send(own: withheld == 1 ? [0xEF] : [0xEF, 0xBB]) }
        }
        sink.send(own: [], isLast: true)
        finishResponse(evidence: "the server ended a close-delimited body by closing")
    }

    // MARK: Heartbeats

    /// When the client will have received nothing for the route's interval; `.max` if heartbeats are off.
    private var nextHeartbeatAt: Int64 {
        guard isStream, notWovenBecause == nil, let route else { return .max }
        return account.lastClientByteAt + route.heartbeatMilliseconds
    }

    /// Sends a heartbeat if one is due and may be placed; returns the next deadline.
    func beat(now: Int64) -> Int64 {
        let due = nextHeartbeatAt
        guard due < .max, let sink, let route, let heartbeat = route.heartbeat else { return .max }
        guard now >= due else { return due }
        if account.heartbeats == 0 { source.probe() }
        // If the client does not take the bytes that wait, more bytes do not help.
        guard sink.waitingCount == 0, let bytes = weaver.weave(heartbeat) else {
            if weaver.placement == .nowhere { account.noteUnplaceable(now: now) }
            return now + route.heartbeatMilliseconds
        }
        if !sink.send(own: bytes) { noteWaiting(sink.waitingCount) }
        account.heartbeats &+= 1
        if !proxy.observers.isDisjoint(with: .ofEvents) { observeHeartbeat(byteCount: bytes.count, now: now) }
        account.sentToClient(bytes.count, now: now)
        countHeartbeat(byteCount: bytes.count, lateMilliseconds: now - due)
        if let reader = source.reader, reader.filters { reader.tellPlace() }
        return now + route.heartbeatMilliseconds
    }
}
