// The directives of `issuer` blocks for tokens about which their issuer is asked.
//
// Invariant: as in Interpreter.swift; such an issuer has no keys, and only the named server learns its tokens and our secret.

/// The asking of an issuer while its block is read.
struct IntrospectionDraft {
    var url: ServiceURL?
    var client: (id: String, secret: String)?
    var timeoutMilliseconds = 5_000
    var terms: ForwardAuthTerms

    init() {
        terms = ForwardAuthTerms()
        terms.recheckMilliseconds = 60_000
    }

    /// The directives that mean nothing without `introspect_url`.
    static let details = ["introspect_client", "introspect_timeout", "cache", "recheck", "recheck_grace"]
    /// Those that an issuer cannot have beside it, since its tokens are not looked into.
    static let others = ["token_type", "algorithms"]
}

extension IssuerDraft {
    static let introspectionRows: [Row<IssuerDraft>] = [
        .own("introspect_url", "URL", default: "(none)", "Where the issuer says whether a token is good (RFC 7662), instead of keys.") {
            interpreter, statement, draft in
            draft.introspection.url = interpreter.readServiceURL(statement.arguments[0], withoutTLS: .onLoopback)
        },
        .own(
            "introspect_client", "ID SECRET", arguments: 2...2, default: "(required with introspect_url)", isSecret: true,
            "What Heartwire is known by there."
        ) { interpreter, statement, draft in
            let words = statement.arguments
            if let empty = words.first(where: \.text.isEmpty) { return interpreter.error(empty, "neither the id nor the secret is empty") }
            draft.introspection.client = (words[0].text, words[1].text)
        },
        .number(
            "introspect_timeout", \.introspection.timeoutMilliseconds, .milliseconds(100...60_000), "How long an answer may take."),
        .number(
            "cache", \.introspection.terms.cacheMilliseconds, .milliseconds(1_000...DirectiveTable.hour),
            "How long the answer that a token is good is kept, at most until the token's end."),
        .numberOrOff(
            "recheck", \.introspection.terms.recheckMilliseconds, .milliseconds(1_000...DirectiveTable.day),
            "How often the issuer is asked again about the tokens of open event streams."),
        .number(
            "recheck_grace", \.introspection.terms.recheckGraceMilliseconds, .milliseconds(0...DirectiveTable.day),
            "How long open event streams go on while the issuer cannot be asked again."),
    ]
}

extension Interpreter {
    /// Decides about introspection when the whole block has been read, from what was said. Returns nil without it.
    mutating func readIntrospection(_ draft: IssuerDraft, _ said: [String: Statement], _ label: Word) -> Introspection? {
        guard said["introspect_url"] != nil else {
            for name in IntrospectionDraft.details {
                guard let word = said[name]?.name else { continue }
                error(word, "'\(name)' means nothing without 'introspect_url'")
            }
            return nil
        }
        for name in ["key", "keys_file", "shared_secret", "keys_url"] {
            if let word = said[name]?.name { error(word, "an issuer is asked about its tokens or has keys; here is 'introspect_url'") }
        }
        for name in IntrospectionDraft.others {
            if let word = said[name]?.name { error(word, "'\(name)' means nothing where the issuer is asked about its tokens") }
        }
        guard said["introspect_client"] != nil else {
            error(label, "without 'introspect_client' anybody could ask about tokens; write: introspect_client ID SECRET")
            return nil
        }
        guard let url = draft.introspection.url, let client = draft.introspection.client else { return nil }
        let name = "issuer \(label.text)"
        let service = ServiceEndpoint(
            name: name, url: url, tls: draft.keysURL.tls ?? UpstreamTLS(), timeoutMilliseconds: draft.introspection.timeoutMilliseconds)
        return Introspection(
            asked: ForwardAuth(name: name, service: service, terms: draft.introspection.terms), clientID: client.id,
            clientSecret: client.secret)
    }
}
