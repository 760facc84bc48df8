// The directives of `token` blocks: tokens that the proxy gets for servers.
//
// Invariant: as in Interpreter.swift; only a server whose certificate is verified, or one of this machine, gets the secret.

/// A token while its block is read.
struct ServiceTokenDraft {
    fileprivate var url: ServiceURL?
    fileprivate var clientID: String?
    fileprivate var clientSecret: String?
    fileprivate var scopes: [String] = []
    fileprivate var timeoutMilliseconds = 5_000
    fileprivate var tls = UpstreamTLS()
    fileprivate var tlsWord: Word?
}

extension ServiceTokenDraft: DirectiveModel {
    static var scope: Scope { .token }
    static var defaults: ServiceTokenDraft { ServiceTokenDraft() }

    static let rows: [Row<ServiceTokenDraft>] = [
        .own("url", "URL", default: "(required)", "Where the token is fetched: the token endpoint of an authorization server.") {
            interpreter, statement, draft in
            draft.url = interpreter.readServiceURL(statement.arguments[0], withoutTLS: .onLoopback)
        },
        .own("client_id", "ID", default: "(required)", "The id of the client that Heartwire is there.") { interpreter, statement, draft in
            draft.clientID = interpreter.readClientText(statement.arguments[0])
        },
        .own("client_secret", "SECRET", default: "(required)", isSecret: true, "The secret of that client.") {
            interpreter, statement, draft in
            draft.clientSecret = interpreter.readClientText(statement.arguments[0])
        },
        .list("scope", "SCOPE...", "The scopes that are asked for.") { interpreter, word, draft in
            // RFC 6749 section 3.3.
            guard interpreter.isScope(word) else { return }
            draft.scopes.append(word.text)
        },
        .number("timeout", \.timeoutMilliseconds, .milliseconds(100...60_000), "How long a fetch may take."),
        .own(
            "tls", "{ ... }", arguments: 0...0, block: .required, default: "(as for an upstream)",
            "How Heartwire speaks TLS to that server."
        ) {
            interpreter, statement, draft in
            interpreter.interpret(statement.block, into: &draft.tls)
            draft.tlsWord = statement.name
        },
    ]
}

extension Interpreter {
    fileprivate mutating func readClientText(_ word: Word) -> String? {
        guard (1...1_024).contains(word.text.utf8.count) else {
            error(word, "the id and the secret of a client have 1 to 1024 bytes")
            return nil
        }
        return word.text
    }

    /// Reads the block of a token with this name; nil after an error.
    fileprivate mutating func readServiceToken(_ statement: Statement) -> ServiceToken? {
        let label = statement.arguments[0]
        var draft = ServiceTokenDraft()
        let errorsBefore = report.errorCount
        interpret(statement.block, into: &draft)
        // With an error in the block, what is missing may only be misspelt.
        guard report.errorCount == errorsBefore else { return nil }
        guard let url = draft.url, let id = draft.clientID, let secret = draft.clientSecret else {
            error(label, "a token needs three lines: url https://id.example.com/token, client_id ID, client_secret {$NAME}")
            return nil
        }
        if let word = draft.tlsWord {
            if !url.isSecure { error(word, "this server is asked in plain HTTP; write https:// in its 'url'") }
            if !draft.tls.isVerified {
                error(word, "who can pretend to be this server gets the secret; its certificate is always verified")
            }
        }
        guard report.errorCount == errorsBefore else { return nil }
        let service = ServiceEndpoint(
            name: "token \(label.text)", url: url, tls: draft.tls, timeoutMilliseconds: draft.timeoutMilliseconds)
        return ServiceToken(name: label.text, service: service, clientID: id, clientSecret: secret, scopes: draft.scopes)
    }
}

extension FileDraft {
    private static let mostTokens = 64

    /// Adds a token to those of the file.
    mutating func addToken(_ statement: Statement, _ interpreter: inout Interpreter) {
        let word = statement.arguments[0]
        let token = interpreter.readServiceToken(statement)
        guard Endpoint.isName(word.text) else {
            return interpreter.error(
                word, "\(quoted(word.text)) cannot name a token; use letters, digits, '_' and '-', at most \(DirectiveTable.nameBytes)")
        }
        if let first = tokenWords.updateValue(word, forKey: word.text) {
            return interpreter.error(word, "the token \(quoted(word.text)) is already described on line \(first.line)")
        }
        guard tokenWords.count <= FileDraft.mostTokens else {
            return interpreter.error(word, "there can be at most \(FileDraft.mostTokens) tokens")
        }
        if let token { configuration.tokens.append(token) }
    }

    /// Finds the token of every route that has one. What stands in place of a name is not repeated: it may be a secret.
    func checkTokens(_ interpreter: inout Interpreter) {
        for word in routes.compactMap(\.server.token) where tokenWords[word.text] == nil {
            interpreter.error(word, "there is no token of this name; write at the top level: token NAME { ... }")
        }
        guard !interpreter.report.hasErrors else { return }
        let used = Set(routes.compactMap { $0.server.token?.text })
        for token in configuration.tokens where !used.contains(token.name) {
            if let word = tokenWords[token.name] { interpreter.warn(word, "no route sends the token '\(token.name)' to its servers") }
        }
    }
}
