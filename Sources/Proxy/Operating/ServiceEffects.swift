// What a service does, where `Service` decides: to the proxy, the service manager, other processes and its own. A test puts effects of
// its own in their place.

import Configuration
import Reactor
import Telemetry

/// A process that was started to take over: `Successor` says what each call means.
protocol SuccessorProcess: AnyObject {
    var processID: Int32 { get }
    func progress() -> Successor.Progress
    func pass(on signal: SystemProcess.Signal)
    func end()
    func letGo()
    func ending() -> (how: String, isOrderly: Bool)?
}

extension Successor: SuccessorProcess {}

/// The doing of a service.
protocol ServiceEffects: AnyObject {
    /// Monotonic time in milliseconds.
    var now: Int64 { get }
    /// Whether the end of this process would be that of its container.
    var isFirstProcess: Bool { get }
    /// Tells the operator something.
    func warn(_ words: String)
    /// Ends the process at once.
    func exit(_ status: Int32)

    /// The current configuration.
    var configuration: Configuration { get }
    /// The addresses that the proxy listens on, each as a URL.
    var listeningURLs: [String] { get }
    /// Opens the log files again.
    func reopenLogs()
    /// Puts another configuration in force.
    func reload(_ wanted: Configuration) throws(StartError) -> Reload
    /// Has the metrics tell that a configuration could not be read.
    func noteFailedReload()
    /// Begins to end the proxy, and with it the process, and does not wait for that.
    func beginToEnd(isSucceeded: Bool)
    /// Lets an end that has begun take no longer than that.
    func endWithin(milliseconds: Int)

    /// Whether there is a service manager.
    var hasManager: Bool { get }
    /// The line that goes with `RELOADING=1`.
    var reloadMoment: String { get }
    /// Tells the manager; waits for so many milliseconds where it does not read. Returns why it could not be told.
    @discardableResult
    func notify(_ lines: [String], waiting milliseconds: Int) -> SystemError?
    /// Gives the manager signs of life from now on, where it wants them.
    func feedWatchdog()

    /// Starts a process that is to take over.
    func startSuccessor() throws(SystemError) -> any SuccessorProcess
}

/// The effects on this very process and its proxy.
final class ProcessEffects: ServiceEffects {
    private let server: ProxyServer
    private let manager: ServiceManager
    private let kernel: Kernel

    init(_ server: ProxyServer, manager: ServiceManager, kernel: Kernel) {
        self.server = server
        self.manager = manager
        self.kernel = kernel
    }

    var now: Int64 { kernel.monotonicMilliseconds() }
    var isFirstProcess: Bool { SystemProcess.isFirst }
    func warn(_ words: String) { SystemProcess.warn("heartwire: \(words)") }
    func exit(_ status: Int32) { SystemProcess.exit(status) }

    var configuration: Configuration { server.configuration }
    var listeningURLs: [String] { server.listeningURLs }
    func reopenLogs() { server.reopenLogs() }
    func reload(_ wanted: Configuration) throws(StartError) -> Reload { try server.reload(wanted) }
    func noteFailedReload() { server.noteFailedReload() }
    func endWithin(milliseconds: Int) { server.endWithin(milliseconds: milliseconds) }

    /// Ends on a separate thread, so that further signals are handled; without a free thread it ends on this one.
    func beginToEnd(isSucceeded: Bool) {
        let ending: @Sendable () -> Void = { [server] in
            server.stop(isSucceeded: isSucceeded)
            let counted = server.counted
            let dropped = counted.total(of: .logLinesDropped)
            if dropped > 0 { SystemProcess.warn("heartwire: \(dropped) log lines were dropped because their queue was full") }
            let failed = counted.value(of: .handshakes, HandshakeOutcome.failed)
            if failed > 0 { SystemProcess.warn("heartwire: \(failed) TLS handshakes failed or were not finished in time") }
            SystemProcess.exit(ExitStatus.success)
        }
        if (try? SystemThread.tryStart(name: "ending", ending)) == nil { ending() }
    }

    var hasManager: Bool { manager.isPresent }
    var reloadMoment: String { ServiceManager.reloadMoment() }
    func notify(_ lines: [String], waiting milliseconds: Int) -> SystemError? {
        manager.notify(lines, patienceMilliseconds: milliseconds)
    }

    func feedWatchdog() {
        guard let limit = manager.watchdogMicroseconds else { return }
        SystemThread.start(name: "watchdog") { [server, manager, kernel] in
            Watchdog.feed(
                withinMicroseconds: limit, kernel, until: { server.isEnding }, ask: server.askWorkers,
                sign: { manager.notify(["WATCHDOG=1"]) })
        }
    }

    func startSuccessor() throws(SystemError) -> any SuccessorProcess {
        try Successor(listening: server.handedSockets, manager: manager)
    }
}
