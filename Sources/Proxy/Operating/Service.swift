// A proxy as a service: it handles the operator's signals and the service manager's requests, one after the other on one thread. This
// file decides the order; the proxy, the successor and the manager do the work. Invariant: this process reports to the manager only
// while it is the process that serves.

import Configuration
import Reactor

/// A running proxy, its signals and its service manager, until it ends.
package final class Service {
    /// A process that was started to take over and has not said yet that it serves.
    private struct Candidate {
        let process: any SuccessorProcess
        let startedAt: Int64
        /// What the operator has asked for since. The process may have read its files before that.
        var signals: Set<SystemProcess.Signal> = []
    }

    private enum Phase {
        case serving
        /// This process serves, and another one is to take over.
        case starting(Candidate)
        /// Another process serves; this one finishes its exchanges.
        case succeeded
        /// The operator wants an end. The next time he asks for it, it comes at once.
        case ending
    }

    /// How long a new process may take until it serves.
    static let startMilliseconds: Int64 = 60_000
    /// How often is looked whether it does.
    static let startLookMilliseconds = 50
    /// How long to wait for a busy manager where the whole service would end if the report got lost.
    static let managerMilliseconds = 5_000
    /// How often to check whether the successor still runs.
    static let successorLookMilliseconds = 200
    /// How long this process's exchanges may still take when no process serves until it has ended.
    static let abandonedMilliseconds = 2_000

    private let effects: any ServiceEffects
    private let reread: (() -> Configuration?)?
    private var phase = Phase.serving
    /// The process that took over, as long as it lives.
    private var successor: (any SuccessorProcess)?

    /// A service that goes on until `run` ends the process. `reread` returns the file's current configuration, or nil after reporting
    /// why the file cannot be used. Without a file there is no `reread`.
    package convenience init(_ server: ProxyServer, manager: ServiceManager, kernel: Kernel, reread: (() -> Configuration?)?) {
        self.init(ProcessEffects(server, manager: manager, kernel: kernel), reread: reread)
    }

    init(_ effects: any ServiceEffects, reread: (() -> Configuration?)?) {
        self.effects = effects
        self.reread = reread
    }

    /// Reports that the proxy serves, first to its predecessor. Then handles the operator's signals until one ends the process.
    package func run(after predecessor: Predecessor?) -> Never {
        predecessor?.takeOver()
        begin()
        while true {
            if let signal = SystemProcess.nextSignal(withinMilliseconds: lookMilliseconds) { receive(signal) }
            look()
        }
    }

    /// Says to the manager that the proxy serves.
    func begin() {
        if let error = tellReady() { effects.warn("the service manager cannot be told that all is ready: \(error.message)") }
        effects.feedWatchdog()
    }

    /// After how long, without a signal, there is something to look at.
    var lookMilliseconds: Int {
        if case .starting = phase { return Service.startLookMilliseconds }
        return successor == nil ? 3_600_000 : Service.successorLookMilliseconds
    }

    /// Does what the operator asks for.
    func receive(_ signal: SystemProcess.Signal) {
        if case .starting(var candidate) = phase {
            candidate.signals.insert(signal)
            phase = .starting(candidate)
        }
        switch signal {
        case .reopenLogs:
            effects.reopenLogs()
            successor?.pass(on: signal)
        case .reload: reload()
        case .upgrade: startSuccessor()
        case .terminate: terminate()
        }
    }

    /// Looks at what changes without a signal: the processes that are to take over or have.
    func look() {
        if case .starting(let candidate) = phase { look(at: candidate) }
        if let successor { look(at: successor) }
    }

    private func tellReady() -> SystemError? {
        effects.notify(
            ["READY=1", "STATUS=Listening on \(effects.listeningURLs.joined(separator: ", "))"], waiting: Service.managerMilliseconds)
    }

    // MARK: Reading again

    private func reload() {
        switch phase {
        case .serving, .starting: readAgain()
        case .succeeded, .ending:
            guard let successor else { return effects.warn("SIGHUP: nothing is read any more, this process ends") }
            effects.warn("SIGHUP: passed on to process \(successor.processID), which serves")
            successor.pass(on: .reload)
        }
    }

    private func readAgain() {
        effects.notify(["RELOADING=1", effects.reloadMoment, "STATUS=Reading the configuration again"], waiting: 0)
        defer { _ = tellReady() }
        guard let wanted = reread.map({ $0() }) ?? effects.configuration else {
            effects.noteFailedReload()
            return effects.warn("SIGHUP: the configuration cannot be used; the one in force stays, and nothing has changed")
        }
        let outcome: Reload
        do { outcome = try effects.reload(wanted) } catch {
            return effects.warn("SIGHUP: \(error.message); the configuration in force stays, and nothing has changed")
        }
        for warning in outcome.warnings { effects.warn("SIGHUP: \(warning)") }
        let files = outcome.readAgain.isEmpty ? [] : [outcome.readAgain.joined(separator: " and ") + " were read again"]
        if reread == nil { return effects.warn("SIGHUP: " + (files.first ?? "there are no certificates to read again")) }
        let news = outcome.changes.isEmpty ? ["nothing in the configuration has changed"] : outcome.changes
        effects.warn("SIGHUP: done: " + (news + files).joined(separator: "; "))
    }

    // MARK: Being succeeded

    private func startSuccessor() {
        switch phase {
        case .succeeded, .ending: return effects.warn("SIGUSR2: no new process is started any more, this one ends")
        case .starting: return effects.warn("SIGUSR2: a new process is being started already")
        case .serving: break
        }
        guard !effects.isFirstProcess else {
            return effects.warn(
                """
                SIGUSR2: as process 1 of a container this one cannot be succeeded, its end would be that of the container; \
                this one goes on
                """
            )
        }
        do {
            let process = try effects.startSuccessor()
            phase = .starting(Candidate(process: process, startedAt: effects.now))
            effects.warn("SIGUSR2: process \(process.processID) is to take over")
        } catch {
            effects.warn("SIGUSR2: no new process can be started: \(error.message); this one goes on")
        }
    }

    private func look(at candidate: Candidate) {
        let process = candidate.process
        switch process.progress() {
        case .starting:
            guard effects.now - candidate.startedAt >= Service.startMilliseconds else { return }
            process.end()
            phase = .serving
            effects.warn(
                """
                SIGUSR2: process \(process.processID) did not begin to serve within \(Service.startMilliseconds / 1000) s; \
                it was ended, this one goes on
                """
            )
        case .failed(let how):
            phase = .serving
            effects.warn("SIGUSR2: process \(process.processID) \(how) before it served; what it said is above, this one goes on")
        case .ready:
            // The manager accepts this from the process that it knows, and from then on accepts reports of the new one.
            let error = effects.notify(["MAINPID=\(process.processID)"], waiting: Service.managerMilliseconds)
            if error == .wouldBlock {
                // A manager that lives and does not know of the new process would take the end of this one for that of the service.
                process.end()
                phase = .serving
                return effects.warn(
                    "SIGUSR2: the service manager cannot be told of process \(process.processID); it was ended, this one goes on")
            }
            for signal in candidate.signals { process.pass(on: signal) }
            process.letGo()
            phase = .succeeded
            successor = process
            effects.warn(
                "SIGUSR2: process \(process.processID) has taken over; this one ends when its streams are drained and its exchanges done")
            effects.beginToEnd(isSucceeded: true)
        }
    }

    /// This process is the successor's parent and the only one that can learn of its end. The manager learns of it only when this
    /// process has ended too, so this process then ends soon.
    private func look(at process: any SuccessorProcess) {
        guard let (how, isOrderly) = process.ending() else { return }
        successor = nil
        let who = "process \(process.processID), which had taken over,"
        guard !isOrderly else { return effects.warn("\(who) has ended in order") }
        guard effects.hasManager else { return effects.warn("\(who) \(how); no process serves now") }
        effects.warn(
            "\(who) \(how); no process serves now, so this process ends its exchanges at once, and the service manager can start another"
        )
        effects.endWithin(milliseconds: Service.abandonedMilliseconds)
    }

    // MARK: The end

    private func terminate() {
        switch phase {
        case .serving, .starting:
            if case .starting(let candidate) = phase { candidate.process.end() }
            phase = .ending
            effects.notify(["STOPPING=1", "STATUS=Ending: streams are drained, other exchanges have their grace period"], waiting: 0)
            effects.warn("ending; streams are drained, other exchanges have their grace period")
            effects.beginToEnd(isSucceeded: false)
        case .succeeded:
            // Somebody who ends the whole service means both processes; this one is ending already. A manager says it once more when the
            // process that serves has ended, and does not mean an end at once by that.
            if !effects.hasManager { phase = .ending }
            effects.warn("ending already")
        case .ending:
            effects.warn("ending at once")
            effects.exit(ExitStatus.interrupted)
        }
    }
}
