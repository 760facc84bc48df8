// The counts of one worker: plain integers of one thread, with nothing atomic on the path. Other threads get a copy through the
// worker's mailbox. A counter is one case with its row, and one `add` where it is counted.

/// One counter, from the start of its worker on.
package enum Counter: Int, CaseIterable, Sendable {
    case exchanges, streams, heartbeats, failedHandshakes, droppedLogLines

    /// What is counted. For tests, and for a reader of the numbers.
    package var meaning: String {
        switch self {
        case .exchanges: "exchanges that have ended, refused ones included"
        case .streams: "event streams that were opened"
        case .heartbeats: "heartbeats that were woven into streams that have ended"
        case .droppedLogLines: "log lines that were dropped because their queue was full"
        case .failedHandshakes: "TLS handshakes of clients that failed or were not finished in time"
        }
    }
}

/// The counters of one worker, or of several together.
package struct WorkerCounters: Sendable, Equatable {
    private var values = [UInt64](repeating: 0, count: Counter.allCases.count)

    /// Counters at zero.
    package init() {}

    /// The count.
    package subscript(counter: Counter) -> UInt64 { values[counter.rawValue] }

    /// Adds to a counter.
    package mutating func add(_ counter: Counter, _ count: UInt64 = 1) { values[counter.rawValue] &+= count }

    /// Adds the counts of another worker.
    package mutating func add(_ others: WorkerCounters) {
        for counter in Counter.allCases { add(counter, others[counter]) }
    }
}
