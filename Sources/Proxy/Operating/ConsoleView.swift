// The proxy as its console sees it. Invariant: nobody waits, neither the console nor a worker.

import Console
import Telemetry

/// Answers the console's questions.
final class ConsoleView: ConsoleSource {
    /// The console's thread ends before the proxy does.
    private unowned let server: ProxyServer

    init(_ server: ProxyServer) { self.server = server }

    var isServing: Bool { !server.isEnding }

    func askForCounts(then: @escaping @Sendable () -> Void) { server.askForCounts(then: then) }

    func metrics(_ format: MetricsFormat) -> [UInt8] { server.metrics(format) }
}
