// What an issuer answers when it is asked about a token (RFC 7662 section 2.2). Invariant: a token is active by the word `true` alone;
// everything that is no clear answer counts as none.

/// An answer about a token.
package enum IntrospectionAnswer: Sendable {
    /// The token is the issuer's, and good for what the claims say.
    case active
    /// It is not.
    case inactive
    /// Nothing that can be understood.
    case unusable

    private static let limits = JSONLimits(depth: 16, members: 2_000)

    /// The answer of a text.
    package init(_ text: [UInt8]) {
        guard let active = IntrospectionAnswer.claims(in: text)?["active"], active.kind == .boolean else {
            self = .unusable
            return
        }
        self = active.written.elementsEqual("true".utf8) ? .active : .inactive
    }

    /// What a text says of the token; nil for no strict JSON object.
    static func claims(in text: [UInt8]) -> JSONObject? { try? JSONObject(reading: text, limits: limits) }
}
