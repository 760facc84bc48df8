// The proxy as a whole: it opens the listening sockets, starts the workers, the log writers and the name resolver, and
// ends them. It serves no request itself. Invariant: when the initializer has thrown, nothing of it is left running but
// look-ups of names, which end by themselves, and no address is listened on.

import Configuration
import Credentials
import Downstreams
import Exchanges
import Reactor
import Synchronization
import Telemetry
import Upstreams

/// Why the proxy could not start.
package enum StartError: Error, Sendable {
    /// An address to listen on cannot be had.
    case cannotListen(address: String, SystemError)
    /// A log file cannot be opened.
    case cannotOpenLog(path: String, SystemError)
    /// A certificate, a key or another word about TLS cannot be used.
    case security(TLSError)
    /// The system lacks something that every worker needs.
    case system(SystemError)

    /// One line for the person who started it.
    package var message: String {
        switch self {
        case .cannotListen(let address, let error): "cannot listen on \(address): \(error.message)"
        case .cannotOpenLog(let path, let error): "cannot open the log file \(path): \(error.message)"
        case .security(let error): error.message
        case .system(let error): "cannot start: \(error.message)"
        }
    }
}

/// A running proxy.
package final class ProxyServer: Sendable {
    /// What one configuration consists of while it is in force; a reload puts another in its place.
    struct InForce: Sendable {
        let configuration: Configuration
        let settings: Settings
        let security: Security
        let shared: SharedState
        let logs: Logs
        let sockets: ListeningSockets
        let names: NameResolver
        /// What the names stand for.
        var addresses: [[[SocketAddress]]]
    }

    private struct Running {
        var inForce: InForce
        var isResolving = false
        var isEnding = false
    }

    private let running: Mutex<Running>
    /// What workers have counted that have ended.
    private let countedByEnded = CounterSum()
    private let threads: Mutex<[SystemThread.Handle]> = Mutex([])
    private let descriptorLimit: Int
    /// How long a start waits for the names of servers, which have no address before.
    private static let firstLookupMilliseconds = 10_000
    /// How often is looked whether look-ups have come to an end.
    private static let answersMilliseconds = 500
    let kernel: Kernel
    let lookups: NameLookups
    let clock: @Sendable () -> Int64
    /// The way to each worker, by its number.
    let mailboxes: [Mailbox]
    /// For fingerprints, where the configuration has no key.
    let randomKey: [UInt8]

    /// Opens everything and starts to serve. Inherited sockets are used where a listener fits them, and closed otherwise.
    /// `kernel` makes the way to the world of each thread.
    package init(
        _ configuration: Configuration, inheriting inherited: [InheritedSocket] = [], kernel makeKernel: @escaping @Sendable () -> Kernel
    ) throws(StartError) {
        let kernel = makeKernel()
        self.kernel = kernel
        clock = { kernel.unixMilliseconds() }
        descriptorLimit = SystemProcess.raiseDescriptorLimit()
        randomKey = ProxyServer.randomKey(kernel)
        let security: Security
        do { security = try Security(configuration) } catch { throw .security(error) }
        var logs = try Logs(configuration, clock: clock)
        let workerCount = ProxyServer.workerCount(configuration)
        let lookups = NameLookups(makeKernel())
        self.lookups = lookups
        let names = NameResolver(configuration.upstreams)
        let unanswered = lookups.lookUp(
            names.names.union(ListeningSockets.names(in: configuration.listeners)), atMostMilliseconds: ProxyServer.firstLookupMilliseconds)
        // At once, because one that does not fit may be why an address cannot be had.
        var sockets = try ListeningSockets(
            configuration.listeners, inheriting: inherited, workerCount: workerCount, kernel: kernel, lookups: lookups
        ) { SystemProcess.complain("heartwire: \($0)") }
        let shared = SharedState(
            connectionLimit: ProxyServer.connectionLimit(configuration.limits, descriptors: descriptorLimit),
            connectionsPerClientLimit: configuration.limits.connectionsPerClient, streamLog: logs.stream,
            accessLog: logs.access, eventLog: logs.event, fingerprinter: Fingerprinter(key: configuration.fingerprintKey ?? randomKey))
        let settings = Settings(configuration, security, workerCount: workerCount)
        let addresses = names.addresses(from: lookups)
        for complaint in names.complaints(of: addresses, unanswered: unanswered, withinMilliseconds: ProxyServer.firstLookupMilliseconds) {
            SystemProcess.complain("heartwire: \(complaint)")
        }
        var workers: [ProxyWorker] = []
        do {
            for number in 0..<workerCount {
                let worker = try Worker(number: number, kernel: makeKernel())
                workers.append(ProxyWorker(worker: worker, settings: settings, shared: shared, addresses: addresses))
            }
            for worker in workers {
                let wanted = sockets.entries.map { ($0.sockets, Optional(security.listeners[$0.listenerIndex])) }
                for (sockets, security) in wanted + sockets.unwanted.map({ ($0, nil) }) {
                    for descriptor in sockets.descriptors(forWorker: worker.worker.number, of: workerCount) {
                        try worker.listen(on: try kernel.duplicate(descriptor), as: security)
                    }
                }
            }
        } catch {
            for worker in workers { worker.abandonListening() }
            sockets.close(kernel)
            throw .system(error)
        }
        do { try logs.start() } catch {
            logs.end()
            for worker in workers { worker.abandonListening() }
            sockets.close(kernel)
            throw error
        }
        mailboxes = workers.map(\.worker.mailbox)
        running = Mutex(
            Running(
                inForce: InForce(
                    configuration: configuration, settings: settings, security: security, shared: shared, logs: logs, sockets: sockets,
                    names: names, addresses: addresses)))
        for worker in workers { start(worker) }
        if let error = startResolver() { SystemProcess.complain("heartwire: names of servers are not looked up again: \(error.message)") }
    }

    /// How many workers a configuration asks for.
    static func workerCount(_ configuration: Configuration) -> Int {
        configuration.workerCount > 0 ? configuration.workerCount : SystemProcess.processorCount
    }

    /// How many clients are let in.
    func connectionLimit(_ limits: Limits) -> Int { ProxyServer.connectionLimit(limits, descriptors: descriptorLimit) }

    /// How many clients so many descriptors are enough for: each stream needs one on both sides, a few remain for logs, listeners and
    /// pollers, and some for those who are told that they are too many.
    private static func connectionLimit(_ limits: Limits, descriptors: Int) -> Int {
        if limits.connections > 0 { return limits.connections }
        let half = max(16, (descriptors - 64) / 2)
        return max(16, half - ConnectionCounts.roomAbove(limit: half))
    }

    /// Hands a value to the one thread that will use it from then on.
    private struct Unchecked<Value>: @unchecked Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }

    private func start(_ worker: ProxyWorker) {
        let box = Unchecked(worker)
        let counted = countedByEnded
        let thread = SystemThread.start(name: "worker-\(worker.worker.number)") {
            box.value.worker.run()
            counted.add(box.value.exchanges.counters)
            // The worker and what lives on it hold each other.
            box.value.worker.resident = nil
        }
        threads.withLock { $0.append(thread) }
    }

    private static func randomKey(_ kernel: Kernel) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: Fingerprinter.keyBytes)
        key.withUnsafeMutableBytes { kernel.fillRandom($0) }
        return key
    }

    // MARK: What is in force

    /// The configuration in force, with all that belongs to it.
    var inForce: InForce { running.withLock { $0.inForce } }

    /// Puts another in its place. `tell` posts to the workers what they are to know of it; what is found out about it later reaches
    /// them later.
    func put(inForce next: InForce, telling tell: () -> Void) {
        running.withLock { running in
            running.inForce = next
            tell()
        }
    }

    // MARK: Names

    /// Has the servers' names looked up again and again, on a thread of its own. Does nothing where there are no names, or where it is done
    /// already. Returns why it could not be begun.
    func startResolver() -> SystemError? {
        let isNeeded = running.withLock { running in
            guard !running.isResolving, !running.inForce.names.names.isEmpty else { return false }
            running.isResolving = true
            return true
        }
        guard isNeeded else { return nil }
        do {
            try SystemThread.tryStart(name: "resolver") { [self] in lookUpAgainAndAgain() }
        } catch {
            running.withLock { $0.isResolving = false }
            return error
        }
        return nil
    }

    private func lookUpAgainAndAgain() {
        var waitedMilliseconds = 0
        while !isEnding {
            // In small steps, because a reload may shorten the interval, and each name is answered at a moment of its own.
            SystemProcess.sleep(milliseconds: ProxyServer.answersMilliseconds)
            waitedMilliseconds += ProxyServer.answersMilliseconds
            let current = inForce
            if waitedMilliseconds >= current.configuration.resolveIntervalMilliseconds {
                waitedMilliseconds = 0
                lookups.begin(current.names.names)
            }
            takeAnswers()
        }
    }

    /// Tells the workers what has been found since. They have heard before of the configuration that it belongs to, or would not listen.
    func takeAnswers() {
        running.withLock { running in
            let found = running.inForce.names.addresses(from: lookups)
            guard found != running.inForce.addresses else { return }
            running.inForce.addresses = found
            let settings = running.inForce.settings
            for mailbox in mailboxes {
                mailbox.post { worker in ProxyWorker.on(worker)?.update(addresses: found, of: settings) }
            }
        }
    }

    // MARK: Operating it

    /// Opens the log files anew, after they were moved away.
    package func reopenLogs() {
        for output in inForce.logs.outputs { output.writer.requestReopen() }
    }

    /// The configuration in force.
    package var configuration: Configuration { inForce.configuration }

    /// The addresses that are listened on, with the ports that the system chose where port 0 was asked for.
    package var listeningAddresses: [SocketAddress] { inForce.sockets.entries.map(\.address) }

    /// The addresses that are listened on, each as a URL.
    package var listeningURLs: [String] {
        let current = inForce
        return current.sockets.entries.map { entry in
            "\(current.configuration.listeners[entry.listenerIndex].tls == nil ? "http" : "https")://\(entry.address)"
        }
    }

    /// What all workers have counted, those included that have ended. A worker that does not answer within that time is left out.
    package func counters(atMostMilliseconds patience: Int) -> WorkerCounters {
        let answers = CounterSum()
        let pulse = Pulse(expected: mailboxes.count)
        for mailbox in mailboxes {
            mailbox.post { worker in
                if let proxy = ProxyWorker.on(worker) { answers.add(proxy.exchanges.counters) }
                pulse.answer()
            }
        }
        _ = pulse.wait(atMostMilliseconds: isEnding ? 0 : patience)
        var sum = countedByEnded.sum
        sum.add(answers.sum)
        return sum
    }

    /// How many log lines were dropped because their queue was full, of the logs that are written now.
    package var droppedLogLineCount: UInt64 { inForce.logs.outputs.reduce(0) { $0 + $1.writer.droppedLineCount } }

    /// The listening sockets, each once, to be handed to a process that takes over. They stay this proxy's own.
    package var handedSockets: [Successor.HandedSocket] {
        inForce.sockets.all.flatMap { sockets in
            sockets.descriptors.map { Successor.HandedSocket(descriptor: $0, isHeldElsewhere: sockets.isHeldElsewhere) }
        }
    }

    /// Whether it has been told to end.
    package var isEnding: Bool { running.withLock { $0.isEnding } }

    /// Asks each worker for a sign of life.
    package func askWorkers() -> Pulse {
        let pulse = Pulse(expected: mailboxes.count)
        for mailbox in mailboxes { mailbox.post { _ in pulse.answer() } }
        return pulse
    }

    /// Ends the proxy: nothing new is accepted, what runs has the configured grace period. Clients that have only just connected
    /// may still ask: for a moment, or, where another process serves already and nobody waits for this one, for the
    /// grace period. Returns when all is done and the logs are written.
    package func stop(isSucceeded: Bool = false) {
        running.withLock { $0.isEnding = true }
        let last = inForce
        // The workers' copies keep the sockets open until all that waits in them is taken.
        for descriptor in last.sockets.descriptors { kernel.close(descriptor, abortively: false) }
        let (grace, drain) = (last.configuration.graceMilliseconds, last.configuration.drainMilliseconds)
        for mailbox in mailboxes {
            mailbox.post { worker in
                ProxyWorker.on(worker)?.drain(
                    graceMilliseconds: grace, streamMilliseconds: drain, newcomerMilliseconds: isSucceeded ? grace : nil)
            }
        }
        for thread in threads.withLock({ $0 }) { thread.join() }
        last.logs.end()
    }

    /// Has what is left of an end that `stop` began be over within that time.
    package func hasten(milliseconds: Int) {
        for mailbox in mailboxes {
            mailbox.post { worker in ProxyWorker.on(worker)?.hasten(milliseconds: milliseconds) }
        }
    }
}

/// One question to all workers whether their loops turn.
package final class Pulse: Sendable {
    private let expected: Int
    private let answered = Atomic(0)

    init(expected: Int) { self.expected = expected }

    func answer() { answered.wrappingAdd(1, ordering: .releasing) }

    /// Whether all of them have answered.
    package var isComplete: Bool { answered.load(ordering: .acquiring) >= expected }

    /// Waits until all have answered, but not for longer than that; whether they have.
    func wait(atMostMilliseconds patience: Int) -> Bool {
        var waited = 0
        while !isComplete, waited < patience {
            SystemProcess.sleep(milliseconds: 1)
            waited += 1
        }
        return isComplete
    }
}

/// Counters of several workers, added up.
private final class CounterSum: Sendable {
    private let counters = Mutex(WorkerCounters())

    func add(_ others: WorkerCounters) { counters.withLock { $0.add(others) } }

    var sum: WorkerCounters { counters.withLock { $0 } }
}
