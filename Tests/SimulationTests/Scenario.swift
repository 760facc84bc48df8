// One run of the whole proxy in a world made from one seed, and everything that must hold at its end.

import Configuration
import Credentials
import Foundation
import ReferenceEventSource
import Synchronization

@testable import Proxy
@testable import Reactor
@testable import StreamLog

/// What one run came to.
struct Outcome {
    var trace: UInt64 = 0
    var virtualMilliseconds: Int64 = 0
    var injected: [String: Int] = [:]
    var streamCount = 0
    var causes: [String: Int] = [:]
    /// What did not hold; empty where all is well.
    var problems: [String] = []
}

/// A sink in memory.
private final class LogLines: LogSink {
    let bytes = Mutex<[UInt8]>([])
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        self.bytes.withLock { $0 += bytes }
        return true
    }
    func reopen() -> Bool { true }

    var records: [[String: Any]] {
        bytes.withLock { $0 }.split(separator: 10).compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any]
        }
    }
}

final class Scenario {
    private static let listenAddress = SocketAddress(numeric: "10.9.9.9", port: 80)!
    private static let activeMilliseconds: Int64 = 40_000

    private let world: SimulatedWorld
    private let kernel: SimulatedKernel
    private let heartbeatMilliseconds: Int
    private let heartbeatName: String?
    private var truths: [String: Truth] = [:]
    private var clients: [SimulatedClient] = []
    private let lines = LogLines()
    private var outcome = Outcome()
    /// Chance of its own, so that seeds that are kept stay what they were.
    private var reloadChance: Chance
    /// Every group of servers that there ever was.
    private var groups: [ServerGroup] = []

    init(seed: UInt64) {
        var chance = Chance(seed: seed)
        reloadChance = Chance(seed: ~seed)
        world = SimulatedWorld(seed: chance.next(), faults: Faults.swarm(&chance))
        kernel = SimulatedKernel(world, bufferBytes: chance.pick([2_048, 16_384, 65_536, 262_144]))
        heartbeatMilliseconds = chance.pick([100, 500, 2_000, 15_000])
        heartbeatName = chance.permille(300) ? "alive" : nil
    }

    // MARK: Building

    private func configuration() -> Configuration {
        let names = (1...world.chance.number(1...3)).map { "10.0.0.\($0)" }
        var upstream = Upstream(name: "origin", servers: names.map { Upstream.Server(host: $0, port: 80) })
        upstream.connectTimeoutMilliseconds = 1_000
        upstream.responseTimeoutMilliseconds = 5_000
        upstream.idleTimeoutMilliseconds = 8_000
        if world.chance.permille(300) { upstream.streamSilenceTimeoutMilliseconds = 4 * heartbeatMilliseconds + 1_000 }
        if world.chance.permille(300) { upstream.balance = .leastConnections }
        if world.chance.permille(200) { upstream.idleConnections = 0 }
        var route = Route(upstreamIndex: 0)
        route.heartbeat.intervalMilliseconds = heartbeatMilliseconds
        if let heartbeatName { route.heartbeat.kind = world.chance.permille(500) ? .event(name: heartbeatName) : .both(name: heartbeatName) }
        route.heartbeat.opening = world.chance.permille(700)
        var limits = Limits()
        limits.connections = 1_000
        limits.pendingBytesPerStream = world.chance.pick([4_096, 65_536])
        var timeouts = Timeouts()
        timeouts.clientStallMilliseconds = 3_000
        timeouts.requestHeadMilliseconds = 2_000
        timeouts.keepAliveMilliseconds = 4_000
        timeouts.requestBodyMilliseconds = 3_000
        let origin = Origin(world, heartbeatMilliseconds: heartbeatMilliseconds) { [unowned self] in truths[$0] }
        for (index, name) in names.enumerated() {
            let address = SocketAddress(numeric: name, port: 80)!
            // The first one always serves, so that there is something to see.
            switch index == 0 ? 9 : world.chance.number(0...9) {
            case 0: kernel.addresses[address] = .refused
            case 1: kernel.addresses[address] = .silent
            default: kernel.addresses[address] = .actor { origin.accept($0) }
            }
        }
        return Configuration(
            workerCount: 1, listeners: [Listener(host: "10.9.9.9", port: 80)], upstreams: [upstream], routes: [route], limits: limits,
            timeouts: timeouts)
    }

    private func addClient(number: Int) {
        var requests: [[UInt8]] = []
        var mine: [Truth] = []
        let isHTTP10 = world.chance.permille(100)
        let hasStream = world.chance.permille(750)
        for index in 0..<(isHTTP10 ? 0 : world.chance.number(0...3)) {
            let method = world.chance.pick(["GET", "HEAD", "POST"])
            let body = method == "POST" ? [UInt8](repeating: 0x62, count: world.chance.number(0...20_000)) : []
            let path = "/\(method.lowercased())/\(number)/\(index)"
            let length = method == "POST" ? "Content-Length: \(body.count)\r\n" : ""
            requests.append(Array("\(method) \(path) HTTP/1.1\r\nHost: a\r\n\(length)\r\n".utf8) + body)
            mine.append(Truth(path: path, isStream: false))
        }
        if hasStream || mine.isEmpty {
            let path = "/stream/\(number)"
            requests.append(Array("GET \(path) HTTP/1.\(isHTTP10 ? 0 : 1)\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".utf8))
            mine.append(Truth(path: path, isStream: true))
        }
        for truth in mine { truths[truth.path] = truth }
        let isSlow = world.chance.permille(150)
        let sendsAllAtOnce = world.chance.permille(250)
        world.after(Int64(world.chance.number(0...15_000))) { [self] in
            let socket = kernel.connectToProxy(Scenario.listenAddress, from: SocketAddress(numeric: "192.0.2.1", port: UInt16(1000 + number))!)
            let client = SimulatedClient(
                world, socket, truths: mine, requests: requests, isHTTP10: isHTTP10, isSlow: isSlow, sendsAllAtOnce: sendsAllAtOnce)
            clients.append(client)
            guard world.chance.permille(500) else { return }
            let deed = world.chance.pick([Deed.left, .left, .reset, .vanished])
            world.after(Int64(world.chance.number(0...20_000))) { client.leave(deed) }
        }
    }

    /// At some moment another configuration comes in force that serves the same: sometimes in the same words, sometimes with
    /// another description of the servers.
    private func addReload(
        of configuration: Configuration, on mailbox: Mailbox, _ shared: SharedState, _ addresses: [[[SocketAddress]]]
    ) {
        world.after(Int64(reloadChance.number(0...Int(Scenario.activeMilliseconds)))) { [self] in
            var changed = configuration
            if reloadChance.permille(500) { changed.upstreams[0].failureCooldownMilliseconds = reloadChance.number(1...3_000) }
            if reloadChance.permille(300) { changed.limits.connectionsPerClient = 500 }
            guard let security = try? Security(changed) else { return expect(false, "no certificates cannot be read") }
            let settings = Settings(changed, security)
            let next = SharedState(
                connectionLimit: changed.limits.connections, connectionsPerClientLimit: changed.limits.connectionsPerClient,
                streamLog: shared.streamLog, accessLog: shared.accessLog, fingerprinter: shared.fingerprinter, succeeding: shared)
            world.note("reload", changed.upstreams[0].failureCooldownMilliseconds)
            nonisolated(unsafe) let scenario = self
            mailbox.post { worker in
                guard let proxy = ProxyWorker.on(worker), !proxy.isDraining else { return }
                proxy.adopt(
                    settings, shared: next, addresses: addresses, listeners: [Scenario.listenAddress: settings.security.listeners[0]],
                    newSockets: [])
                scenario.groups += proxy.groups
            }
        }
    }

    // MARK: Running

    func run() -> Outcome {
        let began = world.now
        let configuration = configuration()
        let writer = LogWriter(sink: lines, capacityBytes: 16 << 20, clock: { 0 })
        let shared = SharedState(
            connectionLimit: configuration.limits.connections, connectionsPerClientLimit: 0, streamLog: writer, accessLog: writer,
            fingerprinter: Fingerprinter(key: [1, 2, 3]))
        do {
            let worker = try Worker(number: 0, kernel: kernel)
            let security = try Security(configuration)
            let addresses = configuration.upstreams.map { $0.servers.map { kernel.resolve($0.host, port: $0.port) } }
            let proxy = ProxyWorker(worker: worker, settings: Settings(configuration, security), shared: shared, addresses: addresses)
            try proxy.listen(on: try kernel.listen(Scenario.listenAddress, sharingPort: true), as: security.listeners[0])
            for number in 0..<world.chance.number(1...8) { addClient(number: number) }
            let mailbox = worker.mailbox
            groups = proxy.groups
            for _ in 0..<reloadChance.pick([0, 0, 1, 4]) { addReload(of: configuration, on: mailbox, shared, addresses) }
            let drain = world.chance.pick([0, 500, 6_000])
            world.after(Scenario.activeMilliseconds) {
                mailbox.post { ProxyWorker.on($0)?.drain(graceMilliseconds: 3_000, streamMilliseconds: drain) }
            }
            worker.run()
            // What is still on its way arrives.
            world.pass(until: world.now + 5_000) { false }
            check(proxy, shared)
            worker.resident = nil
        } catch {
            outcome.problems.append("the proxy did not start: \(error)")
        }
        SystemThread.start(name: "log") { writer.run() }
        _ = writer.finish(deadlineMilliseconds: 10_000)
        checkLog()
        for client in clients { check(client) }
        outcome.trace = world.trace
        outcome.injected = world.injected
        outcome.virtualMilliseconds = world.now - began
        return outcome
    }

    // MARK: What must hold

    private func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
        if !condition { outcome.problems.append(what()) }
    }

    /// Everything that was taken is given back.
    private func check(_ proxy: ProxyWorker, _ shared: SharedState) {
        // The poller and the mailbox's waker are the worker's own.
        expect(kernel.openCount == 2, "\(kernel.openCount - 2) descriptors are left open")
        expect(proxy.worker.endpointCount == 0, "\(proxy.worker.endpointCount) endpoints are left")
        for server in groups.flatMap(\.servers) {
            expect(server.activeCount == 0, "\(server.name) has \(server.activeCount) exchanges after the end")
            expect(server.idle.isEmpty, "\(server.name) has idle connections after the end")
        }
        expect(shared.connectionCount == 0, "\(shared.connectionCount) connections are counted after the end")
    }

    private func check(_ client: SimulatedClient) {
        let responses = Text.responses(in: client.received, to: client.truths, isHTTP10: client.isHTTP10, hasEnded: client.hasEnded)
        for (truth, response) in zip(client.truths, responses) where response.status == 200 {
            if truth.isStream { checkStream(truth, response) } else { checkBody(truth, response) }
        }
    }

    private func checkBody(_ truth: Truth, _ response: Text.Response) {
        let isPrefix = response.body.count <= truth.body.count && response.body.elementsEqual(truth.body.prefix(response.body.count))
        expect(isPrefix, "\(truth.path): the body is not what was sent")
        if response.isComplete { expect(response.body.count == truth.body.count, "\(truth.path): a body that was cut passes for a whole one") }
    }

    private func checkStream(_ truth: Truth, _ response: Text.Response) {
        let sent = ReferenceEventSource(reading: truth.body)
        var got = ReferenceEventSource(reading: response.body)
        if let heartbeatName { got = got.without(type: heartbeatName) }
        let isPrefix = got.events.count <= sent.events.count && got.events.elementsEqual(sent.events.prefix(got.events.count))
        expect(isPrefix, "\(truth.path): other events than were sent: \(got.events.count) of \(sent.events.count)\(difference(sent, got))")
        guard response.isComplete, truth.originDeed == .finished else { return }
        expect(got.events.count == sent.events.count, "\(truth.path): a whole stream lost \(sent.events.count - got.events.count) events")
    }

    private func difference(_ sent: ReferenceEventSource, _ got: ReferenceEventSource) -> String {
        guard let index = zip(sent.events, got.events).enumerated().first(where: { $0.element.0 != $0.element.1 })?.offset else { return "" }
        func text(_ event: ReferenceEventSource.Event) -> String {
            "\(String(decoding: event.type, as: UTF8.self))/\(String(decoding: event.data.prefix(60), as: UTF8.self))/\(String(decoding: event.lastEventID, as: UTF8.self))"
        }
        return "; number \(index) is \(text(got.events[index])), not \(text(sent.events[index]))"
    }

    private func checkLog() {
        let records = lines.records
        let opened = Dictionary(grouping: records.filter { $0["event"] as? String == "stream_open" }) { $0["path"] as? String ?? "" }
        let ended = Dictionary(grouping: records.filter { $0["event"] as? String == "stream_end" }) { $0["path"] as? String ?? "" }
        outcome.streamCount = opened.count
        expect(opened.keys == ended.keys, "streams that opened: \(opened.keys.sorted()), that ended: \(ended.keys.sorted())")
        for (path, endings) in ended {
            expect(endings.count == 1 && opened[path]?.count == 1, "\(path): \(opened[path]?.count ?? 0) openings, \(endings.count) endings")
            guard let truth = truths[path], let cause = endings[0]["cause"] as? String else { continue }
            outcome.causes[cause, default: 0] += 1
            checkCause(cause, endings[0], truth)
            checkSilence(endings[0], truth)
        }
    }

    /// A cause is true when the side that it blames did that deed, or when the proxy did what it was told to.
    private func checkCause(_ cause: String, _ record: [String: Any], _ truth: Truth) {
        let isTrue: Bool
        switch cause {
        case "client_closed": isTrue = truth.clientDeed == .left
        case "client_reset": isTrue = truth.clientDeed == .reset || truth.clientDeed == .left
        case "client_vanished": isTrue = truth.clientDeed == .vanished
        // A slow reader may be taken for one that stands still; a vanished one is, until the kernel is sure.
        case "client_stalled": isTrue = true
        case "upstream_finished": isTrue = truth.originDeed == .finished
        case "upstream_cut_off": isTrue = truth.originDeed == .cutOff
        case "upstream_reset": isTrue = truth.originDeed == .reset
        case "upstream_vanished", "upstream_silent": isTrue = truth.originDeed == .vanished || cause == "upstream_silent"
        case "drained": isTrue = record["time"] as? String != nil
        default: isTrue = false
        }
        expect(isTrue, "\(truth.path): \(cause) (\(record["evidence"] ?? "") at \(record["duration_ms"] ?? 0) ms, \(truth.arrivalCount) arrivals), but the client \(truth.clientDeed?.rawValue ?? "did nothing"), the server \(truth.originDeed?.rawValue ?? "did nothing")")
    }

    /// No silence longer than the heartbeat and a tick, where a heartbeat could stand and the client took what came.
    private func checkSilence(_ record: [String: Any], _ truth: Truth) {
        guard record["unheartbeatable_ms"] == nil, let silence = record["longest_client_silence_ms"] as? Int else { return }
        let cause = record["cause"] as? String ?? ""
        guard !cause.hasPrefix("client_"), clients.contains(where: { $0.truths.contains { $0 === truth } && !$0.isSlow }) else { return }
        // Where the client's end has not taken what was sent before, a heartbeat waits with the rest.
        guard kernel.bufferBytes >= 65_536, world.faults.spuriousEAGAIN == 0 else { return }
        let allowed = heartbeatMilliseconds + 2 * Int(TimerWheel.tickMilliseconds) + 4 * world.faults.delayMilliseconds.upperBound
        expect(silence <= allowed, "\(truth.path): silent for \(silence) ms with a heartbeat of \(heartbeatMilliseconds) ms; \(world.faults), buffers \(kernel.bufferBytes), \(record)")
    }
}
