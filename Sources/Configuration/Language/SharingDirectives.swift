// The directives of `route` blocks about streams that several clients read, and about the events that a client wants of a stream.
//
// Invariant: as in ContinuityDirectives.swift. The request for a shared stream holds only what tells streams apart; where a route says that
// its servers get more than that, the operator is told.

import Credentials
import HTTP

/// How clients read a stream together.
enum SharingDirectives {
    /// The directives, all of which mean nothing without `history`.
    static let names = rows.map(\.directive.name)

    fileprivate static let replayed = Quantity.count(1...1_000_000)

    static let rows: [Row<RouteDraft>] = [
        .own(
            "share", "live|latest|replay COUNT|off", arguments: 1...2, default: "off", quantity: replayed,
            "Whether clients with the same identity read one stream of the server's, and what the later ones get first."
        ) { interpreter, statement, draft in
            interpreter.readShare(statement, into: &draft.continuity)
        },
        .word(
            "lag", \.continuity.continuity.lag, [("gap", .gap), ("close", .close)],
            "What becomes of a client of a shared stream that is too slow."),
        .own(
            "filter", "query NAME", arguments: 2...2, default: "(none)",
            "The query parameter in which a client names the types of the events that it wants."
        ) { interpreter, statement, draft in
            let words = statement.arguments
            guard interpreter.choose(words[0], from: [("query", true)]) != nil, interpreter.isQueryName(words[1]) else { return }
            draft.continuity.continuity.filterParameter = words[1].text
        },
    ]
}

extension Interpreter {
    fileprivate mutating func readShare(_ statement: Statement, into draft: inout ContinuityDraft) {
        let words = statement.arguments
        let kinds: [(String, Sharing?)] = [("live", .live), ("latest", .latest), ("replay", .replay(0)), ("off", nil)]
        guard var sharing = choose(words[0], from: kinds) else { return }
        if case .replay = sharing {
            guard words.count > 1 else { return error(words[0], "how many events? Write, for example: share replay 10") }
            guard let count = read(SharingDirectives.replayed, words[1]) else { return }
            sharing = .replay(count)
        } else if words.count > 1 {
            return error(words[1], "nothing can follow 'share \(words[0].text)'")
        }
        draft.continuity.share = sharing
        draft.share = sharing == nil ? nil : statement.name
    }

    /// Checks what was said about sharing when the whole block has been read.
    mutating func finishSharing(of draft: RouteDraft, _ said: [String: Statement]) {
        let continuity = draft.continuity.continuity
        if let word = said["filter"]?.arguments[1] {
            if draft.bearer.sources.contains(.query(name: word.text)) {
                error(word, "this parameter is a token, as 'bearer_from' says")
            } else if word.text == Continuity.eventIDParameter || word.text == draft.route.eventIDParameter {
                error(word, "this parameter is a last event id, and names no types of events")
            } else if draft.continuity.ignored.contains(where: { $0.text == word.text }) {
                error(word, "the parameter of 'filter' tells no streams apart; leave it out of 'ignore_query'")
            }
        }
        guard let share = draft.continuity.share else {
            // A 'share' that could not be read has been reported.
            if let lag = said["lag"]?.name, said["share"].map({ $0.arguments[0].text == "off" }) ?? true {
                error(lag, "'lag' means nothing without 'share'; write, for example: share live")
            }
            return
        }
        if said["identity"] == nil {
            error(
                share,
                "which clients may read one stream? Write, for example: identity token, or, where all clients may: identity public")
        }
        if case .replay(let count) = continuity.share, count > continuity.history.events, let word = said["share"]?.arguments.last {
            error(word, "only \(continuity.history.events) events are kept ('events' in 'history')")
        }
    }
}

extension FileDraft {
    /// Checks what shared streams depend on against the rest of the file.
    func checkSharing(_ interpreter: inout Interpreter) {
        for draft in routes where draft.continuity.share != nil && draft.route.continuity != nil {
            for word in draft.continuity.varied where WithheldNames.meansProxy(word.text) {
                interpreter.error(word, "a proxy writes this field for each client, so requests for shared streams lack it")
            }
        }
        // With errors in the file, what is missing may only be misspelt.
        guard !interpreter.report.hasErrors else { return }
        for draft in routes where draft.route.continuity != nil {
            if let share = draft.continuity.share { warnOfMissing(in: draft, sharedAt: share, &interpreter) }
        }
    }

    /// Warns of what the servers of a route get with all requests but not with those for shared streams.
    private func warnOfMissing(in draft: RouteDraft, sharedAt share: Word, _ interpreter: inout Interpreter) {
        let identity = draft.continuity.identity.map(\.value)
        func isNamed(_ field: String) -> Bool { identity.contains(.header(field.lowercased())) }
        let hasToken = identity.contains(.token) || identity.contains(.credentials)
        // The claims of a token are the same for all who have it.
        for word in draft.check.fields where !hasToken && !isNamed(word.text) {
            interpreter.warn(
                word, "requests for shared streams lack this field, by which streams do not differ; write: identity header \(word.text)")
        }
        if let service = draft.forwardAuth {
            let taken = configuration.forwardAuths.filter { $0.name == service.text }.flatMap(\.terms.taken)
            for name in taken where !isNamed(name) {
                interpreter.warn(
                    service,
                    "requests for shared streams lack the field \(quoted(name)) of this service, by which streams do not differ; write: "
                        + "identity header \(name)")
            }
        }
        let sendsToken =
            switch draft.server.credentials.authorization {
            case .pass, .field: true
            case .remove, .value, .token: false
            }
        guard sendsToken, !hasToken, !draft.bearer.sources.isEmpty || !draft.check.issuers.isEmpty else { return }
        interpreter.warn(
            share,
            "requests for shared streams lack the token of a client, by which streams do not differ; write: identity token, or, where "
                + "servers need no token: upstream_authorization remove")
    }
}
