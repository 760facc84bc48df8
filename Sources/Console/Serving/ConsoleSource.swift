// The proxy as the console sees it: questions that are answered later. Invariant: no question waits for a worker, and none takes a lock
// that the data path takes.

import Telemetry

/// Answers what the console asks.
package protocol ConsoleSource: Sendable {
    /// Whether the proxy serves, and is not ending.
    var isServing: Bool { get }
    /// Asks each worker for what it has counted. `then` is called once, on any thread, when all have answered, never where one does not.
    func askForCounts(then: @escaping @Sendable () -> Void)
    /// The text about all metrics, by what the workers said last.
    func metrics(_ format: MetricsFormat) -> [UInt8]
}
