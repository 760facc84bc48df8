// `heartwire run` and `heartwire proxy`: serves until it is told to end.

import Configuration
import Proxy
import Reactor

enum ServeCommand {
    /// Serves until a signal ends the process.
    static func run(_ configuration: Configuration) -> Never {
        let server: ProxyServer
        do {
            server = try ProxyServer(configuration) { LinuxKernel() }
        } catch {
            fail(error)
        }
        SystemProcess.complain("heartwire \(Version.number): listening on \(server.listeningURLs.joined(separator: ", "))")
        waitForTheEnd(of: server)
    }

    /// Serves the operator's signals until one ends the process: the first in order, a second at once.
    private static func waitForTheEnd(of server: ProxyServer) -> Never {
        var isEnding = false
        while true {
            switch SystemProcess.nextSignal() {
            case .reopenLogs:
                server.reopenLogs()
            case .reload:
                reload(server)
            case .terminate where isEnding:
                SystemProcess.complain("heartwire: ending at once")
                SystemProcess.exit(ExitStatus.interrupted)
            case .terminate:
                isEnding = true
                SystemProcess.complain("heartwire: ending; streams are drained, other exchanges have their grace period")
                // On a thread of its own, so that a second signal is heard.
                SystemThread.start(name: "ending") { end(server) }
            }
        }
    }

    private static func end(_ server: ProxyServer) {
        server.stop()
        let dropped = server.droppedLogLineCount
        if dropped > 0 { SystemProcess.complain("heartwire: \(dropped) log lines were dropped because their queue was full") }
        let failed = server.failedHandshakeCount
        if failed > 0 { SystemProcess.complain("heartwire: \(failed) TLS handshakes failed or were not finished in time") }
        SystemProcess.exit(ExitStatus.success)
    }

    private static func reload(_ server: ProxyServer) {
        guard let complaints = server.reloadSecurity(nowUnixMilliseconds: LinuxKernel().unixMilliseconds()) else {
            return SystemProcess.complain("heartwire: SIGHUP: there are no certificates to read anew")
        }
        for complaint in complaints { SystemProcess.complain("heartwire: SIGHUP: \(complaint)") }
        SystemProcess.complain("heartwire: SIGHUP: certificates were read anew" + (complaints.isEmpty ? "" : "; what could not be used is as it was"))
    }

    static func fail(_ error: StartError) -> Never {
        let status =
            switch error {
            case .cannotListen: ExitStatus.unavailable
            case .cannotOpenLog, .security: ExitStatus.configuration
            case .system: ExitStatus.unavailable
            }
        Main.fail(error.message, status: status)
    }
}
