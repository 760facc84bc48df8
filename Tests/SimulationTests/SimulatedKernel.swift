// The calls of `Kernel` in the simulated world, with faults in every call that can fail. Several workers may use it, each with its own
// poller; SimulatedPolling.swift has the pollers. Invariant: the kernel never lies about bytes; only their pace, their ends and the
// available room are random.

import Reactor
import TestSupport

final class SimulatedKernel: Kernel, @unchecked Sendable {
    /// What an address does with clients that connect to it.
    enum Listening {
        /// An actor, which gets its end of each connection.
        case actor((SimulatedSocket) -> Void)
        /// No listener: connections are refused.
        case refused
        /// No answer at all.
        case silent
    }

    /// A listening socket of the proxy, with its backlog.
    final class Listener {
        let address: SocketAddress
        var backlog: [(socket: SimulatedSocket, peer: SocketAddress)] = []
        var patience = Patience(keepAliveSeconds: 0, unacknowledgedMilliseconds: 0)

        init(_ address: SocketAddress) { self.address = address }
    }

    enum Node {
        case listener(Listener)
        case socket(SimulatedSocket)
        case poller
        case waker(isSignalled: Bool)
    }

    let world: SimulatedWorld
    let bufferBytes: Int
    var addresses: [SocketAddress: Listening] = [:]
    /// How many descriptors the process may have.
    var descriptorLimit = Int.max
    /// The offset of the time of day from its start, in milliseconds; every value that it ever had.
    private(set) var clockOffsets: [Int64] = [0]
    /// When each of them began.
    private var clockSetAt: [Int64] = [.min]
    /// All that the proxy tried to connect to.
    private(set) var attempts: [ConnectionAttempt] = []
    /// Client sockets that the proxy holds, by the client's address.
    private var accepted: [Int32: SocketAddress] = [:]
    /// How many connections of clients the proxy has accepted; those to the console do not count.
    private(set) var acceptedCount = 0
    private var listeners: [Int32] = []
    var nodes: [Int32: Node] = [:]
    var watches: [Int32: Watch] = [:]
    var pollers: [Int32: Poller] = [:]
    private var nextDescriptor: Int32 = 3
    /// With several workers none may block: `wait` returns at once, and the scenario runs the workers with news.
    var neverWaits = false

    static let epochMilliseconds: Int64 = 1_700_000_000_000

    init(_ world: SimulatedWorld, bufferBytes: Int) {
        self.world = world
        self.bufferBytes = bufferBytes
        super.init()
    }

    /// Descriptors that are open.
    var openCount: Int { nodes.count }

    private func add(_ node: Node) -> Int32 {
        nextDescriptor += 1
        nodes[nextDescriptor] = node
        return nextDescriptor
    }

    private func socket(_ descriptor: Int32) -> SimulatedSocket {
        guard case .socket(let socket) = nodes[descriptor] else { preconditionFailure("descriptor \(descriptor) is no open socket") }
        return socket
    }

    /// Whether a call fails because no descriptor is left.
    private func isExhausted(_ share: Int, _ name: String) -> Bool {
        if openCount >= descriptorLimit {
            world.count("no descriptor left, \(name)")
            return true
        }
        return world.strikes(share, "EMFILE, \(name)")
    }

    // MARK: Time and random bytes

    override func monotonicMilliseconds() -> Int64 { world.now }
    override func unixMilliseconds() -> Int64 { SimulatedKernel.epochMilliseconds + clockOffsets[clockOffsets.count - 1] + world.now }
    override func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
        for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: world.chance.next()) }
    }

    /// The operator sets the clock.
    func setClock(by milliseconds: Int64) {
        world.count("clock set")
        clockOffsets.append(clockOffsets[clockOffsets.count - 1] + milliseconds)
        clockSetAt.append(world.now)
    }

    /// All that the time of day was between the two moments, in seconds since 1970.
    func clockReadings(from start: Int64, to end: Int64) -> [ClosedRange<Int64>] {
        clockOffsets.indices.compactMap { index in
            let first = max(start, clockSetAt[index])
            let last = index + 1 < clockSetAt.count ? min(end, clockSetAt[index + 1]) : end
            guard first <= last else { return nil }
            let offset = SimulatedKernel.epochMilliseconds + clockOffsets[index]
            return (offset + first) / 1_000...(offset + last) / 1_000
        }
    }

    // MARK: Connections

    override func listen(_ address: SocketAddress, sharingPort: Bool) throws(SystemError) -> Int32 {
        let descriptor = add(.listener(Listener(address)))
        listeners.append(descriptor)
        return descriptor
    }

    private func listener(_ descriptor: Int32) -> Listener? {
        guard case .listener(let listener) = nodes[descriptor] else { return nil }
        return listener
    }

    override func localAddress(of descriptor: Int32) -> SocketAddress? { listener(descriptor)?.address }

    /// An actor connects to the proxy. Its end is returned at once; the proxy's end waits in the backlog of one of its workers.
    func connectToProxy(_ address: SocketAddress, from peer: SocketAddress) -> SimulatedSocket {
        let (client, server) = SimulatedSocket.pair(world, capacity: bufferBytes)
        client.phase = .open
        client.client = peer
        server.phase = .open
        world.after(world.delay()) { [self] in
            let there = listeners.filter { listener($0)?.address == address }
            guard !there.isEmpty else { return client.breakDown(.connectionRefused) }
            let descriptor = there.count == 1 ? there[0] : world.chance.pick(there)
            listener(descriptor)?.backlog.append((server, peer))
            heat(descriptor)
        }
        return client
    }

    override func accept(_ descriptor: Int32) throws(SystemError) -> AcceptedConnection? {
        guard let listener = listener(descriptor), !listener.backlog.isEmpty else { return nil }
        if isExhausted(world.faults.acceptExhausted, "accept") { throw .tooManyFiles }
        let (socket, peer) = listener.backlog.removeFirst()
        socket.patience = listener.patience
        let new = add(.socket(socket))
        if listener.address != Operators.address {
            accepted[new] = peer
            acceptedCount += 1
        }
        let client = peer.withoutPort
        socket.peer?.crowding = Crowding(
            total: accepted.count, ofPeer: accepted.values.reduce(0) { $0 + ($1.withoutPort == client ? 1 : 0) })
        world.note("accept", Int(new))
        return AcceptedConnection(descriptor: new, peer: peer)
    }

    override func connect(to address: SocketAddress) throws(SystemError) -> Connection {
        let attempt = ConnectionAttempt(to: address, at: world.now)
        attempts.append(attempt)
        if isExhausted(world.faults.connectExhausted, "connect") {
            attempt.cameOut(.exhausted, at: world.now)
            throw .tooManyFiles
        }
        let (ours, theirs) = SimulatedSocket.pair(world, capacity: bufferBytes)
        let descriptor = add(.socket(ours))
        world.note("connect", Int(descriptor))
        func open(_ accept: (SimulatedSocket) -> Void) {
            attempt.cameOut(.open, at: world.now)
            ours.phase = .open
            theirs.phase = .open
            accept(theirs)
            ours.changed()
        }
        if address.isUnix {
            ours.isLocal = true
            guard case .actor(let accept) = addresses[address] else {
                nodes[descriptor] = nil
                let isFull = if case .silent? = addresses[address] { true } else { false }
                world.count(isFull ? "backlog of a UNIX socket full" : "connection refused")
                attempt.cameOut(isFull ? .full : .refused, at: world.now)
                throw isFull ? .wouldBlock : .connectionRefused
            }
            world.count("connection to a UNIX socket")
            open(accept)
            ours.changed = { [weak self] in self?.refresh(descriptor) }
            return Connection(descriptor: descriptor, isConnected: true)
        }
        // As on the loopback interface.
        if case .actor(let accept) = addresses[address], world.chance.permille(250) {
            world.count("connection that stood at once")
            open(accept)
            ours.changed = { [weak self] in self?.refresh(descriptor) }
            return Connection(descriptor: descriptor, isConnected: true)
        }
        world.after(world.delay()) { [self] in
            guard !ours.isClosed else { return }
            switch addresses[address] {
            case .actor(let accept): open(accept)
            case .silent:
                world.count("connection attempt without an answer")
            case .refused, nil:
                world.count("connection refused")
                attempt.cameOut(.refused, at: world.now)
                ours.breakDown(.connectionRefused)
            }
        }
        ours.changed = { [weak self] in self?.refresh(descriptor) }
        return Connection(descriptor: descriptor, isConnected: false)
    }

    override func connectionError(of descriptor: Int32) -> SystemError? { socket(descriptor).error }

    override func sendAtOnce(_ descriptor: Int32) {}

    override func setPatience(_ patience: Patience, of descriptor: Int32) {
        switch nodes[descriptor] {
        case .listener(let listener): listener.patience = patience
        case .socket(let socket): socket.patience = patience
        default: break
        }
    }

    // MARK: Bytes

    override func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        let socket = self.socket(descriptor)
        if let error = socket.error { return .failed(error) }
        if socket.incoming.isEmpty { return socket.hasReceivedEnd ? .bytes(0) : .wouldBlock }
        if world.strikes(world.faults.spuriousEAGAIN, "EAGAIN on read") { return .wouldBlock }
        var room = buffer.count
        if world.strikes(world.faults.shortReads, "short read") { room = world.chance.number(1...min(room, 40)) }
        let bytes = socket.read(upTo: room)
        socket.peer?.traffic.read(bytes.count, at: world.now)
        buffer.copyBytes(from: bytes)
        world.note("read", Int(descriptor), bytes.count)
        return .bytes(bytes.count)
    }

    override func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer {
        let socket = self.socket(descriptor)
        if let error = socket.error { return .failed(error == .connectionReset ? .brokenPipe : error) }
        precondition(socket.phase == .open && !socket.hasSentEnd, "written to a socket that is not open for it")
        if world.strikes(world.faults.spuriousEAGAIN, "EAGAIN on write") {
            findMemory(for: descriptor)
            socket.peer?.traffic.write(bytes.count, taken: 0, at: world.now)
            return .wouldBlock
        }
        var room = min(socket.window, bytes.count)
        guard room > 0 else {
            socket.peer?.traffic.write(bytes.count, taken: 0, at: world.now)
            return .wouldBlock
        }
        if world.strikes(world.faults.shortWrites, "short write") {
            room = world.chance.number(1...room)
            findMemory(for: descriptor)
        }
        socket.peer?.traffic.write(bytes.count, taken: room, at: world.now)
        socket.send(Array(bytes[..<room]))
        world.note("write", Int(descriptor), room)
        return .bytes(room)
    }

    /// A kernel that took less than it could was short of memory, and reports when it has some again.
    private func findMemory(for descriptor: Int32) {
        world.after(world.delay()) { [self] in if watches[descriptor] != nil { refresh(descriptor) } }
    }

    override func shutdownWriting(_ descriptor: Int32) { socket(descriptor).sendEnd() }

    override func close(_ descriptor: Int32, abortively: Bool) {
        guard let node = nodes.removeValue(forKey: descriptor) else { preconditionFailure("descriptor \(descriptor) is closed twice") }
        watches[descriptor] = nil
        accepted[descriptor] = nil
        world.note("close", Int(descriptor))
        switch node {
        case .listener(let listener):
            listeners.removeAll { $0 == descriptor }
            for (socket, _) in listener.backlog { socket.close(abortively: true) }
        case .socket(let socket):
            socket.changed = {}
            socket.close(abortively: abortively)
        case .poller: pollers[descriptor] = nil
        case .waker: break
        }
    }

    override func transportInformation(of descriptor: Int32) -> TransportInformation? {
        let socket = self.socket(descriptor)
        return socket.isLocal ? nil : socket.information
    }

    // MARK: Polling

    override func makePoller() throws(SystemError) -> Int32 {
        let descriptor = add(.poller)
        pollers[descriptor] = Poller()
        return descriptor
    }

    override func makeWaker() throws(SystemError) -> Int32 { add(.waker(isSignalled: false)) }

    override func wake(_ waker: Int32) {
        nodes[waker] = .waker(isSignalled: true)
        heat(waker)
    }

    override func clearWaker(_ waker: Int32) { nodes[waker] = .waker(isSignalled: false) }

    override func watch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) throws(SystemError) {
        watches[descriptor] = Watch(interest: interest, token: token, poller: poller)
        heat(descriptor)
        if case .socket(let socket) = nodes[descriptor] { socket.changed = { [weak self] in self?.refresh(descriptor) } }
    }

    override func rewatch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) {
        precondition(watches[descriptor] != nil, "only descriptors that are watched are rewatched")
        watches[descriptor] = Watch(interest: interest, token: token, poller: poller)
        heat(descriptor)
    }

    override func unwatch(_ descriptor: Int32, poller: Int32) {
        precondition(watches.removeValue(forKey: descriptor) != nil, "only descriptors that are watched are watched no longer")
    }

    override func wait(poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32) -> Int {
        let moment = milliseconds < 0 ? Int64.max : world.now + Int64(milliseconds)
        pollers[poller]?.waitsUntil = moment
        if !neverWaits { world.pass(until: moment) { hasNews(poller) } }
        let count = collect(poller, into: events)
        if count > 0, !world.betweenTurns.isEmpty, world.chance.permille(500) { world.betweenTurns.removeFirst()() }
        return count
    }

    override func resolve(_ host: String, port: UInt16) -> [SocketAddress] { SocketAddress(literal: host, port: port).map { [$0] } ?? [] }
}
