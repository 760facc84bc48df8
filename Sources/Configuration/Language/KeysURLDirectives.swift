// The directives of `issuer` blocks for keys that are fetched.
//
// Invariant: as in Interpreter.swift; such an issuer has no other keys, and nobody but the named server can give it any.

import Credentials

/// The fetching of keys while the block of their issuer is read.
struct KeysURLDraft {
    var url: ServiceURL?
    var times = KeyTimes()
    var tls: UpstreamTLS?

    /// The directives that mean nothing without `keys_url`.
    static let details = ["keys_refresh", "keys_cooldown", "keys_timeout", "keys_keep"]
}

extension IssuerDraft {
    static let keysURLRows: [Row<IssuerDraft>] = [
        .own("keys_url", "URL", default: "(none)", "Where its public keys are fetched (JWKS, RFC 7517).") { interpreter, statement, draft in
            draft.keysURL.url = interpreter.readServiceURL(statement.arguments[0], withoutTLS: .onLoopback)
        },
        .number(
            "keys_refresh", \.keysURL.times.refreshMilliseconds, .milliseconds(10_000...DirectiveTable.day),
            "After how long the keys are fetched again; up to a tenth earlier."),
        .number(
            "keys_cooldown", \.keysURL.times.cooldownMilliseconds, .milliseconds(1_000...DirectiveTable.hour),
            "In so long a time, tokens that ask for unknown keys cause one fetch at most."),
        .number(
            "keys_timeout", \.keysURL.times.timeoutMilliseconds, .milliseconds(100...60_000), "How long a fetch of the keys may take."),
        .number(
            "keys_keep", \.keysURL.times.keepMilliseconds, .milliseconds(60_000...30 * DirectiveTable.day),
            "How long the keys go on to serve when they cannot be fetched again."),
        .own(
            "tls", "{ ... }", arguments: 0...0, block: .required, default: "(as for an upstream)",
            "How Heartwire speaks TLS to the server of `keys_url` or `introspect_url`, with the directives of an upstream's `tls`."
        ) { interpreter, statement, draft in
            var tls = UpstreamTLS()
            interpreter.interpret(statement.block, into: &tls)
            draft.keysURL.tls = tls
        },
    ]
}

extension Interpreter {
    /// Decides about fetched keys when the whole block has been read, from what was said. Returns nil without them.
    mutating func readKeysURL(_ draft: IssuerDraft, _ said: [String: Statement], _ label: Word) -> KeysURL? {
        guard said["keys_url"] != nil else {
            for name in KeysURLDraft.details {
                guard let word = said[name]?.name else { continue }
                error(word, "'\(name)' means nothing without 'keys_url'; write, for example: keys_url https://id.example.com/jwks.json")
            }
            return nil
        }
        for name in ["key", "keys_file", "shared_secret"] {
            if let word = said[name]?.name { error(word, "an issuer has its keys in one way; this one has 'keys_url'") }
        }
        guard let url = draft.keysURL.url else { return nil }
        return KeysURL(
            service: ServiceEndpoint(
                name: "issuer \(label.text)", url: url, tls: draft.keysURL.tls ?? UpstreamTLS(),
                timeoutMilliseconds: draft.keysURL.times.timeoutMilliseconds),
            times: draft.keysURL.times)
    }

    /// Checks the `tls` block of an issuer, whose server is found under a URL; nil where it has none.
    mutating func checkTLS(_ draft: IssuerDraft, _ said: [String: Statement], of url: ServiceURL?) {
        guard let tls = draft.keysURL.tls, let word = said["tls"]?.name else { return }
        if let url {
            if !url.isSecure { error(word, "this server is asked in plain HTTP; write https:// before its address") }
        } else if said["keys_url"] == nil, said["introspect_url"] == nil {
            error(word, "'tls' means nothing without 'keys_url' or 'introspect_url'")
        }
        if !tls.isVerified { error(word, "who can pretend to be this server can make good tokens; its certificate is always verified") }
    }
}
