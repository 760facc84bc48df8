// What a service decides about signals, its successor and the service manager. The effects only record what the service wanted to do.
// With real processes it is tested in EndToEnd/test_service.py and test_taking_over.py.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

/// A successor that gets as far as the test says.
private final class FakeProcess: SuccessorProcess {
    let processID: Int32
    var state = Successor.Progress.starting
    /// How it ended after it took over; nil while it lives.
    var end_: (how: String, isOrderly: Bool)?
    private(set) var passedOn: [SystemProcess.Signal] = []
    private(set) var wasEnded = false
    private(set) var wasLetGo = false

    init(_ processID: Int32) { self.processID = processID }

    func progress() -> Successor.Progress { state }
    func pass(on signal: SystemProcess.Signal) { passedOn.append(signal) }
    func end() { wasEnded = true }
    func letGo() { wasLetGo = true }
    func ending() -> (how: String, isOrderly: Bool)? { end_ }
}

/// Effects that only record what was asked for.
private final class FakeEffects: ServiceEffects {
    var now: Int64 = 1_000
    var isFirstProcess = false
    var hasManager = true
    let reloadMoment = "MONOTONIC_USEC=1"
    let listeningURLs = ["http://127.0.0.1:80", "https://127.0.0.1:443"]
    var configuration = Configuration()
    /// The error of each message to the manager; nil for none.
    var managerError: SystemError?
    var startError: SystemError?
    var reloadError: StartError?
    var outcome = Reload(changes: [], warnings: [], readAgain: [])

    /// Everything that was done, in order.
    private(set) var done: [String] = []
    private(set) var processes: [FakeProcess] = []
    private(set) var wanted: [Configuration] = []

    /// What was done since the last call.
    func take() -> [String] {
        defer { done = [] }
        return done
    }

    func warn(_ words: String) { done.append("warn: \(words)") }
    func exit(_ status: Int32) { done.append("exit \(status)") }
    func reopenLogs() { done.append("reopen") }
    func reload(_ wanted: Configuration) throws(StartError) -> Reload {
        self.wanted.append(wanted)
        done.append("reload")
        if let reloadError { throw reloadError }
        return outcome
    }
    func noteFailedReload() { done.append("note a failed reload") }
    func beginToEnd(isSucceeded: Bool) { done.append("end\(isSucceeded ? " succeeded" : "")") }
    func endWithin(milliseconds: Int) { done.append("end within \(milliseconds)") }
    func notify(_ lines: [String], waiting milliseconds: Int) -> SystemError? {
        done.append("tell \(lines[0]) \(milliseconds)")
        return managerError
    }
    func feedWatchdog() { done.append("watchdog") }
    func startSuccessor() throws(SystemError) -> any SuccessorProcess {
        if let startError { throw startError }
        let process = FakeProcess(Int32(100 + processes.count))
        processes.append(process)
        done.append("start")
        return process
    }
}

@Suite("A service")
struct ServiceTests {
    private let effects = FakeEffects()

    private func service(_ reread: (() -> Configuration?)? = { Configuration(workerCount: 7) }) -> Service {
        Service(effects, reread: reread)
    }

    /// A service whose successor serves.
    private func succeeded() throws -> (Service, FakeProcess) {
        let service = service()
        service.receive(.upgrade)
        let process = try #require(effects.processes.last)
        process.state = .ready
        service.look()
        _ = effects.take()
        return (service, process)
    }

    @Test("tells the manager that it serves, and the operator where that fails")
    func begins() {
        service().begin()
        #expect(effects.take() == ["tell READY=1 5000", "watchdog"])
        effects.managerError = .connectionRefused
        service().begin()
        #expect(effects.take()[1].hasPrefix("warn: the service manager cannot be told that all is ready"))
    }

    // MARK: Reloading

    @Test("announces a reload to the manager first, and that it is ready again last, however the reload comes out")
    func reloads() {
        let good = service()
        effects.outcome = Reload(
            changes: ["route /a added", "route /b removed"], warnings: ["look here"], readAgain: ["certificates", "keys of issuers"])
        good.receive(.reload)
        #expect(
            effects.take() == [
                "tell RELOADING=1 0", "reload", "warn: SIGHUP: look here",
                "warn: SIGHUP: done: route /a added; route /b removed; certificates and keys of issuers were read again",
                "tell READY=1 5000",
            ])
        #expect(effects.wanted.map(\.workerCount) == [7])
        service({ nil }).receive(.reload)
        #expect(
            effects.take() == [
                "tell RELOADING=1 0", "note a failed reload",
                "warn: SIGHUP: the configuration cannot be used; the one in force stays, and nothing has changed", "tell READY=1 5000",
            ])
        effects.reloadError = .cannotListen(address: "a:1", .addressInUse)
        good.receive(.reload)
        let failed = effects.take()
        #expect(failed.first == "tell RELOADING=1 0" && failed.last == "tell READY=1 5000")
        #expect(failed[2].contains("cannot listen on a:1") && failed[2].hasSuffix("stays, and nothing has changed"))
    }

    @Test("without a configuration file reads the certificates again, and puts the same configuration in force")
    func certificates() {
        effects.configuration = Configuration(workerCount: 3)
        service(nil).receive(.reload)
        #expect(effects.take()[2] == "warn: SIGHUP: there are no certificates to read again")
        effects.outcome = Reload(changes: [], warnings: [], readAgain: ["certificates"])
        service(nil).receive(.reload)
        #expect(effects.take()[2] == "warn: SIGHUP: certificates were read again")
        #expect(effects.wanted.map(\.workerCount) == [3, 3])
    }

    // MARK: Successors

    @Test("starts one new process, looks at it often, and ends when that serves and the manager knows of it")
    func isSucceeded() throws {
        let service = service()
        #expect(service.lookMilliseconds == 3_600_000)
        service.receive(.upgrade)
        #expect(effects.take() == ["start", "warn: SIGUSR2: process 100 is to take over"])
        #expect(service.lookMilliseconds == Service.startLookMilliseconds)
        service.receive(.upgrade)
        #expect(effects.take() == ["warn: SIGUSR2: a new process is being started already"])
        service.look()
        #expect(effects.take().isEmpty)
        let process = try #require(effects.processes.first)
        process.state = .ready
        service.look()
        let done = effects.take()
        #expect(done.first == "tell MAINPID=100 5000" && done.last == "end succeeded" && done.count == 3)
        #expect(process.wasLetGo && !process.wasEnded)
        #expect(service.lookMilliseconds == Service.successorLookMilliseconds)
        service.receive(.upgrade)
        #expect(effects.take() == ["warn: SIGUSR2: no new process is started any more, this one ends"])
    }

    @Test("ends a new process that does not serve within a minute, to the millisecond, and may start another")
    func isGivenUp() throws {
        let service = service()
        service.receive(.upgrade)
        _ = effects.take()
        effects.now += Service.startMilliseconds - 1
        service.look()
        #expect(effects.take().isEmpty && effects.processes[0].wasEnded == false)
        effects.now += 1
        service.look()
        #expect(
            effects.take() == ["warn: SIGUSR2: process 100 did not begin to serve within 60 s; it was ended, this one goes on"])
        #expect(effects.processes[0].wasEnded)
        service.receive(.upgrade)
        #expect(effects.take() == ["start", "warn: SIGUSR2: process 101 is to take over"])
    }

    @Test("goes on when a new process fails or none can be started, and as the first process of a container starts none")
    func goesOn() throws {
        let service = service()
        service.receive(.upgrade)
        effects.processes[0].state = .failed("ended with status 78")
        _ = effects.take()
        service.look()
        #expect(
            effects.take() == [
                "warn: SIGUSR2: process 100 ended with status 78 before it served; what it said is above, this one goes on"
            ])
        effects.startError = .outOfMemory
        service.receive(.upgrade)
        #expect(effects.take().map { $0.hasSuffix("; this one goes on") } == [true])
        effects.startError = nil
        effects.isFirstProcess = true
        service.receive(.upgrade)
        #expect(effects.take().map { $0.hasPrefix("warn: SIGUSR2: as process 1 of a container") } == [true])
        service.receive(.reload)
        #expect(effects.take().contains("reload"), "it serves")
    }

    @Test("is not succeeded by a process that the manager does not know of; one that cannot be told at all is no reason")
    func unknownToManager() {
        let service = service()
        service.receive(.upgrade)
        effects.processes[0].state = .ready
        effects.managerError = .wouldBlock
        _ = effects.take()
        service.look()
        #expect(effects.take().first == "tell MAINPID=100 5000")
        #expect(effects.processes[0].wasEnded && !effects.processes[0].wasLetGo)
        effects.managerError = .connectionRefused
        service.receive(.upgrade)
        effects.processes[1].state = .ready
        service.look()
        #expect(effects.processes[1].wasLetGo && effects.take().last == "end succeeded")
    }

    @Test("passes on what was asked for while the new process started, which may not have seen it")
    func meanwhile() {
        let service = service()
        service.receive(.upgrade)
        service.receive(.reload)
        service.receive(.reopenLogs)
        service.receive(.reload)
        #expect(effects.take().filter { $0 == "reload" || $0 == "reopen" } == ["reload", "reopen", "reload"], "this one serves")
        let process = effects.processes[0]
        #expect(process.passedOn.isEmpty)
        process.state = .ready
        service.look()
        #expect(Set(process.passedOn) == [.reload, .reopenLogs] && process.passedOn.count == 2)
    }

    @Test("passes a reload on to the process that serves, and makes both reopen their logs")
    func passesOn() throws {
        let (service, process) = try succeeded()
        service.receive(.reload)
        #expect(effects.take() == ["warn: SIGHUP: passed on to process 100, which serves"])
        service.receive(.reopenLogs)
        #expect(effects.take() == ["reopen"] && process.passedOn == [.reload, .reopenLogs])
    }

    @Test("ends soon when the process that took over dies and a manager can start another, and only then", arguments: [true, false])
    func successorDies(_ hasManager: Bool) throws {
        let (service, process) = try succeeded()
        effects.hasManager = hasManager
        service.look()
        #expect(effects.take().isEmpty)
        process.end_ = ("was ended by signal 9", false)
        service.look()
        let done = effects.take()
        #expect(done[0].hasPrefix("warn: process 100, which had taken over, was ended by signal 9; no process serves now"))
        #expect(Array(done.dropFirst()) == (hasManager ? ["end within 2000"] : []))
        service.look()
        #expect(effects.take().isEmpty && service.lookMilliseconds == 3_600_000, "it is told once")
        service.receive(.reload)
        #expect(effects.take() == ["warn: SIGHUP: nothing is read any more, this process ends"])
        #expect(process.passedOn.isEmpty, "nothing is sent to a number that may be another process's by now")
    }

    @Test("does not take an orderly end of the process that took over for a crash")
    func successorEnds() throws {
        let (service, process) = try succeeded()
        process.end_ = ("ended with status 0", true)
        service.look()
        #expect(effects.take() == ["warn: process 100, which had taken over, has ended in order"])
    }

    // MARK: The end

    @Test("ends in order at the first signal and at once at the second")
    func ends() {
        let service = service()
        service.receive(.terminate)
        #expect(
            effects.take() == [
                "tell STOPPING=1 0", "warn: ending; streams are drained, other exchanges have their grace period", "end",
            ])
        service.receive(.terminate)
        #expect(effects.take() == ["warn: ending at once", "exit \(ExitStatus.interrupted)"])
    }

    @Test("ends the new process too, when it is told to end before that serves")
    func endsBoth() {
        let service = service()
        service.receive(.upgrade)
        service.receive(.terminate)
        #expect(effects.processes[0].wasEnded)
        effects.processes[0].state = .ready
        _ = effects.take()
        service.look()
        #expect(effects.take().isEmpty, "it takes over no more")
    }

    @Test("goes on draining when all is to end after it was succeeded; without a manager the second signal ends it at once")
    func endsAfterSuccession() throws {
        let (managed, _) = try succeeded()
        for _ in 0..<3 { managed.receive(.terminate) }
        #expect(effects.take() == ["warn: ending already", "warn: ending already", "warn: ending already"])
        let (alone, _) = try succeeded()
        effects.hasManager = false
        alone.receive(.terminate)
        alone.receive(.terminate)
        #expect(effects.take() == ["warn: ending already", "warn: ending at once", "exit \(ExitStatus.interrupted)"])
    }

    // MARK: Any order of events

    @Test("in any order of events ends once, speaks to the manager only while it serves, and leaves no process that it does not know")
    func anyOrder() {
        var chance = SeededGenerator("anyOrder")
        for _ in 0..<3_000 {
            let effects = FakeEffects()
            effects.hasManager = Bool.random(using: &chance)
            let service = Service(effects, reread: { Configuration() })
            var endings = 0
            var isSucceeded = false
            for _ in 0..<Int.random(in: 1...14, using: &chance) {
                let live = effects.processes.last { !$0.wasEnded && $0.end_ == nil }
                switch Int.random(in: 0..<10, using: &chance) {
                case 0, 1, 2: service.receive(.upgrade)
                case 3: service.receive(.terminate)
                case 4: service.receive(.reload)
                case 5: service.receive(.reopenLogs)
                case 6: live?.state = .ready
                case 7:
                    if live?.wasLetGo == true {
                        live?.end_ = ("ended", Bool.random(using: &chance))
                    } else {
                        live?.state = .failed("ended")
                    }
                case 8: effects.managerError = Bool.random(using: &chance) ? .wouldBlock : nil
                default: effects.now += Service.startMilliseconds / 2
                }
                if !effects.done.contains(where: { $0.hasPrefix("exit") }) { service.look() }
                for act in effects.take() {
                    if act.hasPrefix("end"), !act.hasPrefix("end within") { endings += 1 }
                    #expect(!act.hasPrefix("tell") || !isSucceeded, "\(act) after another process took over")
                    isSucceeded = isSucceeded || act == "end succeeded"
                    if act == "start" { #expect(endings == 0, "a process is started by one that ends") }
                }
                let open = effects.processes.filter { !$0.wasEnded && !$0.wasLetGo && $0.state == .starting }
                #expect(open.count <= 1, "two processes are to take over")
                #expect(effects.processes.filter(\.wasLetGo).count <= 1, "two processes took over")
                #expect(effects.processes.allSatisfy { !($0.wasEnded && $0.wasLetGo) }, "the process that serves was ended")
            }
            #expect(endings <= 1)
        }
    }
}

@Suite("The watchdog")
struct WatchdogTests {
    @Test("gives four signs within the manager's limit, and none while a worker gives none")
    func signs() {
        let kernel = ScriptedKernel()
        let beginning = kernel.now
        var signs: [Int64] = []
        var open: [Pulse] = []
        Watchdog.feed(withinMicroseconds: 2_000_000, kernel, until: { kernel.now >= beginning + 10_000 }) {
            let pulse = Pulse(expected: 2)
            pulse.answer()
            // From the third to the sixth second one of the two workers does not turn.
            if (3_000..<6_000).contains(kernel.now - beginning) { open.append(pulse) } else { pulse.answer() }
            return pulse
        } sign: {
            signs.append(kernel.now - beginning)
            if signs.last == 6_000 { Issue.record("a worker stands still") }
        }
        #expect(signs == [500, 1_000, 1_500, 2_000, 2_500, 3_000], "the question of the third second is never answered")
        #expect(open.count == 1)
    }
}
