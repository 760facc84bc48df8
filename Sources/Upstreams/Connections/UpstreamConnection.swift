// One connection to a server: HTTP/1.1 as its client. It sends a request, takes the framing off the response and reports to its
// receiver. Between requests it is in its server's pool. It knows no client, no route and no log. Invariant: it serves one receiver at
// a time, and bytes that came outside of a request are never used.

import Configuration
import HTTP
import Reactor

/// A connection to an upstream server.
package final class UpstreamConnection: Link {
    //  connecting ─▶ securing ─▶ idle ─▶ awaitingHead ─▶ receivingBody ─▶ whole
    //       └────────────────────▶▲            └───────▶ tunnelling         │
    //                             └───── detached, and nothing is left ─────┘     any state ─▶ closed
    private enum State: UInt8 {
        case connecting
        /// The TLS handshake is in progress.
        case securing
        /// In the pool, or about to be used.
        case idle
        case awaitingHead
        case receivingBody
        /// The whole response was received; its receiver has not detached yet.
        case whole
        case tunnelling
        case closed
    }

    private struct Flags: OptionSet {
        let rawValue: UInt8
        /// It has served an earlier request.
        static let isReused = Flags(rawValue: 1)
        /// A byte of the current response has come.
        static let hasBegunResponse = Flags(rawValue: 2)
        /// The whole request has been passed to the link.
        static let isRequestSent = Flags(rawValue: 4)
        /// The request's method is HEAD.
        static let asksForHead = Flags(rawValue: 8)
        static let asksForUpgrade = Flags(rawValue: 16)
        /// The server says that it keeps the connection for another request, and nothing came outside of a request.
        static let keepsAlive = Flags(rawValue: 32)
        /// The connection's end was the end of the body.
        static let isCloseDelimited = Flags(rawValue: 64)
        /// The request's body is sent in chunks.
        static let sendsChunks = Flags(rawValue: 128)
    }

    /// Why reading from a server is paused. It resumes when no reason is left.
    package struct PauseReasons: OptionSet, Sendable {
        /// One bit for each reason.
        package let rawValue: UInt8
        /// The reasons of these bits.
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The client has not taken what was sent to it.
        package static let slowClient = PauseReasons(rawValue: 1)
    }

    private let group: ServerGroup
    /// The server at the other end.
    package let server: ServerState
    /// Which of the server's addresses that is; nil before it begins to connect.
    package private(set) var address: SocketAddress?
    private var receiver: (any ResponseReceiver)?
    private var headInParts: HeadInParts?
    /// Monotonic milliseconds: when the server last sent or took a byte, or the wait for that began. Of heads, interim ones included, only
    /// whole ones count: a head that comes byte by byte has one time limit in all.
    private var lastActivityAt: Int64
    // These four take up sixteen bytes together.
    private var body = BodyRelay(framing: .none)
    private var state = State.connecting
    private var flags: Flags = []
    private var pauses: PauseReasons = []

    /// A connection that has not begun.
    package init(worker: Worker, group: ServerGroup, server: ServerState) {
        self.group = group
        self.server = server
        lastActivityAt = worker.now
        super.init(worker: worker)
    }

    // MARK: What its receiver asks of it

    /// Begins to connect. The receiver is told whether the connection stands.
    ///
    /// - Throws: what made it impossible at once; the receiver is told nothing then.
    package func connect(to address: SocketAddress, for receiver: any ResponseReceiver) throws(SystemError) {
        let security = group.security
        self.address = address
        try connect(
            to: address, securedBy: security.context, serverName: security.tls?.serverName ?? server.server.host,
            resumption: server.resumption)
        attach(receiver)
        lastActivityAt = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    /// Uses an idle connection that was taken out of its pool.
    package func reuse(for receiver: any ResponseReceiver) {
        precondition(state == .idle)
        attach(receiver)
        flags.insert(.isReused)
    }

    private func attach(_ receiver: any ResponseReceiver) {
        precondition(self.receiver == nil)
        self.receiver = receiver
        server.activeCount += 1
    }

    /// Reports to another receiver from now on: the response that has begun is the successor's.
    package func handOver(to successor: any ResponseReceiver) {
        precondition(state == .receivingBody && receiver != nil)
        receiver = successor
    }

    /// Sends the request's head and waits for the response's. `isWhole` says that the whole request has come, so that no body follows.
    package func sendRequest(_ head: [UInt8], method: Method, framing: BodyFraming, asksForUpgrade: Bool, isWhole: Bool) {
        precondition(state == .idle && receiver != nil)
        state = .awaitingHead
        flags.formIntersection(.isReused)
        if framing == .chunked { flags.insert(.sendsChunks) }
        if method == .head { flags.insert(.asksForHead) }
        if asksForUpgrade { flags.insert(.asksForUpgrade) }
        if isWhole { flags.insert(.isRequestSent) }
        lastActivityAt = worker.now
        send(head)
        wake(atMilliseconds: nextDeadline)
    }

    /// Sends (a piece of) the request's body, with `OutgoingFraming.roomBytes` free around it. The time that the server has to answer
    /// begins again.
    package func sendBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        if isLast { flags.insert(.isRequestSent) }
        lastActivityAt = worker.now
        let framing = flags.contains(.sendsChunks) ? OutgoingFraming.chunked : .plain
        send(framing.frame(payload, isLast: isLast))
    }

    /// Whether the server broke a rule behind the piece of the body that the receiver has now: a failure follows.
    package var breaksRules: Bool { body.hasFailed }

    /// How many bytes wait for the server to take them.
    package var waitingCount: Int { pendingCount }

    /// At most so many bytes of the server's are read in one turn, so that what a slow client cannot take stays bounded.
    package func readAtMost(bytes: Int) { readLimitBytes = UInt32(clamping: bytes) }

    /// Sends a client's bytes in a tunnel. Returns whether all that was sent has been taken.
    package func sendThroughTunnel(_ bytes: UnsafeRawBufferPointer) -> Bool {
        send(bytes)
        return pendingCount == 0
    }

    /// Ends the sending to the server as soon as all is sent. The server may still send.
    package func endTunnelSending() { shutdownWhenDrained() }

    /// Pauses reading from the server, for that reason.
    package func pause(for reason: PauseReasons) {
        pauses.formUnion(reason)
        pauseReading()
    }

    /// Resumes reading if no other reason is left. Paused time does not count as silence of the server.
    package func resume(for reason: PauseReasons) {
        pauses.subtract(reason)
        guard isReadingPaused, pauses.isEmpty else { return }
        lastActivityAt = worker.now
        resumeReading()
    }

    /// Has the kernel ask the server, after so many seconds of silence, whether it is still there. A stream's request is sent once and
    /// acknowledged; only probes can tell that its server has vanished since. Most responses are over before that and save the calls.
    package func beginProbing(afterSeconds seconds: Int32) {
        // The process at the other end of a UNIX socket cannot vanish without closing it.
        guard isOpen, !server.server.isUnix else { return }
        worker.kernel.setPatience(Patience(keepAliveSeconds: seconds, unacknowledgedMilliseconds: 0), of: descriptor)
    }

    /// The receiver is done. A connection that can serve another request goes into its pool, any other is closed.
    package func detach() {
        guard receiver != nil else { return }
        receiver = nil
        server.activeCount -= 1
        let isClean = state == .whole && flags.isSuperset(of: [.keepsAlive, .isRequestSent])
        guard isClean, isConnected, pendingCount == 0, server.pool.keep(self) else { return discard() }
        state = .idle
        pauses = []
        lastActivityAt = worker.now
        resumeReading()
        wake(atMilliseconds: nextDeadline)
    }

    /// Whether the connection may have been dead before the current request was sent: it is reused, and nothing came back.
    package var mayHaveBeenDead: Bool { flags.contains(.isReused) && !flags.contains(.hasBegunResponse) }

    /// Whether the current body was close-delimited and ended by that (RFC 9112 section 6.3).
    package var isCloseDelimited: Bool { flags.contains(.isCloseDelimited) }

    /// Closes a connection without a user that is in no pool.
    func discardUnused() {
        precondition(receiver == nil)
        discard()
    }

    private func discard() {
        state = .closed
        headInParts = nil
        close()
    }

    private func leavePool() {
        server.pool.forget(self)
        discard()
    }

    // MARK: Deadlines

    private var nextDeadline: Int64 {
        let upstream = group.upstream
        switch state {
        case .connecting: return lastActivityAt + Int64(upstream.connectTimeoutMilliseconds)
        case .securing: return lastActivityAt + (receiver?.handshakeMilliseconds ?? 0)
        case .idle: return lastActivityAt + Int64(upstream.idleConnectionMilliseconds)
        case .awaitingHead: return lastActivityAt + Int64(upstream.responseTimeoutMilliseconds)
        case .receivingBody:
            guard let limit = receiver?.silenceLimitMilliseconds else { return .max }
            return lastActivityAt + limit
        case .whole, .tunnelling, .closed: return .max
        }
    }

    package override func deadlineReached() {
        let now = worker.now
        // While the client is too slow, the server is not silent.
        if state == .receivingBody, isReadingPaused { lastActivityAt = now }
        // While the request is still coming, the server need not answer. A server that does not take what was sent has no such excuse.
        if state == .awaitingHead, !flags.contains(.isRequestSent), pendingCount == 0 { lastActivityAt = now }
        let deadline = nextDeadline
        guard now >= deadline else { return wake(atMilliseconds: deadline) }
        switch state {
        case .connecting: giveUp(connectingFailure(.timedOut))
        case .securing:
            let limit = receiver?.handshakeMilliseconds ?? 0
            giveUp(SeenFailure(.handshakeTimeout, evidence: "no TLS handshake within \(limit) ms", error: .timedOut))
        case .idle: leavePool()
        case .awaitingHead: fail(.responseTimeout, "no response within \(group.upstream.responseTimeoutMilliseconds) ms")
        case .receivingBody: fail(.silent, "no byte from the server for \(receiver?.silenceLimitMilliseconds ?? 0) ms")
        case .whole, .tunnelling, .closed: return
        }
    }

    // MARK: Failures

    private func connectingFailure(_ error: SystemError) -> SeenFailure {
        SeenFailure(connecting: error, withinMilliseconds: group.upstream.connectTimeoutMilliseconds)
    }

    /// The connection could not be made.
    private func giveUp(_ seen: SeenFailure) {
        let receiver = self.receiver
        detach()
        receiver?.serverNotReached(seen)
    }

    private func fail(_ failure: ServerFailure, _ evidence: String, _ error: SystemError? = nil) {
        receiver?.serverFailed(SeenFailure(failure, evidence: evidence, error: error))
    }

    // MARK: What the link reports

    package override func linkBeganToSecure() {
        state = .securing
        lastActivityAt = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    package override func linkSecurityFailed(_ failure: TLSFailure) {
        switch state {
        case .connecting, .securing: giveUp(SeenFailure(ServerFailure(failure), evidence: failure.reason))
        case .idle: leavePool()
        case .awaitingHead, .receivingBody, .tunnelling: fail(ServerFailure(failure), failure.reason)
        case .whole: discard()
        case .closed: return
        }
    }

    package override func linkConnected() {
        state = .idle
        receiver?.serverConnected()
    }

    package override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        if state != .awaitingHead { lastActivityAt = worker.now }
        switch state {
        case .receivingBody: receiveBody(bytes, from: 0, isFirst: false)
        case .awaitingHead:
            flags.insert(.hasBegunResponse)
            receiveHead(bytes)
        case .tunnelling: receiver?.receiveFromTunnel(UnsafeRawBufferPointer(bytes))
        // Bytes without a request: no client may get them.
        case .idle: leavePool()
        case .whole: flags.remove(.keepsAlive)
        case .connecting, .securing, .closed: return
        }
    }

    package override func linkReachedEnd() {
        switch state {
        case .idle: leavePool()
        case .awaitingHead where flags.contains(.hasBegunResponse): fail(.headCutOff, "the response's head was cut off")
        case .awaitingHead: fail(.noResponse, "closed without a response")
        case .receivingBody: endBodyByClose()
        case .whole: flags.remove(.keepsAlive)
        case .tunnelling: receiver?.serverEndedTunnel()
        case .connecting, .securing, .closed: return
        }
    }

    package override func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        switch state {
        case .connecting: return giveUp(connectingFailure(error))
        case .securing:
            return giveUp(SeenFailure(.handshakeBroken, evidence: "\(error.message) during the TLS handshake", error: error))
        case .idle: return leavePool()
        case .whole, .closed: return discard()
        case .awaitingHead, .receivingBody, .tunnelling: break
        }
        // A server that answers early and closes resets the connection because of unread bytes; its answer still counts.
        if operation == .writing { readWhatIsLeft() }
        guard isOpen else { return }
        if state == .whole { return discard() }
        let place = state != .awaitingHead && isInsideRecord ? " in the middle of a TLS record" : ""
        fail(ServerFailure(waiting: error), error.message + place, error)
    }

    package override func linkProgressed(_ count: Int) { lastActivityAt = worker.now }

    package override func linkDrained() { receiver?.serverDrained() }

    // MARK: The response

    private func receiveHead(_ bytes: UnsafeMutableRawBufferPointer) {
        var offset = 0
        while state == .awaitingHead, offset < bytes.count, let receiver {
            do throws(HTTPError) {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                guard let received = try takeHead(rest, limits: receiver.responseLimits) else { return }
                offset += received.consumed
                lastActivityAt = worker.now
                if !received.head.isInterim {
                    try begin(received.head, receiver)
                } else if let excess = noteInterim(received.head) {
                    return fail(.brokeRules, excess)
                } else {
                    receiver.receiveInterim(received.head)
                }
            } catch {
                return fail(.brokeRules, "\(error.reason)")
            }
        }
        if state == .receivingBody {
            receiveBody(bytes, from: offset, isFirst: true)
        } else if state == .tunnelling, offset < bytes.count {
            receiver?.receiveFromTunnel(UnsafeRawBufferPointer(rebasing: bytes[offset...]))
        }
    }

    private func takeHead(_ bytes: UnsafeRawBufferPointer, limits: HeadLimits) throws(HTTPError) -> ReceivedHead<ResponseHead>? {
        var partial = headInParts?.partial
        let received = try partial.receiveResponse(bytes, limits: limits)
        if partial != nil, headInParts == nil { headInParts = HeadInParts() }
        headInParts?.partial = partial
        return received
    }

    /// Counts an interim response; returns which limit it exceeds.
    private func noteInterim(_ head: ResponseHead) -> String? {
        let parts = headInParts ?? HeadInParts()
        headInParts = parts
        return parts.interim.take(bytes: head.bytes.count, now: worker.now)
    }

    private func begin(_ head: ResponseHead, _ receiver: any ResponseReceiver) throws(HTTPError) {
        headInParts = nil
        guard head.status != 101 else {
            guard flags.contains(.asksForUpgrade) else { return fail(.brokeRules, "a 101 that nobody asked for") }
            state = .tunnelling
            return receiver.receiveHead(head, framing: .none)
        }
        let framing = try head.framing(requestMethod: flags.contains(.asksForHead) ? .head : .get)
        state = .receivingBody
        body = BodyRelay(framing: framing)
        if head.keepsAlive, framing != .untilClose { flags.insert(.keepsAlive) }
        receiver.receiveHead(head, framing: framing)
        if state == .receivingBody { wake(atMilliseconds: min(nextDeadline, worker.now + 3_600_000)) }
    }

    /// Bytes came after the head; empty if the read with the head held none.
    private func receiveBody(_ bytes: UnsafeMutableRawBufferPointer, from start: Int, isFirst: Bool) {
        let piece = body.take(bytes, from: start)
        if piece.isLast {
            state = .whole
            if piece.consumed < bytes.count { flags.remove(.keepsAlive) }
        }
        guard isFirst || piece.isLast || !piece.payload.isEmpty || piece.error != nil, let receiver else { return }
        if isFirst || piece.isLast || !piece.payload.isEmpty { receiver.receiveBody(piece.payload, isLast: piece.isLast) }
        if let error = piece.error, state == .receivingBody { fail(.brokeRules, "\(error.reason)") }
    }

    /// The server has ended its sending in a body.
    private func endBodyByClose() {
        do throws(HTTPError) { try body.finish() } catch {
            return fail(.bodyCutOff, "closed in the middle of the body: \(error.reason)")
        }
        // Anybody on the network can forge a FIN, but not close_notify (RFC 9112 section 9.8).
        guard endIsAuthentic else { return fail(.bodyCutOff, "closed a close-delimited body without close_notify") }
        state = .whole
        flags.insert(.isCloseDelimited)
        receiver?.receiveBody(worker.copyToScratch(UnsafeRawBufferPointer(start: nil, count: 0)), isLast: true)
    }
}

/// State for an incomplete response head, or after interim responses. Most heads need none of it.
private final class HeadInParts {
    var partial: PartialHead?
    var interim = InterimAllowance()
}
