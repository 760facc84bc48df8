// Clients, servers, time and the kernel act in random orders. No order may bring an exchange into a phase that does not allow it, or
// leave something behind. The simulation has actors that follow protocols; here nobody does.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

/// A proxy, its clients and its servers, in one order of events.
private final class RandomOrder {
    private static let requests = [
        "GET /e HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n",
        "GET /e HTTP/1.0\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: h\r\n\r\nGET /y HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /y HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "lo\r\n0\r\n\r\n", "hello", "zz\r\n",
        "GET / HTTP/1.1\r\n", "\r\n", "\u{1}bad\r\n\r\n", "",
        "GET /w HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /w HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly bytes",
    ]
    private static let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    private static let responses = [
        stream, stream + "9\r\ndata: a\n\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n",
        "9\r\ndata: a\n\n\r\n", "3\r\ndat\r\n", "2\r\n\n\n\r\n", "5\r", "\n", "0\r\n\r\n", "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "zz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "llo", "hello world",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello!", "HTTP/1.1 204 No\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n", "HTTP/1.1 200 OK\r\nConte", "nt-Length: 3\r\n\r\nabc",
        "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nuntil close", "",
    ]

    private var chance: SeededGenerator
    private let world: ScriptedProxy
    private var clients: [Int32] = []

    init(seed: UInt64) throws {
        chance = SeededGenerator(seed: seed)
        let count = Int.random(in: 1...2, using: &chance)
        let upstream = Upstream(
            name: "u", servers: (0..<count).map { Upstream.Server(host: "s\($0)", port: 80) }, connectTimeoutMilliseconds: 300,
            failureCooldownMilliseconds: 400)
        var limits = Limits()
        if Bool.random(using: &chance) { limits.pendingBytes = [0, 20, 100, 400].randomElement(using: &chance)! }
        let early = EarlyPolicy(afterMilliseconds: 100, onFailure: Bool.random(using: &chance) ? .retry : .event(name: "x"))
        let route = Route(
            upstreamIndex: 0, outage: Int.random(in: 0..<3, using: &chance) == 0 ? .refuse : .retry(holdMilliseconds: 3_000),
            early: Bool.random(using: &chance) ? early : nil)
        world = try ScriptedProxy(
            upstream, addresses: (0..<count).map { [SocketAddress(bytes: [10, 0, 0, UInt8($0)], port: 80)] }, route: route, limits: limits)
    }

    /// Lets events come in a random order, then ends the proxy. Anything that is left is a mistake.
    func run() throws {
        for _ in 0..<Int.random(in: 20...120, using: &chance) {
            try step()
            if Int.random(in: 0..<3, using: &chance) == 0 { continue }
            world.worker.turn()
            clients.removeAll { world.kernel.closed.contains($0) }
        }
        world.worker.turn()
        world.proxy.drain(graceMilliseconds: 500)
        for _ in 0..<30 {
            world.kernel.now += 16_000
            world.worker.turn()
        }
    }

    /// Describes what is left; empty if nothing is.
    var remains: [String] {
        let worker = world.worker
        var found = worker.openEndpoints.filter { $0 is Link }.map { "\(type(of: $0)) is open" }
        if worker.pendingBytes != 0 { found.append("\(worker.pendingBytes) bytes are said to wait") }
        let counted = world.proxy.exchanges.shared.counts.connectionCount
        if counted != 0 { found.append("\(counted) connections are counted") }
        for server in world.proxy.exchanges.groups.flatMap(\.servers) where server.activeCount != 0 {
            found.append("\(server.name) is said to be in use \(server.activeCount) times")
        }
        return found
    }

    private func step() throws {
        let kernel = world.kernel
        let servers = kernel.attempts.suffix(4).map(\.descriptor).filter { !kernel.closed.contains($0) }
        let any = (clients + servers).randomElement(using: &chance)
        switch Int.random(in: 0..<22, using: &chance) {
        case 0, 1: try arrive()
        case 2...6:
            if let client = clients.randomElement(using: &chance) { kernel.receive(client, Self.requests.randomElement(using: &chance)!) }
        case 7...9:
            guard let server = servers.last else { return }
            kernel.errors[server] = [nil, nil, nil, SystemError.connectionRefused, .timedOut].randomElement(using: &chance)!
            kernel.report(server, .writable)
        case 10...15:
            if let server = servers.randomElement(using: &chance) { kernel.receive(server, Self.responses.randomElement(using: &chance)!) }
        case 16: if let any { kernel.breaks(any, Bool.random(using: &chance) ? .connectionReset : .timedOut) }
        case 17: if let any { kernel.rooms[any] = [0, 0, 3, 50].randomElement(using: &chance)! }
        case 18:
            guard let any else { return }
            kernel.rooms[any] = nil
            kernel.report(any, .writable)
        case 19: if let any, Int.random(in: 0..<3, using: &chance) == 0 { kernel.writeFailures[any] = .brokenPipe }
        case 20 where Int.random(in: 0..<12, using: &chance) == 0: world.proxy.drain(graceMilliseconds: 500, streamMilliseconds: 200)
        case 20:
            guard let client = clients.randomElement(using: &chance) else { return }
            let isBroken = Bool.random(using: &chance)
            if isBroken { kernel.errors[client] = .connectionReset }
            kernel.report(client, isBroken ? [.peerEnded, .broken] : .peerEnded)
        default: kernel.now += [1, 60, 300, 1_100, 16_000].randomElement(using: &chance)!
        }
    }

    private func arrive() throws {
        guard clients.count < 3, !world.proxy.exchanges.isDraining else { return }
        var address = Listener(host: "127.0.0.1", port: 8080)
        if Int.random(in: 0..<12, using: &chance) == 0 { address.redirectPort = 443 }
        let descriptor = world.kernel.makeDescriptor()
        world.proxy.exchanges.clients.accept(
            AcceptedConnection(descriptor: descriptor, peer: SocketAddress(bytes: [192, 0, 2, 1], port: 5)),
            at: ListeningPlace(try ListenerSecurity(address)))
        clients.append(descriptor)
    }
}

@Suite("Events in random orders")
struct RandomOrderTests {
    @Test("reach no phase that does not allow them, and leave nothing behind")
    func orders() throws {
        let first = SeededGenerator.seed(of: "events in random orders")
        for offset in 0..<UInt64(2_000) {
            let seed = first &+ offset
            let order = try RandomOrder(seed: seed)
            try order.run()
            let remains = order.remains
            #expect(remains.isEmpty, "HEARTWIRE_SEED=\(seed): \(remains)")
            if !remains.isEmpty { return }
        }
    }
}
