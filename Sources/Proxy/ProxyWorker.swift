// Everything of the proxy that lives on one worker: its connections, its upstreams' pools, its way into the logs.
// Nothing in it is shared with another worker but `SharedState`.

import Configuration
import HTTP
import Reactor
import Telemetry

/// The proxy on one worker.
final class ProxyWorker {
    let worker: Worker
    /// What is in force here.
    private(set) var generation: Generation
    private(set) var shared: SharedState
    /// Nil while no events are logged, as mostly.
    private(set) var eventLog: EventLog?
    /// The span over which streams are ended, one by one, so that their clients do not all come back at once.
    private var drainSpan: Range<Int64> = 0..<1
    /// While the proxy ends: until when clients without an exchange may begin one; `.max` before.
    private(set) var newcomersUntil = Int64.max
    private var complaints: [String: Complaint] = [:]
    /// Set when the proxy is to end: no connection is kept for another request, event streams end at their next boundary.
    private(set) var isDraining = false
    private var listening: [SocketAddress: Listening] = [:]
    private var nextExchangeNumber: UInt64 = 0
    private var downstreamCount = 0
    private var drainDeadline: DrainDeadline?
    /// Reused for every log line.
    private var line: [UInt8] = []
    private var lastDate = HTTPDate()

    init(worker: Worker, settings: Settings, shared: SharedState, addresses: [[[SocketAddress]]]) {
        self.worker = worker
        self.shared = shared
        generation = Generation(settings, addresses: addresses, workerNumber: worker.number)
        eventLog = EventLog.replacing(nil, by: shared.eventLog, worker)
        worker.resident = self
    }

    /// The proxy that lives on a worker, for jobs from its mailbox.
    static func on(_ worker: Worker) -> ProxyWorker? { worker.resident as? ProxyWorker }

    /// The value of a `Date` field.
    func date() -> [UInt8] { lastDate.text(at: worker.kernel.unixMilliseconds() / 1000) }

    var settings: Settings { generation.settings }
    var groups: [ServerGroup] { generation.groups }

    /// After how many seconds of silence the kernel asks a peer whether it is still there.
    static let probeAfterSeconds: Int32 = 60

    /// How long clients that have only just connected may still ask when the proxy ends.
    private static let newcomerMilliseconds = 1_000

    // MARK: Listening

    /// Takes connections from a listening socket, which is closed where that does not come about. Without a listener they are refused.
    func listen(on descriptor: Int32, as security: ListenerSecurity?) throws(SystemError) {
        guard let address = worker.kernel.localAddress(of: descriptor) else { preconditionFailure("a listening socket has an address") }
        let place = listening[address]?.place ?? ListeningPlace(security)
        setPatience(ofListener: descriptor)
        let acceptor = try Acceptor(
            worker: worker, descriptor: descriptor,
            accepted: { [unowned self] in accept($0, at: place) },
            exhausted: { [unowned self] in noteExhaustion($0) })
        listening[address, default: Listening(place: place)].acceptors.append(acceptor)
    }

    /// Accepted connections inherit it: so a client that vanished is noticed by the heartbeat that it does not acknowledge, and
    /// without heartbeats by probes.
    private func setPatience(ofListener descriptor: Int32) {
        let stall = settings.configuration.timeouts.clientStallMilliseconds
        worker.kernel.setPatience(
            Patience(keepAliveSeconds: ProxyWorker.probeAfterSeconds, unacknowledgedMilliseconds: Int32(clamping: stall)),
            of: descriptor)
    }

    /// Closes the listening sockets, after having taken what waits in them.
    private func stopListening() {
        let acceptors = listening.values.flatMap(\.acceptors)
        listening = [:]
        for acceptor in acceptors { acceptor.close() }
    }

    /// Closes the listening sockets of a proxy that does not come about.
    func abandonListening() {
        for acceptor in listening.values.flatMap(\.acceptors) { acceptor.closeAtOnce() }
        listening = [:]
    }

    private func accept(_ accepted: AcceptedConnection, at place: ListeningPlace) {
        // As if nobody listened here any more: but for whoever else holds the socket, nobody would.
        guard let security = place.security else { return worker.kernel.close(accepted.descriptor, abortively: true) }
        if security.listener.takesProxyProtocol { return awaitHeader(accepted, at: place, security) }
        let isTrusted = self.isTrusted(accepted.peer)
        let isCounted = shared.countsClients && !isTrusted
        guard let admission = admit(accepted, isCounted: isCounted) else { return }
        let connection = DownstreamConnection(
            proxy: self, place: place, security: security, peer: accepted.peer, isTrusted: isTrusted, isCounted: isCounted)
        begin(connection, accepted.descriptor, admission: admission)
    }

    /// Counts a connection, also by its client's address where `isCounted` says so; nil where it was closed, because far too many came.
    func admit(_ accepted: AcceptedConnection, isCounted: Bool) -> SharedState.Admission? {
        let admission = shared.admit(accepted.peer, isTrusted: !isCounted)
        downstreamCount += 1
        guard case .shed(let limit) = admission else { return admission }
        shed(accepted.descriptor, of: accepted.peer, isCounted: isCounted, limit)
        return nil
    }

    private func shed(_ descriptor: Int32, of client: SocketAddress, isCounted: Bool, _ limit: ConnectionLimit) {
        complain("the limit \(limit.rawValue) is far exceeded; connections are closed without an answer")
        worker.kernel.close(descriptor, abortively: true)
        connectionClosed(client, isCounted: isCounted)
    }

    /// Serves a connection that was counted.
    func begin(_ connection: DownstreamConnection, _ descriptor: Int32, admission: SharedState.Admission) {
        if case .shed(let limit) = admission { return shed(descriptor, of: connection.peer, isCounted: connection.isCounted, limit) }
        do {
            try connection.adopt(descriptor, securedBy: connection.securityContext)
        } catch {
            return connectionClosed(connection.peer, isCounted: connection.isCounted)
        }
        connection.begin(admission: admission)
    }

    private func noteExhaustion(_ error: SystemError) {
        complain("no connection can be accepted for the moment: \(error.message)")
    }

    /// Tells the operator of something that may go on and on; the same at most every ten seconds, with how often it was.
    func complain(_ what: String) {
        guard let times = complaints[what, default: Complaint()].occurred(now: worker.now) else { return }
        SystemProcess.complain("heartwire: \(what)\(times)")
    }

    /// What one more who reads slowly is answered, when too much waits already; nil while there is room.
    func refusalOfPending() -> Refusal? {
        guard worker.pendingBytes > settings.pendingBytesPerWorker else { return nil }
        complain("the limit pending is reached; whoever reads too slowly now is closed")
        return Refusal(
            status: 503, cause: .refusedByLimit, evidence: "the limit pending is reached: \(worker.pendingBytes) bytes wait on this worker",
            limit: "pending")
    }

    /// Whether so much waits, that of those included who were refused for it already, that nobody is given time for it any more.
    var isPendingFarExceeded: Bool {
        let limit = settings.pendingBytesPerWorker
        return worker.pendingBytes > limit + limit / 8 + Worker.scratchBytes
    }

    /// Whether a peer's `X-Forwarded-*` fields are believed now.
    func isTrusted(_ peer: SocketAddress) -> Bool {
        guard !settings.configuration.trustedProxies.isEmpty else { return false }
        let bytes = peer.bytes
        return settings.configuration.trustedProxies.contains { $0.contains(bytes.span) }
    }

    /// A downstream connection is closed, however it came to that.
    func connectionClosed(_ peer: SocketAddress, isCounted: Bool) {
        shared.leave(peer, isCounted: isCounted)
        downstreamCount -= 1
        stopWhenDrained()
    }

    /// The number of the next exchange on this worker.
    func takeExchangeNumber() -> UInt64 {
        nextExchangeNumber += 1
        return nextExchangeNumber
    }

    // MARK: Logs

    func log(_ opening: StreamOpening) { write(to: shared.streamLog) { opening.encode(into: &$0) } }

    func log(_ ending: StreamEnding) { write(to: shared.streamLog) { ending.encode(into: &$0) } }

    func log(_ record: AccessRecord) { write(to: shared.accessLog) { record.encode(into: &$0) } }

    private func write(to log: LogWriter?, _ encode: (inout [UInt8]) -> Void) {
        guard let log else { return }
        line.removeAll(keepingCapacity: true)
        encode(&line)
        _ = log.submit(line)
    }

    // MARK: The end

    /// Stops to accept and ends what there is: idle connections now, event streams at a boundary, other exchanges when they
    /// are done, all of them after the grace period. Streams are ended at moments spread over `streamMilliseconds`, which lies within
    /// the grace period or extends it. Clients that were not served yet may ask within `newcomerMilliseconds`, or a moment. The
    /// worker stops when nothing is left.
    func drain(graceMilliseconds: Int, streamMilliseconds: Int = 0, newcomerMilliseconds: Int? = nil) {
        guard !isDraining else { return }
        isDraining = true
        newcomersUntil = worker.now + Int64(newcomerMilliseconds ?? min(ProxyWorker.newcomerMilliseconds, graceMilliseconds))
        drainSpan = worker.now..<(worker.now + Int64(streamMilliseconds) + 1)
        stopListening()
        for group in groups { group.closeIdle() }
        forEachConnection { $0.drain() }
        drainDeadline = DrainDeadline(worker: worker, after: max(graceMilliseconds, streamMilliseconds)) { [unowned self] in
            forEachConnection { $0.endGrace() }
        }
        stopWhenDrained()
    }

    /// Lets an end that has begun take no longer than that: streams are ended, one by one still, within half of it.
    func hasten(milliseconds: Int) {
        guard isDraining else { return drain(graceMilliseconds: milliseconds, streamMilliseconds: milliseconds / 2) }
        newcomersUntil = min(newcomersUntil, worker.now)
        drainSpan = worker.now..<max(worker.now + 1, min(drainSpan.upperBound, worker.now + Int64(milliseconds) / 2))
        drainDeadline?.bringForward(to: worker.now + Int64(milliseconds))
        forEachConnection { $0.drain() }
    }

    /// When the next stream is to be ended; nil while the proxy goes on.
    func takeDrainMoment() -> Int64? {
        guard isDraining else { return nil }
        return drainSpan.lowerBound + Int64(chance(below: UInt64(drainSpan.count)))
    }

    /// A number of chance below the limit.
    func chance(below limit: UInt64) -> UInt64 {
        var number: UInt64 = 0
        withUnsafeMutableBytes(of: &number) { worker.kernel.fillRandom($0) }
        return number % limit
    }

    private func forEachConnection(_ body: (any Drainable) -> Void) {
        for endpoint in worker.openEndpoints {
            if let connection = endpoint as? any Drainable { body(connection) }
        }
    }

    private func stopWhenDrained() {
        guard isDraining, downstreamCount == 0 else { return }
        drainDeadline?.closeTimer()
        worker.stop()
    }

    // MARK: Reading anew

    /// Puts other settings in force. What runs goes on under its own; who comes from now on, also on a connection that stands, is
    /// served under these. Sockets whose address is not among the listeners are closed, or refuse whoever comes where they are held
    /// elsewhere too (`unwanted`), after what waits in them was taken.
    func adopt(
        _ settings: Settings, shared: SharedState, addresses: [[[SocketAddress]]], listeners: [SocketAddress: ListenerSecurity],
        unwanted: Set<SocketAddress> = [], newSockets: [NewSocket]
    ) {
        self.shared = shared
        eventLog = EventLog.replacing(eventLog, by: shared.eventLog, worker)
        generation = Generation(settings, addresses: addresses, workerNumber: worker.number, succeeding: generation)
        for (address, old) in listening {
            guard let security = listeners[address] else {
                if unwanted.contains(address) {
                    for acceptor in old.acceptors { acceptor.takeAll() }
                    old.place.security = nil
                } else {
                    listening[address] = nil
                    for acceptor in old.acceptors { acceptor.close() }
                }
                continue
            }
            old.place.security = security
            for acceptor in old.acceptors { setPatience(ofListener: acceptor.descriptor) }
        }
        for socket in newSockets {
            guard let security = listeners[socket.address] else { preconditionFailure("a new socket is a listener's") }
            do { try listen(on: socket.descriptor, as: security) } catch {
                complain("one worker cannot listen on \(socket.address): \(error.message)")
            }
        }
    }

    /// Takes what the upstreams' names stand for now, if these settings are in force still.
    func update(addresses: [[[SocketAddress]]], of settings: Settings) {
        if generation.settings === settings { generation.update(addresses: addresses) }
    }
}

/// A client's connection, in whatever stage, when the proxy ends.
protocol Drainable {
    /// Takes no further request; what is under way may finish.
    func drain()
    /// Ends at once: the grace period is over.
    func endGrace()
}

extension DownstreamConnection: Drainable {}
extension ProxiedArrival: Drainable {}

/// What connections that come by one address of one worker are subject to, now.
final class ListeningPlace {
    /// Nil where no listener wants them.
    fileprivate(set) var security: ListenerSecurity?

    init(_ security: ListenerSecurity?) { self.security = security }
}

/// One address of one worker with its sockets.
private struct Listening {
    let place: ListeningPlace
    var acceptors: [Acceptor] = []
}

/// A listening socket on its way to a worker.
struct NewSocket: Sendable {
    let address: SocketAddress
    let descriptor: Int32
}

/// Something that goes wrong again and again.
struct Complaint {
    /// It is told at most so often.
    static let intervalMilliseconds: Int64 = 10_000

    private var count = 0
    private var saidAt = Int64.min / 2

    /// It happened (again): what is to be said of how often, and in which time; nil while it was told only lately.
    mutating func occurred(now: Int64) -> String? {
        count += 1
        guard now - saidAt >= Complaint.intervalMilliseconds else { return nil }
        defer {
            count = 0
            saidAt = now
        }
        return count == 1 ? "" : " (\(count) times in \((now - saidAt) / 1000) s)"
    }
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

    /// It comes then, if it would have come later.
    func bringForward(to moment: Int64) {
        deadline = min(deadline, moment)
        wake(atMilliseconds: deadline)
    }

    override func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        reached()
    }
}
