// The entry point of the command line: reads the arguments, calls a subcommand, and turns its result into an exit status. Everything
// that a test needs is in `Configuration` and `Proxy`.

import Configuration
import Reactor
import Telemetry

@main
struct Main {
    static func main() {
        SystemProcess.prepare()
        let inheritance = Inheritance.take()
        let manager = ServiceManager.take()
        do {
            switch try CommandLine.parse(Array(Swift.CommandLine.arguments.dropFirst())) {
            case .help(let text):
                say(text.hasSuffix("\n") ? text : text + "\n")
            case .version:
                say("heartwire \(Version.description)\n")
            case .completions(let shell):
                say(shell.completions)
            case .proxy(let configuration):
                ServeCommand.run(configuration, inheritance, manager)
            case .run(let path):
                ServeCommand.run(ConfigurationCommand.load(path), file: path, inheritance, manager)
            case .check(let path):
                ConfigurationCommand.check(path)
            case .diagnose(let logs, let isJSON, let page):
                DiagnoseCommand.run(logs, isJSON: isJSON, pagePath: page)
            case .probe(let options):
                ProbeCommand.run(options)
            case .demo(let listener):
                DemoCommand.run(listener)
            case .replay(let path, let listener, let speed):
                ReplayCommand.run(path, at: listener, speed: speed)
            }
        } catch {
            fail(error.description, status: ExitStatus.usage)
        }
    }

    /// Writes text to standard output. Ends the process with a line that says why where that is not possible.
    static func say(_ text: String) {
        do throws(SystemError) { try SystemProcess.say(text) } catch {
            fail("standard output cannot be written: \(error.message)", status: ExitStatus.cannotWrite)
        }
    }

    /// Ends with one line on standard error.
    static func fail(_ line: String, status: Int32) -> Never {
        SystemProcess.warn("heartwire: \(line)")
        SystemProcess.exit(status)
    }
}
