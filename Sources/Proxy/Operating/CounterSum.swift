// What several workers have counted, added up from their threads.

import Synchronization
import Telemetry

/// Counters of several workers, added up.
final class CounterSum: Sendable {
    private let counters = Mutex(WorkerCounters())

    /// Adds those of one more worker.
    func add(_ others: WorkerCounters) { counters.withLock { $0.add(others) } }

    /// The sum so far.
    var sum: WorkerCounters { counters.withLock { $0 } }
}
