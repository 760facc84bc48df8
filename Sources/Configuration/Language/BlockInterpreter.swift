// The directives inside `upstream` and `route` blocks.
//
// Invariant: as in Interpreter.swift; settings that depend on each other are checked when the whole block has been read.

import Credentials

extension Interpreter {
    // MARK: upstream

    mutating func readUpstream(_ block: [Statement], into upstream: inout Upstream) {
        var result = upstream
        var security = ServerSecurity()
        interpret(block, in: .upstream) { interpreter, directive, statement in
            if case .block(.upstreamTLS) = directive.meaning {
                result.tls = interpreter.readUpstreamTLS(statement)
                security.block = statement.name
                return
            }
            let word = statement.arguments[0]
            switch directive.meaning {
            case .upstreamNumber(let path, let quantity):
                if let value = interpreter.read(quantity, word) { result[keyPath: path] = value }
            case .server:
                for word in statement.arguments { interpreter.addServer(word, to: &result.servers, &security) }
            case .balance:
                let choices: KeyValuePairs<String, Upstream.Balance> = [
                    "round_robin": .roundRobin, "least_connections": .leastConnections,
                ]
                if let value = interpreter.choose(word, from: choices) { result.balance = value }
            case .streamSilenceTimeout:
                if word.text == "off" {
                    result.streamSilenceTimeoutMilliseconds = nil
                } else if let value = interpreter.read(DirectiveTable.streamSilence, word) {
                    result.streamSilenceTimeoutMilliseconds = value
                }
            default:
                preconditionFailure("the table puts \(directive.name) into upstreams, where nothing reads it")
            }
        }
        if let block = security.block, security.isSecure == false {
            error(block, "these servers are spoken to in plain HTTP; write https:// before their addresses")
        }
        if security.isSecure == true, result.tls == nil { result.tls = UpstreamTLS() }
        upstream = result
    }

    /// Whether servers of one upstream are `https://`: all of them or none.
    struct ServerSecurity {
        var isSecure: Bool?
        /// The upstream's `tls` block.
        var block: Word?
    }

    mutating func addServer(_ word: Word, to servers: inout [Upstream.Server], _ security: inout ServerSecurity) {
        do throws(Malformed) {
            let (server, isSecure) = try Endpoint.server(word.text)
            if let others = security.isSecure, others != isSecure {
                error(word, "the servers of one upstream are all http:// or all https://")
            }
            security.isSecure = isSecure
            if servers.contains(server) {
                error(word, "the server \(server) is named twice")
            } else {
                servers.append(server)
            }
        } catch { self.error(word, error.message) }
    }

    // MARK: route

    /// The token settings of a route block, before it is known whether the block has a `bearer_from`.
    private struct BearerDraft {
        var policy = BearerPolicy(sources: [])
        /// The first directive that has no effect without `bearer_from`.
        var dependent: Word?
    }

    /// Reads a route; nil if its pattern or its upstream cannot be read.
    mutating func readRoute(_ statement: Statement) -> RouteDraft? {
        let patternWord = statement.arguments[0]
        var pattern: Pattern?
        do throws(Malformed) { pattern = try Pattern.read(patternWord.text) } catch {
            self.error(patternWord, error.message)
        }
        var route = Route(
            name: patternWord.text, host: pattern?.host ?? .any, path: pattern?.path ?? .any, upstreamIndex: 0)
        var bearer = BearerDraft()
        var upstream: [Word] = []
        interpret(statement.block ?? [], in: .route) { interpreter, directive, statement in
            if case .routeUpstream = directive.meaning {
                upstream = statement.arguments
            } else if !interpreter.readBearer(directive, statement, into: &bearer) {
                interpreter.readSetting(directive, statement, into: &route)
            }
        }
        if !bearer.policy.sources.isEmpty {
            route.bearer = bearer.policy
        } else if let word = bearer.dependent {
            error(word, "'\(word.text)' means nothing without 'bearer_from'; write, for example: bearer_from query access_token")
        }
        if upstream.isEmpty, !(statement.block ?? []).contains(where: { $0.name.text == "upstream" }) {
            error(patternWord, "this route has no upstream; write: upstream NAME|ADDRESS...")
        }
        return pattern == nil || upstream.isEmpty
            ? nil : RouteDraft(route: route, pattern: patternWord, upstream: upstream)
    }

    private mutating func readSetting(_ directive: Directive, _ statement: Statement, into route: inout Route) {
        let word = statement.arguments[0]
        switch directive.meaning {
        case .heartbeat:
            readHeartbeat(statement.arguments, into: &route.heartbeat)
        case .heartbeatComment:
            if word.text.utf8.count > DirectiveTable.heartbeatCommentBytes {
                error(word, "the text has \(word.text.utf8.count) bytes; at most \(DirectiveTable.heartbeatCommentBytes) are allowed")
            } else {
                route.heartbeat.commentText = word.text
            }
        case .heartbeatForm:
            let choices: KeyValuePairs<String, HeartbeatPolicy.Form> = ["auto": .automatic, "line": .line, "block": .block]
            if let value = choose(word, from: choices) { route.heartbeat.form = value }
        case .opening:
            if let value = choose(word, from: ["on": true, "off": false]) { route.heartbeat.opening = value }
        case .hostField:
            let choices: KeyValuePairs<String, Route.HostField> = ["preserve": .preserve, "server": .server]
            if let value = choose(word, from: choices) { route.hostField = value }
        case .acceptEncoding:
            if let value = choose(word, from: ["pass": false, "identity": true]) { route.asksForIdentity = value }
        case .via:
            if let value = choose(word, from: ["on": true, "off": false]) { route.writesVia = value }
        case .allowOrigin:
            for word in statement.arguments { addOrigin(word, to: &route.allowedOrigins) }
        case .logEvents:
            if let value = choose(word, from: ["on": true, "off": false]) { route.logsEvents = value }
        case .outage:
            readOutage(statement.arguments, into: &route.outage)
        case .outageAnswers:
            readOutageAnswers(statement.arguments, into: &route.outageAnswers)
        case .early:
            readEarly(statement.arguments, into: &route.early)
        default:
            preconditionFailure("the table puts \(directive.name) into routes, where nothing reads it")
        }
    }

    private enum HeartbeatKind { case comment, event, both }

    private mutating func readHeartbeat(_ words: [Word], into policy: inout HeartbeatPolicy) {
        if words[0].text == "off" {
            policy.intervalMilliseconds = nil
            if words.count > 1 { error(words[1], "nothing can follow 'heartbeat off'") }
            return
        }
        if let interval = read(DirectiveTable.heartbeatInterval, words[0]) { policy.intervalMilliseconds = interval }
        guard words.count > 1 else { return }
        let choices: KeyValuePairs<String, HeartbeatKind> = ["comment": .comment, "event": .event, "both": .both]
        guard let kind = choose(words[1], from: choices) else { return }
        var name = HeartbeatPolicy.defaultEventName
        if words.count > 2 {
            name = words[2].text
            if kind == .comment {
                error(words[2], "a comment has no name; write: heartbeat \(words[0].text) event \(quoted(name))")
                return
            }
            guard isEventName(words[2]) else { return }
        }
        switch kind {
        case .comment: policy.kind = .comment
        case .event: policy.kind = .event(name: name)
        case .both: policy.kind = .both(name: name)
        }
    }

    private mutating func isEventName(_ word: Word) -> Bool {
        let isUsable = (1...DirectiveTable.heartbeatNameBytes).contains(word.text.utf8.count)
        // A parser drops one blank after the colon, so a name that begins with one would lose it.
        guard isUsable, word.text.first != " " else {
            error(word, "the name of an event has 1 to \(DirectiveTable.heartbeatNameBytes) bytes and does not begin with a blank")
            return false
        }
        return true
    }

    private mutating func readOutage(_ words: [Word], into policy: inout OutagePolicy) {
        guard let holds = choose(words[0], from: ["retry": true, "refuse": false]) else { return }
        guard holds else {
            if words.count > 1 { error(words[1], "nothing can follow 'outage refuse'") }
            policy = .refuse
            return
        }
        guard words.count > 1 else { return }
        if let hold = read(DirectiveTable.outageHold, words[1]) { policy = .retry(holdMilliseconds: hold) }
    }

    private mutating func readOutageAnswers(_ words: [Word], into answers: inout OutageAnswers) {
        var ranges: [ClosedRange<Int>] = []
        if words.count == 1, words[0].text == "none" { return answers = OutageAnswers([]) }
        for word in words {
            if word.text == "none" {
                error(word, "'none' stands alone: outage_answers none")
                continue
            }
            do throws(Malformed) { ranges.append(try OutageAnswers.read(word.text)) } catch { self.error(word, error.message) }
        }
        answers = OutageAnswers(ranges)
    }

    private mutating func readEarly(_ words: [Word], into policy: inout EarlyPolicy?) {
        if words[0].text == "off" {
            policy = nil
            if words.count > 1 { error(words[1], "nothing can follow 'early off'") }
            return
        }
        guard let wait = read(DirectiveTable.earlyAnswer, words[0]) else { return }
        var early = EarlyPolicy(afterMilliseconds: wait)
        defer { policy = early }
        guard words.count > 1, let sendsEvent = choose(words[1], from: ["retry": false, "event": true]) else { return }
        guard words.count > 2 else {
            if sendsEvent { early.onFailure = .event(name: EarlyPolicy.defaultEventName) }
            return
        }
        guard sendsEvent else { return error(words[2], "nothing can follow 'early \(words[0].text) retry'") }
        if isEventName(words[2]) { early.onFailure = .event(name: words[2].text) }
    }

    // MARK: tokens

    /// Reads a directive about tokens; false for any other directive.
    private mutating func readBearer(
        _ directive: Directive, _ statement: Statement, into draft: inout BearerDraft
    ) -> Bool {
        let word = statement.arguments[0]
        switch directive.meaning {
        case .bearerFrom:
            if let source = readSource(word, name: statement.arguments[1]) {
                addSource(source, at: statement.arguments[1], to: &draft.policy.sources)
            }
            return true
        case .bearerMissing:
            let choices: KeyValuePairs<String, BearerPolicy.WhenMissing> = ["pass": .pass, "refuse": .refuse]
            if let value = choose(word, from: choices) { draft.policy.whenMissing = value }
        case .bearerConflict:
            let choices: KeyValuePairs<String, BearerPolicy.Conflict> = [
                "refuse": .refuse, "authorization": .preferAuthorization, "bridged": .preferBridged,
            ]
            if let value = choose(word, from: choices) { draft.policy.onConflict = value }
        case .bearerCharacters:
            let choices: KeyValuePairs<String, TokenCharacters> = ["b64token": .b64token, "visible": .visible]
            if let value = choose(word, from: choices) { draft.policy.characters = value }
        case .bearerLimit:
            if let value = read(DirectiveTable.bearerBytes, word) { draft.policy.maximumTokenBytes = value }
        case .realm:
            let isUsable =
                (1...128).contains(word.text.utf8.count)
                && word.text.utf8.allSatisfy {
                    (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
                }
            if isUsable {
                draft.policy.realm = word.text
            } else {
                error(word, "a realm has 1 to 128 printable ASCII characters, no quote and no backslash")
            }
        default:
            return false
        }
        if draft.dependent == nil { draft.dependent = statement.name }
        return true
    }

    private mutating func addOrigin(_ word: Word, to origins: inout [OriginPattern]) {
        do throws(Malformed) {
            let origin = try OriginPattern.read(word.text)
            if origins.contains(origin) {
                error(word, "this origin is named twice")
            } else if origins.count >= 64 {
                error(word, "a route can allow at most 64 origins")
            } else {
                origins.append(origin)
            }
        } catch { self.error(word, error.message) }
    }

    private mutating func addSource(_ source: TokenSource, at word: Word, to sources: inout [TokenSource]) {
        if sources.contains(source) {
            error(word, "this source is named twice")
        } else if sources.count >= 16 {
            error(word, "a route can have at most 16 sources")
        } else {
            sources.append(source)
        }
    }

    private mutating func readSource(_ kind: Word, name: Word) -> TokenSource? {
        let choices: KeyValuePairs<String, Bool> = ["query": true, "cookie": false]
        guard let isQuery = choose(kind, from: choices) else { return nil }
        do throws(Malformed) { return try TokenSource.read(isQuery: isQuery, name: name.text) } catch {
            self.error(name, error.message)
            return nil
        }
    }
}

extension TokenSource {
    /// A source by its kind and name, if a request can carry such a name.
    static func read(isQuery: Bool, name: String) throws(Malformed) -> TokenSource {
        guard (1...128).contains(name.utf8.count) else {
            throw Malformed(message: "the name of a \(isQuery ? "query parameter" : "cookie") has 1 to 128 bytes")
        }
        if isQuery { return .query(name: name) }
        // RFC 6265 section 4.1.1: the name of a cookie is a token (RFC 9110 section 5.6.2).
        let isToken = name.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"\"(),/:;<=>?@[\\]{}".utf8.contains($0) }
        guard isToken else { throw Malformed(message: "\(quoted(name)) cannot be the name of a cookie") }
        return .cookie(name: name)
    }
}
