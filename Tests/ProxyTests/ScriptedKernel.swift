// A world of one worker in which nothing happens but what a test says: connections that come out as told, bytes that
// the test gives to read, and everything that was written kept.

import Configuration
import Reactor
import Telemetry
import Testing

@testable import Downstreams
@testable import Proxy

/// A kernel without a kernel. Time stands still unless the test moves it.
final class ScriptedKernel: Kernel, @unchecked Sendable {
    var now: Int64 = 1_000_000
    /// The addresses of all connection attempts, in order, and the descriptors that they got.
    private(set) var attempts: [(address: SocketAddress, descriptor: Int32)] = []
    /// What writing to a peer fails with.
    var writeFailures: [Int32: SystemError] = [:]
    /// What a connection attempt fails with at once.
    var connectFailure: SystemError?
    /// Connections that wait to be accepted.
    var backlog: [Int32] = []
    /// Whether the process has no descriptor left for anything that is no connection.
    var hasNoDescriptors = false
    /// How an attempt came out, asked for when the descriptor becomes writable.
    var errors: [Int32: SystemError] = [:]
    private(set) var written: [Int32: [UInt8]] = [:]
    /// How many bytes a peer still takes; as many as there are where nothing is said.
    var rooms: [Int32: Int] = [:]
    private(set) var closed: Set<Int32> = []
    private var failures: [Int32: SystemError] = [:]
    /// Those of the closed ones whose peers saw a reset.
    private(set) var reset: Set<Int32> = []
    private var contents: [Int32: [UInt8]] = [:]
    private var tokens: [Int32: UInt64] = [:]
    private var reports: [(descriptor: Int32, readiness: Readiness)] = []
    private var lastDescriptor: Int32 = 100

    func makeDescriptor() -> Int32 {
        lastDescriptor += 1
        return lastDescriptor
    }

    /// The poller's next turn tells this.
    func report(_ descriptor: Int32, _ readiness: Readiness) { reports.append((descriptor, readiness)) }

    /// The peer sent these bytes; none stands for its end.
    func receive(_ descriptor: Int32, _ text: String) { receive(descriptor, bytes: Array(text.utf8)) }

    func receive(_ descriptor: Int32, bytes: [UInt8]) {
        contents[descriptor] = bytes
        report(descriptor, .readable)
    }

    /// The connection is broken; whoever reads is told of it.
    func breaks(_ descriptor: Int32, _ error: SystemError) {
        failures[descriptor] = error
        report(descriptor, .readable)
    }

    override func monotonicMilliseconds() -> Int64 { now }
    override func unixMilliseconds() -> Int64 { now }
    override func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
        for index in buffer.indices { buffer[index] = UInt8.random(in: 0...255) }
    }
    override func connect(to address: SocketAddress) throws(SystemError) -> Connection {
        let descriptor = makeDescriptor()
        attempts.append((address, descriptor))
        if let connectFailure { throw connectFailure }
        return Connection(descriptor: descriptor, isConnected: false)
    }
    override func connectionError(of descriptor: Int32) -> SystemError? { errors[descriptor] }
    override func sendAtOnce(_ descriptor: Int32) {}
    override func setPatience(_ patience: Patience, of descriptor: Int32) {}
    override func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        if let failure = failures.removeValue(forKey: descriptor) { return .failed(failure) }
        guard let bytes = contents.removeValue(forKey: descriptor) else { return .wouldBlock }
        buffer.copyBytes(from: bytes)
        return .bytes(bytes.count)
    }
    override func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer {
        if let failure = writeFailures[descriptor] { return .failed(failure) }
        let room = min(rooms[descriptor] ?? .max, bytes.count)
        if room == 0 { return .wouldBlock }
        rooms[descriptor]? -= room
        written[descriptor, default: []] += bytes[..<room]
        return .bytes(room)
    }
    override func localAddress(of descriptor: Int32) -> SocketAddress? { SocketAddress(bytes: [127, 0, 0, 1], port: UInt16(descriptor)) }
    override func accept(_ descriptor: Int32) -> AcceptedConnection? {
        guard !backlog.isEmpty else { return nil }
        return AcceptedConnection(descriptor: backlog.removeFirst(), peer: SocketAddress(bytes: [192, 0, 2, 1], port: 5))
    }
    override func unwatch(_ descriptor: Int32, poller: Int32) { tokens[descriptor] = nil }
    override func shutdownWriting(_ descriptor: Int32) {}
    override func close(_ descriptor: Int32, abortively: Bool) {
        closed.insert(descriptor)
        if abortively { reset.insert(descriptor) }
        tokens[descriptor] = nil
    }
    override func transportInformation(of descriptor: Int32) -> TransportInformation? { nil }
    override func makePoller() -> Int32 { makeDescriptor() }
    override func watch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) { tokens[descriptor] = token }
    override func rewatch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) {}
    override func wait(poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32) -> Int {
        let told = reports.compactMap { report in tokens[report.descriptor].map { PollerEvent(token: $0, readiness: report.readiness) } }
        reports = []
        for (index, event) in told.enumerated() { events[index] = event }
        return told.count
    }
    override func makeWaker() throws(SystemError) -> Int32 {
        if hasNoDescriptors { throw .tooManyFiles }
        return makeDescriptor()
    }
    override func wake(_ waker: Int32) {}
    override func clearWaker(_ waker: Int32) {}
}

/// A proxy with one route to one upstream in a scripted world.
final class ScriptedProxy {
    let kernel = ScriptedKernel()
    let worker: Worker
    let proxy: ProxyWorker
    /// A connection that has closed has forgotten its descriptor.
    private var clientDescriptors: [ObjectIdentifier: Int32] = [:]

    init(
        _ upstream: Upstream, addresses: [[SocketAddress]], route: Route = Route(upstreamIndex: 0), limits: Limits = Limits(),
        accessLog: LogWriter? = nil, eventLog: LogWriter? = nil
    ) throws {
        worker = try Worker(number: 0, kernel: kernel)
        let configuration = Configuration(upstreams: [upstream], routes: [route], limits: limits)
        let shared = SharedState(
            connectionLimit: 100, connectionsPerClientLimit: 0, streamLog: nil, accessLog: accessLog, eventLog: eventLog,
            fingerprinter: Way.fingerprinter)
        let settings = Settings(configuration, try Security(configuration))
        proxy = ProxyWorker(worker: worker, settings: settings, shared: shared, addresses: [addresses])
    }

    /// A client that is connected.
    func connectClient(redirectPort: UInt16? = nil, admission: Admission = .admitted) throws -> HTTP1Connection {
        var address = Listener(host: "127.0.0.1", port: 8080)
        address.redirectPort = redirectPort
        let listener = try ListenerSecurity(address)
        let peer = try #require(SocketAddress(numeric: "192.0.2.1", port: 5))
        var arrival = Arrival(AcceptedConnection(descriptor: -1, peer: peer), at: ListeningPlace(listener), listener, isTrusted: false)
        arrival.admission = admission
        let client = HTTP1Connection(arrival, clients: proxy.exchanges.clients)
        let descriptor = kernel.makeDescriptor()
        try client.adopt(descriptor)
        clientDescriptors[ObjectIdentifier(client)] = descriptor
        client.begin()
        return client
    }

    /// A client that came by a listening socket.
    func acceptClient(by socket: Int32) throws -> HTTP1Connection {
        let known = Set(worker.openEndpoints.map(ObjectIdentifier.init))
        let descriptor = kernel.makeDescriptor()
        kernel.backlog.append(descriptor)
        kernel.report(socket, .readable)
        worker.turn()
        let client = try #require(worker.openEndpoints.first { !known.contains(ObjectIdentifier($0)) } as? HTTP1Connection)
        clientDescriptors[ObjectIdentifier(client)] = descriptor
        return client
    }

    /// The client sends these lines as a request, and a body behind it.
    func send(_ client: HTTP1Connection, _ text: String, body: String = "") {
        client.redeliver(wire(text) + Array(body.utf8))
    }

    /// What was sent to a client so far.
    func answers(_ client: HTTP1Connection) -> [UInt8] {
        clientDescriptors[ObjectIdentifier(client)].flatMap { kernel.written[$0] } ?? []
    }

    /// The descriptor of a client that has not closed.
    func descriptor(of client: HTTP1Connection) -> Int32 { clientDescriptors[ObjectIdentifier(client)] ?? -1 }

    /// Lets time pass in steps of 50 ms; `each` is called after each of them.
    func pass(milliseconds: Int64, each: () -> Void = {}) {
        let end = kernel.now + milliseconds
        while kernel.now < end {
            kernel.now += 50
            worker.turn()
            each()
        }
    }

    /// The newest connection attempt comes out.
    func attemptEnds(_ error: SystemError? = nil) throws {
        let descriptor = try #require(kernel.attempts.last).descriptor
        kernel.errors[descriptor] = error
        kernel.report(descriptor, .writable)
        worker.turn()
    }
}

extension HTTP1Connection {
    /// The exchange that is under way.
    var exchange: Exchange? { receiver as? Exchange }
}
