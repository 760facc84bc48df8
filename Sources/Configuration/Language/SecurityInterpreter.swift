// The directives inside `listen` blocks, and inside the `tls` blocks of listeners and upstreams.
//
// Invariant: as in Interpreter.swift; directives that depend on each other are checked when their block has been read.

import HTTP

extension Interpreter {
    // MARK: listen

    /// The settings of a `listen` block, for all addresses of its line.
    struct ListenerDraft {
        var tls: ListenerTLS?
        var redirectPort: UInt16?
        var strictTransportSecuritySeconds: Int?
        /// Where the PROXY protocol is switched on.
        var proxyProtocol: Word?
    }

    mutating func readListen(_ statement: Statement) -> ListenerDraft {
        var draft = ListenerDraft()
        var words: [String: Word] = [:]
        interpret(statement.block ?? [], in: .listen) { interpreter, directive, statement in
            words[directive.name] = statement.name
            switch directive.meaning {
            case .block(.listenTLS):
                draft.tls = interpreter.readListenerTLS(statement)
            case .redirectToHTTPS:
                draft.redirectPort = interpreter.readPort(statement.arguments.first)
            case .strictTransportSecurity:
                guard let milliseconds = interpreter.read(DirectiveTable.strictTransportSecurity, statement.arguments[0]) else { return }
                draft.strictTransportSecuritySeconds = milliseconds / 1000
            case .proxyProtocol:
                guard interpreter.choose(statement.arguments[0], from: ["on": true, "off": false]) == true else { return }
                draft.proxyProtocol = statement.name
            default:
                preconditionFailure("the table puts \(directive.name) into listeners, where nothing reads it")
            }
        }
        if let word = words["redirect_to_https"], words["tls"] != nil {
            error(word, "a listener that speaks TLS cannot redirect to it; write a second 'listen' for plain HTTP")
        }
        if let word = words["strict_transport_security"], words["tls"] == nil {
            error(word, "browsers accept 'strict_transport_security' only over TLS; this listener has no 'tls' block")
        }
        return draft
    }

    private mutating func readPort(_ word: Word?) -> UInt16? {
        guard let word else { return 443 }
        guard let port = UInt16(word.text), port > 0 else {
            error(word, "\(quoted(word.text)) is not a port; write a number from 1 to 65535")
            return nil
        }
        return port
    }

    // MARK: the tls block of a listener

    private mutating func readListenerTLS(_ statement: Statement) -> ListenerTLS? {
        var tls = ListenerTLS(certificates: [])
        var words: [String: Word] = [:]
        let errorsBefore = report.diagnostics.count
        interpret(statement.block ?? [], in: .listenTLS) { interpreter, directive, statement in
            words[directive.name] = statement.name
            interpreter.readListenerTLS(directive, statement, into: &tls)
        }
        // With an error in the block, a missing directive may only be misspelt.
        guard report.diagnostics.count == errorsBefore else { return nil }
        if tls.certificates.isEmpty {
            error(statement.name, "this 'tls' block has no certificate; write: certificate FILE KEYFILE")
        }
        if let word = words["client_certificates"], tls.clientCertificates != .off, tls.clientAuthorityFile == nil {
            error(word, "whose certificates are accepted? Write: client_authority FILE")
        }
        for name in ["client_authority", "client_subject_field"] {
            if let word = words[name], tls.clientCertificates == .off {
                error(word, "'\(name)' means nothing without 'client_certificates optional' or 'required'")
            }
        }
        return tls
    }

    private mutating func readListenerTLS(_ directive: Directive, _ statement: Statement, into tls: inout ListenerTLS) {
        let word = statement.arguments[0]
        switch directive.meaning {
        case .certificate:
            let files = statement.arguments.map(\.text)
            let certificate = Certificate(certificateFile: files[0], keyFile: files[1], stapleFile: files.count > 2 ? files[2] : nil)
            if tls.certificates.contains(where: { $0.certificateFile == certificate.certificateFile }) {
                error(word, "the certificate \(quoted(word.text)) is named twice")
            } else {
                tls.certificates.append(certificate)
            }
        case .minimumVersion:
            if let value = choose(word, from: ["1.2": ListenerTLS.Version.tls12, "1.3": .tls13]) { tls.minimumVersion = value }
        case .listenerTLSText(let path):
            if let text = readText(word) { tls[keyPath: path] = text }
        case .clientCertificates:
            let choices: KeyValuePairs<String, ListenerTLS.ClientCertificates> = [
                "off": .off, "optional": .optional, "required": .required,
            ]
            if let value = choose(word, from: choices) { tls.clientCertificates = value }
        case .clientSubjectField:
            if isUsableField(word) { tls.clientSubjectField = word.text }
        case .ticketLifetime:
            if let value = read(DirectiveTable.ticketLifetime, word) { tls.ticketLifetimeSeconds = value / 1000 }
        default:
            preconditionFailure("the table puts \(directive.name) into a listener's tls, where nothing reads it")
        }
    }

    private mutating func readText(_ word: Word) -> String? {
        if word.text.isEmpty { error(word, "this is empty; leave the directive out for its default") }
        return word.text.isEmpty ? nil : word.text
    }

    /// Whether the proxy may write a field of that name: the name must not have a meaning already.
    private mutating func isUsableField(_ word: Word) -> Bool {
        let name = word.text.lowercased()
        // RFC 9110 section 5.1: a field's name is a token.
        let isToken =
            !name.isEmpty && name.utf8.count <= 64
            && name.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"\"(),/:;<=>?@[\\]{}".utf8.contains($0) }
        guard isToken else {
            error(word, "\(quoted(word.text)) cannot be the name of a field; write, for example: X-Client-Subject")
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

    // MARK: the tls block of an upstream

    mutating func readUpstreamTLS(_ statement: Statement) -> UpstreamTLS {
        var tls = UpstreamTLS()
        interpret(statement.block ?? [], in: .upstreamTLS) { interpreter, directive, statement in
            let word = statement.arguments[0]
            switch directive.meaning {
            case .upstreamTLSText(let path):
                if let text = interpreter.readText(word) { tls[keyPath: path] = text }
            case .certificate:
                tls.certificate = Certificate(certificateFile: word.text, keyFile: statement.arguments[1].text)
            case .serverName:
                do throws(Malformed) { tls.serverName = try Endpoint.checked(host: word.text, in: word.text) } catch {
                    interpreter.error(word, error.message)
                }
            case .verification:
                guard let isVerified = interpreter.choose(word, from: ["on": true, "insecure_off": false]) else { return }
                tls.isVerified = isVerified
                if !isVerified {
                    interpreter.warn(
                        word,
                        "servers need not prove who they are: anybody on the network path can read and change everything, tokens included")
                }
            default:
                preconditionFailure("the table puts \(directive.name) into an upstream's tls, where nothing reads it")
            }
        }
        return tls
    }
}
