// What one issuer's tokens must be, and the order in which a token is compared with that (RFC 7519 section 4.1, RFC 8725 section 3).
// Invariant: the end of a token's time is looked at last, so a token that is only `expired` is good in every other way.

/// The rules for the tokens of one issuer.
package struct IssuerRules: Sendable, Equatable {
    /// What the configuration calls the issuer.
    package var label: String {
        get { sharedLabel.text }
        set { sharedLabel = IssuerLabel(newValue) }
    }
    private var sharedLabel: IssuerLabel
    /// The `iss` of its tokens, exactly.
    package var name: String
    /// One of these is in `aud`; nil where the audience does not matter.
    package var audiences: [String]?
    /// The algorithms that its tokens may have.
    package var algorithms: [SignatureAlgorithm]
    /// How far the clocks of the issuer and the proxy may differ, in seconds.
    package var leewaySeconds: Int64
    /// The `typ` that its tokens must have; nil for any but an encrypted one.
    package var tokenType: String?
    /// How far ahead of now a token's end may be, in seconds; nil for no limit.
    package var lifetimeLimitSeconds: Int64?
    /// Claims that must be there, besides `exp`.
    package var requiredClaims: [String]

    /// Rules.
    package init(
        label: String, name: String, audiences: [String]?, algorithms: [SignatureAlgorithm], leewaySeconds: Int64 = 30,
        tokenType: String? = nil, lifetimeLimitSeconds: Int64? = nil, requiredClaims: [String] = []
    ) {
        sharedLabel = IssuerLabel(label)
        self.name = name
        self.audiences = audiences
        self.algorithms = algorithms
        self.leewaySeconds = leewaySeconds
        self.tokenType = tokenType
        self.lifetimeLimitSeconds = lifetimeLimitSeconds
        self.requiredClaims = requiredClaims
    }

    /// Who said what a token's claims are.
    enum ClaimSource {
        /// The token itself, which must say for whom it is and when it ends.
        case token(type: [UInt8]?)
        /// The issuer, when it was asked: what it leaves out it has looked at.
        case issuer
    }

    /// Reads the claims of a token whose signature is good. What depends on the clock is left to `fault(of:now:)`.
    /// - Parameter fingerprinter: makes what logs show of the token's subject.
    func read(_ claims: JSONObject, from source: ClaimSource, _ fingerprinter: Fingerprinter) throws(TokenFault) -> VerifiedToken {
        var latest: NumericDate?
        switch source {
        case .token(let type):
            try checkType(type)
            try checkIssuer(claims["iss"])
            try checkAudience(claims["aud"])
        case .issuer:
            if let issuer = claims["iss"] { try checkIssuer(issuer) }
            if let audience = claims["aud"] { try checkAudience(audience) }
            if claims["exp"] == nil { latest = NumericDate(seconds: NumericDate.latest) }
        }
        for name: StaticString in ["sub", "jti", "client_id"] {
            if let claim = claims[name], claim.kind != .string { throw .claims }
        }
        if let issued = claims["iat"], issued.kind != .number { throw .claims }
        guard let expires = latest ?? claims["exp"].flatMap(NumericDate.init) else { throw .claims }
        var begins: NumericDate?
        if let claim = claims["nbf"] {
            begins = NumericDate(claim)
            if begins == nil { throw .claims }
        }
        for name in requiredClaims {
            guard let claim = claims[Array(name.utf8)], claim.kind != .null else { throw .claims }
        }
        return VerifiedToken(
            TokenIdentity(
                label: sharedLabel, expiresSeconds: expires.seconds, leewaySeconds: leewaySeconds,
                subject: claims["sub"]?.string.flatMap(fingerprinter.subject)),
            beginsSeconds: begins?.roundedUp, certificateDigest: try IssuerRules.certificateDigest(claims["cnf"]), claims: claims)
    }

    /// The certificate to which `cnf` binds a token (RFC 8705 section 3.1); nil for a token without `cnf`. Nobody here can check the proof
    /// of a key (RFC 7800, RFC 9449), so a token that needs one is refused, also where it names a certificate besides.
    private static func certificateDigest(_ confirmation: JSONValue?) throws(TokenFault) -> [UInt8]? {
        guard let confirmation else { return nil }
        guard let members = confirmation.object, members.count == 1, let text = members["x5t#S256"]?.string,
            let digest = Base64URL.decode(text.span), digest.count == 32
        else { throw .confirmation }
        return digest
    }

    private func checkType(_ type: [UInt8]?) throws(TokenFault) {
        if let tokenType {
            guard type == SignedToken.mediaTypeName(Array(tokenType.utf8)) else { throw .type }
        } else {
            guard type != Array("jwe".utf8) else { throw .type }
        }
    }

    private func checkIssuer(_ claim: JSONValue?) throws(TokenFault) {
        guard let issuer = claim?.string, issuer == Array(name.utf8) else { throw .issuer }
    }

    private func checkAudience(_ claim: JSONValue?) throws(TokenFault) {
        guard let claim else {
            if audiences != nil { throw .audience }
            return
        }
        guard let names = claim.string.map({ [$0] }) ?? claim.strings else { throw .audience }
        guard let audiences else { return }
        guard names.contains(where: { name in audiences.contains { $0.utf8.elementsEqual(name) } }) else { throw .audience }
    }

    /// What is wrong with a verified token at this moment, in seconds since 1970; nil for a good one.
    func fault(of token: VerifiedToken, now: Int64) -> TokenFault? {
        if let begins = token.beginsSeconds, now + leewaySeconds < begins { return .notYet }
        if let lifetimeLimitSeconds, token.identity.expiresSeconds > now + lifetimeLimitSeconds + leewaySeconds { return .lifetime }
        return secondsOver(token, now: now) >= 0 ? .expired : nil
    }

    /// For how many seconds the token has been over, the leeway included; negative for one that is not.
    func secondsOver(_ token: VerifiedToken, now: Int64) -> Int64 { now - (token.identity.expiresSeconds + leewaySeconds) }
}

/// What logs may say of a token that was verified.
package struct TokenIdentity: Sendable {
    private let label: IssuerLabel
    /// When the token's time is over, in seconds since 1970.
    package let expiresSeconds: Int64
    /// Its `sub`; nil without one.
    package let subject: LoggedSubject?
    /// How far the clocks of the issuer and the proxy may differ, in seconds. At most five minutes, so two bytes hold it.
    private let leeway: UInt16

    /// What the configuration calls the token's issuer.
    package var issuer: String { label.text }

    /// An identity.
    package init(issuer: String, expiresSeconds: Int64, leewaySeconds: Int64 = 0, subject: LoggedSubject?) {
        self.init(label: IssuerLabel(issuer), expiresSeconds: expiresSeconds, leewaySeconds: leewaySeconds, subject: subject)
    }

    fileprivate init(label: IssuerLabel, expiresSeconds: Int64, leewaySeconds: Int64, subject: LoggedSubject?) {
        self.label = label
        self.expiresSeconds = expiresSeconds
        self.subject = subject
        leeway = UInt16(clamping: leewaySeconds)
    }

    /// Whether both are known, and are not one user.
    package func isOfOtherUser(than other: TokenIdentity) -> Bool {
        guard let subject, let otherSubject = other.subject else { return false }
        return subject != otherSubject || issuer != other.issuer
    }

    /// When a stream that is opened at this moment ends with its token, both in milliseconds since 1970. A stream that is opened within the
    /// leeway lives for as long as the leeway: one that ended at once would make its client come back without end.
    package func streamEnd(openedAtUnixMilliseconds opened: Int64) -> Int64 {
        let leeway = Int64(leeway) * 1_000
        let expires = expiresMilliseconds
        return opened < expires + leeway ? max(expires, opened) + leeway : expires + leeway
    }

    /// When the token's time is over, in milliseconds since 1970: within some 35,000 years, so that no sum overflows.
    package var expiresMilliseconds: Int64 { min(max(expiresSeconds, -1 << 40), 1 << 40) * 1_000 }
}

/// An issuer's name in one object for all of its tokens: a stream keeps a reference, which is smaller than the name.
private final class IssuerLabel: Sendable, Equatable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: IssuerLabel, right: IssuerLabel) -> Bool { left.text == right.text }
}

/// What logs show of a token's `sub`.
package enum LoggedSubject: Sendable, Equatable {
    /// Its keyed fingerprint.
    case fingerprint(UInt64)
    /// Its beginning as it stands in the token. The bytes are a stranger's.
    case text([UInt8])
}

/// A token whose signature and claims were good, whatever the time is.
package final class VerifiedToken: Sendable {
    /// What logs may say of it.
    package let identity: TokenIdentity
    let beginsSeconds: Int64?
    /// The SHA-256 of the certificate that its bearer has to show; nil for any bearer.
    private let certificateDigest: [UInt8]?
    let claims: JSONObject

    init(_ identity: TokenIdentity, beginsSeconds: Int64?, certificateDigest: [UInt8]?, claims: JSONObject) {
        self.identity = identity
        self.beginsSeconds = beginsSeconds
        self.certificateDigest = certificateDigest
        self.claims = claims
    }

    /// Whether the token is bound to another certificate than the client's, which is given by its SHA-256 (RFC 8705 section 3).
    package func isBound(toOtherThan certificate: () -> [UInt8]?) -> Bool {
        guard let certificateDigest else { return false }
        return certificate() != certificateDigest
    }
}
