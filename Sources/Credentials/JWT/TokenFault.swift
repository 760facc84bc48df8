// Why a token is not good. The client gets one answer for all faults of one kind; the log has the word.

/// What is wrong with a token. The raw value is the log's word.
package enum TokenFault: String, Sendable, CaseIterable, Error {
    /// Not three parts of canonical base64url, or too long.
    case shape
    /// A header that is no strict JSON object, or asks for what no reader may ignore.
    case header
    /// An algorithm that the issuer does not use, or that the key is not for.
    case algorithm
    /// No key of the issuer is for this token.
    case key
    /// The signature does not belong to the token and the key.
    case signature
    /// A payload that is no strict JSON object.
    case payload
    /// A claim is missing or has a wrong form.
    case claims
    /// Not one of the route's issuers.
    case issuer
    /// Made for somebody else.
    case audience
    /// Not good before a moment that is still to come.
    case notYet = "not_yet"
    /// Good for longer than the issuer's tokens may be.
    case lifetime
    /// Another kind of token.
    case type
    /// Bound to a certificate that the client has not shown, or to a key that it would have to prove.
    case confirmation
    /// Good in every way, but its time is over.
    case expired
    /// The issuer was asked, and does not stand by it.
    case denied
    /// A scope that the route requires is missing.
    case scope
    /// A claim does not have one of the values that the route requires.
    case claim

    /// Whether the token is good, and not for this route (403). All other faults are answered 401.
    package var isForbidden: Bool { self == .scope || self == .claim }

    /// One phrase for the client. It is the same for all tokens that nobody should have: no answer helps to guess one.
    package var reason: StaticString {
        switch self {
        case .expired: "the token has expired"
        case .scope, .claim: "the token is not for this resource"
        default: "the token is not valid"
        }
    }
}
