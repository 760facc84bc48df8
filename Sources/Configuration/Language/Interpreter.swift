// Turns statements into a configuration by the table of directives, and checks that its parts fit together.
//
// It does not stop at the first error. Invariant: each error is reported exactly once, at its place, and a configuration is only
// returned if there was none.

import Credentials

/// BearerPolicy's own defaults.
enum BearerDefaults {
    private static let policy = BearerPolicy(sources: [])
    static let maximumTokenBytes = policy.maximumTokenBytes
    static let realm = policy.realm
}

struct Interpreter {
    /// A route whose upstream has not been looked up yet.
    struct RouteDraft {
        var route: Route
        var pattern: Word
        var upstream: [Word]
    }

    private(set) var report: Report
    private(set) var configuration = Configuration()
    private var listenerWords: [Listener: Word] = [:]
    private var upstreamWords: [String: Word] = [:]
    private var usedUpstreams: Set<Int> = []
    private var drafts: [RouteDraft] = []
    private var patterns: [Pattern.Key: Word] = [:]
    private var requestTargetWord: Word?
    private var proxyProtocolWords: [Word] = []

    init(report: Report) { self.report = report }

    /// Reads a whole file.
    mutating func interpret(_ statements: [Statement]) {
        interpret(statements, in: .top) { interpreter, directive, statement in
            interpreter.apply(directive, statement)
        }
        resolveUpstreams()
        checkWhole()
    }

    // MARK: Any block

    /// Finds the directive of each statement, checks the number of arguments, and passes both on.
    mutating func interpret(
        _ statements: [Statement], in scope: Scope,
        apply: (inout Interpreter, Directive, Statement) -> Void
    ) {
        var seen: [String: Word] = [:]
        for statement in statements {
            guard let directive = find(statement.name, in: scope) else { continue }
            if !directive.isRepeatable, let first = seen[directive.name] {
                report.error(statement.name, "'\(directive.name)' is already said on line \(first.line)")
                continue
            }
            seen[directive.name] = statement.name
            if isWellFormed(statement, directive) { apply(&self, directive, statement) }
        }
    }

    private mutating func find(_ name: Word, in scope: Scope) -> Directive? {
        let known = DirectiveTable.directives(in: scope)
        if !name.isQuoted, let directive = known.first(where: { $0.name == name.text }) { return directive }
        guard !report.isFull else {
            report.error(name, "unknown directive")
            return nil
        }
        let homes = DirectiveTable.all.filter { $0.name == name.text && $0.scope != scope }.map(\.scope.phrase)
        if !homes.isEmpty {
            report.error(name, "'\(name.text)' belongs \(homes.joined(separator: " or ")), not \(scope.phrase)")
            return nil
        }
        if report.isSecret(name.line) {
            report.error(name, "what belongs to the directive above stands on that directive's line")
            return nil
        }
        var hint = suggestion(for: name.text, in: known.map(\.name))
        if hint.isEmpty { hint = "; known here: \(known.map(\.name).joined(separator: ", "))" }
        report.error(name, "unknown directive \(quoted(name.text)) \(scope.phrase)\(hint)")
        return nil
    }

    private mutating func isWellFormed(_ statement: Statement, _ directive: Directive) -> Bool {
        let count = statement.arguments.count
        let usage = "write: \(directive.name)\(directive.syntax.isEmpty ? "" : " \(directive.syntax)")"
        if count < directive.argumentCount.lowerBound {
            report.error(statement.name, "'\(directive.name)' needs more; \(usage)")
            return false
        }
        if count > directive.argumentCount.upperBound {
            report.error(
                statement.arguments[directive.argumentCount.upperBound],
                "this is one word too many for '\(directive.name)'; \(usage)")
            return false
        }
        if case .listen = directive.meaning { return true }
        if case .block = directive.meaning {
            if statement.block == nil { report.error(statement.name, "'\(directive.name)' needs a block; \(usage)") }
            return statement.block != nil
        }
        if statement.block != nil {
            report.error(statement.name, "'\(directive.name)' has no block; \(usage)")
            return false
        }
        return true
    }

    /// Reads a number with its unit; nil after an error.
    mutating func read(_ quantity: Quantity, _ word: Word) -> Int? {
        do throws(Quantity.Failure) { return try quantity.read(word.text) } catch {
            report.error(word, error.message)
            return nil
        }
    }

    /// Reads one of a few words; nil after an error.
    mutating func choose<Value>(_ word: Word, from choices: KeyValuePairs<String, Value>) -> Value? {
        if let found = choices.first(where: { $0.key == word.text }) { return found.value }
        let known = choices.map(\.key)
        report.error(
            word, "\(quoted(word.text)) is none of \(known.joined(separator: ", "))\(suggestion(for: word.text, in: known))")
        return nil
    }

    mutating func error(_ word: Word, _ message: String) { report.error(word, message) }

    mutating func warn(_ word: Word, _ message: String) { report.warning(word, message) }

    // MARK: The top level

    private mutating func apply(_ directive: Directive, _ statement: Statement) {
        let block = statement.block ?? []
        switch directive.meaning {
        case .general(let path, let quantity):
            if let value = read(quantity, statement.arguments[0]) { configuration[keyPath: path] = value }
        case .limit(let path, let quantity):
            if let value = read(quantity, statement.arguments[0]) { configuration.limits[keyPath: path] = value }
            if directive.name == "request_target" { requestTargetWord = statement.arguments[0] }
        case .timeout(let path, let quantity):
            if let value = read(quantity, statement.arguments[0]) { configuration.timeouts[keyPath: path] = value }
        case .log(let path):
            applyLog(path, statement.arguments[0])
        case .listen:
            let draft = readListen(statement)
            proxyProtocolWords += [draft.proxyProtocol].compactMap { $0 }
            for word in statement.arguments { applyListener(word, draft) }
        case .fingerprintKey:
            applyFingerprintKey(statement.arguments[0])
        case .trustedProxies:
            for word in statement.arguments { applyRange(word) }
        case .block(.upstream):
            applyUpstream(statement)
        case .block(.route):
            if let draft = readRoute(statement) { add(draft) }
        case .block(let scope):
            interpret(block, in: scope) { $0.apply($1, $2) }
        default:
            preconditionFailure("the table puts \(directive.name) at the top level, where nothing reads it")
        }
    }

    private mutating func applyLog(_ path: WritableKeyPath<Configuration, LogDestination>, _ word: Word) {
        switch word.text {
        case "off": configuration[keyPath: path] = .off
        case "stdout", "-": configuration[keyPath: path] = .standardOutput
        case "stderr": configuration[keyPath: path] = .standardError
        case "": report.error(word, "the name of the file is empty; write stdout, stderr, off or a path")
        default:
            if !word.isQuoted, let near = nearestWord(to: word.text, in: ["stdout", "stderr", "off"]) {
                report.error(word, "did you mean '\(near)'? For a file of that name, write \"\(word.text)\" in quotes")
                return
            }
            configuration[keyPath: path] = .file(word.text)
        }
    }

    private mutating func applyListener(_ word: Word, _ draft: ListenerDraft) {
        do throws(Malformed) {
            var listener = try Endpoint.listener(word.text)
            if let first = listenerWords[listener] {
                report.error(word, "\(listener) is already listened on, line \(first.line)")
                return
            }
            listenerWords[listener] = word
            listener.tls = draft.tls
            listener.redirectPort = draft.redirectPort
            listener.takesProxyProtocol = draft.proxyProtocol != nil
            listener.strictTransportSecuritySeconds = draft.strictTransportSecuritySeconds
            configuration.listeners.append(listener)
        } catch { report.error(word, error.message) }
    }

    private mutating func applyFingerprintKey(_ word: Word) {
        let range = DirectiveTable.fingerprintKeyBytes
        guard range.contains(word.text.utf8.count) else {
            report.error(
                word, "the key has \(word.text.utf8.count) bytes; it needs \(range.lowerBound) to \(range.upperBound)")
            return
        }
        configuration.fingerprintKey = Array(word.text.utf8)
    }

    private mutating func applyRange(_ word: Word) {
        guard let range = AddressRange(word.text) else {
            report.error(
                word,
                """
                \(quoted(word.text)) is not a range of addresses; write ADDRESS or ADDRESS/BITS with no bit set behind the prefix, \
                such as 10.0.0.0/8
                """
            )
            return
        }
        configuration.trustedProxies.append(range)
    }

    // MARK: Upstreams

    private mutating func applyUpstream(_ statement: Statement) {
        let word = statement.arguments[0]
        var upstream = Upstream(name: word.text, servers: [])
        let errorsBefore = report.diagnostics.count
        readUpstream(statement.block ?? [], into: &upstream)
        if upstream.servers.isEmpty, report.diagnostics.count == errorsBefore {
            report.error(word, "upstream \(quoted(word.text)) has no server; write: server ADDRESS")
        }
        if !Endpoint.isName(word.text) {
            report.error(
                word, "\(quoted(word.text)) cannot name an upstream; use letters, digits, '_' and '-', at most \(DirectiveTable.nameBytes)")
        } else if let first = upstreamWords[word.text] {
            report.error(word, "the upstream \(quoted(word.text)) is already described on line \(first.line)")
        } else {
            upstreamWords[word.text] = word
            configuration.upstreams.append(upstream)
        }
    }

    /// Finds the upstream of every route. An upstream inside a route is added, once for the same addresses.
    private mutating func resolveUpstreams() {
        for draft in drafts {
            var route = draft.route
            guard let index = upstreamIndex(draft.upstream) else { continue }
            usedUpstreams.insert(index)
            route.upstreamIndex = index
            configuration.routes.append(route)
        }
        // With errors in the file, the route that uses the upstream may be one of them.
        guard !report.hasErrors else { return }
        for (index, upstream) in configuration.upstreams.enumerated() where !usedUpstreams.contains(index) {
            if let word = upstreamWords[upstream.name] {
                report.warning(word, "no route leads to the upstream '\(upstream.name)'")
            }
        }
    }

    private mutating func upstreamIndex(_ words: [Word]) -> Int? {
        guard let first = words.first else { return nil }
        if words.count == 1, !first.text.contains(":") {
            if let index = configuration.upstreams.firstIndex(where: { $0.name == first.text }) { return index }
            let known = configuration.upstreams.map(\.name)
            let hint = suggestion(for: first.text, in: known)
            report.error(
                first,
                "there is no upstream \(quoted(first.text))\(hint.isEmpty ? "; an address needs a port, such as 127.0.0.1:9000" : hint)")
            return nil
        }
        var servers: [Upstream.Server] = []
        var security = ServerSecurity()
        for word in words { addServer(word, to: &servers, &security) }
        guard servers.count == words.count else { return nil }
        let isSecure = security.isSecure == true
        let name = (isSecure ? "https://" : "") + servers.map(\.description).joined(separator: ",")
        if let index = configuration.upstreams.firstIndex(where: { $0.name == name }) { return index }
        configuration.upstreams.append(Upstream(name: name, servers: servers, tls: isSecure ? UpstreamTLS() : nil))
        return configuration.upstreams.count - 1
    }

    // MARK: Routes, and the whole

    private mutating func add(_ draft: RouteDraft) {
        let key = Pattern(host: draft.route.host, path: draft.route.path).key
        if let first = patterns[key] {
            report.error(draft.pattern, "a route for the same requests is on line \(first.line)")
            return
        }
        patterns[key] = draft.pattern
        drafts.append(draft)
    }

    private mutating func checkWhole() {
        if let word = requestTargetWord, configuration.limits.requestTargetBytes > configuration.limits.requestHeadBytes {
            let head = Quantity.bytes(0...1).text(configuration.limits.requestHeadBytes)
            report.error(word, "a request target cannot be larger than a request head (request_head is \(head))")
        }
        // With other errors in the file, a missing directive may only be misspelt.
        guard !report.hasErrors else { return }
        if configuration.trustedProxies.isEmpty {
            for word in proxyProtocolWords {
                report.warning(word, "nobody can connect here: the PROXY protocol is taken from 'trusted_proxies' only, and there are none")
            }
        }
        let place = max(1, report.sourceLines.count)
        if configuration.listeners.isEmpty {
            report.add(.error, line: place, column: 1, "there is no 'listen' directive; write, for example: listen 127.0.0.1:8080")
        }
        if configuration.routes.isEmpty {
            report.add(.error, line: place, column: 1, "there is no 'route'; write, for example: route /* { ... } with an upstream inside")
        }
    }
}
