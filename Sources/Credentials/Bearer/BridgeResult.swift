// What the token bridge answers about one request. Plain data: nothing here reads or writes a request.
// Invariant: no case, and no description of one, holds a byte of a token outside its `Token`.

/// What a request is for, as far as it decides which credentials go along.
package enum RequestKind: Sendable, Equatable {
    /// It carries what it has.
    case ordinary
    /// A browser's question whether a page may ask. It has no credentials and must not be asked for any (Fetch section 3.3.5); what a
    /// cookie holds is not used for it.
    case preflight
    /// TRACE, whose answer repeats the request: no cookies and no token go along (RFC 9110 section 9.3.8).
    case trace
}

/// What becomes of a request on a route that bridges tokens.
package enum BridgeResult: Sendable {
    /// No token was found where the policy looks, and none was asked for: the request goes on unchanged.
    case untouched
    /// The request goes on with what this says.
    case forward(BridgedRequest)
    /// The request is answered by the proxy and reaches no server.
    case refused(BridgeRefusal)
}

/// How a request goes on once its token was taken out of the URL and the cookies.
package struct BridgedRequest: Sendable {
    /// The token for `Authorization: Bearer`; nil when the request's own `Authorization` won and stays, when only empty places for a
    /// token were removed, and when the request may not carry one (`RequestKind`).
    package var token: Token?
    /// Where the token was found; nil together with `token`.
    package var origin: TokenOrigin?
    /// The request target without the token; nil when it is unchanged.
    package var target: [UInt8]?
    /// The query parameter that held the token; nil when it came otherwise.
    package var parameter: TakenParameter?
    /// One Cookie value that replaces all Cookie fields; nil when they are unchanged, empty when the field is to
    /// be left out.
    package var cookies: [UInt8]?
    /// Whether every `Authorization` field of the request is to be left out.
    package var dropAuthorization: Bool
    /// Whether the URL held a token, and so is not to be told to others.
    package var urlHeldToken: Bool
    /// Whether a cookie held a token.
    package var cookieHeldToken: Bool
}

/// The answer to a request whose credentials were refused.
package struct BridgeRefusal: Sendable {
    /// What was wrong.
    package var error: BridgeError
    /// The value of the `WWW-Authenticate` field of the answer (RFC 6750 section 3).
    package var wwwAuthenticate: [UInt8]
    /// Whether the URL held a token, and so is not to be told to others.
    package var urlHeldToken: Bool
    /// The status of the answer: 400 or 401.
    package var status: Int { error.status }
}

/// Where the token in use was found, as the log's `token_from` says it.
package enum TokenOrigin: String, Sendable, Equatable {
    /// A query parameter.
    case query
    /// A cookie.
    case cookie
    /// The request's own `Authorization` field.
    case authorization
}

/// Why a request's credentials were refused. All of these are the client's doing; repeating the same
/// request gives the same answer.
package enum BridgeError: Error, Sendable, Equatable, CaseIterable {
    /// No credentials, and the policy demands them (401).
    case missing
    /// An `Authorization` field that holds no credentials (RFC 9110 section 11.4), and the policy demands some (401).
    case unusableAuthorization
    /// Longer than the policy's `maximumTokenBytes` (400).
    case tokenTooLong
    /// A percent sign without two hexadecimal digits behind it (400).
    case malformedEncoding
    /// A character outside b64token, RFC 6750 section 2.1 (400).
    case forbiddenCharacter
    /// The same source gave more than one token (400).
    case repeatedToken
    /// Two sources gave a token each (400).
    case severalSources
    /// A token beside an `Authorization` field (400).
    case conflictsWithAuthorization
    /// More than one `Authorization` field (400).
    case severalAuthorizationFields

    /// Whether it says that there were no credentials, and not that there was something wrong with them.
    package var isMissing: Bool { self == .missing || self == .unusableAuthorization }

    /// The status of the answer: 401 where credentials are missing, else 400.
    package var status: Int { isMissing ? 401 : 400 }

    /// One plain phrase for the log and for `error_description`; it never holds a byte of the request.
    package var reason: StaticString {
        switch self {
        case .missing: "no credentials"
        case .unusableAuthorization: "the Authorization field holds no credentials"
        case .tokenTooLong: "the token is too long"
        case .malformedEncoding: "the token has a malformed percent escape"
        case .forbiddenCharacter: "the token has a character that no bearer token may have"
        case .repeatedToken: "the token was sent more than once"
        case .severalSources: "tokens were sent in more than one place"
        case .conflictsWithAuthorization: "a token was sent beside an Authorization field"
        case .severalAuthorizationFields: "more than one Authorization field was sent"
        }
    }
}
