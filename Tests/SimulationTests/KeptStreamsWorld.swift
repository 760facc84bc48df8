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
final class KeptStreamsWorld: PagesWorld {
    /// When the trouble ends, and how long pages then have to recover.
    private static let troubledMilliseconds: Int64 = 40_000
    private static let settlingMilliseconds: Int64 = 12_000

    let plan: KeptPlan
    /// Every response of the server's, by its number.
    var responses: [KeptResponse] = []
    /// Everything that the server has said, by the journal's number.
    var journals: [KeptJournal] = []
    /// Whether the server answers 503.
    private(set) var isUnavailable = false
    /// For how many of the last seconds each worker kept streams that nobody reads, and too much.
    private var secondsAboveLimit: [Int] = []

    init(seed: UInt64) {
        SimulatedRandomness.begin(seed: seed)
        var chance = Chance(seed: seed)
        plan = KeptPlan(&chance)
        let clients = Clients(isSecured: plan.isSecured, browserCount: plan.browserCount, kindOfBrowsers: plan.kindOfBrowsers)
        super.init(seed: seed, &chance, clients)
    }

    override func request(of page: KeptPage) -> String {
        let (cookie, host) = Self.owner(page.number)
        return "GET /kept HTTP/1.1\r\nHost: \(host)\r\nAccept: text/event-stream\r\nCookie: \(cookie)\r\n"
    }

    override func idToBring(_ page: KeptPage) -> (id: [UInt8], isStolen: Bool) {
        guard !isCalm, world.chance.permille(plan.shareOfThefts), let id = stolenID(by: page) else { return (page.lastEventID, false) }
        return (id, true)
    }

    override var pagesStay: Bool { plan.isSteady }

    /// Whose a page is: two pages may have the same cookie, and then they are of different hosts.
    private static func owner(_ number: Int) -> (cookie: String, host: String) { ("who=\(number / 2)", number % 2 == 0 ? "a" : "b") }

    // MARK: Running

    override func run() -> [String] {
        openServer()
        let lines = LogLines()
        let writer = LogWriter(sink: lines, capacityBytes: 16 << 20, clock: { 0 })
        do { try live(writer) } catch { problems.append("the proxy did not start: \(error)") }
        world.end()
        SystemThread.start(name: "log") { writer.run() }
        _ = writer.finish(deadlineMilliseconds: 10_000)
        logText = String(decoding: lines.bytes, as: UTF8.self)
        checkLog(lines.bytes, workerCount: plan.workerCount, isShared: false)
        for page in pages { check(page) }
        checkPlaces()
        checkRestoring()
        return (problems + world.problems).map { "\($0) (\(plan.summary))" }
    }

    private func live(_ writer: LogWriter) throws {
        let (proxies, shared) = try startProxy(plan.configuration, [[KeptPlan.originAddress]], writer)
        secondsAboveLimit = Array(repeating: 0, count: plan.workerCount)
        for number in 0..<world.chance.number(1...6) {
            let (cookie, host) = Self.owner(number)
            let page = KeptPage(
                number, self, owner: "\(cookie) at \(host)", speaksHTTP2: plan.speaksHTTP2 && world.chance.permille(700))
            pages.append(page)
            world.after(Int64(world.chance.number(0...10_000))) { page.open() }
        }
        if plan.maskMilliseconds != nil, !plan.isSteady { planOutage() }
        let mailboxes = proxies.map(\.worker.mailbox)
        world.after(Self.troubledMilliseconds) { [self] in
            isCalm = true
            openServer()
            world.faults = Faults(delayMilliseconds: world.faults.delayMilliseconds)
            for second in 1...5 {
                world.after(Self.settlingMilliseconds - 1_000 * Int64(second)) { [self] in noteHistoryBytes(of: proxies) }
            }
            world.after(Self.settlingMilliseconds) { [self] in
                checkContentment()
                expect(!secondsAboveLimit.contains(5), "for 5 seconds more bytes were kept than the limit, and streams that nobody reads")
                drain(mailboxes)
            }
        }
        turn(proxies.map(\.worker))
        checkNothingIsLeft(proxies, shared)
    }

    /// Above the limit of bytes the events of streams go that nobody reads, as soon as a log grows. What readers have not got yet stays.
    private func noteHistoryBytes(of proxies: [ProxyWorker]) {
        for (worker, proxy) in proxies.enumerated() {
            let streams = proxy.exchanges.keptStreams
            let limit = max(1, plan.limits.historyBytes / plan.workerCount)
            if streams.holdings[4] > limit, streams.holdsUnread { secondsAboveLimit[worker] += 1 }
        }
    }

    private func openServer() {
        isUnavailable = false
        kernel.addresses[KeptPlan.originAddress] = .actor { [unowned self] in _ = KeptServerConnection(Wire($0, world), self) }
    }

    /// The server is down for a while, again and again.
    private func planOutage() {
        world.after(Int64(world.chance.number(1_000...20_000))) { [self] in
            guard !isCalm else { return }
            count("outages")
            if world.chance.permille(500) { isUnavailable = true } else { kernel.addresses[KeptPlan.originAddress] = .refused }
            world.after(Int64(world.chance.number(100...world.chance.pick([1_000, 15_000, 30_000])))) { [self] in
                openServer()
                planOutage()
            }
        }
    }

    /// Everything that is known of a run, for somebody who investigates one.
    override var story: String {
        let told = responses.map { response in
            "response \(response.number) of \(response.journal.owner): from \(response.beganAt), \(response.journal.events.count) events, "
                + "ended at \(response.endedAt ?? 0), left at \(response.leftAt ?? 0)"
        }
        return (told + visitsTold + [logText]).joined(separator: "\n")
    }
}
