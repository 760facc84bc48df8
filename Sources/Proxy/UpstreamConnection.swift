// One connection to a server: HTTP/1.1 as its client. It finds the response's head and hands what follows to its
// exchange; between exchanges it waits in its server's pool. It decides nothing about the client's side.
// Invariant: it serves one exchange at a time, and nothing that came outside of one is ever used.

import Configuration
import Downstreams
import HTTP
import Reactor
import Telemetry

/// A connection to an upstream server.
final class UpstreamConnection: Link {
    private enum State: UInt8 {
        case connecting
        /// The TLS handshake is under way.
        case securing
        /// In the pool, or about to be used.
        case idle
        case awaitingHead
        /// The response's body, or a tunnel's bytes.
        case relaying
        case closed
    }

    let group: ServerGroup
    let server: ServerState
    private var state = State.connecting
    private var partialHead: PartialHead?
    private var exchange: Exchange?
    /// Whether it has served an exchange before the present one.
    private(set) var isReused = false
    /// Whether a byte of the present exchange's response has come.
    private(set) var hasBegunResponse = false
    /// Monotonic milliseconds of the last byte read, or taken, or of the beginning of the wait for it. Of a response's head only
    /// what is whole counts, interim responses included: a head that comes byte by byte has one time limit in all.
    private(set) var lastActivityAt: Int64

    init(worker: Worker, group: ServerGroup, server: ServerState) {
        self.group = group
        self.server = server
        lastActivityAt = worker.now
        super.init(worker: worker)
    }

    /// Begins to connect for an exchange, which is told how it comes out.
    func connect(to address: SocketAddress, for exchange: Exchange) throws(SystemError) {
        let security = group.security
        try connect(
            to: address, securedBy: security.context, serverName: security.tls?.serverName ?? server.server.host,
            resumption: server.resumption)
        self.exchange = exchange
        lastActivityAt = worker.now
        wake(atMilliseconds: worker.now + Int64(group.upstream.connectTimeoutMilliseconds))
    }

    /// Takes the connection out of the pool for an exchange.
    func reuse(for exchange: Exchange) {
        precondition(state == .idle)
        self.exchange = exchange
        isReused = true
    }

    /// Sends the request's head and waits for the response's.
    func sendRequest(_ head: [UInt8]) {
        precondition(state == .idle)
        state = .awaitingHead
        hasBegunResponse = false
        lastActivityAt = worker.now
        send(head)
        wake(atMilliseconds: nextDeadline)
    }

    /// Sends (a piece of) the request's body. From then on it is the server's turn.
    func sendBody(_ bytes: UnsafeRawBufferPointer) {
        lastActivityAt = worker.now
        send(bytes)
    }

    /// The client takes bytes again. While nothing was read, the server could not be silent.
    func readOn() {
        guard isReadingPaused else { return }
        lastActivityAt = worker.now
        resumeReading()
    }

    /// Has the kernel ask the server whether it is still there. A stream's request is sent once and acknowledged; only probes can
    /// tell that its server has vanished since. Most exchanges are over before that matters, and are spared the calls.
    func beginProbing() {
        // The process at the other end of a UNIX socket cannot vanish without closing it.
        guard isOpen, !server.server.isUnix else { return }
        worker.kernel.setPatience(
            Patience(keepAliveSeconds: ProxyWorker.probeAfterSeconds, unacknowledgedMilliseconds: 0), of: descriptor)
    }

    /// The exchange is over. A connection that is clean waits for the next one.
    func exchangeEnded(isClean: Bool) {
        exchange = nil
        guard isClean, isConnected, pendingCount == 0, group.keepIdle(self, server: server) else { return discard() }
        state = .idle
        lastActivityAt = worker.now
        resumeReading()
        wake(atMilliseconds: nextDeadline)
    }

    /// Closes a connection that was taken out of its pool and is not fit to be used.
    func discardIdle() { discard() }

    private func discard() {
        state = .closed
        partialHead = nil
        close()
    }

    // MARK: Deadlines

    private var nextDeadline: Int64 {
        let upstream = group.upstream
        switch state {
        case .connecting: return lastActivityAt + Int64(upstream.connectTimeoutMilliseconds)
        case .securing: return lastActivityAt + handshakeMilliseconds
        case .idle: return lastActivityAt + Int64(upstream.idleConnectionMilliseconds)
        case .awaitingHead:
            let deadline = lastActivityAt + Int64(upstream.responseTimeoutMilliseconds)
            return min(deadline, exchange?.request?.continueDeadline ?? .max)
        case .relaying:
            guard let limit = exchange?.upstreamSilenceLimitMilliseconds else { return .max }
            return lastActivityAt + limit
        case .closed: return .max
        }
    }

    private var handshakeMilliseconds: Int64 {
        Int64(exchange?.settings.configuration.timeouts.handshakeMilliseconds ?? 0)
    }

    override func deadlineReached() {
        let now = worker.now
        if state == .awaitingHead, let exchange, now >= exchange.request?.continueDeadline ?? .max { exchange.continueByItself() }
        // What the client is too slow to take is not the upstream's silence.
        if state == .relaying, isReadingPaused { lastActivityAt = now }
        // While the client is still sending, the server need not answer; one that does not take what was sent has no such excuse.
        if state == .awaitingHead, let exchange, !exchange.isRequestComplete, pendingCount == 0 { lastActivityAt = now }
        let deadline = nextDeadline
        guard now >= deadline else { return wake(atMilliseconds: deadline) }
        switch state {
        case .connecting:
            giveUp(.connectTimeout, .timedOut)
        case .securing:
            giveUp(.handshakeTimeout, .timedOut, evidence: "no TLS handshake within \(handshakeMilliseconds) ms")
        case .idle:
            group.forgetIdle(self, server: server)
            discard()
        case .awaitingHead:
            exchange?.refuse(
                Refusal(.responseTimeout, evidence: "no response within \(group.upstream.responseTimeoutMilliseconds) ms"))
        case .relaying:
            exchange?.upstreamSilent()
        case .closed:
            return
        }
    }

    /// The connection did not come about.
    private func giveUp(_ failure: ServerFailure, _ error: SystemError?, evidence: String? = nil) {
        let exchange = self.exchange
        self.exchange = nil
        discard()
        exchange?.connectFailed(failure, error, evidence: evidence)
    }

    // MARK: What the link reports

    override func linkBeganToSecure() {
        state = .securing
        lastActivityAt = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    override func linkSecurityFailed(_ failure: TLSFailure) {
        switch state {
        case .connecting, .securing:
            giveUp(ServerFailure(failure), nil, evidence: failure.reason)
        case .idle:
            group.forgetIdle(self, server: server)
            discard()
        case .awaitingHead, .relaying:
            exchange?.upstreamSecurityFailed(failure)
        case .closed:
            return
        }
    }

    override func linkConnected() {
        state = .idle
        exchange?.connected()
    }

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        if state != .awaitingHead { lastActivityAt = worker.now }
        switch state {
        case .idle:
            // Bytes that nobody asked for: a response to no request goes to nobody.
            group.forgetIdle(self, server: server)
            discard()
        case .awaitingHead:
            hasBegunResponse = true
            receiveHead(bytes)
        case .relaying:
            exchange?.receive(bytes, from: 0)
        case .connecting, .securing, .closed:
            return
        }
    }

    private func receiveHead(_ bytes: UnsafeMutableRawBufferPointer) {
        var offset = 0
        while state == .awaitingHead, offset < bytes.count, let exchange {
            do {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                let limits = exchange.settings.responseLimits
                let received = try partialHead.receiveResponse(rest, limits: limits)
                guard let received else { return }
                offset += received.consumed
                if received.head.isInterim {
                    lastActivityAt = worker.now
                    if let excess = exchange.request?.interim.take(bytes: received.head.bytes.count, now: worker.now) {
                        return exchange.upstreamBrokeRules(excess)
                    }
                    exchange.receiveInterim(received.head)
                } else {
                    state = .relaying
                    lastActivityAt = worker.now
                    try exchange.receive(received.head)
                    if state == .relaying { wake(atMilliseconds: min(nextDeadline, worker.now + 3_600_000)) }
                }
            } catch {
                return exchange.upstreamBrokeRules("\(error.reason)")
            }
        }
        // The bytes behind the head, or, for a response without a body, the knowledge that there are none.
        if state == .relaying { exchange?.receive(bytes, from: offset) }
    }

    override func linkReachedEnd() {
        switch state {
        case .idle:
            group.forgetIdle(self, server: server)
            discard()
        case .awaitingHead, .relaying:
            exchange?.upstreamReachedEnd(wasInHead: state == .awaitingHead)
        case .connecting, .securing, .closed:
            return
        }
    }

    override func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        switch state {
        case .connecting:
            giveUp(ServerFailure(connecting: error), error)
        case .securing:
            giveUp(.handshakeBroken, error, evidence: "\(error.message) during the TLS handshake")
        case .idle:
            group.forgetIdle(self, server: server)
            discard()
        case .awaitingHead, .relaying:
            // A server that answers early and closes resets what it does not want to read; its answer still counts.
            if operation == .writing { readWhatIsLeft() }
            guard isOpen, let exchange else { return }
            exchange.upstreamFailed(error, wasInHead: state == .awaitingHead)
        case .closed:
            return
        }
    }

    override func linkProgressed(_ count: Int) { lastActivityAt = worker.now }

    override func linkDrained() { exchange?.upstreamDrained() }
}
