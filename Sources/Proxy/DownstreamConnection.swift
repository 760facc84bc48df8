// One connection from a client: HTTP/1.1 as its server. It is in one state at a time, which decides what becomes of whatever the link and
// the worker report. Requests are read in DownstreamRequest.swift, responses framed in DownstreamResponse.swift; what a request means is
// the exchange's. Invariant: at most one exchange at a time; bytes that cannot be used yet are put aside, never more than one
// read, and then nothing more is read.

import Configuration
import HTTP
import Reactor
import Telemetry

/// A connection from a client.
final class DownstreamConnection: Link {
    enum State: UInt8 {
        /// The TLS handshake is under way.
        case securing
        /// No byte of a request has come.
        case idle
        case readingHead
        case exchanging
        /// The response is whole, and its last bytes are on their way to the kernel; the next request waits for that.
        case flushing
        /// All is said; the last bytes are on their way to the kernel.
        case closing
        /// Our side is shut; what still comes is thrown away, so that no reset overtakes the last answer.
        case lingering
        case closed
    }

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let isHTTP10 = Flags(rawValue: 1)
        static let requestKeepsAlive = Flags(rawValue: 2)
        static let responseKeepsAlive = Flags(rawValue: 4)
        static let expectsTunnelEnd = Flags(rawValue: 8)
        static let endsByClosing = Flags(rawValue: 16)
        static let awaitsTurnEnd = Flags(rawValue: 32)
        /// A request has been read on this connection.
        static let hasServed = Flags(rawValue: 64)
        /// The connection is one too many, in all or for its address.
        static let exceedsConnections = Flags(rawValue: 128)
        static let exceedsConnectionsPerClient = Flags(rawValue: 256)
        static let exceeds: Flags = [.exceedsConnections, .exceedsConnectionsPerClient]
        /// It is asked what it wants all the same.
        static let isHeard = Flags(rawValue: 512)
        /// What came behind the present request was thrown away, so that no further request can be read.
        static let discardsInput = Flags(rawValue: 1024)
        /// No request is served behind the present one.
        static let isLast: Flags = [.exceeds, .discardsInput]
        /// A trusted proxy passes on the bytes of a client that it could not name: they are not that proxy's own words.
        static let hasUnknownClient = Flags(rawValue: 2048)
        /// What holds for the connection, and not for one exchange.
        static let lasting: Flags = [.exceedsConnections, .exceedsConnectionsPerClient, .hasUnknownClient]
    }

    static let lingerMilliseconds: Int64 = 2000
    private static let lingerBytes = 1 << 20

    let proxy: ProxyWorker
    private let place: ListeningPlace
    private var listenerState: ListenerSecurity
    /// The newest generation that it has taken notice of.
    private var generationNumber: Int
    let peer: SocketAddress
    private(set) var isTrusted: Bool
    /// Whether it stands in the count of its client's address.
    let isCounted: Bool
    /// The address that a trusted proxy named last in `X-Forwarded-For`.
    var forwardedClient: [UInt8]?
    var state = State.idle
    var flags: Flags = []
    var outgoingFraming = OutgoingFraming.none
    /// A response's head that has not been sent yet, because the body's beginning lies beside it.
    var withheldHead: [UInt8] = []
    var partialHead: PartialHead?
    var exchange: Exchange?
    var requestBody = BodyRelay(framing: .none)
    var putAside: [UInt8] = []
    /// Monotonic milliseconds: when the present state, or the wait for bytes in it, began.
    var waitingSince: Int64
    /// Monotonic milliseconds: when the client last took bytes that were pending, or bytes began to be.
    var lastProgressAt: Int64 = 0
    private var lingeredBytes = 0

    init(
        proxy: ProxyWorker, place: ListeningPlace, security: ListenerSecurity, peer: SocketAddress, isTrusted: Bool, isCounted: Bool,
        hasUnknownClient: Bool = false
    ) {
        self.proxy = proxy
        self.place = place
        listenerState = security
        generationNumber = proxy.generation.number
        self.peer = peer
        self.isTrusted = isTrusted
        self.isCounted = isCounted
        if hasUnknownClient { flags = .hasUnknownClient }
        waitingSince = proxy.worker.now
        super.init(worker: proxy.worker)
    }

    /// Begins to serve, or tells the client which limit stands against it.
    func begin(admission: SharedState.Admission) {
        switch admission {
        case .admitted: break
        case .heard(let limit): flags.formUnion([flag(of: limit), .isHeard])
        case .refused(let limit), .shed(let limit): flags.insert(flag(of: limit))
        }
        if listener.tls == nil { return beginToServe() }
        state = .securing
        wake(atMilliseconds: nextDeadline)
    }

    private func flag(of limit: ConnectionLimit) -> Flags {
        switch limit {
        case .connections: .exceedsConnections
        case .connectionsPerClient: .exceedsConnectionsPerClient
        }
    }

    private func beginToServe() {
        state = .idle
        waitingSince = worker.now
        if !flags.contains(.isHeard), let overload = refusalOfOverload() { return answer(overload, to: nil) }
        wake(atMilliseconds: nextDeadline)
    }

    /// What a connection that is one too many is answered, which the operator hears of; nil for one that is not.
    func refusalOfOverload() -> Refusal? {
        guard !flags.isDisjoint(with: .exceeds) else { return nil }
        let limit: ConnectionLimit = flags.contains(.exceedsConnections) ? .connections : .connectionsPerClient
        proxy.complain("the limit \(limit.rawValue) is reached; clients are refused or told to come back")
        return Refusal(status: 503, cause: .refusedByLimit, evidence: "the limit \(limit.rawValue) is reached", limit: limit.rawValue)
    }

    /// Between two requests, what a reload has changed takes effect.
    func takeNoticeOfReload() {
        guard generationNumber != proxy.generation.number else { return }
        generationNumber = proxy.generation.number
        listenerState = place.security ?? listenerState
        isTrusted = !flags.contains(.hasUnknownClient) && proxy.isTrusted(peer)
    }

    // MARK: What the listener is told to do

    /// What the connection is secured by from its beginning on; nil for plain HTTP.
    var securityContext: TLSServerContext? { listenerState.context }

    /// The listener that took the connection.
    var listener: Listener { listenerState.listener }

    /// For `Strict-Transport-Security`; nil where nothing is said of it.
    var strictTransportSecuritySeconds: Int? { isSecured ? listener.strictTransportSecuritySeconds : nil }

    /// The field in which the server is told of clients' certificates; nil where it is not.
    var clientSubjectField: String? { listener.tls?.clientSubjectField }

    /// The field in which the server is told of the client's certificate, and what; nil without either.
    var clientSubject: (field: String, subject: [UInt8])? {
        guard let field = clientSubjectField, let subject = peerSubject else { return nil }
        return (field, subject)
    }

    /// Whether the client's certificate, by which it was let in, has ended since.
    var clientCertificateIsOver: Bool { (listener.tls?.clientCertificates ?? .off) != .off && peerCertificateIsOver }

    // MARK: Closing

    func closeNow(abortively: Bool = false) {
        guard state != .closed else { return }
        state = .closed
        forgetHeldBytes()
        // Where only the connection's end tells that a response is whole, one whose rest is given up must not end in order.
        if abortively || (pendingCount > 0 && flags.contains(.endsByClosing)) { abort() } else { close() }
        proxy.connectionClosed(peer, isCounted: isCounted)
    }

    /// Says the last bytes and closes. Where the client may still be sending, the rest of that is read and thrown away first:
    /// closing with unread bytes would reset the connection and could destroy the answer.
    func closeGracefully(lingers: Bool) {
        state = lingers ? .lingering : .closing
        waitingSince = worker.now
        forgetHeldBytes()
        shutdownWhenDrained()
        if lingers { resumeReading() } else if pendingCount == 0 { return closeNow() }
        wake(atMilliseconds: nextDeadline)
    }

    // MARK: Deadlines

    override func deadlineReached() {
        let now = worker.now
        var nextBeat = Int64.max
        if state == .exchanging, let exchange {
            exchange.endIfDue()
            nextBeat = min(exchange.beat(now: now), exchange.attend())
        }
        // The timer may have been set for something else, or been put off since.
        let deadline = nextDeadline
        guard now >= deadline else {
            return wake(atMilliseconds: min(nextBeat, deadline))
        }
        switch state {
        case .idle, .lingering: closeNow()
        case .securing where now >= proxy.newcomersUntil, .readingHead where now >= proxy.newcomersUntil: closeNow()
        case .securing:
            failHandshake(.handshakeTimeout, "no TLS handshake within \(handshakeMilliseconds) ms")
        case .readingHead:
            answer(
                Refusal(
                    status: 408, cause: .requestTimeout,
                    evidence: "no whole request head within \(requestHeadMilliseconds) ms"),
                to: nil)
        case .exchanging: exchangeDeadlineReached(now: now)
        case .flushing, .closing: closeNow(abortively: true)
        case .closed: return
        }
    }

    /// Nobody can be answered without a handshake; it is counted and written down.
    private func failHandshake(_ cause: Cause, _ evidence: String) {
        proxy.shared.noteFailedHandshake()
        proxy.logFailedConnection(from: peer, Ending(cause: cause, evidence: evidence))
        closeNow()
    }

    // MARK: What the link and the worker report

    override func turnEnded() {
        super.turnEnded()
        guard isOpen, flags.contains(.awaitsTurnEnd) else { return }
        flags.remove(.awaitsTurnEnd)
        let bytes = takePutAside()
        waitingSince = worker.now
        redeliver(bytes)
        guard isOpen, state == .idle || state == .readingHead || state == .exchanging, putAside.isEmpty else { return }
        if exchange.map({ takesBytes(of: $0) }) ?? true { resumeReading() }
        wake(atMilliseconds: nextDeadline)
    }

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
        case .flushing: putAside(UnsafeRawBufferPointer(bytes))
        case .lingering:
            lingeredBytes += bytes.count
            if lingeredBytes > DownstreamConnection.lingerBytes { closeNow() }
        case .closing, .closed:
            return
        }
    }

    override func linkReachedEnd() {
        switch state {
        case .lingering where pendingCount > 0: state = .closing
        case .idle, .securing, .lingering: closeNow()
        case .flushing: state = .closing
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
            if state == .flushing, !isBroken { return state = .closing }
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

    override func linkBeganToWait() {
        lastProgressAt = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    override func linkProgressed(_ count: Int) { lastProgressAt = worker.now }

    override func linkDrained() {
        switch state {
        case .exchanging: exchange?.downstreamDrained()
        case .flushing:
            if flags.contains(.discardsInput) {
                closeGracefully(lingers: true)
            } else if proxy.isDraining {
                closeGracefully(lingers: false)
            } else {
                awaitRequest()
            }
        case .closing: closeNow()
        case .lingering:
            waitingSince = worker.now
            wake(atMilliseconds: nextDeadline)
        case .securing, .idle, .readingHead, .closed: return
        }
    }

    // MARK: The proxy ends

    /// No further request is taken; an exchange may finish.
    func drain() {
        switch state {
        case .idle where flags.contains(.hasServed): closeNow()
        case .securing, .idle, .readingHead: wake(atMilliseconds: nextDeadline)
        case .exchanging:
            if let exchange, let moment = proxy.takeDrainMoment() { exchange.endAtBoundary(from: moment) }
        case .flushing, .closing, .lingering, .closed: return
        }
    }

    /// The grace period is over.
    func endGrace() {
        exchange?.endGrace()
        closeNow()
    }
}
