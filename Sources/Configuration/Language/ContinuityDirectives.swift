// The directives of `route` blocks about clients that come back: what is kept for them, whose stream it is, and how they learn what is
// missing. The directives of `history` blocks, too.
//
// Invariant: as in Interpreter.swift; without `history` nothing is kept, and the other directives mean nothing.

import Bytes
import Credentials

/// What is kept on a route while its block is read.
struct ContinuityDraft {
    var continuity = Continuity()
    /// The values of `identity`, and where they are named.
    fileprivate(set) var identity: [(value: StreamIdentity.Value, word: Word)] = []
    /// Where the identity is said to be public.
    fileprivate(set) var everybody: Word?
    /// The fields of `vary`, and the parameters of `ignore_query`.
    fileprivate(set) var varied: [Word] = []
    fileprivate(set) var ignored: [Word] = []
    /// Where the size of the history is said.
    fileprivate var sizeWord: Word?
    /// Where the ids of events are said.
    fileprivate(set) var idsWord: Word?
    /// Where it is said that the streams of all servers become one.
    var merge: Word?
    /// Where it is said that streams are shared.
    var share: Word?

    /// The directives that mean nothing without `history`.
    static let details = ["identity", "vary", "ignore_query", "gap", "resumable"] + ServerStreamDirectives.names + SharingDirectives.names
    static let mostNames = 16

    static let rows: [Row<RouteDraft>] = [
        .own(
            "history", "{ ... }", arguments: 0...0, block: .required, default: "(nothing is kept)",
            "Keeps the events of streams for clients that come back."
        ) { interpreter, statement, draft in
            let said = interpreter.interpret(statement.block, into: &draft.continuity.continuity.history)
            draft.continuity.sizeWord = said["size"]?.arguments[0]
            draft.continuity.idsWord = said["ids"]?.arguments[0]
        },
        .own(
            "identity", "credentials|token|cookie NAME|header NAME|client_certificate|public", arguments: 1...2, default: "credentials",
            isRepeatable: true, "By what the streams of different clients are told apart; several of them count together."
        ) { interpreter, statement, draft in
            interpreter.readIdentity(statement.arguments, into: &draft.continuity)
        },
        .list("vary", "FIELD...", "Fields of a request that tell streams apart, besides the identity.") { interpreter, word, draft in
            guard interpreter.isVariable(word), !interpreter.isRepeated(word, in: draft.continuity.varied) else { return }
            guard draft.continuity.varied.count < mostNames else {
                return interpreter.error(word, "a route can name at most \(mostNames) fields here")
            }
            draft.continuity.varied.append(word)
        },
        .list("ignore_query", "NAME...", "Query parameters that do not tell streams apart; requests for streams go on without them.") {
            interpreter, word, draft in
            guard interpreter.isQueryName(word) else { return }
            guard !draft.continuity.ignored.contains(where: { $0.text == word.text }) else {
                return interpreter.error(word, "this parameter is named twice")
            }
            guard draft.continuity.ignored.count < mostNames else {
                return interpreter.error(word, "a route can ignore at most \(mostNames) parameters")
            }
            draft.continuity.ignored.append(word)
        },
        .own(
            "gap", "event [NAME]|reconnect|off", arguments: 1...2, default: "event \(GapNotice.defaultEventName)",
            "How a client is told that events are or may be missing."
        ) { interpreter, statement, draft in
            interpreter.readGap(statement.arguments, into: &draft.continuity.continuity.gap)
        },
        .flag(
            "resumable", \.continuity.continuity.isResumable,
            "Whether the servers send what follows Last-Event-ID, so that going back to them loses nothing."),
    ]

    fileprivate func adding(_ value: StreamIdentity.Value) -> String? {
        if identity.contains(where: { $0.value == value }) { return "this is named twice" }
        return identity.count < ContinuityDraft.mostNames ? nil : "an identity can have at most \(ContinuityDraft.mostNames) values"
    }
}

extension HistoryPolicy: DirectiveModel {
    static var scope: Scope { .history }
    static var defaults: HistoryPolicy { HistoryPolicy() }

    static let rows: [Row<HistoryPolicy>] = [
        .number("events", \.events, .count(1...1_000_000), "How many events of a stream are kept; then the oldest go."),
        .number("size", \.bytes, .bytes(4_096...1_073_741_824), "How many bytes of a stream are kept; then the oldest events go."),
        .number("age", \.ageMilliseconds, .milliseconds(1_000...DirectiveTable.day), "How long an event is kept."),
        .number(
            "away", \.awayMilliseconds, .milliseconds(0...DirectiveTable.hour),
            "How long the server's stream stays open after its client has left."),
        .word(
            "ids", \.ids, [("keep", .keep), ("suffix", .suffix), ("own", .own)],
            "Whether clients get the server's ids, these with the proxy's behind them, or only the proxy's."),
    ]
}

extension Interpreter {
    private enum IdentityKind { case value(StreamIdentity.Value), cookie, header, everybody }

    fileprivate mutating func readIdentity(_ words: [Word], into draft: inout ContinuityDraft) {
        let kinds: [(String, IdentityKind)] = [
            ("credentials", .value(.credentials)), ("token", .value(.token)), ("cookie", .cookie), ("header", .header),
            ("client_certificate", .value(.clientCertificate)), ("public", .everybody),
        ]
        guard let kind = choose(words[0], from: kinds) else { return }
        let name = words.count > 1 ? words[1] : nil
        let value: StreamIdentity.Value
        switch kind {
        case .cookie:
            guard let name else { return error(words[0], "which cookie? Write: identity cookie NAME") }
            do throws(Malformed) { _ = try TokenSource.read(isQuery: false, name: name.text) } catch {
                return self.error(name, error.message)
            }
            value = .cookie(name.text)
        case .header:
            guard let name else { return error(words[0], "which field? Write: identity header NAME") }
            guard isVariable(name) else { return }
            value = .header(name.text.lowercased())
        case .value, .everybody:
            if let name { return error(name, "nothing can follow 'identity \(words[0].text)'") }
            guard case .value(let plain) = kind else { return draft.everybody = words[0] }
            value = plain
        }
        if let fault = draft.adding(value) { return error(name ?? words[0], fault) }
        draft.identity.append((value, name ?? words[0]))
    }

    fileprivate mutating func readGap(_ words: [Word], into gap: inout GapNotice) {
        let kinds: [(String, GapNotice)] = [
            ("event", .event(name: GapNotice.defaultEventName)), ("reconnect", .reconnect), ("off", .off),
        ]
        guard let kind = choose(words[0], from: kinds) else { return }
        gap = kind
        guard words.count > 1 else { return }
        guard case .event = kind else { return error(words[1], "nothing can follow 'gap \(words[0].text)'") }
        if isEventName(words[1]) { gap = .event(name: words[1].text) }
    }

    /// Whether streams can be told apart by a field of that name.
    fileprivate mutating func isVariable(_ word: Word) -> Bool {
        let name = word.text.lowercased()
        guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy(isTokenCharacter) else {
            error(word, "\(quoted(word.text)) cannot be the name of a field; write, for example: X-Tenant")
            return false
        }
        switch name {
        case "authorization", "cookie":
            error(word, "for credentials there is 'identity'; write, for example: identity token")
        case "host", "origin":
            error(word, "streams of another \(name == "host" ? "host" : "origin") are told apart always")
        case "last-event-id":
            error(word, "a client that comes back has another last event id; it cannot tell its stream apart")
        case "connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via",
            "proxy-connection", "proxy-authorization", "http2-settings", "max-forwards", "accept-encoding":
            error(word, "the proxy does not pass on the field \(quoted(word.text)) as it comes, so no stream depends on it")
        case "forwarded", "x-real-ip":
            error(word, "what \(quoted(word.text)) claims of a client is taken from trusted proxies only, so no stream can depend on it")
        default: return true
        }
        return false
    }

    mutating func isQueryName(_ word: Word) -> Bool {
        do throws(Malformed) { _ = try TokenSource.read(isQuery: true, name: word.text) } catch {
            self.error(word, error.message)
            return false
        }
        return true
    }

    /// Decides what is kept when the whole block has been read, from what was said.
    mutating func finishContinuity(of draft: inout RouteDraft, _ said: [String: Statement]) {
        guard let history = said["history"] else {
            let details = ContinuityDraft.details.compactMap { said[$0]?.name }
            guard let word = details.min(by: { $0.line < $1.line }) else { return }
            return error(word, "'\(word.text)' means nothing without a 'history' block in this route")
        }
        finishIdentity(of: draft)
        finishServerStreams(of: draft, said)
        finishSharing(of: draft, said)
        for word in draft.continuity.ignored {
            if draft.bearer.sources.contains(.query(name: word.text)) {
                error(word, "this parameter is a token, as 'bearer_from' says, and is always taken out")
            } else if word.text == Continuity.eventIDParameter || word.text == draft.route.eventIDParameter {
                error(word, "this parameter is a last event id, which never tells streams apart")
            }
        }
        if draft.bearer.sources.contains(.query(name: Continuity.eventIDParameter)) {
            error(history.name, "with 'history' the parameter 'lastEventId' is a last event id, and 'bearer_from' says that it is a token")
        }
        var continuity = draft.continuity.continuity
        if draft.continuity.everybody != nil {
            continuity.identity = .everybody
        } else if !draft.continuity.identity.isEmpty {
            continuity.identity = .values(draft.continuity.identity.map(\.value))
        }
        continuity.variedFields = draft.continuity.varied.map { $0.text.lowercased() }
        continuity.ignoredParameters = draft.continuity.ignored.map(\.text)
        // Each server counts its events for itself.
        if continuity.merge != nil { continuity.history.ids = .own }
        draft.route.continuity = continuity
    }

    private mutating func finishIdentity(of draft: RouteDraft) {
        let identity = draft.continuity.identity
        if let word = draft.continuity.everybody {
            if !identity.isEmpty { error(word, "'public' stands alone: identity public") }
            var asksForToken = false
            if case .field = draft.server.credentials.authorization { asksForToken = true }
            if !draft.bearer.sources.isEmpty || !draft.check.issuers.isEmpty || draft.forwardAuth != nil || asksForToken {
                error(word, "a public stream depends on no credentials, and this route uses them; write, for example: identity token")
            }
            return
        }
        guard identity.contains(where: { $0.value == .credentials }) else { return }
        for (value, word) in identity {
            switch value {
            case .credentials, .header: continue
            case .token, .cookie, .clientCertificate: error(word, "'identity credentials' holds this already")
            }
        }
    }
}

extension FileDraft {
    /// Checks what routes keep against the rest of the file.
    func checkContinuity(_ interpreter: inout Interpreter) {
        let asksForCertificates = configuration.listeners.contains {
            $0.publishKeys.isEmpty && ($0.tls?.clientCertificates ?? .off) != .off
        }
        for draft in routes where draft.route.continuity != nil {
            for (value, word) in draft.continuity.identity {
                switch value {
                case .credentials, .token: continue
                case .clientCertificate:
                    if !asksForCertificates {
                        interpreter.error(word, "no listener asks clients for a certificate ('client_certificates')")
                    }
                case .cookie(let name):
                    if let block = configuration.tickets.first(where: { $0.places.cookie == name }) {
                        interpreter.error(word, "this cookie is a ticket of \(quoted(block.name)), which changes; write: identity token")
                    }
                case .header: checkHeader(word, draft, &interpreter)
                }
            }
            for word in draft.continuity.varied { checkVaried(word, &interpreter) }
            if let word = draft.continuity.sizeWord, draft.continuity.continuity.history.bytes > configuration.limits.historyBytes {
                let all = Quantity.bytes(0...1).text(configuration.limits.historyBytes)
                interpreter.error(word, "a history cannot be larger than all of them may be together ('history' in 'limits' is \(all))")
            }
        }
    }

    /// Somebody must vouch for a field that says whose stream it is: the proxy itself, or a trusted proxy in front.
    private func checkHeader(_ word: Word, _ draft: RouteDraft, _ interpreter: inout Interpreter) {
        let taken = configuration.forwardAuths.filter { $0.name == draft.forwardAuth?.text }.flatMap(\.terms.taken)
        let written = draft.check.fields.map(\.text) + taken
        guard !written.contains(where: { $0.lowercased() == word.text.lowercased() }) else { return }
        if isSubject(word) { return Self.refuseSubject(word, &interpreter) }
        if isGuarded(word) {
            interpreter.error(word, "this field is taken from all clients, and tells nothing about the clients of this route")
        } else if configuration.trustedProxies.isEmpty {
            interpreter.error(
                word,
                "any client could write this field; it counts only from 'trusted_proxies', or where 'claim_field' or 'take' of the route's "
                    + "'forward_auth' writes it")
        }
    }

    /// Streams cannot be told apart by what a client sends in a field that no server gets from it.
    private func checkVaried(_ word: Word, _ interpreter: inout Interpreter) {
        if isSubject(word) { return Self.refuseSubject(word, &interpreter) }
        guard isGuarded(word) else { return }
        interpreter.error(
            word, "this field is taken from all clients; where this route writes it, write: identity header \(word.text)")
    }

    private static func refuseSubject(_ word: Word, _ interpreter: inout Interpreter) {
        interpreter.error(word, "this field is a listener's 'client_subject_field'; write: identity client_certificate")
    }

    /// Whether the subject of a client's certificate stands in the field.
    private func isSubject(_ word: Word) -> Bool {
        configuration.listeners.contains { $0.tls?.clientSubjectField.map { CheckDraft.isSameField($0, word.text) } ?? false }
    }

    /// Whether the field is taken from the clients of all routes, because one of these writes it.
    private func isGuarded(_ word: Word) -> Bool {
        let written = routes.flatMap { $0.check.fields + $0.server.fields }.map(\.text)
        return (written + configuration.forwardAuths.flatMap(\.terms.taken)).contains { CheckDraft.isSameField($0, word.text) }
    }
}
