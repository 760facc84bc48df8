// Finds a request's token in texts of its server, so that the log does not contain it.
//
// A server chooses its events' names and ids, and could put the client's token into an id. Invariant: only the bytes that are needed to
// find the token are kept, and they are wiped like the token itself.

/// Knows how a token begins, and finds it in a text.
package struct TokenEcho: Sendable {
    /// How many bytes of a token are searched for; all of a shorter one.
    package static let beginningBytes = 16
    /// A cut text may end with this many bytes of the token: so few reveal nothing.
    private static let harmlessBytes = 3

    private let beginning: Token

    /// An echo that finds this token.
    package init(of token: Token) { self = token.withBytes { TokenEcho(ofEncoded: $0) } }

    /// An echo that finds the token written like this in a URL or a cookie. The token may be malformed.
    package init(ofEncoded value: Span<UInt8>) {
        var bytes: [UInt8] = []
        var index = 0
        while index < value.count, bytes.count < TokenEcho.beginningBytes { bytes.append(peeledByte(value, at: index, next: &index)) }
        beginning = Token(copying: bytes.span)
        for index in bytes.indices { bytes[index] = 0 }
    }

    var beginningCount: Int { beginning.count }

    /// Where the token first begins in the text, in any spelling; nil if it does not. For a text that `isCut`, ending within that beginning
    /// is enough, or within an escape of it. Allocates nothing.
    func firstPlace(in text: Span<UInt8>, isCut: Bool) -> Int? {
        beginning.withBytes { beginning in
            for start in text.indices {
                var matched = 0
                var index = start
                while matched < beginning.count, index < text.count {
                    let peeled = peeledByte(text, at: index)
                    if isCut, peeled.isCut, matched > TokenEcho.harmlessBytes { return start }
                    guard peeled.byte == beginning[matched] else { break }
                    index = peeled.next
                    matched += 1
                }
                if matched == beginning.count { return start }
                if isCut, index == text.count, matched > TokenEcho.harmlessBytes { return start }
            }
            return nil
        }
    }

    /// Whether the text holds the beginning of the token. For a text that `isCut`, ending within that beginning is enough. Allocates
    /// nothing.
    package func isHeard(in text: Span<UInt8>, isCut: Bool) -> Bool {
        // Most ids are shorter than any token.
        guard text.count >= beginning.count || isCut else { return false }
        return firstPlace(in: text, isCut: isCut) != nil
    }
}
