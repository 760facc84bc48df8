// The command line: words in; one command out, or one line that says what is wrong.
//
// It acts on nothing and prints nothing. Invariant: `proxy` yields only configurations that `ConfigurationFile` could yield too, and no
// message repeats a word that may hold a password.

import Credentials

/// The program's exit statuses, from sysexits.h where there is one.
package enum ExitStatus {
    /// Success.
    package static let success: Int32 = 0
    /// A second signal ended the orderly end at once.
    package static let interrupted: Int32 = 1
    /// The command line cannot be understood (EX_USAGE).
    package static let usage: Int32 = 64
    /// A file that a command is to read cannot be read (EX_NOINPUT).
    package static let noInput: Int32 = 66
    /// A file that a command is to write cannot be written (EX_CANTCREAT).
    package static let cannotCreate: Int32 = 73
    /// What a command has to say cannot be written to standard output (EX_IOERR).
    package static let cannotWrite: Int32 = 74
    /// An address to listen on is not available (EX_UNAVAILABLE).
    package static let unavailable: Int32 = 69
    /// The configuration has errors or cannot be read (EX_CONFIG).
    package static let configuration: Int32 = 78
}

/// What is wrong with a command line; the program ends with `ExitStatus.usage`.
package struct UsageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One line for the operator, without the program's name.
    package var description: String
}

/// Reads the command line. Outside this module, Swift's own enum of that name is `Swift.CommandLine`.
package enum CommandLine {
    /// What the program is asked to do.
    package enum Command: Sendable, Equatable {
        /// Run a proxy described by options alone.
        case proxy(Configuration)
        /// Run the proxy that a file describes.
        case run(configurationPath: String)
        /// Report the errors of a file.
        case check(configurationPath: String)
        /// Run the demonstration.
        case demo(listen: Listener)
        /// Read logs and say why streams end: as text or as JSON, and as a page where a file for it is named.
        case diagnose(logPaths: [String], isJSON: Bool, pagePath: String?)
        /// Measure what the path to a URL does to event streams.
        case probe(ProbeOptions)
        /// Play a recording as a backend, that many times as fast as it was.
        case replay(recordingPath: String, listen: Listener, speed: Int)
        /// Print the script that completes the command line in this shell, and end with success.
        case completions(Shell)
        /// Print this text on standard output and end with success.
        case help(String)
        /// Print the version on standard output and end with success.
        case version
    }

    /// Where the demonstration listens by default.
    package static let defaultDemoListener = Listener(host: "127.0.0.1", port: 8080)

    /// An option of a command: its name without the dashes, and its value's name in messages; none for an option without a value.
    struct Option {
        var name: String
        var value: String?
        var isRepeatable = false
        var isRequired = false
    }

    /// A command: its name, its options, and the name of what follows them, if anything does.
    struct Verb {
        var name: String
        var options: [Option]
        var operand: String?
        var help: String
    }

    static let verbs: [Verb] = [
        Verb(
            name: "proxy",
            options: [
                Option(name: "upstream", value: "URL", isRequired: true),
                Option(name: "listen", value: "HOST:PORT", isRequired: true),
                Option(name: "tls-certificate", value: "FILE"),
                Option(name: "tls-key", value: "FILE"),
                Option(name: "upstream-ca", value: "FILE"),
                Option(name: "heartbeat", value: "DURATION|off"),
                Option(name: "bearer-from", value: "query:NAME|cookie:NAME", isRepeatable: true),
                Option(name: "workers", value: "N"),
                Option(name: "stream-log", value: "FILE|-|off"),
                Option(name: "access-log", value: "FILE|-|off"),
                Option(name: "event-log", value: "FILE|-|off"),
            ],
            help: Help.proxy),
        Verb(name: "run", options: [Option(name: "config", value: "FILE", isRequired: true)], help: Help.run),
        Verb(name: "check", options: [Option(name: "config", value: "FILE", isRequired: true)], help: Help.check),
        Verb(
            name: "diagnose", options: [Option(name: "json"), Option(name: "html", value: "FILE")], operand: "LOG", help: Help.diagnose),
        Verb(name: "probe", options: probeOptions, operand: "URL", help: Help.probe),
        Verb(
            name: "replay", options: [Option(name: "listen", value: "HOST:PORT", isRequired: true), Option(name: "speed", value: "N")],
            operand: "FILE", help: Help.replay),
        Verb(name: "demo", options: [Option(name: "listen", value: "HOST:PORT")], help: Help.demo),
        Verb(name: "completions", options: [], operand: "SHELL", help: Help.completions),
    ]

    /// Reads the words after the program's name.
    package static func parse(_ words: [String]) throws(UsageError) -> Command {
        guard let first = words.first else {
            throw UsageError(
                description:
                    "say what to do: proxy, run, check, diagnose, probe, replay, demo or completions; 'heartwire --help' explains them")
        }
        switch first {
        case "--help", "-h": return .help(Help.overview)
        case "--version":
            if words.count > 1 { throw UsageError(description: "nothing can follow --version") }
            return .version
        default: break
        }
        guard let verb = verbs.first(where: { $0.name == first }) else {
            let kind = first.hasPrefix("-") ? "option" : "command"
            let known = first.hasPrefix("-") ? ["--help", "--version"] : verbs.map(\.name)
            throw UsageError(
                description: "unknown \(kind) \(shown(first))\(suggestion(for: first, in: known)); see 'heartwire --help'")
        }
        if words.dropFirst().contains(where: { $0 == "--help" || $0 == "-h" }) { return .help(verb.help) }
        let (values, operands) = try read(Array(words.dropFirst()), for: verb)
        switch verb.name {
        case "proxy": return .proxy(try configuration(values))
        case "run": return .run(configurationPath: values["config"]?.last ?? "")
        case "check": return .check(configurationPath: values["config"]?.last ?? "")
        case "diagnose": return .diagnose(logPaths: operands, isJSON: values["json"] != nil, pagePath: values["html"]?.last)
        case "probe": return .probe(try probe(values, operands))
        case "replay":
            guard operands.count == 1 else { throw UsageError(description: "'replay' plays one recording; see 'heartwire replay --help'") }
            var speed = 1
            if let text = values["speed"]?.last { speed = try number(text, .count(1...1_000), of: "speed") }
            return .replay(recordingPath: operands[0], listen: try listener(values["listen"]?.last ?? ""), speed: speed)
        case "completions":
            guard operands.count == 1, let shell = Shell(rawValue: operands[0]) else {
                throw UsageError(description: "'completions' needs one of bash, zsh and fish; see 'heartwire completions --help'")
            }
            return .completions(shell)
        default:
            guard let text = values["listen"]?.last else { return .demo(listen: defaultDemoListener) }
            return .demo(listen: try listener(text))
        }
    }

    // MARK: Options

    /// The values of each option that was given, and what follows the options or stands between them, each in order.
    private static func read(
        _ words: [String], for verb: Verb
    ) throws(UsageError) -> (values: [String: [String]], operands: [String]) {
        var values: [String: [String]] = [:]
        var operands: [String] = []
        let see = "see 'heartwire \(verb.name) --help'"
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            if word == "--", verb.operand != nil {
                operands += words[index...]
                break
            }
            guard word.hasPrefix("--"), word != "--" else {
                guard verb.operand != nil, word == "-" || !word.hasPrefix("-") else {
                    throw UsageError(description: "\(shown(word)) is not an option of '\(verb.name)'; \(see)")
                }
                operands.append(word)
                continue
            }
            let equals = word.firstIndex(of: "=")
            let name = String(word[word.index(word.startIndex, offsetBy: 2)..<(equals ?? word.endIndex)])
            guard let option = verb.options.first(where: { $0.name == name }) else {
                let known = verb.options.map { "--\($0.name)" } + ["--help"]
                throw UsageError(
                    description: "unknown option \(shown("--\(name)")) of '\(verb.name)'\(suggestion(for: "--\(name)", in: known)); \(see)")
            }
            let inline = equals.map { String(word[word.index(after: $0)...]) }
            let next = index < words.count && !words[index].hasPrefix("--") ? words[index] : nil
            let value = try value(of: option, inline: inline, next: next)
            if inline == nil, option.value != nil { index += 1 }
            if values[name] != nil, !option.isRepeatable { throw UsageError(description: "--\(name) is given twice") }
            values[name, default: []].append(value)
        }
        for option in verb.options where option.isRequired && values[option.name] == nil {
            throw UsageError(description: "'\(verb.name)' needs --\(option.name) \(option.value ?? ""); \(see)")
        }
        if let operand = verb.operand, operands.allSatisfy(\.isEmpty) {
            throw UsageError(description: "'\(verb.name)' needs at least one \(operand); \(see)")
        }
        return (values, operands)
    }

    /// The value of an option: behind its `=`, or the next word. Empty for an option without a value.
    private static func value(of option: Option, inline: String?, next: String?) throws(UsageError) -> String {
        guard let kind = option.value else {
            if inline != nil { throw UsageError(description: "--\(option.name) takes no value") }
            return ""
        }
        guard let value = inline ?? next else {
            throw UsageError(description: "--\(option.name) needs a value: --\(option.name) \(kind)")
        }
        if value.isEmpty { throw UsageError(description: "the value of --\(option.name) is empty; write --\(option.name) \(kind)") }
        return value
    }

    // MARK: The configuration of `proxy`

    private static func configuration(_ values: [String: [String]]) throws(UsageError) -> Configuration {
        var configuration = Configuration()
        configuration.listeners = [try listener(values["listen"]?.last ?? "")]
        switch (values["tls-certificate"]?.last, values["tls-key"]?.last) {
        case (let certificate?, let key?):
            configuration.listeners[0].tls = ListenerTLS(certificates: [Certificate(certificateFile: certificate, keyFile: key)])
            configuration.listeners[0].speakUsualProtocols()
        case (nil, nil): break
        case (_?, nil): throw UsageError(description: "--tls-certificate needs --tls-key FILE beside it")
        case (nil, _?): throw UsageError(description: "--tls-key needs --tls-certificate FILE beside it")
        }
        configuration.upstreams = [try upstream(values["upstream"]?.last ?? "", authorityFile: values["upstream-ca"]?.last)]
        var route = Route(upstreamIndex: 0)
        if let text = values["heartbeat"]?.last {
            let quantity = DirectiveTable.heartbeatInterval
            route.heartbeat.intervalMilliseconds = text == "off" ? nil : try number(text, quantity, of: "heartbeat")
        }
        if let sources = values["bearer-from"] { route.bearer = BearerPolicy(sources: try read(sources: sources)) }
        configuration.routes = [route]
        if let text = values["workers"]?.last {
            configuration.workerCount = try number(text, .count(0...1_024), of: "workers")
        }
        if let text = values["stream-log"]?.last { configuration.streamLog = log(text) }
        if let text = values["access-log"]?.last { configuration.accessLog = log(text) }
        if let text = values["event-log"]?.last { configuration.eventLog = log(text) }
        return configuration
    }

    private static func upstream(_ text: String, authorityFile: String?) throws(UsageError) -> Upstream {
        let server: Upstream.Server
        let isSecure: Bool
        do throws(Malformed) { (server, isSecure) = try Endpoint.server(text) } catch {
            throw UsageError(description: "--upstream: \(printable(error.message))")
        }
        guard isSecure else {
            if authorityFile != nil { throw UsageError(description: "--upstream-ca means nothing without an https:// upstream") }
            return Upstream(name: server.description, servers: [server])
        }
        var tls = UpstreamTLS()
        tls.authorityFile = authorityFile
        return Upstream(name: "https://\(server)", servers: [server], tls: tls)
    }

    private static func read(sources words: [String]) throws(UsageError) -> [TokenSource] {
        var sources: [TokenSource] = []
        for word in words {
            guard let colon = word.firstIndex(of: ":"), word[..<colon] == "query" || word[..<colon] == "cookie" else {
                throw UsageError(description: "--bearer-from: \(shown(word)) is neither query:NAME nor cookie:NAME")
            }
            let name = String(word[word.index(after: colon)...])
            do throws(Malformed) {
                let source = try TokenSource.read(isQuery: word[..<colon] == "query", name: name)
                if sources.contains(source) { throw Malformed(message: "\(shown(word)) is given twice") }
                if sources.count >= 16 { throw Malformed(message: "at most 16 sources can be given") }
                sources.append(source)
            } catch { throw UsageError(description: "--bearer-from: \(printable(error.message))") }
        }
        return sources
    }

    private static func listener(_ text: String) throws(UsageError) -> Listener {
        do throws(Malformed) { return try Endpoint.listener(text) } catch {
            throw UsageError(description: "--listen: \(printable(error.message))")
        }
    }

    private static func number(_ text: String, _ quantity: Quantity, of option: String) throws(UsageError) -> Int {
        do throws(Quantity.Failure) { return try quantity.read(text) } catch {
            throw UsageError(description: "--\(option): \(printable(error.message))")
        }
    }

    private static func log(_ text: String) -> LogDestination {
        switch text {
        case "off": .off
        case "-": .standardOutput
        default: .file(text)
        }
    }

    /// A word as a message may show it.
    private static func shown(_ word: String) -> String { quoted(printable(word)) }
}
