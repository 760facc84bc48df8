// What an `Authorization` field holds, as far as it can be said without knowing its scheme (RFC 9110 section 11.4):
//
//     credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//
// Invariant: a value that no server could take for credentials is never `credentials`; one that a server could take always is.

/// What the value of an `Authorization` field is.
enum AuthorizationField: Equatable {
    /// Empty, or a scheme with nothing behind it: nobody can be known by it, so it counts as no field at all.
    case nothing
    /// No credentials of any scheme.
    case malformed
    /// A scheme, and behind it one visible character at least that is neither a comma nor a quote.
    case credentials

    /// Reads a value without blanks around it. What stands behind the scheme is the server's matter: many take what has no syntax of
    /// RFC 9110, `Bearer 12|abc` or `ApiKey id:key`.
    init(_ value: Span<UInt8>) {
        var index = 0
        while index < value.count, isTokenByte(value[index]) { index += 1 }
        let scheme = 0..<index
        while index < value.count, value[index] == UInt8(ascii: " ") { index += 1 }
        if index == value.count {
            self = .nothing
            return
        }
        guard !scheme.isEmpty, index > scheme.upperBound else {
            self = .malformed
            return
        }
        var syntax = TokenSyntax(.visible)
        self = (index..<value.count).contains { syntax.accepts(value[$0]) } ? .credentials : .malformed
    }
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
private func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"),
        UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"),
        UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
        true
    default: false
    }
}
