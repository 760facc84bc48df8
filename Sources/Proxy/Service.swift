// A proxy as a service: what the operator's signals and the service manager ask of it, one after the other on one thread.
// It decides the order of things; doing them is the proxy's, the successor's and the manager's.
// Invariant: the manager hears of this process only while it is the one that serves.

import Configuration
import Reactor
import Telemetry

/// A running proxy and what is asked of it until it ends.
package final class Service {
    private enum Phase {
        case serving
        /// Another process serves; this one ends what it has.
        case succeeded
        case ending
    }

    private static let successorPatienceMilliseconds: Int64 = 60_000
    private static let successorLookMilliseconds = 50
    /// How long a manager that does not read is waited for, where all would end if it did not learn of something.
    private static let managerPatienceMilliseconds = 5_000
    /// How often is looked whether the process that took over still lives.
    private static let heirLookMilliseconds = 200
    /// How long what this process still has may take where nobody serves until it has ended.
    private static let hasteMilliseconds = 2_000
    private let server: ProxyServer
    private let reread: (() -> Configuration?)?
    private let manager: ServiceManager
    private let kernel: Kernel
    private var phase = Phase.serving
    private var successor: (process: Successor, startedAt: Int64)?
    /// The process that took over.
    private var heir: Successor?
    private var hasLostHeir = false
    /// What the operator has asked for since the successor was started. It may have read its files before that.
    private var meanwhile: Set<SystemProcess.Signal> = []

    /// A service that goes on until `run` ends the process. `reread` gives the configuration as it is written now, or nil, after having
    /// said why, where it cannot be used; where nothing is written there is no such way.
    package init(_ server: ProxyServer, manager: ServiceManager, kernel: Kernel, reread: (() -> Configuration?)?) {
        self.server = server
        self.reread = reread
        self.manager = manager
        self.kernel = kernel
    }

    /// Says that the proxy serves, to the process that it succeeds first, and serves the operator's signals until one ends the
    /// process.
    package func run(after predecessor: Predecessor?) -> Never {
        predecessor?.takeOver()
        if let error = tellReady() { say("the service manager cannot be told that all is ready: \(error.message)") }
        feedWatchdog()
        while true {
            if let signal = SystemProcess.nextSignal(withinMilliseconds: patienceMilliseconds) { serve(signal) }
            if successor != nil { lookAfterSuccessor() }
            if !hasLostHeir { lookAfterHeir() }
        }
    }

    /// How long nothing but a signal matters.
    private var patienceMilliseconds: Int {
        if successor != nil { return Service.successorLookMilliseconds }
        return heir != nil && !hasLostHeir ? Service.heirLookMilliseconds : 3_600_000
    }

    private func serve(_ signal: SystemProcess.Signal) {
        if successor != nil { meanwhile.insert(signal) }
        switch signal {
        case .reopenLogs:
            server.reopenLogs()
            if !hasLostHeir { heir?.pass(on: signal) }
        case .reload where phase == .serving: reload()
        case .reload:
            guard let heir, !hasLostHeir else { return say("SIGHUP: nothing is read anew any more, this process ends") }
            say("SIGHUP: passed on to process \(heir.processID), which serves")
            heir.pass(on: signal)
        case .upgrade: upgrade()
        case .terminate: terminate()
        }
    }

    private func say(_ words: String) { SystemProcess.complain("heartwire: \(words)") }

    // MARK: The service manager

    private func tellReady() -> SystemError? {
        manager.notify(
            "READY=1", "STATUS=Listening on \(server.listeningURLs.joined(separator: ", "))",
            patienceMilliseconds: Service.managerPatienceMilliseconds)
    }

    /// Gives the manager a sign of life again and again, but only while every worker gives one too.
    private func feedWatchdog() {
        guard let patience = manager.watchdogMicroseconds else { return }
        // Four signs within the manager's patience: a worker may be busy for a while, and so may the machine.
        let interval = max(1, patience / 4_000)
        SystemThread.start(name: "watchdog") { [server, manager] in
            var pulse = server.askWorkers()
            while true {
                SystemProcess.sleep(milliseconds: interval)
                guard !server.isEnding else { return }
                guard pulse.isComplete else { continue }
                manager.notify("WATCHDOG=1")
                pulse = server.askWorkers()
            }
        }
    }

    // MARK: Reading anew

    private func reload() {
        manager.notify("RELOADING=1", ServiceManager.reloadMoment(), "STATUS=Reading the configuration anew")
        defer { _ = tellReady() }
        guard let wanted = reread.map({ $0() }) ?? server.configuration else {
            return say("SIGHUP: the configuration cannot be used; the one in force stays, and nothing has changed")
        }
        let outcome: Reload
        do { outcome = try server.reload(wanted) } catch {
            return say("SIGHUP: \(error.message); the configuration in force stays, and nothing has changed")
        }
        for complaint in outcome.complaints { say("SIGHUP: \(complaint)") }
        let certificates = outcome.hasCertificates ? ["certificates were read anew"] : []
        if reread == nil { return say("SIGHUP: " + (certificates.first ?? "there are no certificates to read anew")) }
        let news = outcome.changes.isEmpty ? ["nothing in the configuration has changed"] : outcome.changes
        say("SIGHUP: done: " + (news + certificates).joined(separator: "; "))
    }

    // MARK: Being succeeded

    private func upgrade() {
        guard phase == .serving else { return say("SIGUSR2: no new process is started any more, this one ends") }
        guard successor == nil else { return say("SIGUSR2: a new process is being started already") }
        guard !SystemProcess.isFirst else {
            return say(
                """
                SIGUSR2: as process 1 of a container this one cannot be succeeded, its end would be that of the container; \
                this one goes on
                """
            )
        }
        do {
            let process = try Successor(listening: server.handedSockets, manager: manager)
            successor = (process, kernel.monotonicMilliseconds())
            meanwhile = []
            say("SIGUSR2: process \(process.processID) is to take over")
        } catch {
            say("SIGUSR2: no new process can be started: \(error.message); this one goes on")
        }
    }

    private func lookAfterSuccessor() {
        guard let (process, startedAt) = successor else { return }
        switch process.progress() {
        case .starting:
            guard kernel.monotonicMilliseconds() - startedAt >= Service.successorPatienceMilliseconds else { return }
            process.end()
            successor = nil
            say(
                """
                SIGUSR2: process \(process.processID) did not begin to serve within \(Service.successorPatienceMilliseconds / 1000) s; \
                it was ended, this one goes on
                """
            )
        case .failed(let how):
            successor = nil
            say("SIGUSR2: process \(process.processID) \(how) before it served; what it said is above, this one goes on")
        case .ready:
            successor = nil
            // The manager takes this from the process that it knows, and listens to the new one after that.
            let error = manager.notify("MAINPID=\(process.processID)", patienceMilliseconds: Service.managerPatienceMilliseconds)
            if error == .wouldBlock {
                // A manager that lives and does not know of it would take the end of this process for that of the service.
                process.end()
                return say("SIGUSR2: the service manager cannot be told of process \(process.processID); it was ended, this one goes on")
            }
            for signal in meanwhile { process.pass(on: signal) }
            process.letGo()
            guard phase == .serving else { return }
            phase = .succeeded
            heir = process
            say("SIGUSR2: process \(process.processID) has taken over; this one ends when its streams are drained and its exchanges done")
            end(isSucceeded: true)
        }
    }

    /// This process is the parent of the one that took over, and the only one that can learn of its end: the manager does when
    /// this one has ended too, so it makes haste then.
    private func lookAfterHeir() {
        guard let heir, let (how, isOrderly) = heir.ending() else { return }
        hasLostHeir = true
        guard !isOrderly else { return say("process \(heir.processID), which had taken over, has ended in order") }
        guard manager.isPresent else { return say("process \(heir.processID), which had taken over, \(how); nobody serves now") }
        say(
            """
            process \(heir.processID), which had taken over, \(how); nobody serves now, so this one ends at once what it has, and \
            the service manager can start another
            """
        )
        server.hasten(milliseconds: Service.hasteMilliseconds)
    }

    // MARK: The end

    private func terminate() {
        switch phase {
        case .serving:
            phase = .ending
            successor?.process.end()
            successor = nil
            manager.notify("STOPPING=1", "STATUS=Ending: streams are drained, other exchanges have their grace period")
            say("ending; streams are drained, other exchanges have their grace period")
            end(isSucceeded: false)
        case .succeeded:
            // Whoever ends the whole service means both processes; this one is ending already. A manager says it once more when the process
            // that serves has ended, and does not mean an end at once by that.
            if !manager.isPresent { phase = .ending }
            say("ending already")
        case .ending:
            say("ending at once")
            SystemProcess.exit(ExitStatus.interrupted)
        }
    }

    /// Ends on a thread of its own, so that further signals are heard; where none can be had, at least it ends.
    private func end(isSucceeded: Bool) {
        let ending: @Sendable () -> Void = { [server] in
            server.stop(isSucceeded: isSucceeded)
            let dropped = server.droppedLogLineCount
            if dropped > 0 { SystemProcess.complain("heartwire: \(dropped) log lines were dropped because their queue was full") }
            let failed = server.counters(atMostMilliseconds: 0)[.failedHandshakes]
            if failed > 0 { SystemProcess.complain("heartwire: \(failed) TLS handshakes failed or were not finished in time") }
            SystemProcess.exit(ExitStatus.success)
        }
        if (try? SystemThread.tryStart(name: "ending", ending)) == nil { ending() }
    }
}
