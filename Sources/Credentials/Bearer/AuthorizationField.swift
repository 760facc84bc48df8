// The content of an `Authorization` field, as far as it is known without knowing its scheme (RFC 9110 section 11.4):
//
//     credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//
// Invariant: a value that some server could take for credentials is always `credentials`; any other value never is.

/// What the value of an `Authorization` field is.
enum AuthorizationField: Equatable {
    /// Empty, or a known scheme alone: it identifies nobody, so it counts as no field at all.
    case nothing
    /// No credentials of any scheme. Any other single word is malformed too, but may be a key by which the server knows the client.
    case malformed
    /// A scheme, and behind it at least one visible character that is neither a comma nor a quote.
    case credentials

    /// Schemes in use, registered (RFC 9110 section 16.4.1) or not, in lower case.
    private static let schemes: [StaticString] = [
        "bearer", "basic", "digest", "negotiate", "ntlm", "token", "jwt", "apikey", "api-key", "oauth", "dpop", "gnap", "hoba", "mutual",
        "privatetoken", "scram-sha-1", "scram-sha-256", "vapid", "concealed", "kerberos", "hawk", "aws", "aws4-hmac-sha256", "sharedkey",
        "sharedkeylite", "key", "signature", "hmac",
    ]

    /// Reads a value without blanks around it. The server judges what follows the scheme: many accept text without the syntax of RFC
    /// 9110, `Bearer 12|abc` or `ApiKey id:key`.
    init(_ value: Span<UInt8>) {
        var index = 0
        while index < value.count, isTokenByte(value[index]) { index += 1 }
        let scheme = 0..<index
        while index < value.count, value[index] == UInt8(ascii: " ") { index += 1 }
        if index == value.count {
            self = scheme.isEmpty || Self.schemes.contains(where: { equalsIgnoringCase(value, scheme, $0) }) ? .nothing : .malformed
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

private func equalsIgnoringCase(_ value: Span<UInt8>, _ range: Range<Int>, _ lowercasedName: StaticString) -> Bool {
    guard range.count == lowercasedName.utf8CodeUnitCount else { return false }
    for offset in range.indices where folded(value[offset]) != lowercasedName.utf8Start[offset - range.lowerBound] { return false }
    return true
}

/// A letter in small, any other byte as it is.
private func folded(_ byte: UInt8) -> UInt8 { UInt8(ascii: "A") <= byte && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte }

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
