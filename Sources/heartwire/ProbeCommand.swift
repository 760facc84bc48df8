// `heartwire probe`: makes the probe's target out of the options, runs it on this thread, and prints what it found. What is measured and
// what it means is `Probing`'s.

import Configuration
import Credentials
import Probing
import Reactor

enum ProbeCommand {
    /// Probes and reports. Ends the process with a status that says whether a probe could be made.
    static func run(_ options: ProbeOptions) -> Never {
        let kernel = LinuxKernel()
        let target = target(of: options)
        var terms = ProbeTerms(
            hasSecret: target.secret != nil, chosen: options.steps?.compactMap { ProbeStep(rawValue: $0) },
            limitMilliseconds: options.limitMilliseconds.map(Int64.init))
        terms.isHTTP2Only = options.version == .http2
        let (host, port) = target.destination
        let addresses = SocketAddress(literal: host, port: port).map { [$0] } ?? kernel.resolve(host, port: port)
        guard !addresses.isEmpty else { Main.fail("the name \(host) has no address", status: ExitStatus.unavailable) }

        let screen = Screen(terms, isQuiet: options.isJSON)
        var report: ProbeReport?
        do {
            let worker = try Worker(number: 0, kernel: kernel)
            let probe = try ProbeRun(
                worker: worker, target: target, addresses: addresses, terms: terms, authorityFile: options.authorityFile,
                tell: { screen.show($0) },
                whenOver: {
                    report = $0
                    worker.stop()
                })
            worker.resident = probe
            stopOnSignal(worker.mailbox)
            probe.begin()
            worker.run()
        } catch let error as TLSError {
            Main.fail(error.message, status: ExitStatus.configuration)
        } catch {
            Main.fail("\((error as? SystemError)?.message ?? "no event loop can be made")", status: ExitStatus.unavailable)
        }
        screen.clear()
        guard let report else { SystemProcess.exit(ExitStatus.interrupted) }
        if options.isJSON {
            Main.say(String(decoding: report.json(url: target.shownURL), as: UTF8.self) + "\n")
        } else {
            Main.say("\n\(target.shownURL)\n\(report.text)")
        }
        SystemProcess.exit(report.refusal == nil ? ExitStatus.success : ExitStatus.unavailable)
    }

    private static func target(of options: ProbeOptions) -> ProbeTarget {
        var target = ProbeTarget(
            isSecure: options.isSecure, host: options.host, port: options.port, path: options.path, query: options.query)
        target.fields = options.fields.map { (name: $0.name, value: $0.value) }
        target.detours = options.detours.map {
            ProbeTarget.Detour(host: $0.host, port: $0.port, otherHost: $0.otherHost, otherPort: $0.otherPort)
        }
        target.forcedVersion =
            switch options.version {
            case nil: nil
            case .http11: .http11
            case .http2: .http2
            }
        guard let file = options.secretFile else { return target }
        do {
            target.secret = try ProbeSecret(fileContent: try OperatorFile.content(of: file))
        } catch let error as OperatorFile.Unreadable {
            Main.fail("--secret-file: '\(file)' cannot be read: \(error.reason)", status: ExitStatus.noInput)
        } catch {
            Main.fail("--secret-file: '\(file)' holds no secret of at least \(ProbeSecret.leastBytes) bytes", status: ExitStatus.noInput)
        }
        return target
    }

    /// The first signal ends the probe; what has been seen by then is still reported.
    private static func stopOnSignal(_ mailbox: Mailbox) {
        SystemThread.start(name: "signals") {
            while SystemProcess.nextSignal() != .terminate {}
            mailbox.post { ($0.resident as? ProbeRun)?.stop("interrupted; what was seen by then counts") }
        }
    }
}

/// What somebody sees while the probe runs: on standard error, so that the report alone is on standard output.
private final class Screen {
    private let terminal = Terminal.error
    private let isQuiet: Bool
    private var lines: LiveLines

    init(_ terms: ProbeTerms, isQuiet: Bool) {
        // With --json a program reads; a person who watches it still wants to see that it runs.
        self.isQuiet = isQuiet && !terminal.isThere
        lines = LiveLines(isTerminal: terminal.isThere, columns: terminal.columns, limitMilliseconds: terms.limitMilliseconds)
    }

    func show(_ progress: ProbeProgress) {
        guard !isQuiet else { return }
        write(lines.text(for: progress))
    }

    func clear() { write(lines.finish()) }

    private func write(_ text: String) {
        guard !text.isEmpty else { return }
        if terminal.isThere { terminal.rewrite(text) } else { SystemProcess.warn(String(text.dropLast())) }
    }
}
