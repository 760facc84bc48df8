// What each worker has counted, as it last said. A worker that is busy, or has ended, counts with its last word.

import Synchronization
import Telemetry

/// The last counts of each worker, by its number.
final class WorkerCounts: Sendable {
    private struct Kept {
        var last: [Int: CounterSnapshot] = [:]
        var ended: Set<Int> = []
    }

    private let kept = Mutex(Kept())

    /// Keeps what a worker has counted so far. After its end nothing can change that.
    func keep(_ counts: CounterSnapshot, of worker: Int) {
        kept.withLock { kept in
            if !kept.ended.contains(worker) { kept.last[worker] = counts }
        }
    }

    /// Keeps what a worker has counted in all, at its end.
    func keepLast(_ counts: CounterSnapshot, of worker: Int) {
        kept.withLock { kept in
            kept.last[worker] = counts
            kept.ended.insert(worker)
        }
    }

    /// Those of the workers with these numbers that have not ended.
    func running(of numbers: Range<Int>) -> [Int] { kept.withLock { kept in numbers.filter { !kept.ended.contains($0) } } }

    /// The sum over all workers.
    var sum: CounterSnapshot {
        kept.withLock { kept in
            var sum = CounterSnapshot()
            for counts in kept.last.values { sum.add(counts) }
            return sum
        }
    }
}
