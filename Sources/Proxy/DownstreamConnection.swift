// One connection from a client: HTTP/1.1 as its server. It reads requests one after the other, frames responses,
// keeps the connection for the next request or ends it so that the client reads the last answer whole. What a request
// means is the exchange's. Invariant: at most one exchange at a time; bytes that cannot be used yet are put aside,
// never more than one read, and then nothing more is read.

import Configuration
import HTTP
import Reactor
import StreamLog

/// What a client's request says about the response it can be given.
struct ResponseTerms {
    /// HTTP/1.0: no chunks, no interim responses.
    var isHTTP10: Bool
    /// Whether the connection can serve another request after this response.
    var canKeepAlive: Bool
}

/// A connection from a client.
final class DownstreamConnection: Link {
    private enum State: UInt8 {
        /// The TLS handshake is under way.
        case securing
        /// No byte of a request has come.
        case idle
        case readingHead
        case exchanging
        /// All is said; the last bytes are on their way to the kernel.
        case closing
        /// Our side is shut; what still comes is thrown away, so that no reset overtakes the last answer.
        case lingering
        case closed
    }

    private struct Flags: OptionSet {
        let rawValue: UInt16
        static let isHTTP10 = Flags(rawValue: 1)
        static let requestKeepsAlive = Flags(rawValue: 2)
        static let responseKeepsAlive = Flags(rawValue: 4)
        static let expectsTunnelEnd = Flags(rawValue: 8)
        static let endsByClosing = Flags(rawValue: 16)
        static let awaitsTurnEnd = Flags(rawValue: 32)
        /// A request has been read on this connection.
        static let hasServed = Flags(rawValue: 64)
        /// The connection is one too many, in all or for its address, and is told so when its handshake is done.
        static let exceedsConnections = Flags(rawValue: 128)
        static let exceedsConnectionsPerClient = Flags(rawValue: 256)
    }

    private static let lingerMilliseconds: Int64 = 2000
    private static let lingerBytes = 1 << 20

    let proxy: ProxyWorker
    private let listenerState: ListenerSecurity
    let peer: SocketAddress
    let isTrusted: Bool
    /// The address that a trusted proxy named last in `X-Forwarded-For`.
    private(set) var forwardedClient: [UInt8]?
    private var state = State.idle
    private var flags: Flags = []
    private var outgoingFraming = OutgoingFraming.none
    private var partialHead: PartialHead?
    private var exchange: Exchange?
    private var requestBody = BodyRelay(framing: .none)
    private var putAside: [UInt8] = []
    /// Monotonic milliseconds: when the present state, or the wait for bytes in it, began.
    private var waitingSince: Int64
    /// When the client last took bytes that were pending.
    private var lastProgressAt: Int64 = 0
    private var lingeredBytes = 0

    init(proxy: ProxyWorker, listener: ListenerSecurity, peer: SocketAddress, isTrusted: Bool) {
        self.proxy = proxy
        listenerState = listener
        self.peer = peer
        self.isTrusted = isTrusted
        waitingSince = proxy.worker.now
        super.init(worker: proxy.worker)
    }

    /// Begins to serve, or tells the client which limit stands against it.
    func begin(admission: SharedState.Admission) {
        switch admission {
        case .admitted: break
        case .refused(.connections): flags.insert(.exceedsConnections)
        case .refused(.connectionsPerClient): flags.insert(.exceedsConnectionsPerClient)
        }
        if listener.tls == nil { return beginToServe() }
        state = .securing
        wake(atMilliseconds: nextDeadline)
    }

    private func beginToServe() {
        state = .idle
        waitingSince = worker.now
        let isRefused = !flags.isDisjoint(with: [.exceedsConnections, .exceedsConnectionsPerClient])
        guard isRefused else { return wake(atMilliseconds: nextDeadline) }
        let limit = flags.contains(.exceedsConnections) ? "connections" : "connections_per_client"
        answer(Refusal(status: 503, cause: .refusedByLimit, evidence: "the limit \(limit) is reached", limit: limit), to: nil)
    }

    // MARK: What the listener is told to do

    /// The listener that took the connection.
    var listener: Listener { listenerState.listener }

    /// For `Strict-Transport-Security`; nil where nothing is said of it.
    var strictTransportSecuritySeconds: Int? { isSecured ? listener.strictTransportSecuritySeconds : nil }

    /// The field in which the server is told of the client's certificate, and what; nil without either.
    var clientSubject: (field: String, subject: [UInt8])? {
        guard let field = listener.tls?.clientSubjectField, let subject = peerSubject else { return nil }
        return (field, subject)
    }

    // MARK: Closing

    private func closeNow(abortively: Bool = false) {
        guard state != .closed else { return }
        state = .closed
        putAside = []
        partialHead = nil
        if abortively { abort() } else { close() }
        proxy.connectionClosed(peer, isTrusted: isTrusted)
    }

    /// Says the last bytes and closes. Where the client may still be sending, the rest of that is read and thrown away first:
    /// closing with unread bytes would reset the connection and could destroy the answer.
    private func closeGracefully(lingers: Bool) {
        state = lingers ? .lingering : .closing
        waitingSince = worker.now
        lastProgressAt = worker.now
        putAside = []
        shutdownWhenDrained()
        if lingers { resumeReading() } else if pendingCount == 0 { return closeNow() }
        wake(atMilliseconds: nextDeadline)
    }

    // MARK: The exchange's side: the response

    /// Whether the client understands 1xx responses.
    var takesInterimResponses: Bool { !flags.contains(.isHTTP10) }

    /// Whether another request could follow on this connection.
    var canKeepAlive: Bool { flags.contains(.requestKeepsAlive) && isRequestComplete && !proxy.isDraining }

    /// What the client's request allows the response to be.
    func responseTerms(asksForUpgrade: Bool) -> ResponseTerms {
        // Bytes that came behind a request for an upgrade that is not granted could be read in two ways.
        let isAmbiguous = asksForUpgrade && !putAside.isEmpty
        return ResponseTerms(isHTTP10: flags.contains(.isHTTP10), canKeepAlive: canKeepAlive && !isAmbiguous)
    }

    /// Sends the response's head, and says how its body will be framed.
    func beginResponse(_ head: [UInt8], framing: OutgoingFraming, keepsAlive: Bool, endsByClosing: Bool = false) {
        outgoingFraming = framing
        if keepsAlive { flags.insert(.responseKeepsAlive) } else { flags.remove(.responseKeepsAlive) }
        if endsByClosing { flags.insert(.endsByClosing) } else { flags.remove(.endsByClosing) }
        send(head)
    }

    /// Sends a piece of the body that lies in the worker's scratch buffer.
    func sendBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        send(outgoingFraming.frame(payload, isLast: isLast))
    }

    /// Sends bytes of the proxy's own as part of the body. Not while received bytes wait in the scratch buffer.
    func sendOwn(_ bytes: [UInt8], isLast: Bool = false) {
        bytes.withUnsafeBytes { bytes in
            sendBody(worker.copyToScratch(bytes), isLast: isLast)
        }
    }

    /// The response is whole: the next request, or the connection's end.
    func endResponse() {
        if flags.contains(.responseKeepsAlive), isRequestComplete, !proxy.isDraining { return awaitRequest() }
        // A client whose request was not read whole may still be sending it; one that is done closes or is closed.
        closeGracefully(lingers: !isRequestComplete || !putAside.isEmpty)
    }

    /// The response is not whole and will not be: the client has to see that (RFC 9112 section 8).
    func cutResponse() {
        // The missing rest shows by itself where the length or the last chunk was promised; where only the connection's end
        // ends the body, a reset has to say it.
        if flags.contains(.endsByClosing) { return closeNow(abortively: true) }
        closeGracefully(lingers: false)
    }

    /// The client is gone.
    func abandon() { closeNow(abortively: pendingCount > 0) }

    /// Bytes are pending that the client has to take within the stall deadline.
    func expectDrain() {
        lastProgressAt = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    /// The exchange is over; what becomes of the connection follows at once.
    func exchangeFinished() { exchange = nil }

    private func awaitRequest() {
        state = .idle
        waitingSince = worker.now
        forwardedClient = nil
        if putAside.isEmpty { resumeReading() } else { continueAtTurnEnd() }
        wake(atMilliseconds: nextDeadline)
    }

    // MARK: The exchange's side: the request

    /// Whether all of the present request has been received.
    var isRequestComplete: Bool { requestBody.isEnded }

    /// The exchange can take (more of) the request's body.
    func requestCanGoOn() {
        guard state == .exchanging, let exchange else { return }
        if exchange.isTunnel || !isRequestComplete { continueAtTurnEnd() }
    }

    /// What was put aside is looked at again when nothing else is under way, so that no call nests in itself.
    private func continueAtTurnEnd() {
        flags.insert(.awaitsTurnEnd)
        worker.atEndOfTurn(self)
    }

    override func turnEnded() {
        super.turnEnded()
        guard isOpen, flags.contains(.awaitsTurnEnd) else { return }
        flags.remove(.awaitsTurnEnd)
        let bytes = putAside
        putAside = []
        waitingSince = worker.now
        redeliver(bytes)
        guard isOpen, state == .idle || state == .readingHead || state == .exchanging, putAside.isEmpty else { return }
        if exchange.map({ takesBytes(of: $0) }) ?? true { resumeReading() }
        wake(atMilliseconds: nextDeadline)
    }

    private func takesBytes(of exchange: Exchange) -> Bool {
        if exchange.isTunnel { return !flags.contains(.expectsTunnelEnd) && exchange.upstream?.pendingCount == 0 }
        return isRequestComplete || exchange.takesRequestBody
    }

    private func putAside(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        putAside.append(contentsOf: bytes)
        pauseReading()
    }

    // MARK: Tunnels

    /// From now on bytes pass in both directions as they are.
    func beginTunnel(_ head: [UInt8]) {
        send(head)
        outgoingFraming = .plain
        flags.remove(.responseKeepsAlive)
        continueAtTurnEnd()
    }

    /// One side has said goodbye; the other has the stall deadline for its own.
    func expectTunnelEnd() {
        flags.insert(.expectsTunnelEnd)
        waitingSince = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    /// Both sides have said goodbye.
    func endTunnel() { closeGracefully(lingers: false) }

    // MARK: Deadlines

    private var nextDeadline: Int64 {
        let timeouts = proxy.settings.configuration.timeouts
        switch state {
        case .securing: return waitingSince + Int64(timeouts.handshakeMilliseconds)
        case .idle:
            // A new connection owes a request; one that has served may rest.
            let patience = flags.contains(.hasServed) ? timeouts.keepAliveMilliseconds : timeouts.requestHeadMilliseconds
            return waitingSince + Int64(patience)
        case .readingHead: return waitingSince + Int64(timeouts.requestHeadMilliseconds)
        case .exchanging:
            var deadline = Int64.max
            if pendingCount > 0 || flags.contains(.expectsTunnelEnd) { deadline = stallDeadline }
            if !isRequestComplete, !isReadingPaused {
                deadline = min(deadline, waitingSince + Int64(timeouts.requestBodyMilliseconds))
            }
            return deadline
        case .closing: return stallDeadline
        case .lingering: return min(stallDeadline, waitingSince + DownstreamConnection.lingerMilliseconds)
        case .closed: return .max
        }
    }

    private var stallDeadline: Int64 {
        let since = flags.contains(.expectsTunnelEnd) ? waitingSince : lastProgressAt
        return since + Int64(proxy.settings.configuration.timeouts.clientStallMilliseconds)
    }

    override func deadlineReached() {
        let now = worker.now
        var nextBeat = Int64.max
        if state == .exchanging, let exchange { nextBeat = exchange.beat(now: now) }
        // The timer may have been set for something else, or been put off since.
        let deadline = nextDeadline
        guard now >= deadline else {
            return wake(atMilliseconds: min(nextBeat, deadline))
        }
        switch state {
        case .idle, .lingering: closeNow()
        case .securing:
            failHandshake(.handshakeTimeout, "no TLS handshake within \(proxy.settings.configuration.timeouts.handshakeMilliseconds) ms")
        case .readingHead:
            answer(
                Refusal(
                    status: 408, cause: .requestTimeout,
                    evidence: "no whole request head within \(proxy.settings.configuration.timeouts.requestHeadMilliseconds) ms"),
                to: nil)
        case .exchanging: exchangeDeadlineReached(now: now)
        case .closing: closeNow(abortively: true)
        case .closed: return
        }
    }

    private func exchangeDeadlineReached(now: Int64) {
        guard let exchange else { return }
        if pendingCount > 0, now >= stallDeadline {
            exchange.clientLeft(stallEnding())
        } else if flags.contains(.expectsTunnelEnd), now >= stallDeadline {
            exchange.tunnelEnded([.clientEnded, .upstreamEnded])
        } else if !isRequestComplete {
            exchange.refuse(
                Refusal(
                    status: 408, cause: .requestTimeout,
                    evidence: "no byte of the request's body within \(proxy.settings.configuration.timeouts.requestBodyMilliseconds) ms"))
        }
    }

    /// Whether a client that takes nothing is there at all is known to the kernel only.
    private func stallEnding() -> Ending {
        let stall = proxy.settings.configuration.timeouts.clientStallMilliseconds
        let view = worker.kernel.transportInformation(of: descriptor)
        if let view, view.retransmits > 0, view.sinceLastAcknowledgementMilliseconds >= UInt32(clamping: stall / 2) {
            return Ending(
                cause: .clientVanished,
                evidence: "nothing acknowledged for \(view.sinceLastAcknowledgementMilliseconds) ms, \(view.retransmits) retransmissions")
        }
        return Ending(cause: .clientStalled, evidence: "took none of \(pendingCount) pending bytes for \(stall) ms")
    }

    /// The kernel gives up both a client that answers nothing and one that answers but takes nothing.
    private func unreachableCause() -> Cause {
        guard let view = worker.kernel.transportInformation(of: descriptor) else { return .clientVanished }
        let stall = UInt32(clamping: proxy.settings.configuration.timeouts.clientStallMilliseconds)
        return view.sinceLastAcknowledgementMilliseconds < stall / 2 ? .clientStalled : .clientVanished
    }

    /// Nobody can be answered without a handshake; it is counted and written down.
    private func failHandshake(_ cause: Cause, _ evidence: String) {
        proxy.shared.noteFailedHandshake()
        proxy.logFailedConnection(of: self, Ending(cause: cause, evidence: evidence))
        closeNow()
    }

    // MARK: What the link reports

    override func linkConnected() { beginToServe() }

    override func linkSecurityFailed(_ failure: TLSFailure) {
        if state == .securing { return failHandshake(.clientTLSError, failure.reason) }
        guard let exchange, state == .exchanging else { return closeNow(abortively: true) }
        exchange.clientLeft(Ending(cause: .clientTLSError, evidence: failure.reason))
    }

    override func linkFoundPlainText() {
        proxy.shared.noteFailedHandshake()
        answer(Refusal(status: 400, cause: .clientTLSError, evidence: "this port speaks TLS; use https://"), to: nil)
    }

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        switch state {
        case .idle, .readingHead:
            receiveHead(bytes)
        case .exchanging:
            receiveBody(bytes, from: 0)
        case .securing: return
        case .lingering:
            lingeredBytes += bytes.count
            if lingeredBytes > DownstreamConnection.lingerBytes { closeNow() }
        case .closing, .closed:
            return
        }
    }

    private func receiveHead(_ bytes: UnsafeMutableRawBufferPointer) {
        let limits = proxy.settings.requestLimits
        do {
            let received = try partialHead.receive(UnsafeRawBufferPointer(bytes), kind: .request, limits: limits) {
                span throws(HTTPError) in try RequestHead.parse(span, limits: limits)
            }
            guard let received else {
                if state == .idle, partialHead?.hasBegun == true {
                    state = .readingHead
                    waitingSince = worker.now
                    wake(atMilliseconds: nextDeadline)
                }
                return
            }
            beginExchange(received.head)
            receiveBody(bytes, from: received.consumed)
        } catch {
            answer(Refusal(error), to: nil)
        }
    }

    private func beginExchange(_ head: RequestHead) {
        state = .exchanging
        waitingSince = worker.now
        flags = [.hasServed]
        if head.minorVersion == 0 { flags.insert(.isHTTP10) }
        if head.keepsAlive { flags.insert(.requestKeepsAlive) }
        requestBody = BodyRelay(framing: head.framing)
        if head.framing == .none {
            // A request without a body is whole already; the decoder is told by being asked.
            _ = try? requestBody.take(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        }
        if isTrusted { forwardedClient = RequestForwarding.lastForwardedClient(head) }
        let exchange = Exchange(proxy: proxy, downstream: self, head: head)
        self.exchange = exchange
        exchange.start(head)
    }

    private func receiveBody(_ bytes: UnsafeMutableRawBufferPointer, from start: Int) {
        guard start < bytes.count else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
        guard state == .exchanging, let exchange else {
            // The exchange ended within its first call: what follows is the next request, or nothing.
            if state == .idle { putAside(rest) }
            if state == .idle { continueAtTurnEnd() }
            return
        }
        if exchange.isTunnel {
            guard takesBytes(of: exchange) else { return putAside(rest) }
            exchange.sendThroughTunnel(rest)
            if exchange.upstream.map({ $0.pendingCount > 0 }) == true { pauseReading() }
            return
        }
        guard !isRequestComplete, exchange.takesRequestBody else { return putAside(rest) }
        waitingSince = worker.now
        do {
            let piece = try requestBody.take(bytes, from: start)
            let remainder = bytes.count - piece.consumed
            if remainder > 0 {
                // Copied before the piece is framed, because its end may be written over what follows it.
                putAside(UnsafeRawBufferPointer(rebasing: bytes[piece.consumed...]))
            }
            if !piece.payload.isEmpty || piece.isLast { exchange.sendRequestBody(piece.payload, isLast: piece.isLast) }
            if !piece.isLast, exchange.upstream.map({ $0.pendingCount > 0 }) == true { pauseReading() }
        } catch {
            exchange.refuse(Refusal(error))
        }
    }

    /// Answers a request that could not be read, or a connection that may not have one.
    private func answer(_ refusal: Refusal, to head: RequestHead?) {
        partialHead = nil
        state = .exchanging
        flags = []
        let exchange = Exchange(proxy: proxy, downstream: self, head: head)
        self.exchange = exchange
        // Nothing that came is trusted to be the end of the request, so the connection lingers and closes.
        requestBody = BodyRelay(framing: .untilClose)
        exchange.refuse(refusal)
    }

    override func linkReachedEnd() {
        switch state {
        case .idle, .securing, .lingering: closeNow()
        case .readingHead:
            answer(Refusal(HTTPError.truncatedHead), to: nil)
        case .exchanging:
            guard let exchange else { return closeNow() }
            if exchange.isTunnel { return exchange.tunnelEnded(.clientEnded) }
            exchange.clientLeft(Ending(cause: .clientClosed, evidence: endEvidence()))
        case .closing, .closed:
            return
        }
    }

    private func endEvidence() -> String {
        let how = !isSecured ? "FIN received" : endIsAuthentic ? "close_notify received" : "FIN received without close_notify"
        let place = isInsideRecord ? " in the middle of a TLS record" : isRequestComplete ? "" : " in the middle of the request's body"
        return how + place
    }

    override func linkPeerLeft(isBroken: Bool) {
        guard let exchange, state == .exchanging else {
            if state != .closing || isBroken { closeNow() }
            return
        }
        if isBroken, let error = worker.kernel.connectionError(of: descriptor) {
            return linkFailed(error, while: .reading)
        }
        // While unread bytes of its request wait, the client may be one that only ended its sending.
        guard isRequestComplete, !exchange.isTunnel else { return }
        exchange.clientLeft(Ending(cause: .clientClosed, evidence: "FIN received"))
    }

    override func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        guard let exchange, state == .exchanging else { return closeNow(abortively: true) }
        let doing = operation == .writing ? "write" : "read"
        let cause: Cause = error.meansUnreachable ? unreachableCause() : .clientReset
        let place = isInsideRecord ? " in the middle of a TLS record" : ""
        exchange.clientLeft(Ending(cause: cause, evidence: "\(doing): \(error.message)\(place)", errnoName: error.name))
    }

    override func linkProgressed(_ count: Int) { lastProgressAt = worker.now }

    override func linkDrained() {
        switch state {
        case .exchanging: exchange?.downstreamDrained()
        case .closing: closeNow()
        case .securing, .idle, .readingHead, .lingering, .closed: return
        }
    }

    // MARK: The proxy ends

    /// No further request is taken; an exchange may finish.
    func drain() {
        switch state {
        case .securing, .idle, .readingHead: closeNow()
        case .exchanging: exchange?.endAtBoundary()
        case .closing, .lingering, .closed: return
        }
    }

    /// The grace period is over.
    func endGrace() {
        exchange?.endGrace()
        closeNow()
    }
}
