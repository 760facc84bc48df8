// The directives of `ticket` blocks.
//
// Invariant: as in Interpreter.swift; a block has a key, a path of its own, and a place where browsers put its tickets, which no route
// uses for anything else.

import Credentials

/// A block of tickets while it is read.
struct TicketDraft {
    var block = TicketBlock(name: "")

    fileprivate static let mostKeys = 8
    fileprivate static let mostBlocks = 64
}

extension TicketDraft: DirectiveModel {
    static var scope: Scope { .ticket }
    static var defaults: TicketDraft { TicketDraft() }

    static let rows: [Row<TicketDraft>] = [
        .own(
            "sealing_key", "TEXT", default: "(required)", isRepeatable: true, isSecret: true,
            "32 random bytes in base64url. The first key seals tickets, and all of them open tickets."
        ) { interpreter, statement, draft in
            let word = statement.arguments[0]
            guard let key = Base64URL.decode(Array(word.text.utf8).span), key.count == TicketSeal.keyBytes else {
                return interpreter.error(
                    word, "the key must be 32 bytes in base64url without padding; make one: openssl rand 32 | basenc --base64url | tr -d =")
            }
            guard !draft.block.keys.contains(key) else { return interpreter.error(word, "this key is named twice") }
            guard draft.block.keys.count < mostKeys else { return interpreter.error(word, "there can be at most \(mostKeys) keys") }
            draft.block.keys.append(key)
        },
        .own("path", "PATH", default: defaults.block.path, "Where pages ask for tickets, before all routes.") {
            interpreter, statement, draft in
            if let path = interpreter.readPlainPath(statement.arguments[0]) { draft.block.path = path }
        },
        .number(
            "lifetime", \.block.lifetimeMilliseconds, .milliseconds(10_000...DirectiveTable.day),
            "For how long a ticket opens streams, which may live longer."),
        .own(
            "cookie", "NAME|off", default: defaults.block.cookie ?? "off",
            "The cookie for tickets, with `__Host-` in front of this name; or no cookie."
        ) { interpreter, statement, draft in
            interpreter.readPlace(statement.arguments[0], isQuery: false) { draft.block.cookie = $0 }
        },
        .own("query", "NAME|off", default: defaults.block.query ?? "off", "The query parameter for tickets.") {
            interpreter, statement, draft in
            interpreter.readPlace(statement.arguments[0], isQuery: true) { draft.block.query = $0 }
        },
        .flag("renew", \.block.renews, "Whether each stream that a cookie opens sets a fresh cookie."),
        .number(
            "limit", \.block.limitMilliseconds, .milliseconds(10_000...30 * DirectiveTable.day),
            "For how long a ticket is renewed, and never past the end of its token."),
        .word(
            "bind", \.block.bond, [("origin", .origin), ("address", .address), ("certificate", .certificate), ("off", .off)],
            "For whom a ticket opens streams: pages of the same origin, or clients with the same address or certificate."),
        .list("allow_origin", "ORIGIN...", "Pages of these other origins may ask for tickets.") { interpreter, word, draft in
            interpreter.addOrigin(word, to: &draft.block.allowedOrigins)
        },
    ]
}

extension Interpreter {
    /// Reads a block of tickets; nil after an error.
    fileprivate mutating func readTicket(_ statement: Statement) -> TicketBlock? {
        let label = statement.arguments[0]
        var draft = TicketDraft()
        draft.block.name = label.text
        let errorsBefore = report.errorCount
        let said = interpret(statement.block, into: &draft)
        // With an error in the block, what is missing may only be misspelt.
        guard report.errorCount == errorsBefore else { return nil }
        if draft.block.keys.isEmpty { error(label, "these tickets have no key; write: sealing_key {$TICKET_KEY}") }
        if draft.block.cookie == nil, draft.block.query == nil {
            error(label, "where do browsers put these tickets? Write one of: cookie NAME, query NAME")
        }
        for (name, milliseconds) in [("lifetime", draft.block.lifetimeMilliseconds), ("limit", draft.block.limitMilliseconds)]
        where milliseconds % 1_000 != 0 {
            error(said[name]?.arguments[0] ?? label, "tickets count in whole seconds")
        }
        if draft.block.limitMilliseconds < draft.block.lifetimeMilliseconds {
            error(said["limit"]?.arguments[0] ?? said["lifetime"]?.arguments[0] ?? label, "'limit' is shorter than 'lifetime'")
        }
        return report.errorCount == errorsBefore ? draft.block : nil
    }

    fileprivate mutating func readPlace(_ word: Word, isQuery: Bool, _ take: (String?) -> Void) {
        if word.text == "off", !word.isQuoted { return take(nil) }
        guard isQuery || !word.text.hasPrefix("__") else {
            return error(word, "the prefix '__Host-' is added; write the name without one, such as heartwire")
        }
        do throws(Malformed) {
            _ = try TokenSource.read(isQuery: isQuery, name: word.text)
            take(word.text)
        } catch { self.error(word, error.message) }
    }
}

extension FileDraft {
    /// Adds a block of tickets to those of the file.
    mutating func addTicket(_ statement: Statement, _ interpreter: inout Interpreter) {
        let word = statement.arguments[0]
        let block = interpreter.readTicket(statement)
        guard Endpoint.isName(word.text) else {
            return interpreter.error(
                word, "\(quoted(word.text)) cannot name tickets; use letters, digits, '_' and '-', at most \(DirectiveTable.nameBytes)")
        }
        if let first = ticketWords.updateValue(word, forKey: word.text) {
            return interpreter.error(word, "the tickets \(quoted(word.text)) are already described on line \(first.line)")
        }
        guard ticketWords.count <= TicketDraft.mostBlocks else {
            return interpreter.error(word, "there can be at most \(TicketDraft.mostBlocks) blocks of tickets")
        }
        if let block { configuration.tickets.append(block) }
    }

    /// Finds the tickets of every route, and sees that nothing else stands in their places.
    func checkTickets(_ interpreter: inout Interpreter) {
        let known = configuration.tickets.map(\.name)
        for word in routes.flatMap(\.tickets) where ticketWords[word.text] == nil {
            let hint = suggestion(for: word.text, in: known)
            interpreter.error(word, "there are no tickets \(quoted(word.text))\(hint.isEmpty ? "; write: ticket NAME { ... }" : hint)")
        }
        for (index, block) in configuration.tickets.enumerated() {
            guard let word = ticketWords[block.name] else { continue }
            for other in configuration.tickets[..<index] {
                if other.path == block.path {
                    interpreter.error(
                        word, "the tickets \(quoted(other.name)) have the same path \(quoted(block.path)); write another 'path'")
                }
                if let cookie = block.cookie, other.cookie == cookie {
                    interpreter.error(word, "the tickets \(quoted(other.name)) have the same cookie; write another one: cookie NAME")
                }
                if let query = block.query, other.query == query {
                    interpreter.error(word, "the tickets \(quoted(other.name)) have the same parameter; write another one: query NAME")
                }
            }
            if let probes = configuration.probeEndpoint?.path, block.path == probes || block.path == probes + "/seen" {
                interpreter.error(word, "at \(quoted(block.path)) probes are answered ('probe_endpoint'); write another 'path'")
            }
            let sources = [block.places.cookie.map { TokenSource.cookie(name: $0) }, block.query.map { TokenSource.query(name: $0) }]
            for route in routes where sources.contains(where: { $0.map(route.bearer.sources.contains) ?? false }) {
                interpreter.error(
                    word, "the route \(quoted(route.route.name)) takes tokens from the place of these tickets; write another name")
            }
            for route in routes where block.query != nil && route.route.eventIDParameter == block.query {
                interpreter.error(
                    word, "the route \(quoted(route.route.name)) takes last event ids from the place of these tickets; write another name")
            }
            if block.bond == .certificate, !configuration.listeners.contains(where: { ($0.tls?.clientCertificates ?? .off) != .off }) {
                interpreter.error(
                    word, "these tickets are bound to certificates, and no listener asks clients for one ('client_certificates')")
            }
        }
        guard !interpreter.report.hasErrors else { return }
        let used = Set(routes.flatMap { $0.tickets.map(\.text) })
        for name in known where !used.contains(name) {
            if let word = ticketWords[name] {
                interpreter.warn(word, "no route uses the tickets '\(name)'; write: bearer_from ticket \(name)")
            }
        }
    }
}
