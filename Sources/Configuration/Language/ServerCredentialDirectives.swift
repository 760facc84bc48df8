// The directives of `route` blocks that say what servers get in place of the client's credentials.
//
// Invariant: as in Interpreter.swift; no message repeats a word of these directives, since any of them may be the secret.

import Credentials
import HTTP

/// The proxy's own credentials while a route is read.
struct ServerCredentialDraft {
    var credentials = ServerCredentials()
    /// Where the names of fields stand. They are compared with others when the whole file has been read.
    var fields: [Word] = []
    /// Where a token is named.
    var token: Word?

    fileprivate static let mostFields = 16
    fileprivate static let valueBytes = 4_096

    static let rows: [Row<RouteDraft>] = [
        .own(
            "upstream_authorization", "pass|remove|bearer TEXT|basic USER PASSWORD|field NAME|token NAME", arguments: 1...3,
            default: "pass", isSecret: true, "What the server gets in place of the client's Authorization field."
        ) { interpreter, statement, draft in
            interpreter.readAuthorization(statement.arguments, into: &draft)
        },
        .own(
            "upstream_field", "NAME VALUE", arguments: 2...2, default: "(none)", isRepeatable: true, isSecret: true,
            "A field that the server gets with every request, and that is taken from all clients."
        ) { interpreter, statement, draft in
            let words = statement.arguments
            guard interpreter.isUnusedField(words[0], in: draft), let value = interpreter.readFieldValue(words[1]) else { return }
            guard draft.server.credentials.fields.count < mostFields else {
                return interpreter.error(words[0], "a route can write at most \(mostFields) fields")
            }
            draft.server.fields.append(words[0])
            draft.server.credentials.fields.append(ServerCredentials.Field(name: words[0].text, value: value))
        },
    ]
}

extension Interpreter {
    private enum AuthorizationKind { case pass, remove, bearer, basic, field, token }

    fileprivate mutating func readAuthorization(_ words: [Word], into draft: inout RouteDraft) {
        let kinds: [String: (AuthorizationKind, count: Int)] = [
            "pass": (.pass, 1), "remove": (.remove, 1), "bearer": (.bearer, 2), "basic": (.basic, 3), "field": (.field, 2),
            "token": (.token, 2),
        ]
        // What stands in place of a known word may be a secret.
        guard let (kind, count) = kinds[words[0].text], words.count == count else {
            return error(words[0], "write one of: pass, remove, bearer TEXT, basic USER PASSWORD, field NAME, token NAME")
        }
        switch kind {
        case .pass: draft.server.credentials.authorization = .pass
        case .remove: draft.server.credentials.authorization = .remove
        case .bearer:
            let token = words[1].text.utf8
            guard (1...ServerCredentialDraft.valueBytes).contains(token.count), token.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                return error(words[1], "a token has 1 to \(ServerCredentialDraft.valueBytes) visible ASCII characters")
            }
            draft.server.credentials.authorization = .value(Array("Bearer ".utf8) + token)
        case .basic:
            // RFC 7617 section 2.
            guard !words[1].text.utf8.contains(UInt8(ascii: ":")) else { return error(words[1], "a user's name holds no colon") }
            for word in words[1...] {
                guard word.text.utf8.count <= 1_024, word.text.unicodeScalars.allSatisfy({ !isControl($0) }) else {
                    return error(word, "a user's name and a password have at most 1024 bytes and no control character")
                }
            }
            draft.server.credentials.authorization = .value(
                BasicCredentials.authorizationValue(user: words[1].text.utf8, password: words[2].text.utf8))
        case .token:
            draft.server.token = words[1]
            draft.server.credentials.authorization = .token(words[1].text)
        case .field:
            guard isUnusedField(words[1], in: draft) else { return }
            draft.server.fields.append(words[1])
            draft.server.credentials.authorization = .field(words[1].text)
        }
    }

    fileprivate mutating func isUnusedField(_ word: Word, in draft: RouteDraft) -> Bool {
        guard isUsableField(word, isShown: false) else { return false }
        guard !draft.server.fields.contains(where: { CheckDraft.isSameField($0.text, word.text) }) else {
            error(word, "this field is written twice")
            return false
        }
        return true
    }

    fileprivate mutating func readFieldValue(_ word: Word) -> [UInt8]? {
        let value = Array(word.text.utf8)
        let isUsable =
            (1...ServerCredentialDraft.valueBytes).contains(value.count) && value.first != 0x20 && value.last != 0x20
            && word.text.unicodeScalars.allSatisfy { !isControl($0) }
        guard isUsable else {
            error(
                word,
                "the value of a field has 1 to \(ServerCredentialDraft.valueBytes) bytes, no control character, and no blank at either end")
            return nil
        }
        return value
    }

    /// Takes the credentials into the route when its whole block has been read.
    mutating func finishServerCredentials(of draft: inout RouteDraft) {
        for word in draft.server.fields where draft.check.fields.contains(where: { CheckDraft.isSameField($0.text, word.text) }) {
            error(word, "the route writes this field with 'claim_field' already")
        }
        if draft.server.credentials != ServerCredentials() { draft.route.serverCredentials = draft.server.credentials }
    }
}
