// One run of the whole proxy in a world made from one seed, and what happens when. Inhabitants.swift has the actors; Checks.swift and
// CauseChecks.swift say what must hold at the end.
//
// For forty seconds there is trouble. Then everything works again, and every client must be served as if nothing had happened. Then the
// proxy drains and ends.

import Configuration
import Console
import Credentials
import Foundation
import HTTP
import TestSupport

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Reactor
@testable import Telemetry
@testable import Upstreams

/// The result of one run.
struct Outcome {
    var trace: UInt64 = 0
    var virtualMilliseconds: Int64 = 0
    var injected: [String: Int] = [:]
    var streamCount = 0
    var eventLineCount = 0
    /// Streams whose lines were compared with the truth, and openings that rightly named the stream before.
    var fieldCount = 0
    var returnCount = 0
    var causes: [String: Int] = [:]
    /// What did not hold; empty if everything did.
    var problems: [String] = []
    /// What a method that weighs chances got wrong. Once in hundreds of worlds it may.
    var misjudgements: [String] = []
}

final class Scenario {
    static let listenAddress = SocketAddress(numeric: "10.9.9.9", port: 80)!
    /// When the trouble ends, and how long all clients then have to recover.
    private static let troubledMilliseconds: Int64 = 40_000
    private static let settlingMilliseconds: Int64 = 25_000

    let plan: Plan
    let world: SimulatedWorld
    let kernel: SimulatedKernel
    var truths: [String: Truth] = [:]
    /// What reloads did with the event log.
    private(set) var reloadedEventLogs: EventLogSwitches
    /// What the acting operator asked for.
    private(set) var wishes: [OperatorWish] = []
    var clients: [SimulatedClient] = []
    var eventSources: [SimulatedEventSource] = []
    /// The newest connection of each address, and of each client that has its own.
    var browsers: [Int: BrowserConnection] = [:]
    var hogs: [Hog] = []
    var returners: [Returner] = []
    var watchers: [Watcher] = []
    var strangers: [Stranger] = []
    /// Those who ask for a room that is another one for each user.
    var members: [Member] = []
    /// Those who ask for the same rooms, about which a service is asked.
    var guests: [Guest] = []
    /// Those who have tickets.
    var ticketHolders: [TicketHolderActor] = []
    /// The service that is asked about requests, in some worlds.
    var authService: SimulatedAuthService?
    private(set) var pesterer: Pesterer?
    let contexts: SecureContexts?
    /// The issuer whose keys are fetched, in some worlds.
    let house: KeyHouse?
    /// What records streams, in some worlds.
    let recordings: SimulatedRecordings?
    /// Those who use the endpoint for probes, in some worlds.
    private(set) var probes: SimulatedProbes?
    var servers: [SimulatedServer] = []
    /// A client that comes when the trouble is over.
    private(set) var probe: SimulatedClient?
    private(set) var calmSince = Int64.max
    private(set) var drainsSince = Int64.max
    /// In which way the servers are down for which all wait.
    private(set) var crowdedOutage: SimulatedServer.State?
    private(set) var greatestPendingBytes = 0
    private(set) var greatestPendingOfLink = 0
    private var turns = 0
    private var adoptionCount = 0
    /// Since when all workers have a configuration that requires servers to prove their name, and that trusts no client to name another.
    private(set) var stricterSince: Int64?
    /// When the first of these configurations was loaded.
    private(set) var reloadedAt: Int64?
    /// Every group of servers that ever existed.
    private(set) var groups: [ServerGroup] = []
    /// The operator's side, in some worlds.
    private(set) var operators: Operators?
    let hasConsole: Bool
    /// Whether the operator also acts.
    let isOperated: Bool
    /// What ran at some moments, for what the operator is shown.
    var runningBefore: [(moment: Int64, streams: Set<String>, shown: Set<String>)] = []
    var operatorWaitsSince: Int64?
    /// What runs at the moment; nil when the operator has been checked.
    var runningNow: (() -> Set<String>)?
    /// Changes what the operator is shown before it is checked, so that a test can see the check fail.
    var tamperShown: (inout Set<String>) -> Void = { _ in }
    /// The settings that were loaded last.
    private var newestSettings: Settings?
    private var newestSecurity: Security?
    /// What all workers have counted; nil until their end.
    private(set) var counted: CounterSnapshot?
    /// Changes what a worker has counted, so that a test sees that the checks notice.
    var spoilCounts: (WorkerCounters) -> Void = { _ in }
    let lines = LogLines()
    /// Changes the log's records before they are checked, so that a test can see the checks fail.
    var tamper: (inout [String: Any]) -> Void = { _ in }
    var outcome = Outcome()

    init(seed: UInt64) {
        SimulatedRandomness.begin(seed: seed)
        var another = Chance(seed: seed &+ 9_464)
        hasConsole = another.permille(300)
        var chance = Chance(seed: seed)
        let recording = RecordingPlan(ofWorld: seed)
        plan = Plan(
            &chance, hop: PlantedHop(ofWorld: seed), recording: recording?.policy,
            probes: SimulatedProbes.areIn(seed) ? SimulatedProbes.endpoint : nil, credentials: CredentialPlan(ofWorld: seed),
            forwardAuth: ForwardAuthPlan(ofWorld: seed), tickets: TicketPlan(ofWorld: seed),
            crossOrigin: CrossOriginPlan(ofWorld: seed))
        // Streams that an operator ends tell nothing about hops, and keep those who wait from their turns.
        isOperated = hasConsole && another.permille(600) && plan.hop == nil && !plan.troubles.crowdedOutage
        reloadedEventLogs = EventLogSwitches(hasLog: plan.logsEvents)
        world = SimulatedWorld(seed: chance.next(), faults: plan.faults)
        let kernel = SimulatedKernel(world, bufferBytes: plan.bufferBytes)
        self.kernel = kernel
        house = plan.credentials?.keepMilliseconds.map { [world] in KeyHouse(world, kernel, keepMilliseconds: $0) }
        recordings = recording.map { [world] in SimulatedRecordings($0, world, kernel) }
        contexts = plan.isSecuredUpstream || plan.isSecuredDownstream || plan.takesProxyProtocol ? SecureContexts() : nil
    }

    /// Everything that is known of a run, for somebody who investigates one.
    var story: String {
        let log = String(decoding: lines.bytes, as: UTF8.self)
        let asked = truths.values.sorted { ($0.askedAt ?? 0, $0.path) < ($1.askedAt ?? 0, $1.path) }.map(\.description).joined(
            separator: "\n")
        let tried = kernel.attempts.map { "\($0.address) at \($0.beganAt): \($0.outcome)" }.joined(separator: "\n")
        return
            """
            \(plan)\n\(tried)\nbegan at \(SimulatedWorld.beginning), calm since \(calmSince), drained since \(drainsSince)\n\
            \(house?.service.story ?? "")\n\(asked)\n\(log)
            """
    }

    // MARK: What happens

    private func planOutages() {
        if plan.troubles.crowdedOutage { return planCrowdedOutage() }
        guard plan.troubles.outages else { return }
        let isTogether = world.chance.permille(500)
        for _ in 0..<world.chance.number(1...3) {
            let from = Int64(world.chance.number(0...30_000))
            let duration = Int64(world.chance.permille(500) ? world.chance.number(100...3_000) : world.chance.number(1_000...30_000))
            let state = aWayToBeGone()
            let parting = world.chance.pick(SimulatedServer.Parting.allCases)
            let chosen = isTogether ? servers : [world.chance.pick(servers)]
            world.after(from) { for server in chosen { server.become(state, parting) } }
            world.after(from + duration) { for server in chosen { server.become(.serving) } }
        }
    }

    private func aWayToBeGone() -> SimulatedServer.State {
        world.chance.pick([.refusing, .refusing, .silent, .failing(502), .failing(503), .failing(504), .closing])
    }

    private func planCrowdedOutage() {
        let state = world.chance.pick([SimulatedServer.State.refusing, .silent, .failing(503), .failing(503), .failing(504)])
        crowdedOutage = state
        for server in servers { server.become(state) }
        world.after(Int64(world.chance.number(3_000...25_000))) { [self] in for server in servers { server.become(.serving) } }
        guard case .failing = state else { return }
        if world.chance.permille(700) { addPesterer() }
        // By then every client has tried for itself, and one waiting client tries for all.
        if world.chance.permille(500) { world.after(1_500) { [self] in for server in servers { server.hangCount = 1 } } }
    }

    private func addPesterer() {
        // A client that comes and goes all the time would sometimes exceed the limit.
        guard !plan.troubles.limits else { return }
        var number = 0
        let pesterer = Pesterer(world, connect: { [unowned self] in connection(from: 300 + number) }) { [unowned self] in
            number += 1
            let truth = Truth(path: "\(Pesterer.path)\(number)", isStream: true)
            register(truth)
            return truth
        }
        self.pesterer = pesterer
        pesterer.begin()
    }

    /// At some moments an equivalent configuration is loaded: in the same words, or with another description of the servers.
    private func planReloads(on mailboxes: [Mailbox], _ shared: SharedState, _ addresses: [[[SocketAddress]]]) {
        guard plan.troubles.reloads else { return }
        for _ in 0..<world.chance.number(1...4) {
            world.after(Int64(world.chance.number(0...39_000))) { [self] in
                var changed = plan.configuration
                if world.chance.permille(500) { changed.upstreams[0].idleConnections = world.chance.number(0...4) }
                changed.upstreams[0].tls?.isVerified = true
                if plan.trustsClients { changed.trustedProxies = [] }
                if reloadedAt == nil { reloadedAt = world.now }
                let recordingQueues = recordings?.reload(&changed) ?? [:]
                guard let security = try? Security(changed, succeeding: newestSecurity) else {
                    return expect(false, "the certificates cannot be read again")
                }
                world.count("reload")
                newestSecurity = security
                let settings = Settings(changed, security, workerCount: plan.workerCount, succeeding: newestSettings)
                newestSettings = settings
                let next = SharedState(
                    connectionLimit: changed.limits.connections, connectionsPerClientLimit: changed.limits.connectionsPerClient,
                    streamLog: shared.streamLog, accessLog: shared.accessLog, eventLog: switchEventLog(shared.eventLog),
                    recordings: recordingQueues, hasConsole: hasConsole, fingerprinter: shared.fingerprinter, succeeding: shared)
                nonisolated(unsafe) let scenario = self
                for mailbox in mailboxes {
                    mailbox.post { worker in
                        guard let proxy = ProxyWorker.on(worker), !proxy.exchanges.isDraining else { return }
                        proxy.adopt(
                            settings, shared: next, addresses: addresses,
                            listeners: [Scenario.listenAddress: security.listeners[0]])
                        scenario.groups += proxy.exchanges.groups
                        scenario.noteAdoption()
                    }
                }
            }
        }
    }

    /// Every reload is as strict as the others, whatever was in force before.
    private func noteAdoption() {
        adoptionCount += 1
        if adoptionCount == plan.workerCount { stricterSince = world.now }
    }

    /// A reload may also switch the event log off, and a later one on again.
    private func switchEventLog(_ writer: LogWriter?) -> LogWriter? {
        let hasLog = writer != nil && world.chance.permille(500)
        reloadedEventLogs.reload(hasLog: hasLog, at: world.now)
        return hasLog ? writer : nil
    }

    /// Everything works from now on.
    private func calmDown() {
        calmSince = world.now
        world.faults = Faults(delayMilliseconds: plan.faults.delayMilliseconds)
        kernel.descriptorLimit = .max
        for server in servers { server.behave() }
        authService?.behave()
        for hog in hogs { hog.stop() }
        pesterer?.stop()
        world.after(Scenario.settlingMilliseconds - 5_000) { [self] in
            let truth = Truth(path: "/get/probe", isStream: false)
            register(truth)
            let peer = SocketAddress(numeric: "198.51.100.1", port: 1)!
            let engine = plan.isSecuredDownstream ? contexts.map { SecureEngine($0, .client) } : nil
            let isHTTP2 = plan.speaksHTTP2 && world.chance.permille(500)
            probe = SimulatedClient(
                world, isHTTP2 ? ownConnection(9_999, isHTTP2: true) : connection(from: peer, securedBy: engine), truths: [truth],
                requests: [Array("GET \(truth.path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)], isSlow: false, sendsAllAtOnce: false)
        }
    }

    // MARK: Running

    func run() -> Outcome {
        let began = world.now
        let writer = LogWriter(sink: lines, capacityBytes: 16 << 20, clock: { 0 })
        var remains = Remains()
        do {
            try live(writer, &remains)
        } catch {
            outcome.problems.append("the proxy did not start: \(error)")
        }
        recordings?.end()
        world.end()
        expect(remains.isEmpty, "somebody still holds a worker or what lives on it")
        SystemThread.start(name: "log") { writer.run() }
        _ = writer.finish(deadlineMilliseconds: 10_000)
        checkEverything()
        outcome.trace = world.trace
        outcome.injected = world.injected
        outcome.virtualMilliseconds = world.now - began
        return outcome
    }

    /// Secrets that must be nowhere when the proxy is gone.
    private struct Remains {
        final class Reference {
            weak var object: AnyObject?
            init(_ object: AnyObject) { self.object = object }
        }
        var references: [Reference] = []
        var isEmpty: Bool { references.allSatisfy { $0.object == nil } }
    }

    private func live(_ writer: LogWriter, _ remains: inout Remains) throws {
        let configuration = plan.configuration
        let shared = SharedState(
            connectionLimit: configuration.limits.connections, connectionsPerClientLimit: configuration.limits.connectionsPerClient,
            streamLog: writer, accessLog: writer, eventLog: plan.logsEvents ? writer : nil,
            recordings: recordings?.queues ?? [:], hasConsole: hasConsole, fingerprinter: Fingerprinter(key: [1, 2, 3]))
        let security = try Security(configuration)
        let settings = Settings(configuration, security, workerCount: plan.workerCount)
        (newestSettings, newestSecurity) = (settings, security)
        addServers()
        house?.begin()
        let addresses = configuration.allUpstreams.map { $0.servers.map { kernel.resolve($0.host, port: $0.port) } }
        var proxies: [ProxyWorker] = []
        for number in 0..<plan.workerCount {
            let worker = try Worker(number: number, kernel: kernel)
            let proxy = ProxyWorker(worker: worker, settings: settings, shared: shared, addresses: addresses)
            try proxy.listen(on: try kernel.listen(Scenario.listenAddress, sharingPort: true), as: security.listeners[0])
            proxies.append(proxy)
            groups += proxy.exchanges.groups
            remains.references += [Remains.Reference(worker), Remains.Reference(proxy)]
        }
        for number in 0..<plan.clientCount { addClient(number: number) }
        for number in 0..<plan.uploadingPageCount { addUploads(number: number) }
        for number in 0..<plan.eventSourceCount { addEventSource(number: number) }
        for number in 0..<plan.hogCount { addHog(number: number) }
        for number in 0..<plan.returnerCount { addReturner(number: number) }
        if let hop = plan.hop { addWatchers(of: hop) }
        if plan.isSecuredDownstream || plan.takesProxyProtocol, plan.troubles.insecurity {
            for number in 0..<world.chance.number(1...6) { addStranger(number: number) }
        }
        addTokenClients()
        addCredentials()
        addForwardAuth()
        addTickets()
        addPages()
        // They would be a crowd of their own.
        if plan.configuration.probeEndpoint != nil, !plan.troubles.limits, !plan.troubles.crowdedOutage {
            probes = SimulatedProbes(world, kernel) { [unowned self] in connection(from: 10_000 + $0) }
            probes?.begin()
        }
        recordings?.begin()
        planOutages()
        planClock()
        planScarcity()
        let mailboxes = proxies.map(\.worker.mailbox)
        planReloads(on: mailboxes, shared, addresses)
        if hasConsole {
            var shown = configuration
            shown.eventLog = plan.logsEvents ? .standardOutput : .off
            operators = try Operators(kernel, world, over: mailboxes, shown)
            operators?.begin(acting: isOperated, hasEventLog: plan.logsEvents) { Operators.running(on: proxies) }
            rememberRunning(on: proxies)
        }
        let drainMilliseconds = world.chance.pick([0, 500, 6_000])
        world.after(Scenario.troubledMilliseconds) { [self] in
            calmDown()
            world.after(Scenario.settlingMilliseconds) { [self] in drain(mailboxes, drainMilliseconds) }
        }
        turn(proxies.map(\.worker) + [operators?.worker].compactMap { $0 })
        // Bytes still on their way arrive.
        world.pass(until: world.now + 5_000) { false }
        spoilCounts(proxies[0].exchanges.counters)
        for proxy in proxies {
            counted = counted ?? CounterSnapshot()
            counted?.add(proxy.exchanges.counted())
            check(proxy.worker)
            proxy.worker.resident = nil
        }
        wishes = operators?.acting?.wishes ?? []
        let console = operators?.worker
        console?.resident = nil
        operators = nil
        check(shared)
        groups = []
        // The poller and the mailbox's waker belong to the worker.
        let workerCount = plan.workerCount + (hasConsole ? 1 : 0)
        withExtendedLifetime(console) {
            expect(kernel.openCount == 2 * workerCount, "\(kernel.openCount - 2 * workerCount) descriptors are left open")
        }
    }

    private func drain(_ mailboxes: [Mailbox], _ streamMilliseconds: Int) {
        checkContentment()
        checkOperators()
        operators?.acting?.retire()
        drainsSince = world.now
        probes?.retire()
        world.after(30_000) { [self] in recordings?.stop() }
        for source in eventSources { source.retire() }
        for returner in returners { returner.retire() }
        for member in members { member.retire() }
        for guest in guests { guest.retire() }
        for watcher in watchers { watcher.retire() }
        for mailbox in mailboxes {
            mailbox.post { ProxyWorker.on($0)?.drain(graceMilliseconds: 3_000, streamMilliseconds: streamMilliseconds) }
        }
    }

    /// Runs the workers until all of them have stopped: a single one by itself, several in random turns.
    private func turn(_ workers: [Worker]) {
        kernel.neverWaits = workers.count > 1
        while true {
            let alive = workers.filter { !$0.isStopping }
            guard !alive.isEmpty else { return }
            // The console ends last, as in the process.
            if let operators, alive.count == 1, alive[0] === operators.worker {
                operators.end()
                continue
            }
            var due = alive
            if kernel.neverWaits {
                let pollers = alive.map(\.poller)
                world.pass(until: kernel.nextDeadline(of: pollers)) { pollers.contains { kernel.isDue($0) } }
                due = alive.filter { kernel.isDue($0.poller) }
            }
            let next = world.chance.pick(due.isEmpty ? alive : due)
            next.turn()
            // The limits on waiting bytes are the proxy's, and not the console's.
            if next === operators?.worker { continue }
            greatestPendingBytes = max(greatestPendingBytes, next.pendingBytes)
            turns += 1
            // Not each time, because the check is slow.
            if turns % 16 == 0 { look(at: next) }
        }
    }

    /// The bytes that wait on a worker, counted by looking at each of its connections.
    private func look(at worker: Worker) {
        var waiting = 0
        for case let link as Link in worker.openEndpoints {
            greatestPendingOfLink = max(greatestPendingOfLink, link.pendingCount)
            waiting += link.pendingCount
            if let client = link as? HTTP1Connection { waiting += client.putAside.count + (client.partialHead?.byteCount ?? 0) }
            if let client = link as? HTTP2Connection {
                waiting += client.waitingBytes
                outcome.problems += client.needlessWaits
            }
        }
        greatestPendingBytes = max(greatestPendingBytes, waiting)
        expect(waiting == worker.pendingBytes, "\(worker.pendingBytes) bytes are said to wait, and \(waiting) do")
    }
}
