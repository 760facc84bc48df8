// Very many streams on which nothing happens, for hours of virtual time: they cost only heartbeats, and each heartbeat comes in time.

import Configuration
import Credentials

@testable import Exchanges
@testable import Proxy
@testable import Reactor

/// A world of idle streams without faults.
final class IdleStreams {
    struct Outcome {
        var heartbeats = 0
        var problems: [String] = []
    }

    private static let listenAddress = SocketAddress(numeric: "10.9.9.9", port: 80)!
    private static let originAddress = SocketAddress(numeric: "10.0.0.1", port: 80)!
    private static let heartbeatMilliseconds = 15_000

    private let world = SimulatedWorld(seed: 1, faults: Faults())
    private let kernel: SimulatedKernel
    private let count: Int
    private let milliseconds: Int64
    private var outcome = Outcome()
    private var sockets: [SimulatedSocket] = []
    private var lastByteAt: [Int64] = []
    private var tooSilent = 0
    private var ended = 0

    init(count: Int, hours: Int) {
        self.count = count
        milliseconds = Int64(hours) * 3_600_000
        kernel = SimulatedKernel(world, bufferBytes: 65_536)
    }

    func run() -> Outcome {
        var origins: [SimulatedSocket] = []
        kernel.addresses[Self.originAddress] = .actor { socket in
            origins.append(socket)
            socket.changed = { [unowned socket] in
                guard !socket.read(upTo: .max).isEmpty else { return }
                socket.send(Array("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
            }
        }
        var route = Route(upstreamIndex: 0)
        route.heartbeat.intervalMilliseconds = Self.heartbeatMilliseconds
        let configuration = Configuration(
            workerCount: 1, listeners: [Listener(host: "10.9.9.9", port: 80)],
            upstreams: [Upstream(name: "origin", servers: [Upstream.Server(host: "10.0.0.1", port: 80)])], routes: [route],
            streamLog: .off)
        let shared = SharedState(
            connectionLimit: 100_000, connectionsPerClientLimit: 0, streamLog: nil, accessLog: nil, fingerprinter: Fingerprinter(key: [1]))
        do {
            let worker = try Worker(number: 0, kernel: kernel)
            let security = try Security(configuration)
            let proxy = ProxyWorker(
                worker: worker, settings: Settings(configuration, security), shared: shared, addresses: [[[Self.originAddress]]])
            try proxy.listen(on: try kernel.listen(Self.listenAddress, sharingPort: true), as: security.listeners[0])
            for number in 0..<count { world.after(Int64(number) * 2) { self.open() } }
            let mailbox = worker.mailbox
            world.after(milliseconds) { mailbox.post { ProxyWorker.on($0)?.drain(graceMilliseconds: 1_000) } }
            worker.run()
            worker.resident = nil
        } catch {
            outcome.problems.append("\(error)")
        }
        let expected = count * Int(milliseconds / Int64(Self.heartbeatMilliseconds))
        if tooSilent > 0 { outcome.problems.append("\(tooSilent) heartbeats came late") }
        if ended > 0 { outcome.problems.append("\(ended) streams ended before their time") }
        if outcome.heartbeats < expected * 99 / 100 {
            outcome.problems.append("\(outcome.heartbeats) heartbeats, about \(expected) were due")
        }
        return outcome
    }

    private func open() {
        let socket = kernel.connectToProxy(Self.listenAddress, from: SocketAddress(numeric: "192.0.2.1", port: 1)!)
        let index = sockets.count
        let end = world.now + milliseconds - Int64(count) * 2 - 1_000
        sockets.append(socket)
        lastByteAt.append(world.now)
        socket.changed = { [unowned self, unowned socket] in
            let bytes = socket.read(upTo: .max)
            if socket.hasReceivedEnd || socket.error != nil, world.now < end { ended += 1 }
            guard !bytes.isEmpty else { return }
            if world.now - lastByteAt[index] > Int64(Self.heartbeatMilliseconds) + 2 * TimerWheel.tickMilliseconds { tooSilent += 1 }
            lastByteAt[index] = world.now
            if bytes.count < 16 { outcome.heartbeats += 1 }
        }
        socket.send(Array("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".utf8))
    }
}
