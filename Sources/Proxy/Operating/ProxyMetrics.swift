// The metrics of the whole proxy: each worker is asked for a copy of its counts by its mailbox, and the text is made from the last copies
// by the thread that wants it. So a scrape takes no more of a worker than the copy, and stops no event.

import Exchanges
import Reactor
import Synchronization
import Telemetry

extension ProxyServer {
    /// Asks each worker for its counts. `then` is called when all have given them, once, on the thread of the last one; where a worker is
    /// busy that is late, and where one ends meanwhile it is never. A caller that waits no longer can still make the text: such a worker
    /// counts with what it said before, so that no sum goes backwards.
    package func askForCounts(then: @escaping @Sendable () -> Void) {
        let counts = means.counts
        let running = counts.running(of: mailboxes.indices)
        guard !running.isEmpty else { return then() }
        let missing = Countdown(running.count)
        for number in running {
            mailboxes[number].post { worker in
                if let proxy = ProxyWorker.on(worker) { counts.keep(proxy.exchanges.counted(), of: number) }
                if missing.isLast() { then() }
            }
        }
    }

    /// The text about all metrics, from the counts that the workers gave last. It asks no worker and waits for none.
    package func metrics(_ format: MetricsFormat) -> [UInt8] {
        let (series, facts) = state.withLock { state in
            var facts = ProcessFacts(version: Version.number, loadedAtUnixMilliseconds: state.loadedAtUnixMilliseconds)
            facts.isLastReloadSuccessful = state.isLastReloadSuccessful
            return (state.generation?.settings.series ?? MetricSeries(), facts)
        }
        return MetricsText(format, means.counts.sum, series, facts.withUsage(of: means.usage())).bytes
    }

    /// The counts of all workers, as they gave them last; of workers that have ended, all.
    var counted: CounterSnapshot { means.counts.sum }
}

/// Counts answers down, on whatever thread they come.
private final class Countdown: Sendable {
    private let missing: Mutex<Int>

    init(_ count: Int) { missing = Mutex(count) }

    /// One more has answered. Returns whether it was the last.
    func isLast() -> Bool {
        missing.withLock { missing in
            missing -= 1
            return missing == 0
        }
    }
}

extension ProcessFacts {
    /// The same facts with what the process uses.
    fileprivate func withUsage(of usage: ProcessUsage) -> ProcessFacts {
        var facts = self
        facts.descriptors = usage.descriptors
        facts.descriptorLimit = usage.descriptorLimit
        facts.residentBytes = usage.residentBytes
        facts.processorMilliseconds = usage.processorMilliseconds
        facts.startedAtUnixMilliseconds = usage.startedAtUnixMilliseconds
        return facts
    }
}
