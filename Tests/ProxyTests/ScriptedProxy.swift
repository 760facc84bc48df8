// A proxy of one worker in a scripted world: TestSupport's ScriptedKernel takes the place of the kernel.

import Configuration
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

/// A proxy with one route to one upstream in a scripted world.
final class ScriptedProxy {
    let kernel = ScriptedKernel()
    let worker: Worker
    let proxy: ProxyWorker
    /// Kept here, because a closed connection no longer knows its descriptor.
    private var clientDescriptors: [ObjectIdentifier: Int32] = [:]

    init(
        _ upstream: Upstream, addresses: [[SocketAddress]], route: Route = Route(upstreamIndex: 0), limits: Limits = Limits(),
        issuers: [Issuer] = [], accessLog: LogWriter? = nil, eventLog: LogWriter? = nil, probeEndpoint: ProbeEndpoint? = nil
    ) throws {
        worker = try Worker(number: 0, kernel: kernel)
        var configuration = Configuration(upstreams: [upstream], routes: [route], limits: limits)
        configuration.probeEndpoint = probeEndpoint
        configuration.issuers = issuers
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
        var arrival = Arrival(
            AcceptedConnection(descriptor: -1, peer: peer), at: ListeningPlace(listener), listener, terms: proxy.exchanges.clients.terms)
        arrival.admission = admission
        let client = HTTP1Connection(arrival, clients: proxy.exchanges.clients)
        let descriptor = kernel.makeDescriptor()
        try client.adopt(descriptor)
        clientDescriptors[ObjectIdentifier(client)] = descriptor
        client.begin()
        return client
    }

    /// A client that was accepted from a listening socket.
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

    /// The client sends these lines as a request, followed by a body.
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

    /// The newest connection attempt gets its result.
    func attemptEnds(_ error: SystemError? = nil) throws {
        let descriptor = try #require(kernel.attempts.last).descriptor
        kernel.errors[descriptor] = error
        kernel.report(descriptor, .writable)
        worker.turn()
    }
}

extension HTTP1Connection {
    /// The exchange in progress.
    var exchange: Exchange? { receiver as? Exchange }
}

extension ScriptedProxy {
    /// The request of an EventSource.
    static let streamRequest = "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream"

    /// A proxy with one route to one server of one address.
    static func withOneServer(
        outage: OutagePolicy = .retry(holdMilliseconds: 30_000), early: EarlyPolicy? = nil, limits: Limits = Limits()
    ) throws -> ScriptedProxy {
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        return try ScriptedProxy(
            upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]],
            route: Route(upstreamIndex: 0, outage: outage, early: early), limits: limits)
    }

    /// The newest connection to a server is made, and the server sends this.
    func serverSends(_ text: String) throws {
        let descriptor = try #require(kernel.attempts.last).descriptor
        if kernel.written[descriptor] == nil { try attemptEnds() }
        kernel.receive(descriptor, text)
        worker.turn()
    }

    /// Lets time pass until a server is tried once more, and makes the connection. Returns its descriptor.
    func nextAttempt() throws -> Int32 {
        let before = kernel.attempts.count
        for _ in 0..<200 where kernel.attempts.count == before { pass(milliseconds: 50) }
        try attemptEnds()
        return try #require(kernel.attempts.last).descriptor
    }
}
