// Takes a request's token out of a body that comes in pieces, as a recording needs it. Invariant: whatever the pieces are, what comes
// out is as long as what went in and does not hold the token, in no encoding that URLs give it.

import Bytes

/// Puts `*` in the place of each byte of a token.
package struct TokenMask: Sendable {
    private static let mask = UInt8(ascii: "*")
    /// A body may end with this many bytes of the token: so few reveal nothing.
    private static let harmlessBytes = 3

    private let token: Token
    private let overlaps: [Int32]
    /// The last bytes of the body so far, if the token may begin there.
    private var held: [UInt8] = []

    /// Nil for a token that is too short to be told from other texts.
    package init?(of token: Token) {
        guard let traces = TokenTraces(of: token) else { return nil }
        self.token = traces.token
        overlaps = traces.token.withBytes(TokenTraces.overlaps)
    }

    /// How many bytes of the body have not come out yet. For tests.
    package var heldCount: Int { held.count }

    /// The next bytes of the body without the token. Bytes at the end that may be its beginning come out with the next piece.
    package mutating func masked(_ piece: Span<UInt8>) -> [UInt8] {
        var text = held
        text.reserveCapacity(held.count + piece.count)
        for index in piece.indices { text.append(piece[index]) }
        let (start, _) = mask(&text, to: endOfWholeEscapes(text))
        held = Array(text[start...])
        text.removeLast(held.count)
        // No encoding of the token is so long; these are escapes of escapes without an end.
        if held.count > 16 * token.count {
            text += held.map { _ in Self.mask }
            held = []
        }
        return text
    }

    /// The rest of the body.
    package mutating func finish() -> [UInt8] {
        var text = held
        held = []
        let (start, matched) = mask(&text, to: text.count)
        if matched > Self.harmlessBytes { for index in start..<text.count { text[index] = Self.mask } }
        return text
    }

    /// Masks each token in the text up to `end`. Returns where a token may begin that is not complete there, and how much of it there is
    /// (Knuth, Morris and Pratt's search).
    private func mask(_ text: inout [UInt8], to end: Int) -> (start: Int, matched: Int) {
        var matched = 0
        var index = 0
        // Where each byte of the token's beginning stands that has been found; what is in front of `first` is no longer needed.
        var places: [Int] = []
        var first = 0
        while index < end {
            let place = index
            let byte = peeledByte(text.span, at: index, next: &index)
            token.withBytes { token in
                while matched > 0, token[matched] != byte { matched = Int(overlaps[matched - 1]) }
                if token[matched] == byte { matched += 1 }
            }
            first = places.count - max(matched - 1, 0)
            if matched > 0 { places.append(place) }
            guard matched == token.count else { continue }
            for masked in places[first]..<index { text[masked] = Self.mask }
            matched = 0
        }
        return (matched > 0 ? places[first] : end, matched)
    }

    /// Where the escape begins that the text's end may have cut: `%`, `%2`, `%25`, `%252`.
    private func endOfWholeEscapes(_ text: [UInt8]) -> Int {
        guard var start = text.lastIndex(of: UInt8(ascii: "%")) else { return text.count }
        let rest = text[(start + 1)...]
        var digits = rest
        while digits.starts(with: [UInt8(ascii: "2"), UInt8(ascii: "5")]) { digits = digits.dropFirst(2) }
        guard digits.count <= 1, digits.allSatisfy({ hexadecimalValue($0) != nil }) else { return text.count }
        while start > 0, text[start - 1] == UInt8(ascii: "%") { start -= 1 }
        return start
    }
}
