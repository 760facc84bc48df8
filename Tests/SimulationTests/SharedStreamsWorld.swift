// A world of pages that read streams together, and lose their connections, and of servers whose streams are shared. The checks are in
// SharedStreamsChecks.swift.

import Configuration
import Credentials
import TestSupport

@testable import Exchanges
@testable import Proxy
@testable import Reactor
@testable import Telemetry
@testable import Upstreams

/// One run.
final class SharedStreamsWorld: PagesWorld {
    /// When the trouble ends, and how long pages then have to recover.
    private static let troubledMilliseconds: Int64 = 30_000
    private static let settlingMilliseconds: Int64 = 12_000

    let plan: SharedPlan
    /// What each page asks for.
    private(set) var manners: [SharedPageManner] = []
    /// Every response of the server's, by its number.
    var responses: [SharedResponse] = []
    /// Somebody who publishes events; nil in worlds where nobody does.
    private var publisher: Publisher?
    var publications: [Published] { publisher?.all ?? [] }
    /// When the server gave an answer that is not for all with the same key.
    var notForAll: [(owner: String, at: Int64)] = []

    init(seed: UInt64) {
        SimulatedRandomness.begin(seed: seed)
        var chance = Chance(seed: seed)
        plan = SharedPlan(&chance)
        let clients = Clients(isSecured: plan.isSecured, browserCount: plan.browserCount, kindOfBrowsers: plan.kindOfBrowsers)
        super.init(seed: seed, &chance, clients)
    }

    override func request(of page: KeptPage) -> String { manners[page.number].request(plan, &world.chance) }

    override func idToBring(_ page: KeptPage) -> (id: [UInt8], isStolen: Bool) {
        if !isCalm, world.chance.permille(plan.shareOfThefts), let id = stolenID(by: page) { return (id, true) }
        // A page that is loaded again has no id.
        return (!isCalm && world.chance.permille(plan.shareOfReloads) ? [] : page.lastEventID, false)
    }

    // MARK: Running

    override func run() -> [String] {
        let lines = LogLines()
        let writer = LogWriter(sink: lines, capacityBytes: 16 << 20, clock: { 0 })
        do { try live(writer) } catch { problems.append("the proxy did not start: \(error)") }
        world.end()
        SystemThread.start(name: "log") { writer.run() }
        _ = writer.finish(deadlineMilliseconds: 10_000)
        logText = String(decoding: lines.bytes, as: UTF8.self)
        checkLog(lines.bytes, workerCount: plan.workerCount, isShared: true)
        checkPages()
        checkPlaces()
        checkPublishing()
        checkServers()
        return (problems + world.problems).map { "\($0) (\(plan.summary))" }
    }

    private func live(_ writer: LogWriter) throws {
        let (proxies, shared) = try startProxy(
            plan.configuration, [[KeptPlan.originAddress]], writer, listening: [KeptPlan.listenAddress, Publisher.address])
        kernel.addresses[KeptPlan.originAddress] = .actor { [unowned self] in _ = SharedServerConnection(Wire($0, world), self) }
        for number in 0..<plan.pageCount {
            let manner = SharedPageManner(number, plan, &world.chance)
            manners.append(manner)
            let page = KeptPage(
                number, self, owner: manner.sharedRequest(plan), speaksHTTP2: plan.speaksHTTP2 && world.chance.permille(700))
            pages.append(page)
            world.after(Int64(world.chance.number(0...world.chance.pick([50, 10_000])))) { page.open() }
        }
        if plan.publishes { publisher = Publisher(self, shared.fingerprinter) }
        let mailboxes = proxies.map(\.worker.mailbox)
        world.after(Self.troubledMilliseconds) { [self] in
            isCalm = true
            world.faults = Faults(delayMilliseconds: world.faults.delayMilliseconds)
            world.after(Self.settlingMilliseconds) { [self] in
                checkContentment()
                drain(mailboxes)
            }
        }
        turn(proxies.map(\.worker))
        checkNothingIsLeft(proxies, shared)
    }

    override var story: String {
        let told = responses.map { response in
            "response \(response.number)\(response.isVetoed ? ", vetoed" : ""), \(response.beganAt), \(response.events.count) events "
                + "ended at \(response.endedAt ?? 0), left at \(response.leftAt ?? 0), for \(response.owner.debugDescription)"
        }
        return (told + visitsTold + [logText]).joined(separator: "\n")
    }
}
