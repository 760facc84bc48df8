// The proxy as its console sees it: each question goes to all workers by mailbox, and the last answer brings the whole back. Invariant:
// nobody waits, neither the console nor a worker.

import Console
import Exchanges
import Reactor
import Synchronization
import Telemetry

/// Answers the console's questions.
final class ConsoleView: ConsoleSource {
    /// The console's thread ends before the proxy does.
    private unowned let server: ProxyServer

    init(_ server: ProxyServer) { self.server = server }

    var isServing: Bool { !server.isEnding }

    func askMetrics(asOpenMetrics: Bool, _ answer: @escaping @Sendable ([UInt8]) -> Void) -> @Sendable () -> Void {
        let sum = CounterSum()
        // First, so that a worker that answers and then ends counts once.
        sum.add(server.countedByEnded)
        let gathering = Gathering(expected: server.mailboxes.count) { answer(metricsText(sum.sum, asOpenMetrics: asOpenMetrics)) }
        for mailbox in server.mailboxes {
            mailbox.post { worker in
                if let proxy = ProxyWorker.on(worker) { sum.add(proxy.exchanges.counters) }
                gathering.answer()
            }
        }
        return { gathering.finish() }
    }
}

/// Waits for so many answers without a thread that waits.
private final class Gathering: Sendable {
    private let left: Mutex<Int>
    private let whole: @Sendable () -> Void

    init(expected: Int, whole: @escaping @Sendable () -> Void) {
        left = Mutex(expected)
        self.whole = whole
    }

    /// One of them answers.
    func answer() {
        let isLast = left.withLock { left in
            left -= 1
            return left == 0
        }
        if isLast { whole() }
    }

    /// Nobody waits for the others any more.
    func finish() {
        let isUnfinished = left.withLock { left in
            defer { left = min(left, 0) }
            return left > 0
        }
        if isUnfinished { whole() }
    }
}
