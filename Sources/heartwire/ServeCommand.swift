// `heartwire run` and `heartwire proxy`: serve until a signal ends them.

import Configuration
import Proxy
import Reactor
import Telemetry

enum ServeCommand {
    /// Serves until a signal ends the process. SIGHUP reads the configuration file again, or, without a file, only the certificates.
    static func run(
        _ configuration: Configuration, file path: String? = nil, _ inheritance: Inheritance, _ manager: ServiceManager
    ) -> Never {
        let server: ProxyServer
        do {
            server = try ProxyServer(configuration, inheriting: inheritance.sockets) { LinuxKernel() }
        } catch {
            fail(error)
        }
        let console = server.consoleURLs.isEmpty ? "" : "; the console is on \(server.consoleURLs.joined(separator: ", "))"
        SystemProcess.warn("heartwire \(Version.number): listening on \(server.listeningURLs.joined(separator: ", "))\(console)")
        let service = Service(
            server, manager: manager, kernel: LinuxKernel(), reread: path.map { path in { ConfigurationCommand.read(path, on: .reload) } })
        service.run(after: inheritance.predecessor)
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
