// The directives of `listen` blocks, and of the `tls` blocks inside them.
//
// Invariant: as in Interpreter.swift; directives that depend on each other are checked when their block has been read.

import Bytes
import HTTP

/// The settings of a `listen` block, for all addresses of its line.
struct ListenerDraft {
    var tls: ListenerTLS?
    var redirectPort: UInt16?
    var strictTransportSecuritySeconds: Int?
    /// Where the PROXY protocol is switched on.
    var proxyProtocol: Word?
    /// The versions of HTTP that `protocols` names; nil without that directive.
    var protocols: (http1: Bool, http2: Bool)?
    /// The keys of those who may publish events.
    var publishKeys: [[UInt8]] = []

    /// Keys are replaced one by one: more than a few are a mistake.
    fileprivate static let mostPublishKeys = 16
}

extension ListenerDraft: DirectiveModel {
    static var scope: Scope { .listen }
    static var defaults: ListenerDraft { ListenerDraft() }

    private static let strictTransportSecurity = Quantity.milliseconds(0...63_072_000_000)

    static let rows: [Row<ListenerDraft>] = [
        .own(
            "tls", "{ ... }", arguments: 0...0, block: .required, default: "(plain HTTP)", "Speaks TLS on these addresses."
        ) { interpreter, statement, draft in
            draft.tls = interpreter.readListenerTLS(statement)
        },
        .own(
            "protocols", "[h2] [http/1.1]", arguments: 1...2, default: "(`h2 http/1.1` with `tls`, otherwise `http/1.1`)",
            "The versions of HTTP that are spoken: over TLS the client chooses (ALPN), on a plain address its first bytes tell."
        ) { interpreter, statement, draft in
            let words = statement.arguments.map(\.text)
            for argument in statement.arguments where argument.text != "h2" && argument.text != "http/1.1" {
                interpreter.error(argument, "\(quoted(argument.text)) is not spoken here; write h2, http/1.1, or both")
            }
            draft.protocols = (http1: words.contains("http/1.1"), http2: words.contains("h2"))
        },
        .own(
            "redirect_to_https", "[PORT]", arguments: 0...1, default: "(requests are served)",
            "Answers every request with 308 to the same URL over HTTPS, on port 443 or PORT."
        ) { interpreter, statement, draft in
            draft.redirectPort = interpreter.readPort(statement.arguments.first)
        },
        .own(
            "strict_transport_security", strictTransportSecurity.placeholder, default: "(nothing is said)",
            quantity: strictTransportSecurity, "How long browsers must use HTTPS only (RFC 6797)."
        ) { interpreter, statement, draft in
            guard let milliseconds = interpreter.read(strictTransportSecurity, statement.arguments[0]) else { return }
            draft.strictTransportSecuritySeconds = milliseconds / 1000
        },
        .own(
            "proxy_protocol", "on|off", default: "off",
            "Whether only trusted proxies may connect, and name their client in a header of the PROXY protocol."
        ) { interpreter, statement, draft in
            guard interpreter.choose(statement.arguments[0], from: Interpreter.onOrOff) == true else { return }
            draft.proxyProtocol = statement.name
        },
        .own(
            "publish_key", "KEY", default: "(clients are served)", isRepeatable: true, isSecret: true,
            "Serves those who publish events and prove this key, and nobody else."
        ) { interpreter, statement, draft in
            interpreter.readPublishKey(statement.arguments[0], into: &draft.publishKeys)
        },
    ]
}

extension ListenerTLS: DirectiveModel {
    static var scope: Scope { .listenTLS }
    static var defaults: ListenerTLS { ListenerTLS(certificates: []) }

    private static let ticketLifetime = Quantity.milliseconds(600_000...604_800_000)

    static let rows: [Row<ListenerTLS>] = [
        .own(
            "certificate", "FILE KEYFILE [STAPLEFILE]", arguments: 2...3, default: "(required)", isRepeatable: true,
            "A certificate with its chain, its key, and an OCSP response to staple."
        ) { interpreter, statement, tls in
            let files = statement.arguments.map(\.text)
            let certificate = Certificate(certificateFile: files[0], keyFile: files[1], stapleFile: files.count > 2 ? files[2] : nil)
            if tls.certificates.contains(where: { $0.certificateFile == certificate.certificateFile }) {
                interpreter.error(statement.arguments[0], "the certificate \(quoted(files[0])) is named twice")
            } else {
                tls.certificates.append(certificate)
            }
        },
        .word("minimum_version", \.minimumVersion, [("1.2", .tls12), ("1.3", .tls13)], "The oldest version of TLS that is spoken."),
        .text(
            "ciphers", "LIST", \.ciphers, default: "(ECDHE with AES-GCM or ChaCha20)", "OpenSSL's list of ciphers for TLS 1.2."),
        .text("ciphersuites", "LIST", \.ciphersuites, default: "(OpenSSL's own)", "OpenSSL's list of cipher suites for TLS 1.3."),
        .text(
            "groups", "LIST", \.groups, default: "(X25519, P-256, P-384)", "OpenSSL's list of groups for the key exchange."),
        .word(
            "client_certificates", \.clientCertificates, [("off", .off), ("optional", .optional), ("required", .required)],
            "Whether clients are asked for a certificate."),
        .text(
            "client_authority", "FILE", \.clientAuthorityFile, default: "(none)",
            "The authorities whose client certificates are accepted."),
        .own(
            "client_subject_field", "NAME", default: "(none)",
            "The field in which servers are told the subject of the client's certificate."
        ) { interpreter, statement, tls in
            if interpreter.isUsableField(statement.arguments[0]) { tls.clientSubjectField = statement.arguments[0].text }
        },
        .own(
            "ticket_lifetime", ticketLifetime.placeholder, default: ticketLifetime.text(defaults.ticketLifetimeSeconds * 1000),
            quantity: ticketLifetime,
            "How long a key protects new session tickets; it is accepted for the same time after that."
        ) { interpreter, statement, tls in
            if let value = interpreter.read(ticketLifetime, statement.arguments[0]) { tls.ticketLifetimeSeconds = value / 1000 }
        },
    ]
}

extension Interpreter {
    /// Reads the block of a `listen` line, if it has one.
    mutating func readListen(_ statement: Statement) -> ListenerDraft {
        var draft = ListenerDraft()
        let said = interpret(statement.block, into: &draft)
        if let redirect = said["redirect_to_https"], said["tls"] != nil {
            error(redirect.name, "a listener that speaks TLS cannot redirect to it; write a second 'listen' for plain HTTP")
        }
        if let security = said["strict_transport_security"], said["tls"] == nil {
            error(security.name, "browsers accept 'strict_transport_security' only over TLS; this listener has no 'tls' block")
        }
        if said["publish_key"] != nil {
            for name in ["redirect_to_https", "strict_transport_security"] {
                if let word = said[name]?.name { error(word, "'\(name)' is for browsers, and 'publish_key' lets none in") }
            }
            if let word = said["tls"]?.name, draft.tls?.clientSubjectField != nil {
                error(word, "no request of a listener with 'publish_key' goes to a server, so 'client_subject_field' means nothing here")
            }
        }
        return draft
    }

    fileprivate mutating func readPublishKey(_ word: Word, into keys: inout [[UInt8]]) {
        let key = Array(word.text.utf8)
        // Authorization carries it, behind the scheme and a blank.
        guard (16...256).contains(key.count), key.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            return error(word, "the key has 16 to 256 visible ASCII characters")
        }
        guard !keys.contains(key) else { return error(word, "this key is named twice") }
        guard keys.count < ListenerDraft.mostPublishKeys else {
            return error(word, "a listener can have at most \(ListenerDraft.mostPublishKeys) keys")
        }
        keys.append(key)
    }

    fileprivate mutating func readPort(_ word: Word?) -> UInt16? {
        guard let word else { return 443 }
        guard let port = UInt16(word.text), port > 0 else {
            error(word, "\(quoted(word.text)) is not a port; write a number from 1 to 65535")
            return nil
        }
        return port
    }

    mutating func readListenerTLS(_ statement: Statement) -> ListenerTLS? {
        var tls = ListenerTLS.defaults
        let errorsBefore = report.diagnostics.count
        let said = interpret(statement.block, into: &tls)
        // With an error in the block, a missing directive may only be misspelt.
        guard report.diagnostics.count == errorsBefore else { return nil }
        if tls.certificates.isEmpty {
            error(statement.name, "this 'tls' block has no certificate; write: certificate FILE KEYFILE")
        }
        if let asked = said["client_certificates"], tls.clientCertificates != .off, tls.clientAuthorityFile == nil {
            error(asked.name, "whose certificates are accepted? Write: client_authority FILE")
        }
        for name in ["client_authority", "client_subject_field"] {
            if let dependent = said[name], tls.clientCertificates == .off {
                error(dependent.name, "'\(name)' means nothing without 'client_certificates optional' or 'required'")
            }
        }
        return tls
    }

    /// Whether the proxy may write a field of that name: the name must not have a meaning already. `isShown` says that messages may
    /// repeat a word that can be no name.
    mutating func isUsableField(_ word: Word, isShown: Bool = true) -> Bool {
        let name = word.text.lowercased()
        // RFC 9110 section 5.1: a field's name is a token.
        guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy(isTokenCharacter) else {
            error(word, "\(isShown ? quoted(word.text) : "this") cannot be the name of a field; write, for example: X-Client-Subject")
            return false
        }
        // `_` in place of `-` does not make another field: servers that make variables of fields cannot tell the two apart.
        let dashed = name.replacing("_", with: "-")
        let families = ["accept-", "access-control-", "content-", "if-", "proxy-", "sec-"]
        let browsers = ["dnt", "early-data", "from", "link", "priority", "upgrade-insecure-requests", "warning", "x-requested-with"]
        if FieldName.hasMeaning(name) || WithheldNames.meansProxy(name) || browsers.contains(dashed)
            || families.contains(where: dashed.hasPrefix)
        {
            error(word, "the field \(quoted(word.text)) has a meaning of its own; write, for example: X-Client-Subject")
            return false
        }
        return true
    }
}
