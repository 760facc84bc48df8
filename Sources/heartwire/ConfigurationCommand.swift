// `heartwire check`, and the reading of a configuration file for `heartwire run`.

import Configuration
import Proxy
import Reactor

enum ConfigurationCommand {
    /// Reads a file and checks it; ends the process with all that is wrong with it.
    static func load(_ path: String) -> Configuration {
        let bytes: [UInt8]
        do {
            bytes = try ConfigurationFile.load(path: path)
        } catch {
            Main.fail(error.description, status: ExitStatus.configuration)
        }
        do {
            let parsed = try ConfigurationFile.parse(
                bytes, fileName: path, environment: ConfigurationFile.processEnvironment)
            for warning in parsed.warnings { SystemProcess.complain("\(warning)") }
            return parsed.configuration
        } catch {
            SystemProcess.complain("\(error)")
            SystemProcess.exit(ExitStatus.configuration)
        }
    }

    /// Says whether the file can be used, and what would be served.
    static func check(_ path: String) {
        let configuration = load(path)
        do {
            let security = try Security(configuration)
            for warning in security.warnings(nowUnixMilliseconds: LinuxKernel().unixMilliseconds()) { SystemProcess.complain("\(path): warning: \(warning)") }
        } catch {
            Main.fail(error.message, status: ExitStatus.configuration)
        }
        let listeners = configuration.listeners.map(\.description).joined(separator: ", ")
        SystemProcess.say("\(path): good. Listens on \(listeners); \(configuration.routes.count) route(s), \(configuration.upstreams.count) upstream(s).\n")
    }
}
