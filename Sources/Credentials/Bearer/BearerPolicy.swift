// A route's rules for tokens: where tokens may come from, and what happens with no token or with too many. `TokenBridge` applies them.
// Invariant: a policy is a plain value; equal policies behave alike.

/// A place in a request, other than the `Authorization` field, where a bearer token may be found.
package enum TokenSource: Sendable, Equatable {
    /// The query parameter of that name (RFC 6750 section 2.3). The name is compared case-sensitively with the
    /// percent-decoded name in the URL, so every encoded spelling of it is the same parameter.
    case query(name: String)
    /// The cookie of that name (RFC 6265). The name is compared byte for byte, as browsers and servers do.
    case cookie(name: String)
    /// The tickets of the block of that name, in the places that the block says.
    case ticket(name: String)
}

/// How one route turns what a browser can send into the `Authorization: Bearer` that its server wants.
package struct BearerPolicy: Sendable, Equatable {
    /// What happens to a request without any credentials.
    package enum WhenMissing: Sendable, Equatable {
        /// The request goes on as it came.
        case pass
        /// The request is answered 401 with a bare `WWW-Authenticate: Bearer` (RFC 6750 section 3.1).
        case refuse
    }

    /// What happens to a request with an `Authorization` field and a token elsewhere.
    package enum Conflict: Sendable, Equatable {
        /// A token in the URL is answered 400 (RFC 6750 section 2: never more than one method). A token in a cookie is removed unread
        /// and the field stays, because browsers send cookies by themselves.
        case refuseQuery
        /// The request is answered 400, also where the token is in a cookie.
        case refuse
        /// The `Authorization` field goes on; the token elsewhere is removed unread.
        case preferAuthorization
        /// The token elsewhere is used; every `Authorization` field of the request is dropped.
        case preferBridged
    }

    /// The places searched. Their order has no meaning: a token in two of them is refused. Empty where only the `Authorization` field may
    /// hold a token, which is then checked.
    package var sources: [TokenSource]
    /// What happens without any credentials.
    package var whenMissing: WhenMissing
    /// What happens with an `Authorization` field and a token elsewhere.
    package var onConflict: Conflict
    /// Which bytes a token may have.
    package var characters: TokenCharacters
    /// Whether tokens are checked here. Then no other credentials in the `Authorization` field pass, and none of a preflight or of TRACE.
    package var checksTokens: Bool
    /// Whether a service is asked about every request but a preflight, which therefore passes without credentials.
    package var asksService = false
    /// The realm named in `WWW-Authenticate` (RFC 9110 section 11.5).
    package var realm: String
    /// The longest token accepted, in bytes after percent-decoding. A longer one is answered 400.
    package var maximumTokenBytes: Int

    /// A policy. The defaults let requests without a token pass and refuse a token in the URL beside `Authorization`.
    package init(
        sources: [TokenSource],
        whenMissing: WhenMissing = .pass,
        onConflict: Conflict = .refuseQuery,
        characters: TokenCharacters = .b64token,
        checksTokens: Bool = false,
        realm: String = "heartwire",
        maximumTokenBytes: Int = 4096
    ) {
        self.sources = sources
        self.whenMissing = whenMissing
        self.onConflict = onConflict
        self.characters = characters
        self.checksTokens = checksTokens
        self.realm = realm
        self.maximumTokenBytes = maximumTokenBytes
    }
}
