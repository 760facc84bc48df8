// The directives of `route` blocks that check tokens: who may have signed them, and what the route wants of their claims.
//
// Invariant: as in Interpreter.swift; without issuers there is no check, and its other directives mean nothing.

import Credentials
import HTTP

/// The check of a route while its block is read.
struct CheckDraft {
    var check = BearerCheck(issuers: [])
    /// Where the issuers are named. They are looked up when the whole file has been read.
    var issuers: [Word] = []
    /// Where the fields for the server are named.
    var fields: [Word] = []

    /// The directives that mean nothing without `bearer_check`.
    static let details = ["require_scope", "require_claim", "claim_field", "expired", "expiring"]
    private static let mostRules = 16

    static let rows: [Row<RouteDraft>] = [
        .list("bearer_check", "ISSUER...", "Accepts only tokens that one of these issuers has signed.") { interpreter, word, draft in
            guard !draft.check.issuers.contains(where: { $0.text == word.text }) else {
                return interpreter.error(word, "this issuer is named twice")
            }
            draft.check.issuers.append(word)
            draft.check.check.issuers.append(word.text)
        },
        .list("require_scope", "SCOPE...", "Scopes that a token must have, all of them.") { interpreter, word, draft in
            // RFC 6749 section 3.3.
            guard interpreter.isScope(word) else { return }
            guard draft.check.check.claims.scopes.count < mostRules else {
                return interpreter.error(word, "a route can require at most \(mostRules) scopes")
            }
            draft.check.check.claims.scopes.append(word.text)
        },
        .own(
            "require_claim", "CLAIM VALUE...", arguments: 2...64, default: "(none)", isRepeatable: true,
            "A claim that must have one of these values."
        ) { interpreter, statement, draft in
            let words = statement.arguments
            guard draft.check.check.claims.requirements.count < mostRules else {
                return interpreter.error(words[0], "a route can require at most \(mostRules) claims")
            }
            draft.check.check.claims.requirements.append(
                ClaimRules.Requirement(claim: words[0].text, values: words.dropFirst().map(\.text)))
        },
        .own(
            "claim_field", "FIELD CLAIM", arguments: 2...2, default: "(none)", isRepeatable: true,
            "Tells the server a claim of the token in this field, and takes the field from all clients."
        ) { interpreter, statement, draft in
            let words = statement.arguments
            guard interpreter.isUsableField(words[0]) else { return }
            guard draft.check.check.claims.fields.count < mostRules else {
                return interpreter.error(words[0], "a route can write at most \(mostRules) claims")
            }
            guard !draft.check.fields.contains(where: { isSameField($0.text, words[0].text) }) else {
                return interpreter.error(words[0], "this field is written twice")
            }
            draft.check.fields.append(words[0])
            draft.check.check.claims.fields.append(ClaimRules.Field(name: words[0].text, claim: words[1].text))
        },
    ]

    /// Whether servers could take the two names for one.
    static func isSameField(_ first: String, _ second: String) -> Bool { WithheldNames.areOne(first, second) }
}

extension Interpreter {
    /// Whether the word is a scope (RFC 6749 section 3.3).
    mutating func isScope(_ word: Word) -> Bool {
        let isVisible = word.text.utf8.allSatisfy {
            (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        guard isVisible, (1...128).contains(word.text.utf8.count) else {
            error(word, "a scope has 1 to 128 visible ASCII characters, no quote and no backslash")
            return false
        }
        return true
    }

    /// Decides about tokens when the whole block has been read, from what was said.
    mutating func finishTokens(of draft: inout RouteDraft, _ said: [String: Statement]) {
        func first(of names: [String]) -> Word? { names.compactMap { said[$0]?.name }.min { $0.line < $1.line } }
        let checks = !draft.check.issuers.isEmpty
        if checks {
            draft.bearer.checksTokens = true
            if said["bearer_missing"] == nil { draft.bearer.whenMissing = .refuse }
            draft.route.check = draft.check.check
        } else if let word = first(of: CheckDraft.details), said["bearer_check"] == nil {
            error(word, "'\(word.text)' means nothing without 'bearer_check'; write, for example: bearer_check ISSUER")
        }
        draft.bearer.asksService = draft.forwardAuth != nil
        let ofService = RouteDraft.bearerDetails.filter { $0 != "realm" }
        let needsSource = checks ? RouteDraft.sourceDetails : draft.forwardAuth == nil ? RouteDraft.bearerDetails : ofService
        if !draft.bearer.sources.isEmpty || checks || draft.forwardAuth != nil { draft.route.bearer = draft.bearer }
        if draft.bearer.sources.isEmpty, let word = first(of: needsSource) {
            error(word, "'\(word.text)' means nothing without 'bearer_from'; write, for example: bearer_from query access_token")
        }
    }
}

extension FileDraft {
    /// Finds the issuers of every route.
    func checkIssuers(_ interpreter: inout Interpreter) {
        let known = configuration.issuers.map(\.rules.label)
        for draft in routes {
            var names: [String: Word] = [:]
            var asked: Word?
            for word in draft.check.issuers {
                guard let issuer = configuration.issuers.first(where: { $0.rules.label == word.text }) else {
                    // An issuer with an error in its block is not known either.
                    if issuerWords[word.text] == nil {
                        let hint = suggestion(for: word.text, in: known)
                        interpreter.error(
                            word, "there is no issuer \(quoted(word.text))\(hint.isEmpty ? "; write: issuer NAME { ... }" : hint)")
                    }
                    continue
                }
                if issuer.introspection != nil {
                    if let asked {
                        interpreter.error(word, "only one issuer of a route can have 'introspect_url'; \(quoted(asked.text)) has it")
                    }
                    asked = word
                }
                if let other = names.updateValue(word, forKey: issuer.rules.name) {
                    interpreter.error(
                        word, "the tokens of \(quoted(other.text)) and \(quoted(word.text)) cannot be told apart: both have the same 'name'"
                    )
                }
            }
            for word in draft.check.fields + draft.server.fields {
                let isSubject = configuration.listeners.compactMap { $0.tls?.clientSubjectField }.contains {
                    CheckDraft.isSameField($0, word.text)
                }
                if isSubject { interpreter.error(word, "the field \(quoted(word.text)) is a listener's 'client_subject_field' already") }
            }
        }
        guard !interpreter.report.hasErrors else { return }
        let used = Set(routes.flatMap { $0.check.check.issuers })
        for name in known where !used.contains(name) {
            if let word = issuerWords[name] { interpreter.warn(word, "no route checks tokens of the issuer '\(name)'") }
        }
    }

    /// Adds an issuer to those of the file.
    mutating func addIssuer(_ statement: Statement, _ interpreter: inout Interpreter) {
        let word = statement.arguments[0]
        let issuer = interpreter.readIssuer(statement)
        guard Endpoint.isName(word.text) else {
            return interpreter.error(
                word, "\(quoted(word.text)) cannot name an issuer; use letters, digits, '_' and '-', at most \(DirectiveTable.nameBytes)")
        }
        if let first = issuerWords.updateValue(word, forKey: word.text) {
            return interpreter.error(word, "the issuer \(quoted(word.text)) is already described on line \(first.line)")
        }
        guard issuerWords.count <= FileDraft.mostIssuers else {
            return interpreter.error(word, "there can be at most \(FileDraft.mostIssuers) issuers")
        }
        if let issuer { configuration.issuers.append(issuer) }
    }
}
