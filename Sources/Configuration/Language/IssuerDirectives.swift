// The directives of `issuer` blocks.
//
// Invariant: as in Interpreter.swift; an issuer has a name, an audience and a key, and each of its algorithms has a key of its kind.

import Credentials

/// An issuer while its block is read.
struct IssuerDraft {
    var rules = IssuerRules(label: "", name: "", audiences: [], algorithms: [])
    var keys: [Issuer.Key] = []
    var keysURL = KeysURLDraft()
    var introspection = IntrospectionDraft()
    var leewayMilliseconds = 30_000
    var lifetimeLimitMilliseconds: Int?
    /// The algorithms of keys and secrets, where they are said.
    fileprivate var keyAlgorithms: [(algorithm: SignatureAlgorithm, word: Word)] = []
    fileprivate var algorithmWords: [(algorithm: SignatureAlgorithm, word: Word)] = []
    fileprivate var audienceWords: [Word] = []
}

extension IssuerDraft: DirectiveModel {
    static var scope: Scope { .issuer }
    static var defaults: IssuerDraft { IssuerDraft() }

    private static let textBytes = 1_024
    fileprivate static let mostKeys = 64

    static let rows: [Row<IssuerDraft>] =
        [
            .own("name", "TEXT", default: "(required)", "The `iss` of its tokens, exactly.") { interpreter, statement, draft in
                let word = statement.arguments[0]
                guard (1...textBytes).contains(word.text.utf8.count) else {
                    return interpreter.error(word, "the name of an issuer has 1 to \(textBytes) bytes")
                }
                draft.rules.name = word.text
            },
            .list("audience", "TEXT...|any", default: "(required)", "One of these must be in the `aud` of a token.") {
                interpreter, word, draft in
                draft.audienceWords.append(word)
            },
            .own(
                "key", "ALGORITHM FILE [KID]", arguments: 2...3, default: "(none)", isRepeatable: true,
                "A public key in a PEM file, for tokens of this algorithm."
            ) { interpreter, statement, draft in
                let words = statement.arguments
                guard let algorithm = interpreter.readAlgorithm(words[0]) else { return }
                guard !algorithm.needsSecret else {
                    return interpreter.error(
                        words[0], "\(words[0].text) needs a secret that both sides know; write: shared_secret \(words[0].text) TEXT")
                }
                guard !words[1].text.isEmpty else { return interpreter.error(words[1], "the name of the file is empty") }
                draft.keyAlgorithms.append((algorithm, words[0]))
                draft.keys.append(.file(words[1].text, algorithm, name: words.count > 2 ? words[2].text : nil))
            },
            .own(
                "shared_secret", "ALGORITHM TEXT|base64url:TEXT [KID]", arguments: 2...3, default: "(none)", isRepeatable: true,
                isSecret: true,
                "A secret that the issuer knows too, for tokens of this algorithm: HS256, HS384 or HS512."
            ) { interpreter, statement, draft in
                let words = statement.arguments
                guard let algorithm = interpreter.readAlgorithm(words[0]) else { return }
                guard algorithm.needsSecret else {
                    return interpreter.error(words[0], "\(words[0].text) needs a public key; write: key \(words[0].text) FILE")
                }
                guard let secret = interpreter.readSecret(words[1], for: algorithm) else { return }
                draft.keyAlgorithms.append((algorithm, words[0]))
                draft.keys.append(.secret(secret, algorithm, name: words.count > 2 ? words[2].text : nil))
            },
            .own(
                "keys_file", "FILE", default: "(none)", isRepeatable: true,
                "A file with public keys, as the issuer publishes them (JWKS, RFC 7517)."
            ) { interpreter, statement, draft in
                let word = statement.arguments[0]
                guard !word.text.isEmpty else { return interpreter.error(word, "the name of the file is empty") }
                draft.keys.append(.set(file: word.text))
            },
            .list(
                "algorithms", "ALGORITHM...", default: "(all with public keys, and those of its secrets)",
                "The algorithms that its tokens may have."
            ) { interpreter, word, draft in
                if let algorithm = interpreter.readAlgorithm(word) { draft.algorithmWords.append((algorithm, word)) }
            },
            .number(
                "leeway", \.leewayMilliseconds, .milliseconds(0...300_000), "How far the clocks of the issuer and the proxy may differ."),
            .text("token_type", "TYPE", \.rules.tokenType, default: "(any)", "The `typ` that its tokens must have, such as `at+jwt`."),
            .numberOrOff(
                "lifetime_limit", \.lifetimeLimitMilliseconds, .milliseconds(1_000...366 * DirectiveTable.day),
                "How far ahead of now the end of a token may be."),
            .list("require", "CLAIM...", "Claims that its tokens must have, besides `exp`, which they must always have.") {
                interpreter, word, draft in
                guard !word.text.isEmpty else { return interpreter.error(word, "the name of a claim is not empty") }
                draft.rules.requiredClaims.append(word.text)
            },
        ] + keysURLRows + introspectionRows
}

extension Interpreter {
    /// Reads the block of an issuer with this name; nil after an error.
    mutating func readIssuer(_ statement: Statement) -> Issuer? {
        let label = statement.arguments[0]
        var draft = IssuerDraft()
        draft.rules.label = label.text
        let errorsBefore = report.errorCount
        let said = interpret(statement.block, into: &draft)
        // With an error in the block, what is missing may only be misspelt.
        guard report.errorCount == errorsBefore else { return nil }
        if said["name"] == nil {
            error(label, "this issuer has no name; write what its tokens have as 'iss': name https://id.example.com/")
        }
        readAudiences(&draft, label)
        let keysURL = readKeysURL(draft, said, label)
        let introspection = readIntrospection(draft, said, label)
        checkTLS(draft, said, of: draft.keysURL.url ?? draft.introspection.url)
        if draft.keys.isEmpty, said["keys_url"] == nil, said["introspect_url"] == nil {
            error(
                label,
                "this issuer has no key; write: keys_url URL, keys_file FILE, key ALGORITHM FILE, or shared_secret ALGORITHM TEXT, "
                    + "or introspect_url URL")
        } else if draft.keys.count > IssuerDraft.mostKeys {
            error(label, "this issuer has \(draft.keys.count) keys; at most \(IssuerDraft.mostKeys) are allowed")
        }
        readAlgorithms(&draft)
        for (name, milliseconds) in [("leeway", draft.leewayMilliseconds), ("lifetime_limit", draft.lifetimeLimitMilliseconds ?? 0)]
        where milliseconds % 1_000 != 0 {
            error(said[name]?.arguments[0] ?? label, "tokens count in whole seconds")
        }
        draft.rules.leewaySeconds = Int64(draft.leewayMilliseconds / 1_000)
        draft.rules.lifetimeLimitSeconds = draft.lifetimeLimitMilliseconds.map { Int64($0 / 1_000) }
        return report.errorCount == errorsBefore
            ? Issuer(rules: draft.rules, keys: draft.keys, keysURL: keysURL, introspection: introspection) : nil
    }

    private mutating func readAudiences(_ draft: inout IssuerDraft, _ label: Word) {
        let words = draft.audienceWords
        if words.isEmpty {
            return error(label, "for whom are its tokens? Write one of: audience https://events.example.com, audience any")
        }
        guard let any = words.first(where: { $0.text == "any" && !$0.isQuoted }) else {
            if let empty = words.first(where: \.text.isEmpty) { error(empty, "the name of an audience is not empty") }
            return draft.rules.audiences = words.map(\.text)
        }
        if words.count > 1 { error(any, "'any' stands alone: audience any") }
        draft.rules.audiences = nil
    }

    /// An issuer has the algorithms that are listed, each with a key of its kind, or else those of its keys.
    private mutating func readAlgorithms(_ draft: inout IssuerDraft) {
        let ofKeys = draft.keyAlgorithms.map(\.algorithm)
        let listed = draft.algorithmWords.map(\.algorithm)
        guard !listed.isEmpty else {
            draft.rules.algorithms = SignatureAlgorithm.allCases.filter { !$0.needsSecret || ofKeys.contains($0) }
            return
        }
        draft.rules.algorithms = listed
        for (algorithm, word) in draft.algorithmWords where algorithm.needsSecret && !ofKeys.contains(algorithm) {
            error(word, "\(word.text) needs a secret of its own; write: shared_secret \(word.text) TEXT")
        }
        for (algorithm, word) in draft.keyAlgorithms where !listed.contains(algorithm) {
            error(word, "this key can never be used: \(word.text) is not among 'algorithms'")
        }
    }

    fileprivate mutating func readAlgorithm(_ word: Word) -> SignatureAlgorithm? {
        guard word.text.lowercased() != "none" else {
            error(word, "a token without a signature is never accepted")
            return nil
        }
        return choose(word, from: SignatureAlgorithm.allCases.map { ($0.rawValue, $0) })
    }

    fileprivate mutating func readSecret(_ word: Word, for algorithm: SignatureAlgorithm) -> [UInt8]? {
        let prefix = "base64url:"
        var secret: [UInt8]? = Array(word.text.utf8)
        if word.text.hasPrefix(prefix) { secret = Base64URL.decode(Array(word.text.utf8.dropFirst(prefix.utf8.count)).span) }
        guard let secret else {
            error(word, "what follows 'base64url:' is no base64url without padding (letters, digits, '-' and '_')")
            return nil
        }
        guard secret.count >= algorithm.leastSecretBytes else {
            error(word, "the secret has \(secret.count) bytes; \(algorithm.rawValue) needs at least \(algorithm.leastSecretBytes)")
            return nil
        }
        return secret
    }
}
