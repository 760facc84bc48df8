// `heartwire run` and `heartwire proxy`: serves until it is told to end.

import Configuration
import Proxy
import Reactor

enum ServeCommand {
    /// Serves; returns when a signal has ended it in order.
    static func run(_ configuration: Configuration) {
        let server: ProxyServer
        do {
            server = try ProxyServer(configuration) { LinuxKernel() }
        } catch {
            fail(error)
        }
        let addresses = server.listeningAddresses.map { "http://\($0)" }.joined(separator: ", ")
        SystemProcess.complain("heartwire \(Version.number): listening on \(addresses)")
        waitForTheEnd(of: server)
    }

    /// Serves the operator's signals until one ends the proxy.
    static func waitForTheEnd(of server: ProxyServer) {
        while true {
            switch SystemProcess.nextSignal() {
            case .reopenLogs:
                server.reopenLogs()
            case .terminate:
                SystemProcess.complain("heartwire: ending; running exchanges have their grace period")
                server.stop()
                let dropped = server.droppedLogLineCount
                if dropped > 0 { SystemProcess.complain("heartwire: \(dropped) log lines were dropped because their queue was full") }
                return
            }
        }
    }

    static func fail(_ error: StartError) -> Never {
        let status =
            switch error {
            case .cannotListen: ExitStatus.unavailable
            case .cannotOpenLog: ExitStatus.configuration
            case .system: ExitStatus.unavailable
            }
        Main.fail(error.message, status: status)
    }
}
