// The proxy as the console sees it: questions that are answered later. Invariant: no question waits for a worker, and none takes a lock
// that the data path takes.

/// Answers what the console asks.
package protocol ConsoleSource: Sendable {
    /// Whether the proxy serves, and is not ending.
    var isServing: Bool { get }
    /// Asks for the metrics as text; `answer` is called once, on any thread, when every worker has answered. Calling what is returned
    /// lets it come at once, without the workers that have not.
    func askMetrics(asOpenMetrics: Bool, _ answer: @escaping @Sendable ([UInt8]) -> Void) -> @Sendable () -> Void
}
