// The directives of `route` blocks.
//
// Invariant: as in Interpreter.swift; settings that depend on each other are checked when the whole block has been read.

import Credentials
import EventStream

/// A route while its block is read.
struct RouteDraft {
    var route: Route
    /// The token settings, before it is known whether the block has a `bearer_from`.
    var bearer = BearerPolicy(sources: [])
    /// The check of tokens.
    var check = CheckDraft()
    /// The service that is asked, which is looked up when the whole file has been read.
    var forwardAuth: Word?
    /// What servers get in place of the client's credentials.
    var server = ServerCredentialDraft()
    /// Where tickets are named. They are looked up when the whole file has been read.
    var tickets: [Word] = []
    /// What is kept for clients that come back.
    var continuity = ContinuityDraft()
    /// Where the directory of recordings stands.
    var recordingDirectory: Word?
    /// The servers, or the name of an upstream that has not been looked up yet.
    var upstream: [Word] = []
}

extension RouteDraft: DirectiveModel {
    static var scope: Scope { .route }
    static var defaults: RouteDraft { RouteDraft(route: Route(upstreamIndex: 0)) }

    fileprivate static let outageHold = Quantity.milliseconds(0...DirectiveTable.hour)
    fileprivate static let earlyAnswer = Quantity.milliseconds(100...DirectiveTable.hour)

    /// The directives that mean nothing without `bearer_from` or `bearer_check`.
    static let bearerDetails = ["bearer_missing", "bearer_conflict", "bearer_characters", "bearer_limit", "realm"]
    /// Those of them that mean nothing without `bearer_from`.
    static let sourceDetails = ["bearer_conflict", "bearer_characters"]

    static let rows: [Row<RouteDraft>] =
        placeRows + CheckDraft.rows + ExpiryDirectives.rows + [forwardAuthRow] + ServerCredentialDraft.rows + CrossOriginDirectives.rows
        + ContinuityDraft.rows + ServerStreamDirectives.rows + SharingDirectives.rows + otherRows

    /// Where requests go, heartbeats, and where tokens come from.
    private static let placeRows: [Row<RouteDraft>] = [
        .own("upstream", "NAME|ADDRESS...", arguments: 1...64, default: "(required)", "Where the requests go.") { _, statement, draft in
            draft.upstream = statement.arguments
        },
        .own(
            "heartbeat", "DURATION [comment|event [NAME]|both [NAME]]|off", arguments: 1...3, default: "15s comment",
            quantity: DirectiveTable.heartbeatInterval,
            "After how long a silence an event stream gets a heartbeat, and what a heartbeat is."
        ) { interpreter, statement, draft in
            interpreter.readHeartbeat(statement.arguments, into: &draft.route.heartbeat)
        },
        .own("heartbeat_comment", "TEXT", default: "\"\"", "The text of every comment that the proxy writes.") {
            interpreter, statement, draft in
            let word = statement.arguments[0]
            let limit = 256
            guard word.text.utf8.count <= limit else {
                return interpreter.error(word, "the text has \(word.text.utf8.count) bytes; at most \(limit) are allowed")
            }
            draft.route.heartbeat.commentText = word.text
        },
        .word(
            "heartbeat_form", \.route.heartbeat.form, [("auto", .automatic), ("line", .line), ("block", .block)],
            "Whether a blank line follows the proxy's comments and its `retry:` between events."),
        .flag("opening", \.route.heartbeat.opening, "Whether a comment follows the head of an event stream at once."),
        .own(
            "bearer_from", "query|cookie|ticket NAME", arguments: 2...2, default: "(none)", isRepeatable: true,
            "Turns a query parameter, a cookie or the token of a ticket into the Authorization field."
        ) { interpreter, statement, draft in
            let name = statement.arguments[1]
            guard let source = interpreter.readSource(statement.arguments[0], name: name) else { return }
            interpreter.addSource(source, at: name, to: &draft.bearer.sources)
            if case .ticket = source { draft.tickets.append(name) }
        },
        .word(
            "bearer_missing", \.bearer.whenMissing, [("pass", .pass), ("refuse", .refuse)],
            "What happens to a request without a token."),
        .word(
            "bearer_conflict", \.bearer.onConflict,
            [("refuse", .refuse), ("authorization", .preferAuthorization), ("bridged", .preferBridged)],
            default: "(`refuse` for the URL, `authorization` for cookies)",
            "What happens when a request has an Authorization field as well."),
        .word(
            "bearer_characters", \.bearer.characters, [("b64token", .b64token), ("visible", .visible)],
            "Which characters a token may have."),
        .number(
            "bearer_limit", \.bearer.maximumTokenBytes, .bytes(16...65_536), "The size of a token; a longer one is answered 400."),
        .own("realm", "TEXT", default: defaults.bearer.realm, "The realm named in a 401.") { interpreter, statement, draft in
            let word = statement.arguments[0]
            let isUsable =
                (1...128).contains(word.text.utf8.count)
                && word.text.utf8.allSatisfy {
                    (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
                }
            guard isUsable else {
                return interpreter.error(word, "a realm has 1 to 128 printable ASCII characters, no quote and no backslash")
            }
            draft.bearer.realm = word.text
        },
    ]

    private static let otherRows: [Row<RouteDraft>] = [
        .word(
            "host", \.route.hostField, [("preserve", .preserve), ("server", .server)],
            "Whether the server is told the client's Host or its own name."),
        .word(
            "accept_encoding", \.route.asksForIdentity, [("pass", false), ("identity", true)],
            "Whether every request asks the server for an uncompressed answer."),
        .flag("via", \.route.writesVia, "Whether the proxy adds itself to `Via`, in requests and responses."),
        .own(
            "outage", "retry [DURATION]|refuse", arguments: 1...2, default: "retry 30s", quantity: outageHold,
            "Whether an EventSource is held, and then told to come back, when no server answers or a limit of connections is reached."
        ) { interpreter, statement, draft in
            interpreter.readOutage(statement.arguments, into: &draft.route.outage)
        },
        .own(
            "outage_answers", "STATUS[-STATUS]...|none", arguments: 1...64, default: "502 503 504",
            "Which answers of a server count as an outage for an EventSource."
        ) { interpreter, statement, draft in
            interpreter.readOutageAnswers(statement.arguments, into: &draft.route.outageAnswers)
        },
        .own(
            "early", "DURATION [retry|event [NAME]]|off", arguments: 1...3, default: "off", quantity: earlyAnswer,
            "After how long a wait for its server an EventSource is answered, and how it learns of a later failure."
        ) { interpreter, statement, draft in
            interpreter.readEarly(statement.arguments, into: &draft.route.early)
        },
        .flag(
            "log_events", \.route.logsEvents,
            "Whether the route's events and heartbeats are written to the event log, where there is one."),
        .own(
            "record", "DIRECTORY [{ ... }]", block: .optional, default: "(nothing is recorded)",
            "Keeps what servers sent on event streams, with its timing, in a file for each stream."
        ) { interpreter, statement, draft in
            let word = statement.arguments[0]
            guard !word.text.isEmpty else { return interpreter.error(word, "the name of the directory is empty") }
            var policy = RecordingPolicy(directory: word.text)
            interpreter.interpret(statement.block, into: &policy)
            draft.route.recording = policy
            draft.recordingDirectory = word
        },
    ]
}

extension Interpreter {
    /// Reads a route; nil if its pattern or its upstream cannot be read.
    mutating func readRoute(_ statement: Statement) -> RouteDraft? {
        let patternWord = statement.arguments[0]
        var pattern: Pattern?
        do throws(Malformed) { pattern = try Pattern.read(patternWord.text) } catch {
            self.error(patternWord, error.message)
        }
        let route = Route(name: patternWord.text, host: pattern?.host ?? .any, path: pattern?.path ?? .any, upstreamIndex: 0)
        var draft = RouteDraft(route: route)
        let said = interpret(statement.block, into: &draft)
        finishTokens(of: &draft, said)
        finishCrossOrigin(of: draft, said)
        finishServerCredentials(of: &draft)
        finishContinuity(of: &draft, said)
        if draft.upstream.isEmpty, !(statement.block ?? []).contains(where: { $0.name.text == "upstream" }) {
            error(patternWord, "this route has no upstream; write: upstream NAME|ADDRESS...")
        }
        return pattern == nil || draft.upstream.isEmpty ? nil : draft
    }

    private enum HeartbeatKind { case comment, event, both }

    fileprivate mutating func readHeartbeat(_ words: [Word], into policy: inout HeartbeatPolicy) {
        if words[0].text == "off" {
            policy.intervalMilliseconds = nil
            if words.count > 1 { error(words[1], "nothing can follow 'heartbeat off'") }
            return
        }
        if let interval = read(DirectiveTable.heartbeatInterval, words[0]) { policy.intervalMilliseconds = interval }
        guard words.count > 1 else { return }
        let choices: [(String, HeartbeatKind)] = [("comment", .comment), ("event", .event), ("both", .both)]
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

    mutating func isEventName(_ word: Word) -> Bool {
        let limit = 64
        let isUsable = (1...limit).contains(word.text.utf8.count)
        // A parser drops one blank after the colon, so a name that begins with one would lose it.
        guard isUsable, word.text.first != " " else {
            error(word, "the name of an event has 1 to \(limit) bytes and does not begin with a blank")
            return false
        }
        return true
    }

    fileprivate mutating func readOutage(_ words: [Word], into policy: inout OutagePolicy) {
        guard let holds = choose(words[0], from: [("retry", true), ("refuse", false)]) else { return }
        guard holds else {
            if words.count > 1 { error(words[1], "nothing can follow 'outage refuse'") }
            policy = .refuse
            return
        }
        guard words.count > 1 else { return }
        if let hold = read(RouteDraft.outageHold, words[1]) { policy = .retry(holdMilliseconds: hold) }
    }

    fileprivate mutating func readOutageAnswers(_ words: [Word], into answers: inout OutageAnswers) {
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

    fileprivate mutating func readEarly(_ words: [Word], into policy: inout EarlyPolicy?) {
        if words[0].text == "off" {
            policy = nil
            if words.count > 1 { error(words[1], "nothing can follow 'early off'") }
            return
        }
        guard let wait = read(RouteDraft.earlyAnswer, words[0]) else { return }
        var early = EarlyPolicy(afterMilliseconds: wait)
        defer { policy = early }
        guard words.count > 1, let sendsEvent = choose(words[1], from: [("retry", false), ("event", true)]) else { return }
        guard words.count > 2 else {
            if sendsEvent { early.onFailure = .event(name: EarlyPolicy.defaultEventName) }
            return
        }
        guard sendsEvent else { return error(words[2], "nothing can follow 'early \(words[0].text) retry'") }
        if isEventName(words[2]) { early.onFailure = .event(name: words[2].text) }
    }

    fileprivate mutating func addSource(_ source: TokenSource, at word: Word, to sources: inout [TokenSource]) {
        if sources.contains(source) {
            error(word, "this source is named twice")
        } else if sources.count >= 16 {
            error(word, "a route can have at most 16 sources")
        } else {
            sources.append(source)
        }
    }

    fileprivate mutating func readSource(_ kind: Word, name: Word) -> TokenSource? {
        let kinds: [(String, Bool?)] = [("query", true), ("cookie", false), ("ticket", nil)]
        guard let isQuery = choose(kind, from: kinds) else { return nil }
        guard let isQuery else { return .ticket(name: name.text) }
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
