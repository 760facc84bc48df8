// Finds a request's token in the rest of the request: a URL in another field, a URL within a URL, a path. Tools repeat the address of a
// page or a request in many fields, and the token with it. Invariant: the cost is proportional to the text, whatever the token and the
// text are.

import Bytes

/// So few bytes are no secret, and occur in many texts by chance.
private let shortestTraceBytes = 8

/// Looks for a whole token in texts, in any spelling that URLs and JSON give it.
package struct TokenTraces: Sendable {
    let token: Token
    /// Made when a text is first long enough to hold the token.
    private var overlaps: [Int32] = []

    /// Nil for a token that is too short to be told from other texts.
    package init?(of token: Token) {
        let peeled = token.withBytes { bytes in
            // The token may contain what begins an escape, and texts are compared without their escapes.
            let isPlain = bytes.indices.allSatisfy { bytes[$0] != UInt8(ascii: "%") && bytes[$0] != UInt8(ascii: "\\") }
            if isPlain { return token }
            var peeled: [UInt8] = []
            var index = 0
            while index < bytes.count { peeled.append(peeledByte(bytes, at: index, next: &index)) }
            return Token(copying: peeled.span)
        }
        guard peeled.count >= shortestTraceBytes else { return nil }
        self.token = peeled
    }

    /// Whether the token stands in the text (Knuth, Morris and Pratt's search).
    package mutating func isLeft(in text: Span<UInt8>) -> Bool { isFound(in: text, passingWords: false) }

    /// Whether the token stands within a longer word of a field's value that looks like a URL, JSON or the like. As a whole word or
    /// list element the token is a separate credential, which the client put there on purpose.
    package mutating func isRepeated(in value: Span<UInt8>) -> Bool {
        guard value.count > token.count, value.indices.contains(where: { Self.isMark(value[$0]) }) else { return false }
        return isFound(in: value, passingWords: true)
    }

    private mutating func isFound(in text: Span<UInt8>, passingWords: Bool) -> Bool {
        guard text.count >= token.count else { return false }
        if overlaps.isEmpty { overlaps = token.withBytes(Self.overlaps) }
        return token.withBytes { [overlaps] token in
            var matched = 0
            var index = 0
            // The length of the current word so far. An escaped blank or comma does not end a word.
            var wordCount = 0
            while index < text.count {
                wordCount = Self.endsWord(text[index]) ? 0 : wordCount + 1
                let byte = peeledByte(text, at: index, next: &index)
                matched = Self.advanced(matched, by: byte, in: token, overlaps)
                guard matched == token.count else { continue }
                let isWord = wordCount == token.count && (index == text.count || Self.endsWord(text[index]))
                if !passingWords || !isWord { return true }
                matched = Int(overlaps[matched - 1])
            }
            return false
        }
    }

    private static func endsWord(_ byte: UInt8) -> Bool { isBlank(byte) || byte == UInt8(ascii: ",") }

    /// Whether the byte shows that a text is composed of parts.
    private static func isMark(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "&"), UInt8(ascii: "="), UInt8(ascii: "#"), UInt8(ascii: ":"),
            UInt8(ascii: ";"), UInt8(ascii: "%"), UInt8(ascii: "{"), UInt8(ascii: "\""), UInt8(ascii: "\\"):
            true
        default: false
        }
    }

    /// For each position in the token: the length of the token's beginning that ends there.
    static func overlaps(in token: Span<UInt8>) -> [Int32] {
        var overlaps = [Int32](repeating: 0, count: token.count)
        var matched = 0
        for index in 1..<token.count {
            matched = advanced(matched, by: token[index], in: token, overlaps)
            overlaps[index] = Int32(matched)
        }
        return overlaps
    }

    /// How much of the token ends with a byte, where so much of it ended with the byte before (less than all).
    @inline(__always)
    static func advanced(_ matched: Int, by byte: UInt8, in token: Span<UInt8>, _ overlaps: [Int32]) -> Int {
        var matched = matched
        while matched > 0, token[matched] != byte { matched = Int(overlaps[matched - 1]) }
        return token[matched] == byte ? matched + 1 : matched
    }

    /// The target without the query parameters that hold the token; nil if there are none. The path stays: without it the request would
    /// be a different one.
    package mutating func removed(fromQueryOf target: [UInt8]) -> [UInt8]? {
        guard target.count > token.count, isLeft(in: target.span) else { return nil }
        let bytes = target.span
        let pathEnd = firstByte(UInt8(ascii: "?"), in: bytes, bytes.indices)
        var result = Array(target[..<pathEnd])
        var separator = UInt8(ascii: "?")
        var start = pathEnd + 1
        var hasHits = false
        while start <= target.count {
            let end = firstByte(UInt8(ascii: "&"), in: bytes, start..<target.count)
            if isLeft(in: bytes.extracting(start..<end)) {
                hasHits = true
            } else {
                result.append(separator)
                append(bytes, start..<end, to: &result)
                separator = UInt8(ascii: "&")
            }
            start = end + 1
        }
        return hasHits ? result : nil
    }
}

extension TokenBridge {
    /// Whether a text of that many bytes is long enough to hold a token parameter.
    package func canHoldParameter(_ count: Int) -> Bool {
        for name in queryNames where name.count < count { return true }
        return false
    }
}

// MARK: - Paths in logs

/// Removes from paths what must not be logged: parameters with the name of a token parameter that clients put into the path and not
/// into the query (`/events;access_token=…`, `/events%3Faccess_token=…`).
package struct PathRedaction: Sendable {
    private let names: [[UInt8]]

    /// Redaction for the query parameters of all these policies and tickets.
    package init(_ policies: [BearerPolicy], tickets: [TicketPlaces] = []) {
        let ofTokens = policies.flatMap(\.sources).compactMap { if case .query(let name) = $0 { name } else { nil } }
        names = (ofTokens + tickets.compactMap(\.query)).map { Array($0.utf8) }
    }

    /// The path as it may be logged. Most paths are logged as they are, and cost no copy.
    package func redacted(_ path: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard !names.isEmpty, path.contains(UInt8(ascii: "=")) || path.contains(UInt8(ascii: "%")) else { return path }
        return redacted(Array(path))[...]
    }

    private func redacted(_ path: [UInt8]) -> [UInt8] {
        let bytes = path.span
        var result: [UInt8] = []
        var start = 0
        while start < path.count {
            // A piece includes the separator in front of it.
            var end = endOfPiece(bytes, from: start)
            if isParameter(bytes, start..<end) {
                // A token may contain a slash, and escaped bytes behind it may belong to it.
                while end < path.count, path[end] != UInt8(ascii: ";"), path[end] != UInt8(ascii: "&") { end += 1 }
            } else {
                append(bytes, start..<end, to: &result)
            }
            start = end
        }
        return result.first == path.first ? result : [UInt8(ascii: "/")] + result
    }

    private func endOfPiece(_ bytes: Span<UInt8>, from start: Int) -> Int {
        var index = start
        var next = start
        while index < bytes.count {
            let byte = peeledByte(bytes, at: index, next: &next)
            if index > start, Self.isMark(byte) { return index }
            index = next
        }
        return index
    }

    private func isParameter(_ bytes: Span<UInt8>, _ piece: Range<Int>) -> Bool {
        var start = piece.lowerBound
        if Self.isMark(peeledByte(bytes, at: start, next: &start)) == false { start = piece.lowerBound }
        return names.contains { name in
            var index = start
            for expected in name {
                guard index < piece.upperBound, peeledByte(bytes, at: index, next: &index) == expected else { return false }
            }
            return index < piece.upperBound && peeledByte(bytes, at: index, next: &index) == UInt8(ascii: "=")
        }
    }

    private static func isMark(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: ";"), UInt8(ascii: "?"), UInt8(ascii: "&"), UInt8(ascii: "#"), UInt8(ascii: ","): true
        default: false
        }
    }
}

extension TokenEcho {
    /// What is written in place of a token.
    private static let mask = Array("...".utf8)

    /// The text up to the token, in any spelling, and `...` in place of the rest. For a text that `isCut`, also if it ends within the
    /// token.
    package func masked(_ text: ArraySlice<UInt8>, isCut: Bool) -> ArraySlice<UInt8> {
        guard beginningCount >= shortestTraceBytes, let place = firstPlace(in: text.span, isCut: isCut) else { return text }
        return text.prefix(place) + Self.mask
    }
}
