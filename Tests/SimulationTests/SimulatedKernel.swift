// The calls of `Kernel` in the simulated world, with faults at each that can have one. One worker lives on it.

import Reactor

final class SimulatedKernel: Kernel, @unchecked Sendable {
    /// What an address does with those who connect to it.
    enum Listening {
        /// The proxy's own listening socket, with what waits to be accepted.
        case proxy(backlog: [SimulatedSocket], peers: [SocketAddress])
        /// An actor, who is handed its end of each connection.
        case actor((SimulatedSocket) -> Void)
        /// Nobody: connections are refused.
        case refused
        /// Nobody answers at all.
        case silent
    }

    private enum Node {
        case listener(SocketAddress)
        case socket(SimulatedSocket)
        case poller
        case waker(isSignalled: Bool)
    }

    private struct Watch {
        var interest: Readiness
        let token: UInt64
        /// For interests of the kind `onChange`: whether there is something that has not been told.
        var isFresh = true
    }

    let world: SimulatedWorld
    var addresses: [SocketAddress: Listening] = [:]
    private var nodes: [Int32: Node] = [:]
    private var watches: [Int32: Watch] = [:]
    /// Descriptors that may have something to tell, in the order in which that began. What is not here certainly has not.
    private var hot: [Int32] = []
    private var isHot: Set<Int32> = []
    private var patienceOfListener = Patience(keepAliveSeconds: 0, unacknowledgedMilliseconds: 0)
    private var nextDescriptor: Int32 = 3
    private var listener: Int32?
    let bufferBytes: Int

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

    // MARK: Time and chance

    override func monotonicMilliseconds() -> Int64 { world.now }
    override func unixMilliseconds() -> Int64 { 1_700_000_000_000 + world.now }
    override func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
        for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: world.chance.next()) }
    }

    // MARK: Connections

    override func listen(_ address: SocketAddress, sharingPort: Bool) throws(SystemError) -> Int32 {
        addresses[address] = .proxy(backlog: [], peers: [])
        let descriptor = add(.listener(address))
        listener = descriptor
        return descriptor
    }

    override func localAddress(of descriptor: Int32) -> SocketAddress? {
        guard case .listener(let address) = nodes[descriptor] else { return nil }
        return address
    }

    /// An actor connects to the proxy; its end is returned at once, the proxy's waits in the backlog.
    func connectToProxy(_ address: SocketAddress, from peer: SocketAddress) -> SimulatedSocket {
        let (client, server) = SimulatedSocket.pair(world, capacity: bufferBytes)
        client.phase = .open
        server.phase = .open
        world.after(world.delay()) { [self] in
            guard case .proxy(var backlog, var peers) = addresses[address] else { return client.breakDown(.connectionRefused) }
            backlog.append(server)
            peers.append(peer)
            addresses[address] = .proxy(backlog: backlog, peers: peers)
            if let listener { heat(listener) }
        }
        return client
    }

    override func accept(_ descriptor: Int32) throws(SystemError) -> AcceptedConnection? {
        guard case .listener(let address) = nodes[descriptor], case .proxy(var backlog, var peers) = addresses[address] else { return nil }
        guard !backlog.isEmpty else { return nil }
        if world.strikes(world.faults.acceptExhausted, "EMFILE on accept") { throw .tooManyFiles }
        let socket = backlog.removeFirst()
        let peer = peers.removeFirst()
        addresses[address] = .proxy(backlog: backlog, peers: peers)
        socket.patience = patienceOfListener
        let accepted = add(.socket(socket))
        world.note("accept", Int(accepted))
        return AcceptedConnection(descriptor: accepted, peer: peer)
    }

    override func connect(to address: SocketAddress) throws(SystemError) -> Connection {
        if world.strikes(world.faults.connectExhausted, "EMFILE on connect") { throw .tooManyFiles }
        let (ours, theirs) = SimulatedSocket.pair(world, capacity: bufferBytes)
        let descriptor = add(.socket(ours))
        world.note("connect", Int(descriptor))
        world.after(world.delay()) { [self] in
            guard !ours.isClosed else { return }
            switch addresses[address] {
            case .actor(let accept):
                ours.phase = .open
                theirs.phase = .open
                accept(theirs)
                ours.changed()
            case .silent:
                return
            case .refused, .proxy, nil:
                ours.breakDown(.connectionRefused)
            }
        }
        ours.changed = { [weak self] in self?.refresh(descriptor) }
        return Connection(descriptor: descriptor, isConnected: false)
    }

    override func connectionError(of descriptor: Int32) -> SystemError? { socket(descriptor).error }

    override func setPatience(_ patience: Patience, of descriptor: Int32) {
        switch nodes[descriptor] {
        case .listener: patienceOfListener = patience
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
        buffer.copyBytes(from: bytes)
        world.note("read", Int(descriptor), bytes.count)
        return .bytes(bytes.count)
    }

    override func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer {
        let socket = self.socket(descriptor)
        if let error = socket.error { return .failed(error == .connectionReset ? .brokenPipe : error) }
        precondition(socket.phase == .open && !socket.hasSentEnd, "written to a socket that is not open for it")
        if world.strikes(world.faults.spuriousEAGAIN, "EAGAIN on write") { return .wouldBlock }
        var room = min(socket.window, bytes.count)
        guard room > 0 else { return .wouldBlock }
        if world.strikes(world.faults.shortWrites, "short write") { room = world.chance.number(1...room) }
        socket.send(Array(bytes[..<room]))
        world.note("write", Int(descriptor), room)
        return .bytes(room)
    }

    override func shutdownWriting(_ descriptor: Int32) { socket(descriptor).sendEnd() }

    override func close(_ descriptor: Int32, abortively: Bool) {
        guard let node = nodes.removeValue(forKey: descriptor) else { preconditionFailure("descriptor \(descriptor) is closed twice") }
        watches[descriptor] = nil
        world.note("close", Int(descriptor))
        switch node {
        case .listener(let address):
            if case .proxy(let backlog, _) = addresses[address] { for socket in backlog { socket.close(abortively: true) } }
            addresses[address] = .refused
        case .socket(let socket):
            socket.changed = {}
            socket.close(abortively: abortively)
        case .poller, .waker: break
        }
    }

    override func transportInformation(of descriptor: Int32) -> TransportInformation? { socket(descriptor).information }

    // MARK: Polling

    override func makePoller() throws(SystemError) -> Int32 { add(.poller) }
    override func makeWaker() throws(SystemError) -> Int32 { add(.waker(isSignalled: false)) }
    override func wake(_ waker: Int32) {
        nodes[waker] = .waker(isSignalled: true)
        heat(waker)
    }
    override func clearWaker(_ waker: Int32) { nodes[waker] = .waker(isSignalled: false) }

    override func watch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) throws(SystemError) {
        watches[descriptor] = Watch(interest: interest, token: token)
        heat(descriptor)
        if case .socket(let socket) = nodes[descriptor] { socket.changed = { [weak self] in self?.refresh(descriptor) } }
    }

    override func rewatch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) {
        precondition(watches[descriptor] != nil, "only descriptors that are watched are rewatched")
        watches[descriptor] = Watch(interest: interest, token: token)
        heat(descriptor)
    }

    override func unwatch(_ descriptor: Int32, poller: Int32) {
        precondition(watches.removeValue(forKey: descriptor) != nil, "only descriptors that are watched are watched no longer")
    }

    private func refresh(_ descriptor: Int32) {
        watches[descriptor]?.isFresh = true
        heat(descriptor)
    }

    private func heat(_ descriptor: Int32) {
        if isHot.insert(descriptor).inserted { hot.append(descriptor) }
    }

    private func readiness(of descriptor: Int32) -> Readiness {
        var found: Readiness = []
        switch nodes[descriptor] {
        case .listener(let address):
            if case .proxy(let backlog, _) = addresses[address], !backlog.isEmpty { found = [.readable] }
        case .waker(let isSignalled):
            if isSignalled { found = [.readable] }
        case .socket(let socket):
            if socket.error != nil { return [.broken, .readable, .writable, .peerEnded] }
            guard socket.phase == .open else { return [] }
            if !socket.incoming.isEmpty || socket.hasReceivedEnd { found.insert(.readable) }
            if socket.hasReceivedEnd { found.insert(.peerEnded) }
            if socket.hasReceivedEnd, socket.hasSentEnd { found.insert(.broken) }
            if socket.window > 0 { found.insert(.writable) }
        case .poller, nil: break
        }
        return found
    }

    /// What a descriptor has to tell now.
    private func news(of descriptor: Int32) -> Readiness {
        guard let watch = watches[descriptor], watch.isFresh || !watch.interest.contains(.onChange) else { return [] }
        return readiness(of: descriptor).intersection(watch.interest.union(.broken))
    }

    /// Forgets the descriptors that have nothing to tell; whether one is left that has.
    private func hasNews() -> Bool {
        hot.removeAll { descriptor in
            guard news(of: descriptor).isEmpty else { return false }
            isHot.remove(descriptor)
            return true
        }
        return !hot.isEmpty
    }

    private func collect(into events: UnsafeMutableBufferPointer<PollerEvent>) -> Int {
        var count = 0
        for descriptor in hot where count < 256 {
            let news = news(of: descriptor)
            guard !news.isEmpty, let watch = watches[descriptor] else { continue }
            events[count] = PollerEvent(token: watch.token, readiness: news)
            watches[descriptor]?.isFresh = false
            count += 1
        }
        return count
    }

    override func wait(poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32) -> Int {
        let moment = milliseconds < 0 ? Int64.max : world.now + Int64(milliseconds)
        world.pass(until: moment) { hasNews() }
        let count = collect(into: events)
        // Descriptors take turns in being told first.
        if count > 1, world.chance.permille(200) { hot.append(hot.removeFirst()) }
        world.note("wait", count)
        return count
    }

    override func resolve(_ host: String, port: UInt16) -> [SocketAddress] { SocketAddress(numeric: host, port: port).map { [$0] } ?? [] }
}
