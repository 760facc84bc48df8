// `heartwire check`, and the reading of a configuration file for `heartwire run`.

import Configuration
import Proxy
import Reactor

enum ConfigurationCommand {
    /// Reads a file and checks it. Ends the process after reporting all errors.
    static func load(_ path: String) -> Configuration {
        guard let configuration = read(path) else { SystemProcess.exit(ExitStatus.configuration) }
        return configuration
    }

    /// Reads a file and checks it; nil after reporting all errors.
    static func read(_ path: String, on occasion: OperatorFile.Occasion = .start) -> Configuration? {
        do {
            let parsed = try ConfigurationFile.parse(
                try ConfigurationFile.load(path: path, on: occasion), fileName: path, environment: ConfigurationFile.processEnvironment)
            for warning in parsed.warnings { SystemProcess.warn("\(warning)") }
            return parsed.configuration
        } catch let error as ConfigurationFile.Unreadable {
            SystemProcess.warn("heartwire: \(error.description)")
        } catch {
            SystemProcess.warn("\(error)")
        }
        return nil
    }

    /// Says whether the file can be used, and what would be served.
    static func check(_ path: String) {
        let configuration = load(path)
        do {
            let security = try Security(configuration)
            let ofCertificates = security.expiryWarnings(nowUnixMilliseconds: LinuxKernel().unixMilliseconds())
            for warning in security.readingWarnings + ofCertificates {
                SystemProcess.warn("\(path): warning: \(warning)")
            }
        } catch {
            Main.fail(error.message, status: ExitStatus.configuration)
        }
        let listeners = configuration.listeners.map(\.description).joined(separator: ", ")
        let addresses = configuration.console?.listeners.map(\.description) ?? []
        let console = addresses.isEmpty ? "" : ", the console on \(addresses.joined(separator: ", "))"
        Main.say(
            """
            \(path): good. Listens on \(listeners)\(console); \(configuration.routes.count) route(s), \(configuration.upstreams.count) \
            upstream(s).\n
            """
        )
    }
}
