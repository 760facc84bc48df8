// The Cookie field: pairs between `;`, read as tolerantly as servers do (RFC 6265 section 5.4 says what browsers send). A malformed
// pair is no error here; it is passed on. Invariant: other pairs are copied byte for byte.

import Bytes

/// Which of `names` the cookie in `pair` has, and where its value is, without quotes around it. A pair without `=` is a cookie without
/// a name, so it never matches.
func matchCookie(_ bytes: Span<UInt8>, _ pair: Range<Int>, names: [[UInt8]]) -> (nameIndex: Int, value: Range<Int>)? {
    let pair = trimmingBlanks(bytes, pair)
    let nameEnd = firstByte(UInt8(ascii: "="), in: bytes, pair)
    guard nameEnd < pair.upperBound else { return nil }
    let name = trimmingBlanks(bytes, pair.lowerBound..<nameEnd)
    for index in names.indices where equals(bytes, name, names[index]) {
        var value = trimmingBlanks(bytes, nameEnd + 1..<pair.upperBound)
        let quote = UInt8(ascii: "\"")
        if value.count >= 2, bytes[value.lowerBound] == quote, bytes[value.upperBound - 1] == quote {
            value = value.lowerBound + 1..<value.upperBound - 1
        }
        return (index, value)
    }
    return nil
}

/// The values of all cookies of a name, empty ones too.
/// - Parameters:
///   - head: the bytes that the ranges point into.
///   - fields: the values of the Cookie fields.
package func cookieValues(of head: Span<UInt8>, _ fields: [Range<Int>], name: [UInt8]) -> [Range<Int>] {
    valuesOfCookies(in: head, fields, names: [name])
}

private func valuesOfCookies(in head: Span<UInt8>, _ fields: [Range<Int>], names: [[UInt8]]) -> [Range<Int>] {
    var values: [Range<Int>] = []
    for field in fields {
        var start = field.lowerBound
        while start <= field.upperBound {
            let end = firstByte(UInt8(ascii: ";"), in: head, start..<field.upperBound)
            if let hit = matchCookie(head, start..<end, names: names) { values.append(hit.value) }
            start = end + 1
        }
    }
    return values
}

extension TokenBridge {
    /// The pair as one of the policy's cookies or a ticket's; nil for another cookie, or for one that passes like another.
    private func matchToken(_ head: Span<UInt8>, _ pair: Range<Int>) -> (nameIndex: Int, value: Range<Int>)? {
        guard let hit = matchCookie(head, pair, names: cookieNames),
            !isTokenCookie(hit.nameIndex) || !passesAsCookie(head, hit.value)
        else { return nil }
        return hit
    }

    /// Whether the cookie holds a token itself. The proxy's own cookies are for no server.
    private func isTokenCookie(_ nameIndex: Int) -> Bool { nameIndex < usedCookieCount && cookieTickets[nameIndex] == nil }

    /// Adds the tokens of the Cookie fields to `finding`. Returns whether there were any.
    func scanCookies(of head: Span<UInt8>, _ fields: [Range<Int>], into finding: inout Finding) -> Bool {
        guard !cookieNames.isEmpty else { return false }
        var hasHits = false
        for field in fields {
            var start = field.lowerBound
            while start <= field.upperBound {
                let end = firstByte(UInt8(ascii: ";"), in: head, start..<field.upperBound)
                if let hit = matchToken(head, start..<end) {
                    if hit.nameIndex < usedCookieCount { finding.add(hit.nameIndex, isCookie: true, value: hit.value) }
                    hasHits = true
                }
                start = end + 1
            }
        }
        return hasHits
    }

    /// The values of the policy's cookies that are not empty.
    /// - Parameters:
    ///   - head: the bytes that the ranges point into.
    ///   - fields: the values of the Cookie fields.
    package func cookieValues(of head: Span<UInt8>, _ fields: [Range<Int>]) -> [Range<Int>] {
        valuesOfCookies(in: head, fields, names: cookieNames).filter { !$0.isEmpty }
    }

    /// One Cookie value without the policy's cookies and those of tickets; empty when nothing but blanks would be left.
    func cookiesWithoutTokens(_ head: Span<UInt8>, _ fields: [Range<Int>]) -> [UInt8] {
        var result: [UInt8] = []
        var hasContent = false
        for field in fields {
            var start = field.lowerBound
            var isFirstOfField = true
            while start <= field.upperBound {
                let end = firstByte(UInt8(ascii: ";"), in: head, start..<field.upperBound)
                if matchToken(head, start..<end) == nil {
                    var pair = start..<end
                    if isFirstOfField {
                        // The blank between this pair and the removed one before it is not needed any more.
                        while !pair.isEmpty, isBlank(head[pair.lowerBound]) { pair = pair.lowerBound + 1..<pair.upperBound }
                        if !result.isEmpty { result.append(contentsOf: [UInt8(ascii: ";"), UInt8(ascii: " ")]) }
                    } else {
                        result.append(UInt8(ascii: ";"))
                    }
                    append(head, pair, to: &result)
                    if !trimmingBlanks(head, pair).isEmpty { hasContent = true }
                    isFirstOfField = false
                }
                start = end + 1
            }
        }
        return hasContent ? result : []
    }
}
