// A world of pages that read the merged streams of several servers, its pods, and lose their connections, and of pods that come, go and
// fail. The checks are in MergedStreamsChecks.swift.

import TestSupport

@testable import Exchanges
@testable import Proxy
@testable import Reactor
@testable import Telemetry

/// One run.
final class MergedStreamsWorld: PagesWorld {
    /// When the trouble ends, and how long pages then have to recover.
    private static let troubledMilliseconds: Int64 = 30_000
    private static let settlingMilliseconds: Int64 = 20_000

    let plan: MergedPlan
    var journals: [MergedJournal] = []
    var responses: [MergedResponse] = []
    /// The pods that the name has.
    private(set) var listed: [Int] = []
    /// Those that answer 503.
    private(set) var unavailable: Set<Int> = []
    private(set) var calmSince = Int64.max

    init(seed: UInt64) {
        SimulatedRandomness.begin(seed: seed)
        var chance = Chance(seed: seed)
        plan = MergedPlan(&chance)
        super.init(seed: seed, &chance, plan.clients)
    }

    /// A page says which of its visits it is, so that pods know whose stream they are asked for.
    override func request(of page: KeptPage) -> String {
        "GET /kept HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nCookie: \(page.owner)\r\nX-Visit: \(page.visits.count - 1)\r\n"
    }

    override var pagesStay: Bool { plan.isSteady }

    // MARK: Running

    override func run() -> [String] {
        let lines = LogLines()
        let writer = LogWriter(sink: lines, capacityBytes: 16 << 20, clock: { 0 })
        do { try live(writer) } catch { problems.append("the proxy did not start: \(error)") }
        world.end()
        SystemThread.start(name: "log") { writer.run() }
        _ = writer.finish(deadlineMilliseconds: 10_000)
        logText = String(decoding: lines.bytes, as: UTF8.self)
        checkLog(lines.bytes, workerCount: plan.workerCount, isShared: false)
        for page in pages { check(page) }
        return (problems + world.problems).map { "\($0) (\(plan.summary))" }
    }

    private func live(_ writer: LogWriter) throws {
        let pods = Array(plan.podAddresses.indices)
        listed = plan.isOneName ? Array(pods.prefix(world.chance.number(1...pods.count))) : pods
        let (proxies, shared) = try startProxy(plan.configuration, plan.addresses(of: listed), writer)
        for pod in pods {
            open(pod)
            if plan.hasOutages { planOutage(of: pod) }
        }
        for number in 0..<world.chance.number(1...3) {
            let page = KeptPage(number, self, owner: "who=\(number)", speaksHTTP2: plan.speaksHTTP2 && world.chance.permille(700))
            pages.append(page)
            world.after(Int64(world.chance.number(0...5_000))) { page.open() }
        }
        let settings = proxies[0].exchanges.settings
        let mailboxes = proxies.map(\.worker.mailbox)
        func list(_ pods: [Int]) {
            listed = pods
            let addresses = plan.addresses(of: pods)
            for mailbox in mailboxes { mailbox.post { ProxyWorker.on($0)?.update(addresses: [addresses], of: settings) } }
        }
        func planListing() {
            world.after(Int64(world.chance.number(500...10_000))) { [self] in
                guard !isCalm else { return }
                count("changes of a name")
                list(pods.filter { _ in world.chance.permille(600) })
                planListing()
            }
        }
        if plan.isOneName { planListing() }
        world.after(Self.troubledMilliseconds) { [self] in
            isCalm = true
            calmSince = world.now
            for pod in pods { open(pod) }
            // Some pods never come back.
            if plan.isOneName { list(pods.filter { $0 == 0 || world.chance.permille(700) }) }
            world.faults = Faults(delayMilliseconds: world.faults.delayMilliseconds)
            world.after(Self.settlingMilliseconds) { [self] in
                checkContentment()
                drain(mailboxes)
            }
        }
        turn(proxies.map(\.worker))
        checkNothingIsLeft(proxies, shared)
    }

    private func open(_ pod: Int) {
        unavailable.remove(pod)
        kernel.addresses[plan.podAddresses[pod]] = .actor { [unowned self] in _ = MergedServerConnection(Wire($0, world), pod: pod, self) }
    }

    /// A pod is down for a while, again and again. What it has said before goes on.
    private func planOutage(of pod: Int) {
        world.after(Int64(world.chance.number(1_000...20_000))) { [self] in
            guard !isCalm else { return }
            count("outages")
            switch world.chance.number(0...2) {
            case 0: unavailable.insert(pod)
            case 1: kernel.addresses[plan.podAddresses[pod]] = .refused
            default: kernel.addresses[plan.podAddresses[pod]] = .silent
            }
            world.after(Int64(world.chance.number(100...world.chance.pick([1_000, 10_000])))) { [self] in
                guard !isCalm else { return }
                open(pod)
                planOutage(of: pod)
            }
        }
    }

    override var story: String {
        let told = responses.map { response in
            "pod \(response.pod), journal \(response.journal.number) of \(response.journal.stream): from \(response.beganAt), "
                + "events \(response.first) to \(response.next), ended at \(response.endedAt ?? 0), left at \(response.leftAt ?? 0)"
        }
        return (told + visitsTold + [logText]).joined(separator: "\n")
    }
}
