// The proxy as a whole: its workers, and the generation that is in force on them. A start is a reload with nothing in force: both
// prepare a generation and put it in force. It serves no request itself.
// Invariant: when the initializer has thrown, nothing of the proxy is left running (only look-ups of names, which end by themselves),
// and no address is listened on. When `reload` has thrown, all is as it was.

import Configuration
import Downstreams
import Exchanges
import Reactor
import Synchronization
import Telemetry
import Upstreams

/// The result of a reload.
package struct Reload: Sendable {
    /// What has changed, each in a few words.
    package let changes: [String]
    /// One line for each thing that could not change, or that soon needs the operator.
    package let warnings: [String]
    /// What the reload has read again besides the configuration, such as `certificates`.
    package let readAgain: [String]
}

/// A running proxy.
package final class ProxyServer: Sendable {
    struct State {
        /// Nil until the first generation is in force.
        var generation: ProxyGeneration?
        /// Threads of the workers that run.
        var threads: [SystemThread.Handle] = []
        var hasResolver = false
        var isEnding = false
        /// Whether another process serves since its end began.
        var isSucceeded = false
        var isLastReloadSuccessful = true
        /// When the generation was put in force.
        var loadedAtUnixMilliseconds: Int64 = 0
    }

    let state = Mutex(State())
    private let console = ConsoleHost()
    let means: StartMeans
    /// How long a reload waits for busy workers.
    private static let takingMilliseconds = 10_000
    /// How often the resolver looks for answers.
    private static let answersMilliseconds = 500
    /// Each worker's mailbox, by the worker's number.
    let mailboxes: [Mailbox]

    var kernel: Kernel { means.kernel }

    /// Opens everything and starts to serve. Inherited sockets are used where a listener has their address, and closed otherwise.
    /// `makeKernel` makes the kernel of each thread.
    package convenience init(
        _ configuration: Configuration, inheriting inherited: [InheritedSocket] = [], kernel makeKernel: @escaping @Sendable () -> Kernel
    ) throws(StartError) {
        var means = StartMeans(
            kernel: makeKernel(), lookupKernel: makeKernel(), consoleKernel: makeKernel(),
            workerCount: StartMeans.workerCount(configuration))
        means.descriptorLimit = SystemProcess.raiseDescriptorLimit()
        try self.init(configuration, inheriting: inherited, by: means, kernel: makeKernel)
    }

    init(
        _ configuration: Configuration, inheriting inherited: [InheritedSocket] = [], by means: StartMeans, kernel makeKernel: () -> Kernel
    ) throws(StartError) {
        self.means = means
        let prepared = try PreparedGeneration(configuration, after: nil, inheriting: inherited, by: means)
        for warning in prepared.warnings(by: means) { means.warn(warning) }
        var workers: [Worker] = []
        do {
            for number in 0..<means.workerCount { workers.append(try Worker(number: number, kernel: makeKernel())) }
        } catch {
            prepared.undo(by: means)
            throw .system(error)
        }
        mailboxes = workers.map(\.mailbox)
        let threads = workers.compactMap { means.startWorker($0, means.counts) }
        state.withLock { $0.threads = threads }
        do throws(SystemError) { try startConsole(for: prepared) } catch {
            abandon(nil)
            prepared.undo(by: means)
            throw .system(error)
        }
        let (pulse, warnings) = put(prepared)
        if let error = pulse.failure {
            abandon(prepared.generation)
            throw .system(error)
        }
        for warning in warnings { means.warn(warning) }
    }

    /// Applies another configuration; the same one again only reads the certificates. Running exchanges keep the configuration that
    /// they began with. After a throw nothing has changed.
    package func reload(_ wanted: Configuration) throws(StartError) -> Reload {
        let old = generation
        let prepared: PreparedGeneration
        do { prepared = try PreparedGeneration(wanted, after: old, by: means) } catch {
            noteFailedReload()
            throw error
        }
        do throws(SystemError) { try startConsole(for: prepared) } catch {
            prepared.undo(by: means)
            noteFailedReload()
            throw .system(error)
        }
        let warnings = prepared.warnings(by: means) + put(prepared).warnings
        return Reload(
            changes: wanted.changes(since: old.configuration), warnings: warnings,
            readAgain: prepared.generation.security.kindsOfFiles)
    }

    // MARK: What is in force

    /// The generation that is in force.
    var generation: ProxyGeneration {
        guard let generation = state.withLock({ $0.generation }) else { preconditionFailure("a generation is in force since the start") }
        return generation
    }

    /// Puts a generation in force, which cannot fail, and waits until the workers have taken it. Returns what came up meanwhile.
    private func put(_ prepared: PreparedGeneration) -> (pulse: Pulse, warnings: [String]) {
        let pulse = Pulse(expected: mailboxes.count + (console.isRunning ? 1 : 0))
        put(prepared.generation) {
            // The workers' copies keep these sockets open until their backlogs are accepted. Close ours before the workers learn of it:
            // the last close resets connections that have arrived since.
            let unneeded = prepared.unneededSockets + prepared.unneededConsoleSockets
            for descriptor in unneeded.flatMap(\.descriptors) { kernel.close(descriptor, abortively: false) }
            for sockets in prepared.unneededConsoleSockets where !sockets.isHeldElsewhere { sockets.address.removeUnixFile() }
            let occasion: StartRecord.Occasion = prepared.predecessor == nil ? .start : .reload
            prepared.generation.logStart(occasion, workerCount: means.workerCount, kernel: kernel)
            tellWorkers(prepared, pulse)
            console.tell(prepared, pulse)
        }
        var warnings: [String] = []
        if pulse.wait(atMostMilliseconds: ProxyServer.takingMilliseconds, kernel) {
            prepared.predecessor?.logs.end(except: prepared.generation.logs, by: means)
        } else {
            warnings.append("not every worker has taken the new configuration yet; they are busy")
        }
        if let error = startResolver() { warnings.append("names of servers are not looked up again: \(error.message)") }
        return (pulse, warnings)
    }

    /// Puts another in its place. `tell` posts to the workers what they need to know of it. What is found out about it later reaches
    /// them after that, because it waits for the same lock.
    func put(_ next: ProxyGeneration, telling tell: () -> Void) {
        state.withLock { state in
            state.generation = next
            state.isLastReloadSuccessful = true
            state.loadedAtUnixMilliseconds = kernel.unixMilliseconds()
            tell()
        }
    }

    /// Remembers that a configuration could not be used.
    package func noteFailedReload() { state.withLock { $0.isLastReloadSuccessful = false } }

    /// Hands the generation to all workers, each of which says when it has taken it.
    private func tellWorkers(_ prepared: PreparedGeneration, _ pulse: Pulse) {
        let next = prepared.generation
        let isFirst = prepared.predecessor == nil
        let listeners = next.listeners
        let refused = Set(next.sockets.refused.map(\.address))
        for (mailbox, sockets) in zip(mailboxes, prepared.workerSockets) {
            mailbox.post { worker in
                let proxy =
                    ProxyWorker.on(worker)
                    ?? ProxyWorker(worker: worker, settings: next.settings, shared: next.shared, addresses: next.addresses)
                var failure: SystemError?
                proxy.adopt(
                    next.settings, shared: next.shared, addresses: next.addresses, listeners: listeners, refused: refused,
                    newSockets: sockets
                ) { address, error in
                    // At the start nothing is served by less than all workers; later the others go on.
                    if isFirst { failure = error } else { worker.warn("one worker cannot listen on \(address): \(error.message)") }
                }
                pulse.answer(failure)
            }
        }
    }

    private func startConsole(for prepared: PreparedGeneration) throws(SystemError) {
        guard prepared.generation.configuration.console != nil else { return }
        try console.start(by: means, for: self)
    }

    /// Takes back a first generation that was put in force, because a worker cannot serve it; nil if none was.
    private func abandon(_ generation: ProxyGeneration?) {
        for mailbox in mailboxes {
            mailbox.post { worker in
                ProxyWorker.on(worker)?.abandonListening()
                worker.stop()
            }
        }
        for thread in state.withLock({ $0.threads }) { thread.join() }
        console.end()
        state.withLock { $0.isEnding = true }
        guard let generation else { return }
        for descriptor in generation.sockets.descriptors { kernel.close(descriptor, abortively: false) }
        close(generation.consoleSockets)
        removeFiles(of: generation.consoleSockets)
        generation.logs.end(by: means)
    }

    /// Closes the process's descriptors; the console's own stay.
    private func close(_ sockets: ListeningSockets) {
        for descriptor in sockets.descriptors { kernel.close(descriptor, abortively: false) }
    }

    private func removeFiles(of sockets: ListeningSockets) {
        for sockets in sockets.all where !sockets.isHeldElsewhere { sockets.address.removeUnixFile() }
    }

    // MARK: Names

    /// Looks up the servers' names again and again, on its own thread. Does nothing without names, or if it runs already. Returns why
    /// it could not begin.
    private func startResolver() -> SystemError? {
        let isNeeded = state.withLock { state in
            guard !state.hasResolver, state.generation?.names.names.isEmpty == false else { return false }
            state.hasResolver = true
            return true
        }
        guard isNeeded else { return nil }
        do {
            _ = try means.startThread("resolver") { [self] in lookUpAgainAndAgain() }
        } catch {
            state.withLock { $0.hasResolver = false }
            return error
        }
        return nil
    }

    private func lookUpAgainAndAgain() {
        var askedAt = kernel.monotonicMilliseconds()
        // In small steps, because a reload may shorten the interval, and each name is answered at a different moment.
        kernel.poll(everyMilliseconds: ProxyServer.answersMilliseconds) {
            if isEnding { return true }
            let current = generation
            let now = kernel.monotonicMilliseconds()
            if now - askedAt >= Int64(current.configuration.resolveIntervalMilliseconds) {
                askedAt = now
                means.lookups.begin(current.names.names)
            }
            takeAnswers()
            return false
        }
    }

    /// Tells the workers what has been found since. They know the generation that it belongs to already, or would not take it.
    func takeAnswers() {
        state.withLock { state in
            guard let current = state.generation else { return }
            let found = current.names.addresses(from: means.lookups)
            guard found != current.addresses else { return }
            state.generation?.addresses = found
            let settings = current.settings
            for mailbox in mailboxes {
                mailbox.post { worker in ProxyWorker.on(worker)?.update(addresses: found, of: settings) }
            }
        }
    }

    // MARK: Operating it

    /// Opens the log files again, after they were moved away. The new file of the stream log begins with what a reader needs to know.
    package func reopenLogs() {
        let current = generation
        for output in current.logs.outputs { output.writer.requestReopen() }
        guard case .file = current.configuration.streamLog else { return }
        current.logStart(.reopening, workerCount: means.workerCount, kernel: kernel)
        for mailbox in mailboxes { mailbox.post { ProxyWorker.on($0)?.streamLogOpened() } }
    }

    /// The current configuration.
    package var configuration: Configuration { generation.configuration }

    /// The addresses that the proxy listens on, with the ports that the system chose for port 0.
    package var listeningAddresses: [SocketAddress] { generation.sockets.served.map(\.address) }

    /// The addresses that the proxy listens on, each as a URL.
    package var listeningURLs: [String] {
        let current = generation
        return current.sockets.served.map { sockets in
            let isSecured = sockets.owner.map { current.configuration.listeners[$0.index].tls != nil } ?? false
            return "\(isSecured ? "https" : "http")://\(sockets.address)"
        }
    }

    /// The addresses of the console, each as a URL, or `unix:` and a path.
    package var consoleURLs: [String] {
        let current = generation
        return current.consoleSockets.served.map { sockets in
            if sockets.address.isUnix { return "\(sockets.address)" }
            let isSecured = sockets.owner.map { current.security.console[$0.index].listener.tls != nil } ?? false
            return "\(isSecured ? "https" : "http")://\(sockets.address)"
        }
    }

    /// The listening sockets, each once, for a successor. They still belong to this proxy.
    package var handedSockets: [Successor.HandedSocket] {
        (generation.sockets.all + generation.consoleSockets.all).flatMap { sockets in
            sockets.descriptors.map { Successor.HandedSocket(descriptor: $0, isHeldElsewhere: sockets.isHeldElsewhere) }
        }
    }

    /// Whether its end has begun.
    package var isEnding: Bool { state.withLock { $0.isEnding } }

    /// Whether there is service: its end has not begun, or a successor serves already. A client may still ask the console of this process,
    /// over a connection from before, and must not take the successor out of service.
    var isServing: Bool { state.withLock { !$0.isEnding || $0.isSucceeded } }

    /// Asks each worker for an answer.
    package func askWorkers() -> Pulse {
        let pulse = Pulse(expected: mailboxes.count)
        for mailbox in mailboxes { mailbox.post { _ in pulse.answer() } }
        return pulse
    }

    /// Ends the proxy: it accepts nothing new, and running exchanges have the grace period. Clients that have only just connected may
    /// still send a request: for a moment, or for the grace period if a successor serves already. Returns when everything is done and
    /// the logs are written.
    package func stop(isSucceeded: Bool = false) {
        state.withLock { ($0.isEnding, $0.isSucceeded) = (true, isSucceeded) }
        let last = generation
        // A console without a successor answers until the end, so that `/readyz` can say that this is the end.
        if isSucceeded { console.stopListening() }
        close(last.consoleSockets)
        // The workers' copies keep the sockets open until their backlogs are accepted.
        for descriptor in last.sockets.descriptors { kernel.close(descriptor, abortively: false) }
        let (grace, drain) = (last.configuration.graceMilliseconds, last.configuration.drainMilliseconds)
        for mailbox in mailboxes {
            mailbox.post { worker in
                ProxyWorker.on(worker)?.drain(
                    graceMilliseconds: grace, streamMilliseconds: drain, newcomerMilliseconds: isSucceeded ? grace : nil)
            }
        }
        for thread in state.withLock({ $0.threads }) { thread.join() }
        last.logs.end(by: means)
        if !isSucceeded { removeFiles(of: last.consoleSockets) }
        console.end()
    }

    /// Lets an end that `stop` began take no longer than that.
    package func endWithin(milliseconds: Int) {
        for mailbox in mailboxes {
            mailbox.post { worker in ProxyWorker.on(worker)?.endWithin(milliseconds: milliseconds) }
        }
    }
}
