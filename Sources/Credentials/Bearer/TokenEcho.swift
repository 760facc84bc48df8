// Finds a request's token in texts of its server, so that the log does not contain it.
//
// A server chooses its events' names and ids, and could put the client's token into an id. Invariant: only the bytes that are needed to
// find the token are kept, and what keeps them wipes them at its end.

import COpenSSL

/// Knows how a token begins, and finds it in a text. The bytes stand in the value itself: a stream with a token keeps one of these, and an
/// object of its own for so few bytes would be larger than they are.
package struct TokenEcho: Sendable, CustomStringConvertible, CustomReflectable {
    /// How many bytes of a token are searched for; all of a shorter one.
    package static let beginningBytes = 16
    /// A cut text may end with this many bytes of the token: so few reveal nothing.
    private static let harmlessBytes = 3

    private var beginning = InlineArray<16, UInt8>(repeating: 0)
    private var count: UInt8 = 0

    /// An echo that finds this token.
    package init(of token: Token) { self = token.withBytes { TokenEcho(ofEncoded: $0) } }

    /// An echo that finds the token written like this in a URL or a cookie. The token may be malformed.
    package init(ofEncoded value: Span<UInt8>) {
        var index = 0
        while index < value.count, beginningCount < TokenEcho.beginningBytes {
            beginning[beginningCount] = peeledByte(value, at: index, next: &index)
            count += 1
        }
    }

    /// Forgets the token, so that nothing of it stays in freed memory.
    package mutating func wipe() {
        withUnsafeMutableBytes(of: &beginning) { OPENSSL_cleanse($0.baseAddress, $0.count) }
        count = 0
    }

    var beginningCount: Int { Int(count) }

    /// Where the token first begins in the text, in any spelling; nil if it does not. For a text that `isCut`, ending within that beginning
    /// is enough, or within an escape of it. Allocates nothing.
    func firstPlace(in text: Span<UInt8>, isCut: Bool) -> Int? {
        let count = beginningCount
        for start in text.indices {
            // Most bytes of a text are neither the token's first one nor the beginning of an escape.
            let byte = text[start]
            if byte != beginning[0], byte != UInt8(ascii: "%"), byte != UInt8(ascii: "\\"), count > 0 { continue }
            var matched = 0
            var index = start
            while matched < count, index < text.count {
                let peeled = peeledByte(text, at: index)
                if isCut, peeled.isCut, matched > TokenEcho.harmlessBytes { return start }
                guard peeled.byte == beginning[matched] else { break }
                index = peeled.next
                matched += 1
            }
            if matched == count { return start }
            if isCut, index == text.count, matched > TokenEcho.harmlessBytes { return start }
        }
        return nil
    }

    /// Whether the text holds the beginning of the token. For a text that `isCut`, ending within that beginning is enough. Allocates
    /// nothing.
    package func isHeard(in text: Span<UInt8>, isCut: Bool) -> Bool {
        // Most ids are shorter than any token.
        guard text.count >= count || isCut else { return false }
        return firstPlace(in: text, isCut: isCut) != nil
    }

    /// Always `<token>`.
    package var description: String { "<token>" }
    /// A mirror without children.
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
