// The proxy as its console sees it: each question goes to the workers by mailbox, and the answers come back to the console's. Invariant:
// nobody waits, neither the console nor a worker, and a worker answers in slices.

import Configuration
import Console
import Exchanges
import Reactor
import Synchronization
import Telemetry

/// Answers the console's questions.
final class ConsoleView: ConsoleSource {
    /// What of the proxy the console asks beside its workers.
    struct Proxy: Sendable {
        var isServing: @Sendable () -> Bool
        var configuration: @Sendable () -> Configuration
        var askForCounts: @Sendable (@escaping @Sendable () -> Void) -> Void
        var metrics: @Sendable (MetricsFormat) -> [UInt8]
    }

    private let mailboxes: [Mailbox]
    private let proxy: Proxy
    /// What the operator has switched since the last reload, by the route's name.
    private let eventLogSwitches = Mutex<[String: Bool]>([:])

    /// A view of these workers, by their numbers.
    init(_ mailboxes: [Mailbox], of proxy: Proxy) {
        self.mailboxes = mailboxes
        self.proxy = proxy
    }

    /// A view of a server, which outlives its console's thread.
    convenience init(_ server: ProxyServer) {
        self.init(
            server.mailboxes,
            of: Proxy(
                isServing: { [unowned server] in server.isServing }, configuration: { [unowned server] in server.configuration },
                askForCounts: { [unowned server] in server.askForCounts(then: $0) },
                metrics: { [unowned server] in server.metrics($0) }))
    }

    var isServing: Bool { proxy.isServing() }

    var workerCount: Int { mailboxes.count }

    var facts: ConsoleFacts {
        let configuration = proxy.configuration()
        let switched = eventLogSwitches.withLock { $0 }
        let routes = configuration.routes.map { route in
            ConsoleFacts.Route(name: route.name, logsEvents: switched[route.name] ?? route.logsEvents)
        }
        return ConsoleFacts(routes: routes, hasEventLog: configuration.eventLog != .off)
    }

    func askForCounts(then: @escaping @Sendable () -> Void) { proxy.askForCounts(then) }

    func metrics(_ format: MetricsFormat) -> [UInt8] { proxy.metrics(format) }

    // MARK: What happens

    func ask(_ worker: Int, linesAfter known: UInt64, describing: Bool, _ answer: @escaping @Sendable (LiveAnswer) -> Void) {
        mailboxes[worker].post { worker in
            guard let exchanges = ProxyWorker.on(worker)?.exchanges else { return }
            var part = exchanges.tail(after: known)
            answer(.lines(part))
            while !part.isLatest {
                part = exchanges.tail(after: part.last)
                answer(.lines(part))
            }
            ConsoleView.look(worker, from: 0, describing: describing, answer)
        }
    }

    /// Looks at some streams, and lets the worker do other things before it looks at more.
    private static func look(_ worker: Worker, from place: Int, describing: Bool, _ answer: @escaping @Sendable (LiveAnswer) -> Void) {
        guard let exchanges = ProxyWorker.on(worker)?.exchanges else { return }
        var part = StreamPart(worker: worker.number, now: worker.now)
        let next = exchanges.look(from: place, describing: describing, into: &part)
        answer(.streams(part))
        guard let next else { return }
        worker.mailbox.post { look($0, from: next, describing: describing, answer) }
    }

    func askCauses(_ answer: @escaping @Sendable (CauseHour) -> Void) {
        let gathered = Gathered(left: mailboxes.count)
        for mailbox in mailboxes {
            mailbox.post { worker in
                guard let causes = ProxyWorker.on(worker)?.exchanges.causesOfTheHour else { return }
                if let whole = gathered.add(causes) { answer(whole) }
            }
        }
    }

    // MARK: One stream

    func watch(_ stream: StreamIdentifier) { onWorker(of: stream) { $0.watch(stream.number) } }

    func unwatch(_ stream: StreamIdentifier) { onWorker(of: stream) { $0.unwatch(stream.number) } }

    func takeWatched(_ stream: StreamIdentifier, _ answer: @escaping @Sendable (_ lines: [UInt8], _ dropped: UInt64) -> Void) {
        onWorker(of: stream) { exchanges in
            let (lines, dropped) = exchanges.takeWatched(stream.number)
            answer(lines, dropped)
        }
    }

    private func onWorker(of stream: StreamIdentifier, _ job: @escaping @Sendable (ExchangeWorker) -> Void) {
        guard mailboxes.indices.contains(stream.worker) else { return }
        mailboxes[stream.worker].post { worker in
            if let exchanges = ProxyWorker.on(worker)?.exchanges { job(exchanges) }
        }
    }

    // MARK: What the operator does

    func end(_ stream: StreamIdentifier, _ answer: @escaping @Sendable (ActionOutcome) -> Void) {
        guard mailboxes.indices.contains(stream.worker) else { return answer(.unknown) }
        mailboxes[stream.worker].post { worker in ConsoleView.end(stream.number, on: worker, from: 0, answer) }
    }

    private static func end(
        _ number: UInt64, on worker: Worker, from place: Int, _ answer: @escaping @Sendable (ActionOutcome) -> Void
    ) {
        guard let (isFound, next) = ProxyWorker.on(worker)?.exchanges.endStream(number, from: place) else { return answer(.unknown) }
        guard !isFound, let next else { return answer(isFound ? .done : .unknown) }
        worker.mailbox.post { end(number, on: $0, from: next, answer) }
    }

    func switchEventLog(ofRoute name: String, on isOn: Bool) -> ActionOutcome {
        let configuration = proxy.configuration()
        guard configuration.routes.contains(where: { $0.name == name }) else { return .unknown }
        guard configuration.eventLog != .off else { return .noEventLog }
        eventLogSwitches.withLock { $0[name] = isOn }
        for mailbox in mailboxes {
            mailbox.post { ProxyWorker.on($0)?.exchanges.switchEventLog(ofRoute: name, on: isOn) }
        }
        return .done
    }

    /// What the configuration says holds again, after a reload.
    func forgetSwitches() { eventLogSwitches.withLock { $0 = [:] } }
}

/// The causes of several workers, until all have answered.
private final class Gathered: Sendable {
    private let state: Mutex<(left: Int, sum: CauseHour)>

    init(left: Int) { state = Mutex((left, CauseHour())) }

    /// Adds those of one worker; returns the sum when they were the last.
    func add(_ causes: CauseHour) -> CauseHour? {
        state.withLock { state in
            state.left -= 1
            state.sum.add(causes)
            return state.left == 0 ? state.sum : nil
        }
    }
}
