// The directives at the top level of a file, and what is checked when the whole file has been read.

/// A configuration while its file is read.
struct FileDraft {
    var configuration = Configuration()
    /// The routes, in the order of the file. Their upstreams are looked up when the whole file has been read.
    var routes: [RouteDraft] = []
    private var listenerWords: [Listener: Word] = [:]
    private var upstreamWords: [String: Word] = [:]
    private var usedUpstreams: Set<Int> = []
    private var patterns: [Pattern.Key: Word] = [:]
    var issuerWords: [String: Word] = [:]
    var forwardAuthWords: [String: Word] = [:]
    var ticketWords: [String: Word] = [:]
    var tokenWords: [String: Word] = [:]
    private var requestTargetWord: Word?
    private var largestEventWord: Word?
    private var proxyProtocolWords: [Word] = []
    private var publisherWords: [Word] = []
    private var consoleWords: [Word] = []

    static let mostIssuers = 64

    init(configuration: Configuration = Configuration()) { self.configuration = configuration }
}

extension FileDraft: DirectiveModel {
    static var scope: Scope { .top }
    static var defaults: FileDraft { FileDraft() }

    static let rows: [Row<FileDraft>] = [
        .own(
            "listen", "ADDRESS... [{ ... }]", arguments: 1...64, block: .optional, default: "(required)", isRepeatable: true,
            "Accepts clients on these addresses."
        ) { interpreter, statement, draft in
            let listener = interpreter.readListen(statement)
            draft.proxyProtocolWords += [listener.proxyProtocol].compactMap { $0 }
            for word in statement.arguments { draft.addListener(word, listener, &interpreter) }
            if !listener.publishKeys.isEmpty { draft.publisherWords += statement.arguments }
        },
        .own("upstream", "NAME { ... }", block: .required, default: "(none)", isRepeatable: true, "Names a group of servers.") {
            interpreter, statement, draft in
            draft.addUpstream(statement, &interpreter)
        },
        .own("issuer", "NAME { ... }", block: .required, default: "(none)", isRepeatable: true, "Names somebody who signs tokens.") {
            interpreter, statement, draft in
            draft.addIssuer(statement, &interpreter)
        },
        .own(
            "forward_auth", "NAME { ... }", block: .required, default: "(none)", isRepeatable: true,
            "Names a service that says whether requests may pass."
        ) { interpreter, statement, draft in
            draft.addForwardAuth(statement, &interpreter)
        },
        .own(
            "ticket", "NAME { ... }", block: .required, default: "(none)", isRepeatable: true,
            "Gives pages tickets for their tokens, with which an EventSource opens streams."
        ) { interpreter, statement, draft in
            draft.addTicket(statement, &interpreter)
        },
        .own(
            "token", "NAME { ... }", block: .required, default: "(none)", isRepeatable: true,
            "Names a token that the proxy gets for servers."
        ) { interpreter, statement, draft in
            draft.addToken(statement, &interpreter)
        },
        .own(
            "route", "[HOST]PATH { ... }", block: .required, default: "(required)", isRepeatable: true,
            "Says where requests go and how they are treated."
        ) { interpreter, statement, draft in
            if let route = interpreter.readRoute(statement) { draft.add(route, at: statement.arguments[0], &interpreter) }
        },
        .log("stream_log", \.configuration.streamLog, "Where the opening and the end of every event stream are written."),
        .log("access_log", \.configuration.accessLog, "Where all other exchanges are written."),
        .log(
            "event_log", \.configuration.eventLog,
            "Where each event that is passed on is written, without its data, and each heartbeat."),
        .own(
            "fingerprint_key", "TEXT", default: "(a random key, made at every start)", isSecret: true,
            "The key of the token fingerprints in the logs."
        ) { interpreter, statement, draft in
            interpreter.readKey(statement.arguments[0]) { draft.configuration.fingerprintKey = $0 }
        },
        .own(
            "history_key", "TEXT", default: "(a random key, made at every start)", isSecret: true,
            "The key under which the proxy finds the streams of clients that come back."
        ) { interpreter, statement, draft in
            interpreter.readKey(statement.arguments[0]) { draft.configuration.historyKey = $0 }
        },
        .flag(
            "log_subject", \.configuration.logsSubjects,
            "Whether the logs show whom a checked token is for (`sub`) in clear text, and not as a fingerprint."),
        .list("trusted_proxies", "RANGE...", "The peers whose X-Forwarded fields are believed.") { interpreter, word, draft in
            guard let range = AddressRange(word.text) else {
                interpreter.error(
                    word,
                    """
                    \(quoted(word.text)) is not a range of addresses; write ADDRESS or ADDRESS/BITS with no bit set behind the prefix, \
                    such as 10.0.0.0/8
                    """
                )
                return
            }
            draft.configuration.trustedProxies.append(range)
        },
        .own(
            "console", "ADDRESS... [{ ... }]", arguments: 1...64, block: .optional, default: "(off)",
            "Serves the operator on these addresses: a live page, metrics and health."
        ) { interpreter, statement, draft in
            draft.consoleWords = statement.arguments
            draft.configuration.console = interpreter.readConsole(statement)
        },
        .number(
            "workers", \.configuration.workerCount, .count(0...1_024), "How many worker threads there are; 0 is one for each core."),
        .number(
            "grace", \.configuration.graceMilliseconds, .milliseconds(0...DirectiveTable.hour),
            "How long exchanges may go on after the signal to stop."),
        .number(
            "drain", \.configuration.drainMilliseconds, .milliseconds(0...DirectiveTable.hour),
            "Over how long event streams are ended after the signal to stop, each at its own moment."),
        .number(
            "resolve_interval", \.configuration.resolveIntervalMilliseconds, .milliseconds(1_000...DirectiveTable.day),
            "How often the names of servers are looked up again."),
        .own(
            "probe_endpoint", "PATH secret_file FILE", arguments: 3...3, default: "(none)",
            "Answers `heartwire probe` at this path, for probes that prove the secret in the file."
        ) { interpreter, statement, draft in
            draft.configuration.probeEndpoint = interpreter.readProbeEndpoint(statement.arguments)
        },
        .own("limits", "{ ... }", arguments: 0...0, block: .required, default: "(as below)", "Bounds of sizes and counts.") {
            interpreter, statement, draft in
            let said = interpreter.interpret(statement.block, into: &draft.configuration.limits)
            draft.requestTargetWord = said["request_target"]?.arguments[0]
            draft.largestEventWord = (said["event"] ?? said["history"])?.arguments[0]
        },
        .block("timeouts", \.configuration.timeouts, default: "(as below)", "How long the proxy waits for a client."),
    ]
}

extension Row<FileDraft> {
    /// Where a log is written.
    fileprivate static func log(_ name: String, _ path: Setting<FileDraft, LogDestination>, _ summary: String) -> Row {
        let fallback = FileDraft.defaults[keyPath: path].words
        return own(name, "stdout|stderr|off|FILE", default: fallback, summary) { interpreter, statement, draft in
            let word = statement.arguments[0]
            switch word.text {
            case "off": draft[keyPath: path] = .off
            case "stdout", "-": draft[keyPath: path] = .standardOutput
            case "stderr": draft[keyPath: path] = .standardError
            case "": interpreter.error(word, "the name of the file is empty; write stdout, stderr, off or a path")
            default:
                if !word.isQuoted, let near = nearestWord(to: word.text, in: ["stdout", "stderr", "off"]) {
                    interpreter.error(word, "did you mean '\(near)'? For a file of that name, write \"\(word.text)\" in quotes")
                    return
                }
                draft[keyPath: path] = .file(word.text)
            }
        }
    }
}

extension Interpreter {
    /// Reads the key of a keyed hash.
    fileprivate mutating func readKey(_ word: Word, _ take: ([UInt8]) -> Void) {
        let range = 16...256
        guard range.contains(word.text.utf8.count) else {
            return error(word, "the key has \(word.text.utf8.count) bytes; it needs \(range.lowerBound) to \(range.upperBound)")
        }
        take(Array(word.text.utf8))
    }

    /// Reads where probes are answered; nil where that is wrong, which it reports.
    fileprivate mutating func readProbeEndpoint(_ words: [Word]) -> ProbeEndpoint? {
        guard let path = readPlainPath(words[0]) else { return nil }
        guard words[1].text == "secret_file" else {
            error(words[1], "\(quoted(words[1].text)) stands where 'secret_file' is expected: probe_endpoint PATH secret_file FILE")
            return nil
        }
        guard !words[2].text.isEmpty else {
            error(words[2], "the name of the file with the secret is empty")
            return nil
        }
        return ProbeEndpoint(path: path, secretFile: words[2].text)
    }

    /// Reads the path of something that the proxy itself answers; nil after an error.
    mutating func readPlainPath(_ word: Word) -> String? {
        let isPlain = word.text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !Array("?#%\\;".utf8).contains($0) }
        let segments = word.text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard word.text.hasPrefix("/"), isPlain, segments.allSatisfy({ !["", ".", ".."].contains($0) }) else {
            error(word, "\(quoted(word.text)) is not a plain path; write /PATH, such as /heartwire-probe, without a slash at its end")
            return nil
        }
        return word.text
    }

    /// Reads a whole file.
    mutating func interpretFile(_ statements: [Statement]) -> Configuration {
        var draft = FileDraft()
        interpret(statements, into: &draft)
        draft.resolveUpstreams(&self)
        draft.checkIssuers(&self)
        draft.checkForwardAuths(&self)
        draft.checkTickets(&self)
        draft.checkTokens(&self)
        draft.checkContinuity(&self)
        draft.checkMerging(&self)
        draft.checkSharing(&self)
        draft.checkWhole(&self)
        return draft.configuration
    }
}

extension FileDraft {
    fileprivate mutating func addListener(_ word: Word, _ draft: ListenerDraft, _ interpreter: inout Interpreter) {
        do throws(Malformed) {
            var listener = try Endpoint.listener(word.text)
            if let first = listenerWords[listener] {
                interpreter.error(word, "\(listener) is already listened on, line \(first.line)")
                return
            }
            listenerWords[listener] = word
            listener.tls = draft.tls
            listener.redirectPort = draft.redirectPort
            listener.speakUsualProtocols()
            if let protocols = draft.protocols { (listener.speaksHTTP1, listener.speaksHTTP2) = protocols }
            listener.takesProxyProtocol = draft.proxyProtocol != nil
            listener.strictTransportSecuritySeconds = draft.strictTransportSecuritySeconds
            listener.publishKeys = draft.publishKeys
            configuration.listeners.append(listener)
        } catch { interpreter.error(word, error.message) }
    }

    fileprivate mutating func addUpstream(_ statement: Statement, _ interpreter: inout Interpreter) {
        let word = statement.arguments[0]
        let errorsBefore = interpreter.report.diagnostics.count
        let upstream = interpreter.readUpstream(statement.block ?? [], name: word.text)
        if upstream.servers.isEmpty, interpreter.report.diagnostics.count == errorsBefore {
            interpreter.error(word, "upstream \(quoted(word.text)) has no server; write: server ADDRESS")
        }
        if !Endpoint.isName(word.text) {
            interpreter.error(
                word, "\(quoted(word.text)) cannot name an upstream; use letters, digits, '_' and '-', at most \(DirectiveTable.nameBytes)")
        } else if let first = upstreamWords[word.text] {
            interpreter.error(word, "the upstream \(quoted(word.text)) is already described on line \(first.line)")
        } else {
            upstreamWords[word.text] = word
            configuration.upstreams.append(upstream)
        }
    }

    /// Finds the upstream of every route. An upstream inside a route is added, once for the same addresses.
    fileprivate mutating func resolveUpstreams(_ interpreter: inout Interpreter) {
        for draft in routes {
            var route = draft.route
            guard let index = upstreamIndex(draft.upstream, &interpreter) else { continue }
            usedUpstreams.insert(index)
            route.upstreamIndex = index
            configuration.routes.append(route)
        }
        // With errors in the file, the route that uses the upstream may be one of them.
        guard !interpreter.report.hasErrors else { return }
        for (index, upstream) in configuration.upstreams.enumerated() where !usedUpstreams.contains(index) {
            if let word = upstreamWords[upstream.name] {
                interpreter.warn(word, "no route leads to the upstream '\(upstream.name)'")
            }
        }
    }

    private mutating func upstreamIndex(_ words: [Word], _ interpreter: inout Interpreter) -> Int? {
        guard let first = words.first else { return nil }
        if words.count == 1, !first.text.contains(":") {
            if let index = configuration.upstreams.firstIndex(where: { $0.name == first.text }) { return index }
            let known = configuration.upstreams.map(\.name)
            let hint = suggestion(for: first.text, in: known)
            interpreter.error(
                first,
                "there is no upstream \(quoted(first.text))\(hint.isEmpty ? "; an address needs a port, such as 127.0.0.1:9000" : hint)")
            return nil
        }
        var servers: [Upstream.Server] = []
        var security = ServerSecurity()
        for word in words { interpreter.addServer(word, to: &servers, &security) }
        guard servers.count == words.count else { return nil }
        let isSecure = security.isSecure == true
        let name = (isSecure ? "https://" : "") + servers.map(\.description).joined(separator: ",")
        if let index = configuration.upstreams.firstIndex(where: { $0.name == name }) { return index }
        configuration.upstreams.append(Upstream(name: name, servers: servers, tls: isSecure ? UpstreamTLS() : nil))
        return configuration.upstreams.count - 1
    }

    fileprivate mutating func add(_ draft: RouteDraft, at word: Word, _ interpreter: inout Interpreter) {
        let key = Pattern(host: draft.route.host, path: draft.route.path).key
        if let first = patterns[key] {
            interpreter.error(word, "a route for the same requests is on line \(first.line)")
            return
        }
        patterns[key] = word
        if let policy = draft.route.recording, let directory = draft.recordingDirectory {
            if let other = routes.first(where: { $0.route.recording?.directory == policy.directory && $0.route.recording != policy }) {
                interpreter.error(
                    directory,
                    "the route \(quoted(other.route.name)) records into the same directory with other bounds; write the same ones")
            }
        }
        routes.append(draft)
    }

    fileprivate func checkWhole(_ interpreter: inout Interpreter) {
        if let word = requestTargetWord, configuration.limits.requestTargetBytes > configuration.limits.requestHeadBytes {
            let head = Quantity.bytes(0...1).text(configuration.limits.requestHeadBytes)
            interpreter.error(word, "a request target cannot be larger than a request head (request_head is \(head))")
        }
        if let word = largestEventWord, configuration.limits.eventBytes > configuration.limits.historyBytes {
            let all = Quantity.bytes(0...1).text(configuration.limits.historyBytes)
            interpreter.error(word, "an event cannot be larger than all histories (history is \(all))")
        }
        interpreter.checkConsole(consoleWords, against: configuration.listeners)
        // With other errors in the file, a missing directive may only be misspelt.
        guard !interpreter.report.hasErrors else { return }
        if configuration.trustedProxies.isEmpty {
            for word in proxyProtocolWords {
                interpreter.warn(
                    word, "nobody can connect here: the PROXY protocol is taken from 'trusted_proxies' only, and there are none")
            }
        }
        if let word = publisherWords.first, !configuration.routes.contains(where: { $0.continuity != nil }) {
            interpreter.warn(word, "nothing can be published, because no route has a 'history'")
        }
        for (word, listener) in publishers where listener.tls == nil && !listener.isOfThisMachine {
            interpreter.warn(word, "the key crosses the network in plain text; add a 'tls' block, or listen on 127.0.0.1")
        }
        let place = max(1, interpreter.report.sourceLines.count)
        if configuration.listeners.allSatisfy({ !$0.publishKeys.isEmpty }) {
            let lack = publisherWords.isEmpty ? "there is no 'listen' directive" : "no 'listen' is for clients, only for those who publish"
            interpreter.report.add(.error, line: place, column: 1, "\(lack); write, for example: listen 127.0.0.1:8080")
        }
        if configuration.routes.isEmpty {
            interpreter.report.add(
                .error, line: place, column: 1, "there is no 'route'; write, for example: route /* { ... } with an upstream inside")
        }
    }

    /// The addresses on which events are published, where they are written.
    private var publishers: [(Word, Listener)] {
        publisherWords.compactMap { word in
            guard let address = try? Endpoint.listener(word.text) else { return nil }
            return configuration.listeners.first { ($0.host, $0.port) == (address.host, address.port) }.map { (word, $0) }
        }
    }
}

extension Listener {
    /// Whether only processes of this machine reach it.
    fileprivate var isOfThisMachine: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}
