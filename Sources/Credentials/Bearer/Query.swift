// The query of a target or URL: pieces between `&`, each with a name and a value. Names are compared percent-decoded. Nothing is
// repaired or encoded again. Invariant: other pieces are copied byte for byte, empty ones too.

import Bytes

/// The byte that a percent escape at `index` stands for; nil when there is no well-formed one.
func percentEscape(_ bytes: Span<UInt8>, at index: Int, end: Int) -> UInt8? {
    guard end - index >= 3, bytes[index] == UInt8(ascii: "%"), let high = hexadecimalValue(bytes[index + 1]),
        let low = hexadecimalValue(bytes[index + 2])
    else { return nil }
    return high << 4 | low
}

/// Whether the percent-decoded bytes of `range` are `name`. A malformed escape stands for itself.
func decodes(_ bytes: Span<UInt8>, _ range: Range<Int>, to name: [UInt8]) -> Bool {
    var index = range.lowerBound
    for expected in name {
        guard index < range.upperBound else { return false }
        if let decoded = percentEscape(bytes, at: index, end: range.upperBound) {
            guard decoded == expected else { return false }
            index += 3
        } else {
            guard bytes[index] == expected else { return false }
            index += 1
        }
    }
    return index == range.upperBound
}

/// Which of `names` the parameter in `piece` has, and where its value is.
func matchParameter(_ bytes: Span<UInt8>, _ piece: Range<Int>, names: [[UInt8]]) -> (nameIndex: Int, value: Range<Int>)? {
    let nameEnd = firstByte(UInt8(ascii: "="), in: bytes, piece)
    for index in names.indices where decodes(bytes, piece.lowerBound..<nameEnd, to: names[index]) {
        return (index, min(nameEnd + 1, piece.upperBound)..<piece.upperBound)
    }
    return nil
}

extension TokenBridge {
    /// Adds the tokens of the target's query to `finding`. Returns whether there were any.
    func scanQuery(of head: Span<UInt8>, target: Range<Int>, into finding: inout Finding) -> Bool {
        guard !queryNames.isEmpty else { return false }
        var hasHits = false
        var start = firstByte(UInt8(ascii: "?"), in: head, target) + 1
        while start <= target.upperBound {
            let end = firstByte(UInt8(ascii: "&"), in: head, start..<target.upperBound)
            if let hit = matchParameter(head, start..<end, names: queryNames) {
                if hit.nameIndex < usedQueryCount {
                    finding.add(hit.nameIndex, isCookie: false, value: hit.value)
                } else if !hit.value.isEmpty {
                    finding.addUnused()
                }
                hasHits = true
            }
            start = end + 1
        }
        return hasHits
    }

    /// The target without the policy's parameters and those of tickets. When no piece is left, the `?` goes too.
    func targetWithoutTokens(_ head: Span<UInt8>, _ target: Range<Int>) -> [UInt8] { targetWithout(queryNames, head, target) }
}

/// The target without parameters of these names. When no piece is left, the `?` goes too.
func targetWithout(_ names: [[UInt8]], _ head: Span<UInt8>, _ target: Range<Int>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(target.count)
    let pathEnd = firstByte(UInt8(ascii: "?"), in: head, target)
    append(head, target.lowerBound..<pathEnd, to: &result)
    var start = pathEnd + 1
    var separator = UInt8(ascii: "?")
    while start <= target.upperBound {
        let end = firstByte(UInt8(ascii: "&"), in: head, start..<target.upperBound)
        if matchParameter(head, start..<end, names: names) == nil {
            result.append(separator)
            append(head, start..<end, to: &result)
            separator = UInt8(ascii: "&")
        }
        start = end + 1
    }
    return result
}

/// Copies a range.
func append(_ bytes: Span<UInt8>, _ range: Range<Int>, to result: inout [UInt8]) {
    for index in range { result.append(bytes[index]) }
}

/// The URL without parameters of these names, wherever a `?`, `&` or `#` begins one; nil when it has none.
///
/// On purpose this removes more than the bridge takes for a token: the result is only logged or sent to a third party, so too much is
/// better than too little.
func redactParameters(_ url: Span<UInt8>, names: [[UInt8]]) -> [UInt8]? {
    var result: [UInt8] = []
    var hasHits = false
    var start = 0
    // The separator in front of the piece that begins at `start`; nil for the part before any separator.
    var mark: UInt8?
    while start <= url.count {
        var end = start
        while end < url.count, !isParameterMark(url[end], isInPath: mark == nil) { end += 1 }
        let next: UInt8? = end < url.count ? url[end] : nil
        if mark != nil, matchParameter(url, start..<end, names: names) != nil {
            hasHits = true
            // The next parameter takes this one's place, so that the list keeps its `?` or `#`.
            if next != UInt8(ascii: "&") { mark = next }
        } else {
            if let mark { result.append(mark) }
            append(url, start..<end, to: &result)
            mark = next
        }
        start = end + 1
    }
    return hasHits ? result : nil
}

private func isParameterMark(_ byte: UInt8, isInPath: Bool) -> Bool {
    byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#") || (byte == UInt8(ascii: "&") && !isInPath)
}

/// The text of a value that is encoded as in a form: `+` is a blank, and a percent sign without two digits stands for itself (WHATWG URL
/// section 5.1).
func formDecoded(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    var text: [UInt8] = []
    var index = range.lowerBound
    while index < range.upperBound {
        if let decoded = percentEscape(bytes, at: index, end: range.upperBound) {
            text.append(decoded)
            index += 3
        } else {
            text.append(bytes[index] == UInt8(ascii: "+") ? UInt8(ascii: " ") : bytes[index])
            index += 1
        }
    }
    return text
}

/// The parameters of a target's query, in their order, names and values as texts (WHATWG URL section 5.1).
package func formParameters(of target: Span<UInt8>) -> [(name: [UInt8], value: [UInt8])] {
    var found: [(name: [UInt8], value: [UInt8])] = []
    var start = firstByte(UInt8(ascii: "?"), in: target, target.indices) + 1
    while start < target.count {
        let end = firstByte(UInt8(ascii: "&"), in: target, start..<target.count)
        let nameEnd = firstByte(UInt8(ascii: "="), in: target, start..<end)
        if start < end { found.append((formDecoded(target, start..<nameEnd), formDecoded(target, min(nameEnd + 1, end)..<end))) }
        start = end + 1
    }
    return found
}
