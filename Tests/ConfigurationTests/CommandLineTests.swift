// The command line: what it yields, or the one line that says what is wrong.

import Credentials
import Testing

@testable import Configuration

private func command(_ line: String) throws(UsageError) -> CommandLine.Command {
    try CommandLine.parse(line.split(separator: " ").map(String.init))
}

@Suite("The command line")
struct CommandLineTests {
    private let needed = "proxy --upstream http://127.0.0.1:9000 --listen 127.0.0.1:8080"

    @Test("of 'proxy' yields a configuration, with '=' and without")
    func proxy() throws {
        let expected = Configuration(
            workerCount: 2, listeners: [Listener(host: "*", port: 80)],
            upstreams: [Upstream(name: "[::1]:9000", servers: [.init(host: "::1", port: 9000)])],
            routes: [
                Route(
                    upstreamIndex: 0, heartbeat: HeartbeatPolicy(intervalMilliseconds: 500),
                    bearer: BearerPolicy(sources: [.query(name: "access_token"), .cookie(name: "sid"), .query(name: "a:b")]))
            ],
            streamLog: .file("s.log"), accessLog: .standardOutput, eventLog: .file("e.log"))
        let spaced =
            """
            proxy --upstream http://[::1]:9000/ --listen *:80 --heartbeat 500ms --bearer-from query:access_token \
            --bearer-from cookie:sid --bearer-from query:a:b --workers 2 --stream-log s.log --access-log - --event-log e.log
            """
        #expect(try command(spaced) == .proxy(expected))
        let joined =
            """
            proxy --event-log=e.log --access-log=- --stream-log=s.log --workers=2 --bearer-from=query:access_token \
            --bearer-from=cookie:sid --bearer-from query:a:b --heartbeat=500ms --listen=*:80 --upstream=[::1]:9000
            """
        #expect(try command(joined) == .proxy(expected))
    }

    @Test("of 'proxy' has the defaults of the help: heartbeat 15 s, stream log to standard output, the others off")
    func defaults() throws {
        guard case .proxy(let configuration) = try command(needed) else { throw UsageError(description: "no proxy") }
        #expect(configuration.streamLog == .standardOutput)
        #expect(configuration.accessLog == .off && configuration.eventLog == .off)
        #expect(configuration.routes.map(\.heartbeat) == [HeartbeatPolicy()])
        #expect(configuration.routes.first?.bearer == nil)
        guard case .proxy(let silent) = try command("\(needed) --heartbeat off --stream-log off") else { return }
        #expect(silent.streamLog == .off)
        #expect(silent.routes.first?.heartbeat.intervalMilliseconds == nil)
    }

    @Test("of the other commands yields them")
    func others() throws {
        #expect(try command("run --config a.conf") == .run(configurationPath: "a.conf"))
        #expect(try command("check --config=a=b.conf") == .check(configurationPath: "a=b.conf"))
        #expect(try command("diagnose a.log") == .diagnose(logPaths: ["a.log"], isJSON: false, pagePath: nil))
        let all = try command("diagnose a --json - --html=p.html -- --b")
        #expect(all == .diagnose(logPaths: ["a", "-", "--b"], isJSON: true, pagePath: "p.html"))
        #expect(try command("demo") == .demo(listen: Listener(host: "127.0.0.1", port: 8080)))
        #expect(try command("demo --listen [::1]:81") == .demo(listen: Listener(host: "::1", port: 81)))
        #expect(try command("--version") == .version)
    }

    @Test("asks for help anywhere in it, even beside mistakes", arguments: ["proxy", "run", "check", "diagnose", "demo"])
    func help(verb: String) throws {
        guard case .help(let text) = try command("\(verb) --help") else { throw UsageError(description: "no help") }
        #expect(text.contains("Usage: heartwire \(verb)") && text.contains("Example"))
        #expect(try command("\(verb) --nonsense --help") == .help(text))
        let options = CommandLine.verbs.first { $0.name == verb }?.options ?? []
        for option in options { #expect(text.contains("--\(option.name) ")) }
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
        guard case .help(let overview) = try command("--help") else { throw UsageError(description: "no help") }
        #expect(overview.contains("\n  \(verb) "))
    }

    @Test(
        "with a mistake is answered in one line",
        arguments: [
            ("", "say what to do: proxy, run, check, diagnose, probe, replay, demo or completions"),
            ("prxy", "unknown command 'prxy'; did you mean 'proxy'?"),
            ("banana", "unknown command 'banana'; see 'heartwire --help'"),
            ("--versoin", "unknown option '--versoin'; did you mean '--version'?"),
            ("--version x", "nothing can follow --version"),
            ("proxy", "'proxy' needs --upstream URL"),
            ("proxy --upstream a:1", "'proxy' needs --listen HOST:PORT"),
            ("proxy --upsteam=a:1", "unknown option '--upsteam' of 'proxy'; did you mean '--upstream'?"),
            ("proxy --upstream", "--upstream needs a value: --upstream URL"),
            ("proxy --upstream --listen a:1", "--upstream needs a value: --upstream URL"),
            ("proxy --upstream= --listen a:1", "the value of --upstream is empty"),
            ("proxy --upstream a:1 --upstream b:1 --listen a:1", "--upstream is given twice"),
            ("proxy --upstream ftp://a --listen a:1", "--upstream: 'ftp://a': the scheme 'ftp' is not supported"),
            ("proxy --upstream a:1 --listen a:1 --tls-key k", "--tls-key needs --tls-certificate FILE"),
            ("proxy --upstream a:1 --listen a:1 --tls-certificate c", "--tls-certificate needs --tls-key FILE"),
            ("proxy --upstream a:1 --listen a:1 --upstream-ca f", "--upstream-ca means nothing without an https:// upstream"),
            ("diagnose", "'diagnose' needs at least one LOG"), ("diagnose --json=yes a", "--json takes no value"),
            ("diagnose a -x", "'-x' is not an option of 'diagnose'"), ("diagnose --html", "--html needs a value: --html FILE"),
            ("demo here", "'here' is not an option of 'demo'"),
            ("proxy --upstream a --listen a:1", "--upstream: 'a' has no port"),
            ("proxy --upstream a:1 --listen 8080", "--listen: '8080' has no host"),
            ("proxy --upstream a:1 --listen b:1 --heartbeat 15", "--heartbeat: the duration '15' has no unit"),
            ("proxy --upstream a:1 --listen b:1 --heartbeat 2h", "--heartbeat: '2h' is out of range; it may be from 100ms to 1h"),
            ("proxy --upstream a:1 --listen b:1 --workers -1", "--workers: '-1' is not a whole number"),
            ("proxy --upstream a:1 --listen b:1 --bearer-from header:x", "--bearer-from: 'header:x' is neither query:NAME nor cookie:NAME"),
            ("proxy --upstream a:1 --listen b:1 --bearer-from query:", "--bearer-from: the name of a query parameter has 1 to 128 bytes"),
            ("proxy --upstream a:1 --listen b:1 --bearer-from query:x --bearer-from query:x", "--bearer-from: 'query:x' is given twice"),
            ("proxy a:1", "'a:1' is not an option of 'proxy'"),
            ("proxy -- x", "'--' is not an option of 'proxy'"),
            ("run", "'run' needs --config FILE"),
            ("run --confg x", "unknown option '--confg' of 'run'; did you mean '--config'?"),
            ("demo --listen a:x", "--listen: 'a:x': the port must be a number"),
        ])
    func mistakes(line: String, expected: String) {
        let error = #expect(throws: UsageError.self) { try command(line) }
        #expect(error?.description.hasPrefix(expected) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("\n") == false)
    }

    @Test("never repeats a password of a URL, nor a control character")
    func secrets() {
        for line in [
            "proxy http://u:secret@a:1", "proxy --upstream http://u:secret@a:1 --listen a:1",
            "proxy --upstream https://u:secret@a --listen a:1",
            "proxy --upstream ftp://u:secret@a --listen a:1", "proxy --upstream a:1 --listen http://u:secret@b:1", "http://u:secret@a",
            "\u{1b}[31m",
        ] {
            let error = #expect(throws: UsageError.self) { try command(line) }
            #expect(error?.description.contains("secret") == false)
            #expect(error?.description.unicodeScalars.contains(where: isControl) == false)
        }
    }

    @Test("has the exit statuses of sysexits.h")
    func statuses() {
        #expect(ExitStatus.success == 0)
        #expect(ExitStatus.usage == 64)
        #expect(ExitStatus.unavailable == 69)
        #expect(ExitStatus.configuration == 78)
    }
}
