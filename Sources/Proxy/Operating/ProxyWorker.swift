// The proxy on one worker: its listening sockets, its exchanges and their clients. Reloads and the proxy's end reach them through this
// class.

import Configuration
import Downstreams
import Exchanges
import HTTP
import Reactor
import Telemetry

/// The proxy on one worker.
final class ProxyWorker: ExchangeHost {
    let worker: Worker
    let exchanges: ExchangeWorker
    private var listening: [SocketAddress: WatchedListener] = [:]
    private var drainDeadline: DrainDeadline?
    /// The span over which streams are ended; nil if the proxy is not ending.
    private var drainSpan: Range<Int64>?

    init(worker: Worker, settings: Settings, shared: SharedState, addresses: [[[SocketAddress]]]) {
        self.worker = worker
        exchanges = ExchangeWorker(worker: worker, settings: settings, shared: shared, addresses: addresses)
        exchanges.whenDrained = { [unowned self] in
            drainDeadline?.closeTimer()
            self.worker.stop()
        }
        worker.resident = self
    }

    /// The proxy on a worker, for jobs from its mailbox.
    static func on(_ worker: Worker) -> ProxyWorker? { worker.resident as? ProxyWorker }

    private var clients: DownstreamWorker { exchanges.clients }

    /// How long new clients may still send a request when the proxy ends.
    private static let newcomerMilliseconds = 1_000

    // MARK: Listening

    /// Takes connections from a listening socket, which is closed on a failure. Without a listener they are refused.
    func listen(on descriptor: Int32, as security: ListenerSecurity?) throws(SystemError) {
        guard let address = worker.kernel.localAddress(of: descriptor) else { preconditionFailure("a listening socket has an address") }
        let place = listening[address]?.place ?? ListeningPlace(security, number: number(of: security))
        setPatience(ofListener: descriptor)
        let acceptor = try Acceptor(
            worker: worker, descriptor: descriptor,
            accepted: { [unowned self] in clients.accept($0, at: place) },
            exhausted: { [unowned self] in noteExhaustion($0) })
        listening[address, default: WatchedListener(place: place)].acceptors.append(acceptor)
    }

    private func number(of security: ListenerSecurity?) -> Int32 {
        security.map { exchanges.settings.series(of: $0.listener) } ?? MetricSeries.none
    }

    /// Accepted connections inherit it. So a heartbeat that a vanished client does not acknowledge finds it out, and without heartbeats
    /// probes do.
    private func setPatience(ofListener descriptor: Int32) {
        let stall = exchanges.settings.configuration.timeouts.clientStallMilliseconds
        worker.kernel.setPatience(
            Patience(keepAliveSeconds: ExchangeWorker.probeAfterSeconds, unacknowledgedMilliseconds: Int32(clamping: stall)),
            of: descriptor)
    }

    /// Accepts what waits in the listening sockets' backlogs, and closes them.
    private func stopListening() {
        let acceptors = listening.values.flatMap(\.acceptors)
        listening = [:]
        for acceptor in acceptors { acceptor.close() }
    }

    /// Closes the listening sockets of a proxy that failed to start.
    func abandonListening() {
        for acceptor in listening.values.flatMap(\.acceptors) { acceptor.closeAtOnce() }
        listening = [:]
    }

    private func noteExhaustion(_ error: SystemError) {
        exchanges.giveWay()
        worker.warn("no connection can be accepted for the moment: \(error.message)")
    }

    // MARK: The end

    /// Stops accepting and ends everything: idle connections now, event streams at a boundary, other exchanges when they are complete,
    /// and all of them after the grace period. Streams end at moments spread over `streamMilliseconds`, which lies within the grace
    /// period or extends it. Clients that were not served yet may send a request within `newcomerMilliseconds`, or a moment. The worker
    /// stops when nothing is left.
    func drain(graceMilliseconds: Int, streamMilliseconds: Int = 0, newcomerMilliseconds: Int? = nil) {
        guard drainSpan == nil else { return }
        let newcomersUntil = worker.now + Int64(newcomerMilliseconds ?? min(ProxyWorker.newcomerMilliseconds, graceMilliseconds))
        clients.beginDraining(newcomersUntil: newcomersUntil)
        endStreams(within: worker.now..<(worker.now + Int64(streamMilliseconds) + 1))
        stopListening()
        drainDeadline = DrainDeadline(worker: worker, after: max(graceMilliseconds, streamMilliseconds)) { [unowned self] in
            clients.endGrace()
        }
        clients.drainConnections()
    }

    private func endStreams(within span: Range<Int64>) {
        drainSpan = span
        exchanges.endStreams(within: span)
    }

    /// Shortens an end that has begun to that time: streams end within half of it, still one by one.
    func endWithin(milliseconds: Int) {
        guard let span = drainSpan else { return drain(graceMilliseconds: milliseconds, streamMilliseconds: milliseconds / 2) }
        clients.beginDraining(newcomersUntil: worker.now)
        endStreams(within: worker.now..<max(worker.now + 1, min(span.upperBound, worker.now + Int64(milliseconds) / 2)))
        drainDeadline?.bringForward(to: worker.now + Int64(milliseconds))
        clients.drainConnections()
    }

    // MARK: A generation comes into force

    /// Puts other settings in force. What runs goes on under its own settings. Requests that come from now on, also on a connection that
    /// stands, are served under these. Sockets whose address has no listener are closed after what waits in them was taken; where a
    /// manager has them open too (`refused`), their connections are refused. `listenFailed` is called for each new socket that cannot
    /// be watched.
    func adopt(
        _ settings: Settings, shared: SharedState, addresses: [[[SocketAddress]]], listeners: [SocketAddress: ListenerSecurity],
        refused: Set<SocketAddress> = [], newSockets: [SocketAddress: [Int32]] = [:],
        listenFailed: (SocketAddress, SystemError) -> Void = { _, _ in }
    ) {
        exchanges.adopt(settings, shared: shared, addresses: addresses)
        describeStreams()
        for (address, old) in listening {
            guard let security = listeners[address] else {
                if refused.contains(address) {
                    for acceptor in old.acceptors { acceptor.takeAll() }
                    old.place.security = nil
                } else {
                    listening[address] = nil
                    for acceptor in old.acceptors { acceptor.close() }
                }
                continue
            }
            old.place.security = security
            exchanges.renumber(old.place, number(of: security))
            for acceptor in old.acceptors { setPatience(ofListener: acceptor.descriptor) }
        }
        for (address, descriptors) in newSockets {
            for descriptor in descriptors {
                do { try listen(on: descriptor, as: listeners[address]) } catch { listenFailed(address, error) }
            }
        }
    }

    /// The stream log's file was opened again: running streams are written into it.
    func streamLogOpened() {
        exchanges.streamLogOpened()
        describeStreams()
    }

    private func describeStreams() {
        if exchanges.describeSomeStreams() { worker.mailbox.post { ProxyWorker.on($0)?.describeStreams() } }
    }

    /// Takes the current addresses of the upstreams' names, if these settings are still current.
    func update(addresses: [[[SocketAddress]]], of settings: Settings) {
        if exchanges.settings === settings { exchanges.generation.update(addresses: addresses) }
    }
}

/// The sockets of one address that this worker watches, and what holds for connections that come by them.
private struct WatchedListener {
    let place: ListeningPlace
    var acceptors: [Acceptor] = []
}

/// A deadline of the worker itself, without a connection.
private final class DrainDeadline: Endpoint {
    private let reached: () -> Void
    private var deadline: Int64

    init(worker: Worker, after milliseconds: Int, reached: @escaping () -> Void) {
        self.reached = reached
        deadline = worker.now + Int64(milliseconds)
        super.init(worker: worker)
        openTimer()
        wake(atMilliseconds: deadline)
    }

    /// Moves the deadline to that moment, if it is later now.
    func bringForward(to moment: Int64) {
        deadline = min(deadline, moment)
        wake(atMilliseconds: deadline)
    }

    override func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        reached()
    }
}
