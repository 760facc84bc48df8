// The directives of the `console` block.
//
// Invariant: as in Interpreter.swift; an address that other machines can reach is refused unless the block says how strangers are kept
// out.

import Credentials

/// The settings of a `console` block, for all addresses of its line.
struct ConsoleDraft {
    var tls: ListenerTLS?
    var settings = ConsoleSettings(listeners: [])
}

extension ConsoleDraft: DirectiveModel {
    static var scope: Scope { .console }
    static var defaults: ConsoleDraft { ConsoleDraft() }

    static let rows: [Row<ConsoleDraft>] = [
        .own(
            "tls", "{ ... }", arguments: 0...0, block: .required, default: "(plain HTTP)",
            "Speaks TLS on these addresses, with the directives of a listener's `tls`."
        ) { interpreter, statement, draft in
            draft.tls = interpreter.readListenerTLS(statement)
        },
        .own(
            "token_sha256", "DIGEST", default: "(no token)", isSecret: true,
            "The SHA-256 of the token that requests have to bring, in hexadecimal digits."
        ) { interpreter, statement, draft in
            draft.settings.tokenDigest = TokenDigest(hexadecimal: statement.arguments[0].text)
            guard draft.settings.tokenDigest == nil else { return }
            interpreter.error(
                statement.arguments[0], "this is no SHA-256 in 64 hexadecimal digits; 'printf %s TOKEN | sha256sum' prints it")
        },
        .list("allow_host", "NAME...", "More names by which the console may be asked, besides those of the loopback addresses.") {
            interpreter, word, draft in
            do throws(Malformed) {
                if word.text.hasPrefix("["), word.text.hasSuffix("]") {
                    let address = String(word.text.dropFirst().dropLast())
                    return draft.settings.allowedHosts.append(try Endpoint.checked(host: address, in: word.text))
                }
                guard !word.text.contains(where: { ":/@".contains($0) }) else {
                    return interpreter.error(
                        word, "\(quoted(word.text)) is more than a name; leave out scheme, port and path, as in: ops.example.org")
                }
                draft.settings.allowedHosts.append(try Endpoint.checked(host: word.text, in: word.text))
            } catch { interpreter.error(word, error.message) }
        },
    ]
}

extension Interpreter {
    /// Reads a `console` line and its block, if it has one.
    mutating func readConsole(_ statement: Statement) -> ConsoleSettings {
        var draft = ConsoleDraft()
        let errorsBefore = report.errorCount
        interpret(statement.block, into: &draft)
        let hasErrors = report.errorCount > errorsBefore
        var settings = draft.settings
        for word in statement.arguments {
            do throws(Malformed) {
                var listener = try Endpoint.console(word.text)
                if settings.listeners.contains(where: { $0.takesPort(of: listener) }) {
                    self.error(word, "\(listener) is said twice")
                    continue
                }
                listener.tls = listener.isUnix ? nil : draft.tls
                // With an error in the block, what is missing may only be misspelt.
                if !hasErrors { checkReach(of: listener, word, settings) }
                settings.listeners.append(listener)
            } catch { self.error(word, error.message) }
        }
        return settings
    }

    /// An address that other machines can reach needs TLS, and a token or client certificates.
    private mutating func checkReach(of listener: Listener, _ word: Word, _ settings: ConsoleSettings) {
        guard !listener.isLocal else { return }
        let knowsWho = settings.tokenDigest != nil || listener.tls?.clientCertificates == .required
        guard listener.tls == nil || !knowsWho else { return }
        let needs =
            switch (listener.tls != nil, knowsWho) {
            case (false, false): "a 'tls' block, and 'token_sha256' or 'client_certificates required'"
            case (false, true): "a 'tls' block: without it the token can be read on the way"
            default: "'token_sha256', or 'client_certificates required' in its 'tls' block"
            }
        error(
            word,
            "other machines can reach the console on \(listener), so it needs \(needs); 127.0.0.1, [::1] and unix:/PATH need nothing")
    }

    /// The console has an address of its own, where no client is accepted.
    mutating func checkConsole(_ words: [Word], against listeners: [Listener]) {
        for word in words {
            guard let listener = try? Endpoint.console(word.text), listeners.contains(where: { $0.takesPort(of: listener) }) else {
                continue
            }
            error(word, "clients are accepted on \(listener); the console needs an address of its own")
        }
    }
}

extension Listener {
    /// Whether both cannot be listened on, as far as the words tell.
    fileprivate func takesPort(of other: Listener) -> Bool {
        if isUnix || other.isUnix { return host == other.host }
        return port == other.port && (host == other.host || host == "*" || other.host == "*")
    }
}
