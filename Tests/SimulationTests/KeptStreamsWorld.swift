// A world of pages that lose their connections, and of servers whose streams are kept for them. Each server's response has a number, and
// its events count from zero, so that what a page reads over all its reconnects shows what is missing, doubled or another's. The checks
// are in KeptStreamsChecks.swift.

import Configuration
import Credentials
import ReferenceEventSource
import TestSupport

@testable import Exchanges
@testable import Proxy
@testable import Reactor
@testable import Telemetry
@testable import Upstreams

/// One run.
final class KeptStreamsWorld {
    /// Whether servers set ids, as far as it matters here.
    enum ServerIDs: CaseIterable { case none, unique }

    static let listenAddress = SocketAddress(numeric: "10.9.9.9", port: 80)!
    private static let originAddress = SocketAddress(numeric: "10.0.0.1", port: 80)!
    /// When the trouble ends, and how long pages then have to recover.
    private static let troubledMilliseconds: Int64 = 40_000
    private static let settlingMilliseconds: Int64 = 12_000

    let world: SimulatedWorld
    let kernel: SimulatedKernel
    let seed: UInt64
    let workerCount: Int
    let serverIDs: ServerIDs
    let history: HistoryPolicy
    let heartbeatMilliseconds: Int
    /// How often a response ends or breaks by itself, in thousandths.
    let shareOfEnds: Int
    var pages: [KeptPage] = []
    /// Every response of the server's, by its number.
    var responses: [KeptResponse] = []
    var problems: [String] = []
    /// What happened, for the tally.
    var counts: [String: Int] = [:]
    private(set) var logText = ""
    private(set) var isCalm = false
    private(set) var drainsSince = Int64.max

    init(seed: UInt64) {
        SimulatedRandomness.begin(seed: seed)
        self.seed = seed
        var chance = Chance(seed: seed)
        workerCount = chance.number(1...3)
        serverIDs = chance.pick(ServerIDs.allCases)
        var history = HistoryPolicy()
        history.ids = chance.pick([.keep, .keep, .suffix, .own])
        if chance.permille(500) {
            history.events = chance.pick([5, 30, 1_000])
            history.bytes = chance.pick([2_000, 20_000, 262_144])
            history.ageMilliseconds = chance.pick([2_000, 10_000, 300_000])
        }
        history.awayMilliseconds = chance.pick([300, 3_000, 30_000, 30_000])
        self.history = history
        heartbeatMilliseconds = chance.pick([500, 2_000, 15_000])
        shareOfEnds = chance.pick([0, 0, 200, 600])
        world = SimulatedWorld(seed: chance.next(), faults: Faults.swarm(&chance))
        world.faults.acceptExhausted = 0
        world.faults.connectExhausted = 0
        kernel = SimulatedKernel(world, bufferBytes: chance.pick([512, 8_192, 65_536]))
    }

    func count(_ what: String) { counts[what, default: 0] += 1 }

    // MARK: Running

    func run() -> [String] {
        kernel.addresses[Self.originAddress] = .actor { [unowned self] in _ = KeptServerConnection(Wire($0, world), self) }
        let lines = LogLines()
        let writer = LogWriter(sink: lines, capacityBytes: 16 << 20, clock: { 0 })
        do { try live(writer) } catch { problems.append("the proxy did not start: \(error)") }
        world.end()
        SystemThread.start(name: "log") { writer.run() }
        _ = writer.finish(deadlineMilliseconds: 10_000)
        logText = String(decoding: lines.bytes, as: UTF8.self)
        checkLog(lines.bytes)
        for page in pages { check(page) }
        return problems.map { "\($0) (workers \(workerCount), server's ids \(serverIDs), \(history))" }
    }

    private var configuration: Configuration {
        var continuity = Continuity()
        continuity.history = history
        var route = Route(upstreamIndex: 0)
        route.heartbeat.intervalMilliseconds = heartbeatMilliseconds
        route.continuity = continuity
        return Configuration(
            workerCount: workerCount, listeners: [Listener(host: "10.9.9.9", port: 80)],
            upstreams: [Upstream(name: "origin", servers: [Upstream.Server(host: "10.0.0.1", port: 80)])], routes: [route],
            streamLog: .standardOutput)
    }

    private func live(_ writer: LogWriter) throws {
        let configuration = self.configuration
        let shared = SharedState(
            connectionLimit: 10_000, connectionsPerClientLimit: 0, streamLog: writer, accessLog: nil, fingerprinter: Fingerprinter(key: [1])
        )
        let security = try Security(configuration)
        let settings = Settings(configuration, security, workerCount: workerCount)
        var proxies: [ProxyWorker] = []
        for number in 0..<workerCount {
            let worker = try Worker(number: number, kernel: kernel)
            let proxy = ProxyWorker(worker: worker, settings: settings, shared: shared, addresses: [[[Self.originAddress]]])
            try proxy.listen(on: try kernel.listen(Self.listenAddress, sharingPort: true), as: security.listeners[0])
            proxies.append(proxy)
        }
        for number in 0..<world.chance.number(1...6) {
            let page = KeptPage(number, self)
            pages.append(page)
            world.after(Int64(world.chance.number(0...10_000))) { page.open() }
        }
        let mailboxes = proxies.map(\.worker.mailbox)
        world.after(Self.troubledMilliseconds) { [self] in
            isCalm = true
            world.faults = Faults(delayMilliseconds: world.faults.delayMilliseconds)
            world.after(Self.settlingMilliseconds) { [self] in
                checkContentment()
                drainsSince = world.now
                for mailbox in mailboxes { mailbox.post { ProxyWorker.on($0)?.drain(graceMilliseconds: 3_000, streamMilliseconds: 500) } }
            }
        }
        turn(proxies.map(\.worker))
        world.pass(until: world.now + 5_000) { false }
        for proxy in proxies {
            let worker = proxy.worker
            expect(worker.endpointCount == 0, "\(worker.endpointCount) endpoints are left")
            expect(worker.wheel.armedCount == 0, "\(worker.wheel.armedCount) deadlines are left")
            let holdings = proxy.exchanges.keptStreams.holdings
            expect(holdings.allSatisfy { $0 == 0 }, "streams, readers, searches, streams away, bytes are left: \(holdings)")
            for server in proxy.exchanges.groups.flatMap(\.servers) {
                expect(server.activeCount == 0, "\(server.activeCount) requests are left")
            }
            worker.resident = nil
        }
        expect(shared.streamDirectory.isEmpty, "the directory still knows streams")
        expect(kernel.openCount == 2 * workerCount, "\(kernel.openCount - 2 * workerCount) descriptors are left open")
    }

    /// Runs the workers in random turns until all of them have stopped.
    private func turn(_ workers: [Worker]) {
        kernel.neverWaits = workers.count > 1
        while true {
            let alive = workers.filter { !$0.isStopping }
            guard !alive.isEmpty else { return }
            var due = alive
            if kernel.neverWaits {
                let pollers = alive.map(\.poller)
                world.pass(until: kernel.nextDeadline(of: pollers)) { pollers.contains { kernel.isDue($0) } }
                due = alive.filter { kernel.isDue($0.poller) }
            }
            world.chance.pick(due.isEmpty ? alive : due).turn()
        }
    }

    func expect(_ holds: Bool, _ problem: @autoclosure () -> String) { if !holds { problems.append(problem()) } }
}

/// One response of the server's.
final class KeptResponse {
    let number: Int
    /// Whose credentials its request had.
    let owner: String
    let beganAt: Int64
    /// How many events were sent.
    var eventCount = 0
    /// When the server ended or broke it; nil if it did not.
    var endedAt: Int64?
    /// When the proxy left it.
    var leftAt: Int64?

    init(_ number: Int, owner: String, beganAt: Int64) {
        self.number = number
        self.owner = owner
        self.beganAt = beganAt
    }
}

/// A connection to the server: one stream after the other.
final class KeptServerConnection {
    private let wire: Wire
    private unowned let home: KeptStreamsWorld
    private var request: [UInt8] = []
    private var response: KeptResponse?

    init(_ wire: Wire, _ home: KeptStreamsWorld) {
        self.wire = wire
        self.home = home
        home.world.wires.append(wire)
        wire.changed = { self.look() }
    }

    private func look() {
        request += wire.read()
        if wire.isBroken || wire.hasEnded {
            response?.leftAt = response?.leftAt ?? home.world.now
            response = nil
            return wire.end(.left)
        }
        guard let end = request.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
        let head = String(decoding: request[..<end.lowerBound], as: UTF8.self)
        request.removeSubrange(..<end.upperBound)
        answer(head)
    }

    private func answer(_ head: String) {
        let fields = head.split(separator: "\r\n").map(String.init)
        if head.contains("hw1.") { home.problems.append("an id of the proxy's has come to the server: \(head)") }
        let owner = fields.first { $0.lowercased().hasPrefix("cookie: ") }.map { String($0.dropFirst(8)) } ?? ""
        let response = KeptResponse(home.responses.count, owner: owner, beganAt: home.world.now)
        home.responses.append(response)
        self.response = response
        home.count("responses of servers")
        wire.send(Array("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
        go(on: response)
    }

    private func go(on response: KeptResponse) {
        home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([5, 300, 3_000])))) { [self] in
            guard self.response === response, wire.isUsable else { return }
            if !home.isCalm, home.world.chance.permille(home.shareOfEnds / 10) { return end(response) }
            var bytes: [UInt8] = []
            for _ in 0..<home.world.chance.pick([1, 1, 1, 3, 20]) { bytes += event(of: response) }
            // Not always whole events at a time.
            let cut = home.world.chance.permille(300) ? home.world.chance.number(1...bytes.count) : bytes.count
            send(bytes[..<cut])
            if cut < bytes.count { send(bytes[cut...]) }
            go(on: response)
        }
    }

    private func event(of response: KeptResponse) -> [UInt8] {
        let name = "\(response.number).\(response.eventCount)"
        response.eventCount += 1
        let end = home.world.chance.permille(800) ? "\n" : "\r\n"
        var lines = home.serverIDs == .unique ? ["id: s\(name)"] : []
        if home.world.chance.permille(200) { lines.append(": a comment") }
        lines.append("data: \(name)")
        if home.world.chance.permille(100) { lines.append("data: \(String(repeating: "x", count: home.world.chance.number(0...400)))") }
        return Array((lines + ["", ""]).joined(separator: end).utf8)
    }

    private func send(_ bytes: ArraySlice<UInt8>) {
        wire.send(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8))
    }

    private func end(_ response: KeptResponse) {
        response.endedAt = home.world.now
        self.response = nil
        if home.world.chance.permille(500) {
            home.count("responses ended in order")
            return wire.send(Array("0\r\n\r\n".utf8))
        }
        home.count("responses broken")
        wire.end(home.world.chance.pick([.left, .reset]))
    }
}

/// A page whose EventSource comes back by the letter of the standard.
final class KeptPage {
    /// One request and what was read of its response.
    struct Visit {
        let beganAt: Int64
        let broughtID: [UInt8]
        var endedAt: Int64?
        /// How it left.
        var deed = Deed.left
        var response: Response?
        var read = ReferenceEventSource(reading: [])
    }

    let number: Int
    private unowned let home: KeptStreamsWorld
    private(set) var visits: [Visit] = []
    private var reader = ResponseReader()
    private var wire: Wire?
    private var lastEventID: [UInt8] = []
    private var lastByteAt: Int64 = 0
    /// A page that does not read for seconds.
    private var isBusy = false
    private(set) var longestSilence: Int64 = 0
    var owner: String { "who=\(number)" }

    init(_ number: Int, _ home: KeptStreamsWorld) {
        self.number = number
        self.home = home
    }

    func open() {
        guard home.drainsSince == .max else { return }
        visits.append(Visit(beganAt: home.world.now, broughtID: lastEventID))
        reader = ResponseReader()
        let peer = SocketAddress(numeric: "192.0.2.\(1 + number)", port: UInt16(1_000 + visits.count))!
        let wire = Wire(home.kernel.connectToProxy(KeptStreamsWorld.listenAddress, from: peer), home.world)
        home.world.wires.append(wire)
        self.wire = wire
        lastByteAt = home.world.now
        wire.changed = { [unowned self] in look() }
        let brought = lastEventID.isEmpty ? "" : "Last-Event-ID: \(String(decoding: lastEventID, as: UTF8.self))\r\n"
        wire.send(Array("GET /kept HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nCookie: \(owner)\r\n\(brought)\r\n".utf8))
        let visit = visits.count
        if !home.isCalm {
            home.world.after(Int64(home.world.chance.number(0...home.world.chance.pick([50, 3_000, 20_000])))) { [self] in
                guard visit == visits.count, visits[visit - 1].endedAt == nil, !home.isCalm else { return }
                leave(home.world.chance.pick([.left, .reset, .vanished]))
            }
        }
        guard home.world.chance.permille(200) else { return }
        home.world.after(Int64(home.world.chance.number(0...2_000))) { [self] in
            isBusy = true
            home.world.after(Int64(home.world.chance.number(100...4_000))) { [self] in
                isBusy = false
                lastByteAt = home.world.now
                look()
            }
        }
    }

    private func look() {
        guard let wire, !isBusy, visits[visits.count - 1].endedAt == nil else { return }
        let bytes = wire.read()
        if !bytes.isEmpty {
            longestSilence = max(longestSilence, home.world.now - lastByteAt)
            lastByteAt = home.world.now
        }
        reader.receive(bytes)
        take()
        if reader.responses.first?.isComplete == true || wire.isBroken || wire.hasEnded { leave(.left) }
    }

    private func take() {
        let response = reader.responses.first
        visits[visits.count - 1].response = response
        let before = visits[visits.count - 1].broughtID
        visits[visits.count - 1].read = ReferenceEventSource(reading: response?.body ?? [], after: before)
    }

    private func leave(_ deed: Deed) {
        guard let wire else { return }
        visits[visits.count - 1].endedAt = home.world.now
        visits[visits.count - 1].deed = deed
        if let violation = reader.violation { home.problems.append("page \(number): \(violation)") }
        if visits[visits.count - 1].response != nil { lastEventID = visits[visits.count - 1].read.lastEventID }
        wire.end(deed)
        self.wire = nil
        home.world.after(Int64(home.world.chance.number(0...(home.isCalm ? 1_000 : home.world.chance.pick([20, 2_000, 9_000]))))) {
            [self] in
            open()
        }
    }
}
