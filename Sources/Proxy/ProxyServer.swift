// The proxy as a whole: it opens the listening sockets, starts the workers, the log writers and the name resolver, and
// ends them. It serves no request itself. Invariant: when the initializer has thrown, nothing of it is left running, and no
// address is listened on.

import Configuration
import Credentials
import Reactor
import StreamLog
import Synchronization

/// Why the proxy could not start.
public enum StartError: Error, Sendable {
    /// An address to listen on cannot be had.
    case cannotListen(address: String, SystemError)
    /// A log file cannot be opened.
    case cannotOpenLog(path: String, SystemError)
    /// A certificate, a key or another word about TLS cannot be used.
    case security(TLSError)
    /// The system lacks something that every worker needs.
    case system(SystemError)

    /// One line for the person who started it.
    public var message: String {
        switch self {
        case .cannotListen(let address, let error): "cannot listen on \(address): \(error.message)"
        case .cannotOpenLog(let path, let error): "cannot open the log file \(path): \(error.message)"
        case .security(let error): error.message
        case .system(let error): "cannot start: \(error.message)"
        }
    }
}

/// A running proxy.
public final class ProxyServer: Sendable {
    private struct Running {
        var mailboxes: [Mailbox] = []
        var threads: [SystemThread.Handle] = []
        var logThreads: [SystemThread.Handle] = []
        var sockets: ListeningSockets
        var isEnding = false
    }

    private let configuration: Configuration
    private let streamLog: LogWriter?
    private let accessLog: LogWriter?
    private let security: Security
    private let running: Mutex<Running>
    private let kernel: Kernel
    /// The addresses that are listened on, with the ports that the system chose where port 0 was asked for.
    public let listeningAddresses: [SocketAddress]
    private let listeningSchemes: [String]
    private let shared: SharedState

    /// Opens everything and starts to serve. Inherited sockets are used where a listener fits them, and closed otherwise.
    /// `kernel` makes the way to the world of each thread.
    public init(
        _ configuration: Configuration, inheriting inherited: [InheritedSocket] = [], kernel makeKernel: @escaping @Sendable () -> Kernel
    ) throws(StartError) {
        self.configuration = configuration
        let kernel = makeKernel()
        self.kernel = kernel
        do { security = try Security(configuration) } catch { throw .security(error) }
        let clock: @Sendable () -> Int64 = { kernel.unixMilliseconds() }
        let streamLog = try ProxyServer.openLog(configuration.streamLog, configuration.limits.logQueueBytes, clock)
        self.streamLog = streamLog
        accessLog =
            configuration.accessLog == configuration.streamLog
            ? streamLog : try ProxyServer.openLog(configuration.accessLog, configuration.limits.logQueueBytes, clock)
        let descriptorLimit = SystemProcess.raiseDescriptorLimit()
        let workerCount = configuration.workerCount > 0 ? configuration.workerCount : SystemProcess.processorCount
        let sockets = try ListeningSockets(configuration.listeners, inheriting: inherited, workerCount: workerCount, kernel: kernel)
        for complaint in sockets.complaints { SystemProcess.complain("heartwire: \(complaint)") }
        running = Mutex(Running(sockets: sockets))
        listeningAddresses = sockets.entries.map(\.address)
        listeningSchemes = sockets.entries.map { configuration.listeners[$0.listenerIndex].tls == nil ? "http" : "https" }
        let limits = configuration.limits
        let shared = SharedState(
            connectionLimit: limits.connections > 0 ? limits.connections : ProxyServer.connectionLimit(descriptors: descriptorLimit),
            connectionsPerClientLimit: limits.connectionsPerClient, streamLog: streamLog, accessLog: accessLog,
            fingerprinter: Fingerprinter(key: configuration.fingerprintKey ?? ProxyServer.randomKey(kernel)))
        self.shared = shared
        let settings = Settings(configuration, security, workerCount: workerCount)
        let names = NameResolver(configuration.upstreams)
        let addresses = names.resolveAll(kernel)
        for name in names.unresolved(in: addresses) {
            SystemProcess.complain("heartwire: the server's name \(name) has no address yet; it will be looked up again")
        }
        var workers: [ProxyWorker] = []
        do {
            for number in 0..<workerCount {
                let worker = try Worker(number: number, kernel: makeKernel())
                workers.append(ProxyWorker(worker: worker, settings: settings, shared: shared, addresses: addresses))
            }
            for worker in workers {
                for entry in sockets.entries {
                    for descriptor in entry.descriptors(forWorker: worker.worker.number, of: workerCount) {
                        try worker.listen(on: try kernel.duplicate(descriptor), as: security.listeners[entry.listenerIndex])
                    }
                }
            }
        } catch {
            for worker in workers { worker.abandonListening() }
            running.withLock { $0.sockets.close(kernel) }
            throw .system(error)
        }
        for worker in workers { start(worker) }
        startLogThreads()
        startResolver(names, first: addresses, kernel: makeKernel())
    }

    /// How many clients so many descriptors are enough for: each stream needs one on both sides, a few remain for logs, listeners and
    /// pollers, and some for those who are told that they are too many.
    private static func connectionLimit(descriptors: Int) -> Int {
        let half = max(16, (descriptors - 64) / 2)
        return max(16, half - SharedState.roomAbove(limit: half))
    }

    /// Hands a value to the one thread that will use it from then on.
    private struct Unchecked<Value>: @unchecked Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }

    private func start(_ worker: ProxyWorker) {
        let box = Unchecked(worker)
        let thread = SystemThread.start(name: "worker-\(worker.worker.number)") {
            box.value.worker.run()
            // The worker and what lives on it hold each other.
            box.value.worker.resident = nil
        }
        running.withLock { running in
            running.mailboxes.append(box.value.worker.mailbox)
            running.threads.append(thread)
        }
    }

    private static func openLog(
        _ destination: LogDestination, _ capacity: Int, _ clock: @escaping @Sendable () -> Int64
    ) throws(StartError) -> LogWriter? {
        switch destination {
        case .off: return nil
        case .standardOutput: return LogWriter(sink: LogFile(standardError: false), capacityBytes: capacity, clock: clock)
        case .standardError: return LogWriter(sink: LogFile(standardError: true), capacityBytes: capacity, clock: clock)
        case .file(let path):
            do {
                return LogWriter(sink: try LogFile(appendingTo: path), capacityBytes: capacity, clock: clock)
            } catch {
                throw .cannotOpenLog(path: path, error)
            }
        }
    }

    private static func randomKey(_ kernel: Kernel) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: Fingerprinter.keyBytes)
        key.withUnsafeMutableBytes { kernel.fillRandom($0) }
        return key
    }

    private var logs: [LogWriter] {
        guard let streamLog else { return accessLog.map { [$0] } ?? [] }
        guard let accessLog, accessLog !== streamLog else { return [streamLog] }
        return [streamLog, accessLog]
    }

    private func startLogThreads() {
        for log in logs {
            let thread = SystemThread.start(name: "log") { log.run() }
            running.withLock { $0.logThreads.append(thread) }
        }
    }

    /// Looks the servers' names up again and again on a thread of its own, because a look-up may block for long.
    private func startResolver(_ names: NameResolver, first: [[[SocketAddress]]], kernel: Kernel) {
        guard names.needsLookups else { return }
        let interval = configuration.resolveIntervalMilliseconds
        let box = Unchecked(kernel)
        SystemThread.start(name: "resolver") { [self] in
            var known = first
            while !running.withLock({ $0.isEnding }) {
                SystemProcess.sleep(milliseconds: interval)
                let found = names.resolveAll(box.value)
                guard found != known else { continue }
                known = found
                for mailbox in running.withLock({ $0.mailboxes }) {
                    mailbox.post { worker in ProxyWorker.on(worker)?.update(addresses: found) }
                }
            }
        }
    }

    // MARK: Operating it

    /// Opens the log files anew, after they were moved away.
    public func reopenLogs() {
        for log in logs { log.requestReopen() }
    }

    /// The addresses that are listened on, each as a URL.
    public var listeningURLs: [String] {
        zip(listeningAddresses, listeningSchemes).map { "\($1)://\($0)" }
    }

    /// Reads certificates and keys anew. What cannot be used is left as it was; returns one line for each such failure, and
    /// for each certificate that soon ends. Nil where there is no TLS to reload.
    public func reloadSecurity(nowUnixMilliseconds now: Int64) -> [String]? {
        security.isEmpty ? nil : security.readFilesAgain() + security.warnings(nowUnixMilliseconds: now)
    }

    /// How many TLS handshakes of clients failed or were not finished in time.
    public var failedHandshakeCount: Int { shared.failedHandshakeCount }

    /// How many log lines were dropped because their queue was full.
    public var droppedLogLineCount: UInt64 { logs.reduce(0) { $0 + $1.droppedLineCount } }

    /// The listening sockets, each once, to be handed to a process that takes over. They stay this proxy's own.
    public var listeningDescriptors: [Int32] { running.withLock { $0.sockets.descriptors } }

    /// Whether it has been told to end.
    public var isEnding: Bool { running.withLock { $0.isEnding } }

    /// Asks each worker for a sign of life.
    public func askWorkers() -> Pulse {
        let mailboxes = running.withLock { $0.mailboxes }
        let pulse = Pulse(expected: mailboxes.count)
        for mailbox in mailboxes { mailbox.post { _ in pulse.answer() } }
        return pulse
    }

    /// Ends the proxy: nothing new is accepted, what runs has the configured grace period. Clients that have only just connected
    /// may still ask: for a moment, or, where another process serves already and nobody waits for this one, for the
    /// grace period. Returns when all is done and the logs are written.
    public func stop(isSucceeded: Bool = false) {
        let (grace, drain) = (configuration.graceMilliseconds, configuration.drainMilliseconds)
        let state = running.withLock { state in
            state.isEnding = true
            // The workers' copies keep the sockets open until all that waits in them is taken.
            state.sockets.close(kernel)
            return state
        }
        for mailbox in state.mailboxes {
            mailbox.post { worker in
                ProxyWorker.on(worker)?.drain(
                    graceMilliseconds: grace, streamMilliseconds: drain, newcomerMilliseconds: isSucceeded ? grace : nil)
            }
        }
        for thread in state.threads { thread.join() }
        // A log whose reader takes nothing must not hold the end up: its thread is left where it waits.
        for (log, thread) in zip(logs, state.logThreads) where log.finish(deadlineMilliseconds: 5000) { thread.join() }
    }
}

/// One question to all workers whether their loops turn.
public final class Pulse: Sendable {
    private let expected: Int
    private let answered = Atomic(0)

    init(expected: Int) { self.expected = expected }

    func answer() { answered.wrappingAdd(1, ordering: .relaxed) }

    /// Whether all of them have answered.
    public var isComplete: Bool { answered.load(ordering: .relaxed) >= expected }
}
