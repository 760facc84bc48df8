// What the worlds of kept and of shared streams have in common: pages and their ways to the proxy, workers that take turns, and what was
// found out.

import Configuration
import Credentials
import Foundation
import ReferenceEventSource
import TestSupport

@testable import Exchanges
@testable import Proxy
@testable import Reactor
@testable import Telemetry
@testable import Upstreams

/// A world of pages that come back. What they ask for, and what must hold, is a subclass's.
class PagesWorld {
    /// How clients speak to the proxy.
    struct Clients {
        let isSecured: Bool
        /// How many browsers there are, whose pages share a connection of HTTP/2.
        let browserCount: Int
        let kindOfBrowsers: BrowserManner.Kind
    }

    /// How late a heartbeat may come. In some browsers pages that do not read hold the window of all others.
    var toleranceOfSilence: Int64 { clients.kindOfBrowsers == .small ? 10_000 : 1_500 }

    let world: SimulatedWorld
    let kernel: SimulatedKernel
    let seed: UInt64
    var pages: [KeptPage] = []
    var problems: [String] = []
    /// What happened, for the tally.
    var counts: [String: Int] = [:]
    var logText = ""
    var isCalm = false
    var drainsSince = Int64.max

    private let clients: Clients
    private var connectionCount = 0
    /// What the clients of a world over TLS share.
    private let contexts: SecureContexts?
    /// The connections of HTTP/2 that pages of one browser share, by its number.
    private var browsers: [Int: BrowserConnection] = [:]

    init(seed: UInt64, _ chance: inout Chance, _ clients: Clients) {
        self.seed = seed
        self.clients = clients
        world = SimulatedWorld(seed: chance.next(), faults: Faults.swarm(&chance))
        world.faults.acceptExhausted = 0
        world.faults.connectExhausted = 0
        kernel = SimulatedKernel(world, bufferBytes: chance.pick([512, 8_192, 65_536]))
        contexts = clients.isSecured ? SecureContexts() : nil
    }

    func count(_ what: String) { counts[what, default: 0] += 1 }

    func expect(_ holds: Bool, _ problem: @autoclosure () -> String) { if !holds { problems.append(problem()) } }

    // MARK: Pages

    /// The head of a page's next request, without the id that it brings and the blank line.
    func request(of page: KeptPage) -> String { preconditionFailure("a subclass says what pages ask for") }

    /// The id that a page brings with its next request, and whether it is another page's.
    func idToBring(_ page: KeptPage) -> (id: [UInt8], isStolen: Bool) { (page.lastEventID, false) }

    /// The id of another page, which has one; nil if none has.
    func stolenID(by page: KeptPage) -> [UInt8]? {
        let others = pages.filter { $0 !== page && !$0.lastEventID.isEmpty }
        guard !others.isEmpty else { return nil }
        count("ids of others")
        return world.chance.pick(others).lastEventID
    }

    /// Whether pages stay, also while there is trouble.
    var pagesStay: Bool { false }

    /// A page's way to the proxy for one request: a connection, or a stream of its browser's.
    func connection(of page: KeptPage) -> Wire {
        guard page.speaksHTTP2, !world.chance.permille(100) else { return wire(from: page, speaking: nil) }
        let place = page.number % clients.browserCount
        if let browser = browsers[place], browser.takesStreams { return BrowserStream(on: browser) }
        let browser = BrowserConnection(
            world, wire(from: page, speaking: "h2"), manner: BrowserManner(&world.chance, clients.kindOfBrowsers), heartbeat: nil,
            mostUploadWindow: Limits().streamsPerConnection * 65_535, isSecured: clients.isSecured,
            isCalm: { [unowned self] in isCalm })
        browsers[place] = browser
        return BrowserStream(on: browser)
    }

    private func wire(from page: KeptPage, speaking name: String?) -> Wire {
        wire(to: KeptPlan.listenAddress, from: "192.0.2.\(1 + page.number)", speaking: name)
    }

    func wire(to listener: SocketAddress, from host: String, speaking name: String?) -> Wire {
        connectionCount += 1
        let peer = SocketAddress(numeric: host, port: UInt16(1_000 + connectionCount))!
        let engine = contexts.map { SecureEngine($0, .client, speaking: name) }
        return Wire(kernel.connectToProxy(listener, from: peer), world, securedBy: engine)
    }

    // MARK: Running

    /// Runs the world, and says what is wrong.
    func run() -> [String] { preconditionFailure("a subclass runs its world") }

    /// Everything that is known of a run, for somebody who investigates one.
    var story: String { logText }

    /// What pages read, for that.
    var visitsTold: [String] {
        pages.flatMap { page in
            page.visits.enumerated().map { index, visit in
                let events = visit.read.events.map { String(decoding: $0.data.prefix(60), as: UTF8.self) }
                return "page \(page.number), visit \(index): \(visit.beganAt) to \(visit.endedAt ?? 0), \(visit.deed), brought "
                    + "\(String(decoding: visit.broughtID, as: UTF8.self))\(visit.isStolen ? " (stolen)" : ""): "
                    + "\(events.prefix(4)) ... \(events.suffix(2))"
            }
        }
    }

    /// Starts the proxy: workers that listen, with these addresses of the upstream's servers.
    func startProxy(
        _ configuration: Configuration, _ addresses: [[SocketAddress]], _ writer: LogWriter,
        listening places: [SocketAddress] = [KeptPlan.listenAddress]
    ) throws -> (proxies: [ProxyWorker], shared: SharedState) {
        let shared = SharedState(
            connectionLimit: 10_000, connectionsPerClientLimit: 0, streamLog: writer, accessLog: nil, fingerprinter: Fingerprinter(key: [1])
        )
        let security = try Security(configuration)
        let settings = Settings(configuration, security, workerCount: configuration.workerCount)
        let proxies = try (0..<configuration.workerCount).map { number in
            let worker = try Worker(number: number, kernel: kernel)
            let proxy = ProxyWorker(worker: worker, settings: settings, shared: shared, addresses: [addresses])
            for (place, listener) in zip(places, security.listeners) {
                try proxy.listen(on: try kernel.listen(place, sharingPort: true), as: listener)
            }
            return proxy
        }
        return (proxies, shared)
    }

    /// Has the proxy drain.
    func drain(_ mailboxes: [Mailbox]) {
        drainsSince = world.now
        for mailbox in mailboxes { mailbox.post { ProxyWorker.on($0)?.drain(graceMilliseconds: 3_000, streamMilliseconds: 500) } }
    }

    /// The workers have stopped: all that they had is given back.
    func checkNothingIsLeft(_ proxies: [ProxyWorker], _ shared: SharedState) {
        world.pass(until: world.now + 5_000) { false }
        for proxy in proxies {
            let worker = proxy.worker
            expect(worker.endpointCount == 0, "\(worker.endpointCount) endpoints are left")
            expect(worker.wheel.armedCount == 0, "\(worker.wheel.armedCount) deadlines are left")
            let holdings = proxy.exchanges.keptStreams.holdings
            expect(holdings.allSatisfy { $0 == 0 }, "streams, readers, searches, streams away, bytes, heads are left: \(holdings)")
            for server in proxy.exchanges.groups.flatMap(\.servers) {
                expect(server.activeCount == 0, "\(server.activeCount) requests are left")
            }
            worker.resident = nil
        }
        expect(shared.streamDirectory.isEmpty, "the directory still knows streams")
        expect(kernel.openCount == 2 * proxies.count, "\(kernel.openCount - 2 * proxies.count) descriptors are left open")
    }

    /// Runs the workers in random turns until all of them have stopped.
    func turn(_ workers: [Worker]) {
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

    /// The log has one end for each opening, and each stream that goes on names one that was there before. Where streams are not shared,
    /// that one has ended: a stream has one reader.
    func checkLog(_ bytes: [UInt8], workerCount: Int, isShared: Bool) {
        var open: Set<String> = []
        var known: Set<String> = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let record = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any],
                let event = record["event"] as? String, let stream = record["stream"] as? String
            else { continue }
            switch event {
            case "stream_open":
                expect(open.insert(stream).inserted, "\(stream) opens twice")
                known.insert(stream)
                if let from = record["resumed_from"] as? String {
                    count("resumed")
                    // A client may be gone, and back, before another worker's answer comes.
                    expect(workerCount > 1 || known.contains(from), "\(stream) goes on from \(from), which never was")
                    expect(from != stream, "\(stream) goes on from itself")
                    // The one before is gone, or is superseded in that moment.
                    let isOver = isShared || workerCount > 1 || !open.contains(from)
                    expect(isOver, "\(stream) goes on from \(from), which goes on as well")
                }
            case "stream_end":
                expect(open.remove(stream) != nil, "\(stream) ends without an opening")
                count("cause: \(record["cause"] as? String ?? "none")")
                let (silence, life) = (record["longest_upstream_silence_ms"] as? Int ?? 0, record["duration_ms"] as? Int ?? 0)
                expect(silence <= life, "\(stream) lives for \(life) ms, and its server is said to be silent for \(silence)")
            default: continue
            }
        }
        expect(open.isEmpty, "\(open.count) streams have no end")
    }
}
