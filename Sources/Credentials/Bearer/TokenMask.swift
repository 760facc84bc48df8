// Takes a request's token out of a body that comes in pieces, as a recording needs it. Invariant: whatever the pieces are, what comes
// out is as long as what went in and does not hold the token, in no spelling that URLs and JSON give it.

import Bytes

/// Puts `*` in the place of each byte of a token.
package struct TokenMask: Sendable {
    private static let mask = UInt8(ascii: "*")
    /// A body may end with this many bytes of the token: so few reveal nothing.
    private static let harmlessBytes = 3

    /// A token that is looked for in one way.
    private struct Sought: Sendable {
        let token: Token
        let overlaps: [Int32]
        /// Whether the body's escapes are taken off.
        let peels: Bool

        init(_ token: Token, peels: Bool) {
            self.token = token
            self.peels = peels
            overlaps = token.withBytes(TokenTraces.overlaps)
        }
    }

    private let spelled: Sought
    /// The token as it is. What stands in front of it may look like the beginning of an escape that takes its first bytes in.
    private let plain: Sought
    /// The last bytes of the body so far, if the token may begin there.
    private var held: [UInt8] = []

    /// Nil for a token that is too short to be told from other texts.
    package init?(of token: Token) {
        guard let traces = TokenTraces(of: token) else { return nil }
        spelled = Sought(traces.token, peels: true)
        plain = Sought(token, peels: false)
    }

    /// How many bytes of the body have not come out yet. For tests.
    package var heldCount: Int { held.count }

    /// The next bytes of the body without the token. Bytes at the end that may be its beginning come out with the next piece.
    package mutating func masked(_ piece: Span<UInt8>) -> [UInt8] {
        var text = held
        text.reserveCapacity(held.count + piece.count)
        for index in piece.indices { text.append(piece[index]) }
        let start = mask(&text, isWhole: false)
        held = Array(text[start...])
        text.removeLast(held.count)
        // No usual spelling of the token is so long; these are escapes of escapes.
        if held.count > 16 * spelled.token.count + longestSpellingBytes {
            text += held.map { _ in Self.mask }
            held = []
        }
        return text
    }

    /// The rest of the body.
    package mutating func finish() -> [UInt8] {
        var text = held
        held = []
        let start = mask(&text, isWhole: true)
        for index in start..<text.count { text[index] = Self.mask }
        return text
    }

    /// Masks each token in the text. Returns where a token may begin whose rest is still to come, or that is cut by the end of the whole.
    private func mask(_ text: inout [UInt8], isWhole: Bool) -> Int {
        let hasEscapes = text.contains { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "\\") }
        let startOfPlain = hasEscapes ? mask(plain, in: &text, isWhole: isWhole) : text.count
        return min(startOfPlain, mask(spelled, in: &text, isWhole: isWhole))
    }

    private func mask(_ sought: Sought, in text: inout [UInt8], isWhole: Bool) -> Int {
        var matched = 0
        var index = 0
        // Where each byte of the token's beginning stands that has been found; what is in front of `first` is no longer needed.
        var places: [Int] = []
        var first = 0
        while index < text.count {
            let place = index
            let peeled = sought.peels ? peeledByte(text.span, at: index) : PeeledByte(byte: text[index], next: index + 1)
            if peeled.isCut, !isWhole || matched > Self.harmlessBytes { return matched > 0 ? places[first] : place }
            index = peeled.next
            matched = sought.token.withBytes { TokenTraces.advanced(matched, by: peeled.byte, in: $0, sought.overlaps) }
            first = places.count - max(matched - 1, 0)
            if matched > 0 { places.append(place) }
            guard matched == sought.token.count else { continue }
            for masked in places[first]..<index { text[masked] = Self.mask }
            matched = 0
        }
        return matched > (isWhole ? Self.harmlessBytes : 0) ? places[first] : text.count
    }
}
