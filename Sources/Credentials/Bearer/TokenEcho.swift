// Finding a request's token again in what its server says, so that it is not written down.
//
// A server names its events as it likes, and could put into an id what it was given to identify the client. Invariant: no more of a
// token is kept than is needed to find it, and that is wiped like the token itself.

/// Knows how a token begins, and hears it in a text.
package struct TokenEcho: Sendable {
    /// So many bytes of a token are looked for; all of a shorter one.
    package static let beginningBytes = 16
    /// Where a text was cut, so few bytes of a token's beginning tell nobody anything.
    private static let harmlessBytes = 3

    private let beginning: Token

    /// What is needed to find this token.
    package init(of token: Token) { beginning = token.beginning(bytes: TokenEcho.beginningBytes) }

    /// What is needed to find the token that is written like this in a URL or a cookie. It may be malformed.
    init(ofEncoded value: Span<UInt8>) {
        var bytes: [UInt8] = []
        var index = 0
        while index < value.count, bytes.count < TokenEcho.beginningBytes { bytes.append(peeledByte(value, at: index, next: &index)) }
        beginning = Token(copying: bytes.span)
        for index in bytes.indices { bytes[index] = 0 }
    }

    var beginningCount: Int { beginning.count }

    /// Where the token begins in the text first, in any encoding; nil where it does not.
    func firstPlace(in text: Span<UInt8>, isCut: Bool) -> Int? {
        beginning.withBytes { beginning in
            for start in text.indices {
                var matched = 0
                var index = start
                while matched < beginning.count, index < text.count {
                    guard peeledByte(text, at: index, next: &index) == beginning[matched] else { break }
                    matched += 1
                }
                if matched == beginning.count { return start }
                if isCut, index == text.count, matched > TokenEcho.harmlessBytes { return start }
            }
            return nil
        }
    }

    /// Whether the text holds the beginning of the token. Where the text `isCut`, it is enough that it ends within that. Allocates nothing.
    package func isHeard(in text: Span<UInt8>, isCut: Bool) -> Bool {
        // Most ids are shorter than any token.
        guard text.count >= beginning.count || isCut else { return false }
        return beginning.withBytes { beginning in
            for start in 0..<text.count {
                var matched = 0
                while matched < beginning.count, start + matched < text.count, text[start + matched] == beginning[matched] { matched += 1 }
                if matched == beginning.count { return true }
                if isCut, start + matched == text.count, matched > TokenEcho.harmlessBytes { return true }
            }
            return false
        }
    }
}
