// A process without a kernel in which a proxy starts and reloads: sockets are numbers, log files are counted, time passes while a thread
// sleeps, and each call can be made to fail. Workers turn on the test's own thread, while the proxy waits for them.

import Configuration
import Reactor
import Synchronization
import Telemetry
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

/// A kernel that knows listening sockets and pollers, and which descriptors are open.
final class ListeningKernel: Kernel, @unchecked Sendable {
    enum Call: Sendable { case bind, listen, duplicate, makePoller, watch }

    private(set) var now: Int64 = 0
    /// Called after each sleep.
    var hasSlept: () -> Void = {}
    /// All open descriptors, with the address of those that listen or are bound.
    private(set) var open: [Int32: SocketAddress?] = [:]
    /// The watched descriptors, each with its poller.
    private(set) var watched: [Int32: (poller: Int32, token: UInt64)] = [:]
    /// Whether look-ups of names never end.
    let holdsNames = Atomic(false)
    private var woken: Set<Int32> = []
    private var lastDescriptor: Int32 = 100
    private var failing: (call: Call, left: Int)?

    /// How many calls from now the next failure comes; it comes once.
    func fail(_ call: Call, number: Int = 1) { failing = (call, number) }

    /// The addresses of listening or bound sockets, one for each descriptor.
    var addresses: [SocketAddress] { open.values.compactMap { $0 } }
    /// The addresses that workers watch, one for each descriptor.
    var watchedAddresses: [SocketAddress] { watched.keys.compactMap { open[$0] ?? nil } }

    private func attempt(_ call: Call) throws(SystemError) {
        guard let failing, failing.call == call else { return }
        self.failing = failing.left > 1 ? (call, failing.left - 1) : nil
        if failing.left == 1 { throw .tooManyFiles }
    }

    private func make(_ address: SocketAddress? = nil) -> Int32 {
        lastDescriptor += 1
        open[lastDescriptor] = .some(address)
        return lastDescriptor
    }

    override func monotonicMilliseconds() -> Int64 { now }
    override func unixMilliseconds() -> Int64 { now }
    override func sleep(milliseconds: Int) {
        now += Int64(milliseconds)
        hasSlept()
    }
    override func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) { for index in buffer.indices { buffer[index] = 7 } }
    override func bind(_ address: SocketAddress) throws(SystemError) -> Int32 {
        try attempt(.bind)
        if addresses.contains(address) { throw .addressInUse }
        return make(address)
    }
    override func listen(_ address: SocketAddress, sharingPort: Bool) throws(SystemError) -> Int32 {
        try attempt(.listen)
        return make(address)
    }
    override func duplicate(_ descriptor: Int32) throws(SystemError) -> Int32 {
        try attempt(.duplicate)
        return make(open[descriptor] ?? nil)
    }
    override func localAddress(of descriptor: Int32) -> SocketAddress? { open[descriptor] ?? nil }
    override func accept(_ descriptor: Int32) -> AcceptedConnection? { nil }
    override func sendAtOnce(_ descriptor: Int32) {}
    override func setPatience(_ patience: Patience, of descriptor: Int32) {}
    override func close(_ descriptor: Int32, abortively: Bool) {
        precondition(open.removeValue(forKey: descriptor) != nil, "descriptor \(descriptor) is closed twice")
        watched[descriptor] = nil
    }
    override func makePoller() throws(SystemError) -> Int32 {
        try attempt(.makePoller)
        return make()
    }
    override func makeWaker() -> Int32 { make() }
    override func wake(_ waker: Int32) { woken.insert(waker) }
    override func clearWaker(_ waker: Int32) { woken.remove(waker) }
    override func watch(_ descriptor: Int32, for interest: Readiness, token: UInt64, poller: Int32) throws(SystemError) {
        if open[descriptor] ?? nil != nil { try attempt(.watch) }
        watched[descriptor] = (poller, token)
    }
    override func unwatch(_ descriptor: Int32, poller: Int32) { watched[descriptor] = nil }
    override func wait(poller: Int32, into events: UnsafeMutableBufferPointer<PollerEvent>, milliseconds: Int32) -> Int {
        let ready = woken.compactMap { watched[$0] }.filter { $0.poller == poller }
        for (index, watch) in ready.enumerated() { events[index] = PollerEvent(token: watch.token, readiness: .readable) }
        return ready.count
    }
    override func resolve(_ host: String, port: UInt16) -> [SocketAddress] {
        while holdsNames.load(ordering: .acquiring) { SystemProcess.sleep(milliseconds: 1) }
        return []
    }
}

/// A log file that accepts everything.
private final class CountedSink: LogSink {
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool { true }
    func reopen() -> Bool { true }
}

/// A process in which proxies start.
final class StartWorld: @unchecked Sendable {
    private struct Reference {
        weak var sink: CountedSink?
        let path: String
    }

    let kernel = ListeningKernel()
    /// Messages to the operator.
    private(set) var warnings: [String] = []
    private(set) var workers: [Worker] = []
    /// Whether workers do not turn, because they are busy.
    var areWorkersBusy = false
    /// The log file that cannot be opened.
    var missingLog: String?
    /// Whether the next thread for a log cannot be started.
    var lacksThreads = false
    private var sinks: [Reference] = []

    init() {
        kernel.hasSlept = { [unowned self] in if !areWorkersBusy { turn() } }
    }

    /// Log files that are open.
    var openLogs: [String] { sinks.filter { $0.sink != nil }.map(\.path).sorted() }

    func turn() { for worker in workers { worker.turn() } }

    func start(_ configuration: Configuration, inheriting inherited: [InheritedSocket] = []) throws(StartError) -> ProxyServer {
        var means = StartMeans(kernel: kernel, lookupKernel: kernel, consoleKernel: kernel, workerCount: configuration.workerCount)
        means.warn = { [unowned self] in warnings.append($0) }
        means.startWorker = { [unowned self] worker, _ in
            workers.append(worker)
            return nil
        }
        means.openLog = { [unowned self] destination throws(SystemError) in
            guard case .log(.file(let path)) = destination else { return nil }
            if path == missingLog { throw .outOfMemory }
            let sink = CountedSink()
            sinks.append(Reference(sink: sink, path: path))
            return Logs.File(sink: sink, name: path)
        }
        means.startThread = { [unowned self] name, body throws(SystemError) in
            if lacksThreads { throw .outOfMemory }
            // No name is looked up a second time: another test does that.
            if name == "resolver" { return try SystemThread.tryStart(name: name) {} }
            return try SystemThread.tryStart(name: name, body)
        }
        return try ProxyServer(configuration, inheriting: inherited, by: means) { kernel }
    }

    /// Lets the workers of a proxy that has ended, or never started, finish their last orders, and forgets them.
    func bury() {
        turn()
        for worker in workers { worker.resident = nil }
        workers = []
    }
}
