// The console's thread in the process: started when a configuration first has a console, ended with the proxy. Invariant: there is at
// most one.

import Configuration
import Console
import Downstreams
import Reactor
import Synchronization

/// The console's thread, or none.
final class ConsoleHost: Sendable {
    private struct Running {
        let mailbox: Mailbox
        let thread: SystemThread.Handle?
        let pageToken: [UInt8]
        let view: ConsoleView
    }

    private let running = Mutex<Running?>(nil)

    /// Whether there is a console's thread.
    var isRunning: Bool { running.withLock { $0 != nil } }

    /// Starts the thread, which listens nowhere yet. Does nothing if it runs.
    func start(by means: StartMeans, for server: ProxyServer) throws(SystemError) {
        guard !isRunning else { return }
        var random = [UInt8](repeating: 0, count: ConsoleTerms.pageTokenBytes)
        random.withUnsafeMutableBytes { means.consoleKernel.fillRandom($0) }
        let pageToken = Array(random.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined().utf8)
        let view = ConsoleView(server)
        let worker = try Worker(number: means.workerCount, kernel: means.consoleKernel)
        let console = ConsoleWorker(
            worker: worker, source: view, terms: .closed(pageToken: pageToken))
        worker.resident = console
        let mailbox = worker.mailbox
        let thread = try means.startConsole(worker)
        running.withLock { $0 = Running(mailbox: mailbox, thread: thread, pageToken: pageToken, view: view) }
    }

    /// Hands a generation to the console, which says when it has taken it.
    func tell(_ prepared: PreparedGeneration, _ pulse: Pulse) {
        guard let running = running.withLock({ $0 }) else { return }
        running.view.forgetSwitches()
        let next = prepared.generation
        let pageToken = running.pageToken
        let terms = next.configuration.console.map { ConsoleTerms($0, pageToken: pageToken) } ?? .closed(pageToken: pageToken)
        var kept: [Int32: ListenerSecurity] = [:]
        var new: [Int32: (descriptor: Int32, security: ListenerSecurity)] = [:]
        for sockets in next.consoleSockets.served {
            guard let owner = sockets.owner else { continue }
            for descriptor in sockets.descriptors {
                let security = next.security.console[owner.index]
                if let copy = prepared.consoleCopies[descriptor] { new[descriptor] = (copy, security) } else { kept[descriptor] = security }
            }
        }
        running.mailbox.post { [kept, new] worker in pulse.answer(ConsoleWorker.on(worker)?.adopt(terms, kept: kept, new: new)) }
    }

    /// Listens no more, because a successor does.
    func stopListening() {
        running.withLock { $0 }?.mailbox.post { worker in ConsoleWorker.on(worker)?.stopListening() }
    }

    /// Ends the thread.
    func end() {
        guard let running = running.withLock({ $0.take() }) else { return }
        running.mailbox.post { worker in ConsoleWorker.on(worker)?.end() }
        running.thread?.join()
    }
}
