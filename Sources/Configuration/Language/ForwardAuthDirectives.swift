// The directives of `forward_auth` blocks, and the directive of routes that names one.
//
// Invariant: as in Interpreter.swift; a service has a URL, and no field that it sets or gets has a meaning for the proxy.

import Bytes
import HTTP

/// A service that is asked about requests, while its block is read.
struct ForwardAuthDraft {
    fileprivate var url: ServiceURL?
    fileprivate var timeoutMilliseconds = 2_000
    fileprivate var tls = UpstreamTLS()
    fileprivate var tlsWord: Word?
    fileprivate var terms = ForwardAuthTerms()
    fileprivate var sent: [Word] = []
    fileprivate var taken: [Word] = []
}

extension ForwardAuthDraft: DirectiveModel {
    static var scope: Scope { .forwardAuth }
    static var defaults: ForwardAuthDraft { ForwardAuthDraft() }

    private static let mostFields = 16

    static let rows: [Row<ForwardAuthDraft>] = [
        .own("url", "URL", default: "(required)", "Where the service is asked, with GET.") { interpreter, statement, draft in
            draft.url = interpreter.readServiceURL(statement.arguments[0], withoutTLS: .anywhere)
        },
        .list(
            "send", "FIELD...", default: ForwardAuthTerms.usuallySent.joined(separator: " "),
            "The fields of a request that the service gets."
        ) {
            interpreter, word, draft in
            guard interpreter.isSendable(word), !interpreter.isRepeated(word, in: draft.sent) else { return }
            guard draft.sent.count < mostFields else { return interpreter.error(word, "at most \(mostFields) fields can be sent") }
            draft.sent.append(word)
        },
        .list(
            "take", "FIELD...",
            "The fields of its answer that servers get. They are taken from all clients."
        ) { interpreter, word, draft in
            guard interpreter.isUsableField(word), !interpreter.isRepeated(word, in: draft.taken) else { return }
            guard draft.taken.count < mostFields else { return interpreter.error(word, "at most \(mostFields) fields can be taken") }
            draft.taken.append(word)
        },
        .number(
            "cache", \.terms.cacheMilliseconds, .milliseconds(0...DirectiveTable.hour),
            "For how long an answer that lets a request pass is good for the same question."),
        .number(
            "cache_denied", \.terms.deniedCacheMilliseconds, .milliseconds(0...DirectiveTable.hour),
            "The same for an answer that refuses a request."),
        .numberOrOff(
            "recheck", \.terms.recheckMilliseconds, .milliseconds(1_000...DirectiveTable.day),
            "How often the service is asked again about living streams."),
        .number(
            "recheck_grace", \.terms.recheckGraceMilliseconds, .milliseconds(0...DirectiveTable.day),
            "How long living streams go on while the service does not answer."),
        .number(
            "timeout", \.timeoutMilliseconds, .milliseconds(10...60_000), "How long the service may take to answer."),
        .own("tls", "{ ... }", arguments: 0...0, block: .required, default: "(as below)", "How Heartwire speaks TLS to the service.") {
            interpreter, statement, draft in
            interpreter.interpret(statement.block, into: &draft.tls)
            draft.tlsWord = statement.name
        },
    ]
}

extension Interpreter {
    /// Whether the service may get a field of that name as the client sent it.
    fileprivate mutating func isSendable(_ word: Word) -> Bool {
        let name = word.text.lowercased()
        guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy(isTokenCharacter) else {
            error(word, "\(quoted(word.text)) cannot be the name of a field; write, for example: X-Api-Key")
            return false
        }
        let ofConnection = [
            "host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive",
            "proxy-authorization", "proxy-connection", "max-forwards", "via", "forwarded", "http2-settings",
        ]
        if ofConnection.contains(name) {
            error(word, "the field \(quoted(word.text)) belongs to one connection, and the service has its own")
            return false
        }
        if WithheldNames.meansProxy(word.text) || CheckDraft.isSameField(word.text, "X-Original-Method") {
            error(word, "the field \(quoted(word.text)) is written by proxies: Heartwire writes its own, and passes none of a client")
            return false
        }
        return true
    }

    mutating func isRepeated(_ word: Word, in words: [Word]) -> Bool {
        guard words.contains(where: { CheckDraft.isSameField($0.text, word.text) }) else { return false }
        error(word, "this field is named twice")
        return true
    }

    /// Reads the block of a service with this name; nil after an error.
    fileprivate mutating func readForwardAuth(_ statement: Statement) -> ForwardAuth? {
        let label = statement.arguments[0]
        var draft = ForwardAuthDraft()
        let errorsBefore = report.errorCount
        let said = interpret(statement.block, into: &draft)
        // With an error in the block, what is missing may only be misspelt.
        guard report.errorCount == errorsBefore else { return nil }
        guard let url = draft.url else {
            error(label, "where is this service? Write, for example: url http://127.0.0.1:9100/verify")
            return nil
        }
        if let word = draft.tlsWord, !url.isSecure { error(word, "this service is spoken to in plain HTTP; write https:// in its 'url'") }
        if let grace = said["recheck_grace"], draft.terms.recheckMilliseconds == nil {
            error(grace.name, "'recheck_grace' means nothing without 'recheck'; write, for example: recheck 1m")
        }
        if let word = draft.taken.first(where: { word in draft.sent.contains { CheckDraft.isSameField($0.text, word.text) } }) {
            error(word, "this field is sent to the service too; a client's own copy never passes, so there would be nothing to send")
        }
        if !draft.sent.isEmpty { draft.terms.sent = draft.sent.map(\.text) }
        draft.terms.taken = draft.taken.map(\.text)
        guard report.errorCount == errorsBefore else { return nil }
        let service = ServiceEndpoint(
            name: "forward_auth \(label.text)", url: url, tls: draft.tls, timeoutMilliseconds: draft.timeoutMilliseconds)
        return ForwardAuth(name: label.text, service: service, terms: draft.terms)
    }
}

extension FileDraft {
    static let mostForwardAuths = 64

    /// Adds a service to those of the file.
    mutating func addForwardAuth(_ statement: Statement, _ interpreter: inout Interpreter) {
        let word = statement.arguments[0]
        let service = interpreter.readForwardAuth(statement)
        guard Endpoint.isName(word.text) else {
            return interpreter.error(
                word, "\(quoted(word.text)) cannot name a service; use letters, digits, '_' and '-', at most \(DirectiveTable.nameBytes)")
        }
        if let first = forwardAuthWords.updateValue(word, forKey: word.text) {
            return interpreter.error(word, "the service \(quoted(word.text)) is already described on line \(first.line)")
        }
        guard forwardAuthWords.count <= FileDraft.mostForwardAuths else {
            return interpreter.error(word, "there can be at most \(FileDraft.mostForwardAuths) services of this kind")
        }
        if let service { configuration.forwardAuths.append(service) }
    }

    /// Finds the service of every route that has one.
    func checkForwardAuths(_ interpreter: inout Interpreter) {
        let known = configuration.forwardAuths.map(\.name)
        let subjects = configuration.listeners.compactMap { $0.tls?.clientSubjectField }
        for draft in routes {
            guard let word = draft.forwardAuth else { continue }
            guard let service = configuration.forwardAuths.first(where: { $0.name == word.text }) else {
                // A service with an error in its block is not known either.
                if forwardAuthWords[word.text] == nil {
                    let hint = suggestion(for: word.text, in: known)
                    let usage = "; write: forward_auth NAME { ... } at the top level"
                    interpreter.error(word, "there is no service \(quoted(word.text))\(hint.isEmpty ? usage : hint)")
                }
                continue
            }
            let written = subjects + (draft.check.fields + draft.server.fields).map(\.text)
            for name in service.terms.taken where written.contains(where: { CheckDraft.isSameField($0, name) }) {
                let others = "'claim_field', 'upstream_field' or 'client_subject_field'"
                interpreter.error(word, "the field \(quoted(name)) of this service is written by \(others) already")
            }
        }
        guard !interpreter.report.hasErrors else { return }
        let used = Set(routes.compactMap { $0.forwardAuth?.text })
        for name in known where !used.contains(name) {
            if let word = forwardAuthWords[name] { interpreter.warn(word, "no route asks the service '\(name)'") }
        }
    }
}

extension RouteDraft {
    /// The directive of a route that asks a service.
    static let forwardAuthRow = Row<RouteDraft>.own(
        "forward_auth", "NAME", default: "(none)", "Asks this service about each request before it goes to a server."
    ) { interpreter, statement, draft in
        draft.forwardAuth = statement.arguments[0]
        draft.route.forwardAuth = statement.arguments[0].text
    }
}
