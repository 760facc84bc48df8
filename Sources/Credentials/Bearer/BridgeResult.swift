// The token bridge's answer about one request, as plain data. Invariant: no case, and no description of one, holds a byte of a token
// outside its `Token`.

/// The kind of a request, as far as it decides which credentials are sent.
package enum RequestKind: Sendable, Equatable {
    /// A request with its own credentials.
    case ordinary
    /// A browser's question whether a page may send a request. It has no credentials and must not be asked for any (Fetch section
    /// 3.3.5); tokens in its cookies are not used.
    case preflight
    /// TRACE, whose answer repeats the request: it goes on without cookies and without a token (RFC 9110 section 9.3.8).
    case trace
}

/// What happens to a request on a route that bridges tokens.
package enum BridgeResult: Sendable {
    /// No token was found where the policy looks, and none is required: the request goes on unchanged.
    case untouched
    /// The request goes on with these changes.
    case forward(BridgedRequest)
    /// The proxy answers the request; no server gets it.
    case refused(BridgeRefusal)
}

/// How a request goes on after its token was taken out of the URL and the cookies.
package struct BridgedRequest: Sendable {
    /// The token for `Authorization: Bearer`. Nil when only empty places for a token were removed, when the request may not carry one
    /// (`RequestKind`), and when the request's own `Authorization` is used, unless tokens are checked here.
    package var token: Token?
    /// Which block's ticket `token` is, by its place in the list that the bridge was made with; nil for a token. A ticket must be opened
    /// before the request can go on.
    package var ticket: Int?
    /// The ticket that was opened; nil without one. It stands where `token` would: in the URL and what repeats the URL.
    package private(set) var openedTicket: Token?
    /// Where the token was found; nil together with `token`.
    package var origin: TokenOrigin?
    /// The request target without the token; nil when it is unchanged.
    package var target: [UInt8]?
    /// The query parameter that held the token; nil when the token came otherwise.
    package var parameter: TakenParameter?
    /// One Cookie value that replaces all Cookie fields; nil when they are unchanged, empty when the field is left out.
    package var cookies: [UInt8]?
    /// Whether every `Authorization` field of the request is left out. Otherwise it goes on as it is, also where it holds the token.
    package var dropAuthorization: Bool
    /// Whether the URL held a token, and so must not be sent to others.
    package var urlHeldToken: Bool
    /// Whether a cookie held a token.
    package var cookieHeldToken: Bool

    /// The ticket was opened, and holds this token.
    package mutating func open(holding token: Token) {
        openedTicket = self.token
        self.token = token
        ticket = nil
    }

    /// What the client sent: a ticket or a token.
    package var presented: Token? { openedTicket ?? token }
}

/// The answer to a request whose credentials were refused.
package struct BridgeRefusal: Sendable {
    /// What was wrong.
    package var error: BridgeError
    /// The value of the `WWW-Authenticate` field of the answer (RFC 6750 section 3).
    package var wwwAuthenticate: [UInt8]
    /// Whether the URL held a token, and so must not be sent to others.
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

/// Why a request's credentials were refused. The client is at fault in each case; the same request gets the same answer again.
package enum BridgeError: Error, Sendable, Equatable, CaseIterable {
    /// No credentials, and the policy requires them (401).
    case missing
    /// An `Authorization` field without credentials (RFC 9110 section 11.4), and the policy requires some (401).
    case unusableAuthorization
    /// An `Authorization` field of another scheme than Bearer, and the policy checks tokens (401).
    case otherScheme
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

    /// Whether there were no credentials at all, as opposed to wrong ones.
    package var isMissing: Bool { self == .missing || self == .unusableAuthorization || self == .otherScheme }

    /// The status of the answer: 401 where credentials are missing, else 400.
    package var status: Int { isMissing ? 401 : 400 }

    /// One plain phrase for the log and for `error_description`; it never holds a byte of the request.
    package var reason: StaticString {
        switch self {
        case .missing: "no credentials"
        case .unusableAuthorization: "the Authorization field holds no credentials"
        case .otherScheme: "the Authorization field is of another scheme than Bearer"
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
