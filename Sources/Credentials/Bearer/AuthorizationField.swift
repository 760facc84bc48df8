// The content of an `Authorization` field, as far as it is known without knowing its scheme (RFC 9110 section 11.4):
//
//     credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//
// Invariant: a value that some server could take for credentials is always `credentials`; any other value never is.

import Bytes

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
        while index < value.count, isTokenCharacter(value[index]) { index += 1 }
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
