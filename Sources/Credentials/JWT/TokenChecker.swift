// Decides whether a token is good: its form, its key, its signature, its claims, in this order, so that what costs most comes last.
//
//     remembered? --no--> form --> issuer --> key --> signature --> payload --> claims --> time
//          \-----------------------------------yes-----------------------------------------/

/// An issuer with its rules and its keys.
package struct TokenIssuer: Sendable {
    let rules: IssuerRules
    let keys: KeySet

    /// An issuer.
    package init(rules: IssuerRules, keys: KeySet) {
        self.rules = rules
        self.keys = keys
    }
}

/// What was found out about a token.
package enum TokenVerdict: Sendable {
    /// It is good now.
    case good(VerifiedToken)
    /// It is good in every way, but has been over for so many seconds.
    case expired(VerifiedToken, forSeconds: Int64)
    /// It is not good.
    case refused(TokenFault)
}

/// Checks the tokens of one worker, and remembers those that were verified.
package final class TokenChecker {
    private static let payloadLimits = JSONLimits(depth: 16, members: 2_000)

    private let issuers: [TokenIssuer]
    private let fingerprinter: Fingerprinter
    private let remembered = RememberedTokens()

    /// A checker for the issuers of one configuration. The fingerprinter makes what logs show of subjects.
    package init(_ issuers: [TokenIssuer], _ fingerprinter: Fingerprinter) {
        self.issuers = issuers
        self.fingerprinter = fingerprinter
    }

    /// How many signatures were looked at. For tests.
    package private(set) var signatureCount = 0

    /// The digest by which a token is remembered, and of which logs show the beginning.
    package func digest(of token: Span<UInt8>) -> KeyedDigest? { fingerprinter.digest(ofBytes: token) }

    /// Checks a token.
    /// - Parameters:
    ///   - token: the token, as it stands behind `Bearer`.
    ///   - digest: the token's own; nil for one that is not remembered.
    ///   - allowed: the numbers of the issuers that may have signed it.
    ///   - now: seconds since 1970.
    package func check(_ token: Span<UInt8>, _ digest: KeyedDigest?, by allowed: [Int], now: Int64) -> TokenVerdict {
        do throws(TokenFault) {
            if let digest {
                for issuer in allowed {
                    guard let known = remembered[RememberedTokens.Key(digest: digest, issuer: issuer)] else { continue }
                    return try verdict(about: known, issuer, now: now)
                }
            }
            let signed = try SignedToken(token)
            let issuer = try issuer(of: signed, allowed)
            let verified = try verify(signed, token, by: issuers[issuer])
            if let digest { remembered.remember(RememberedTokens.Key(digest: digest, issuer: issuer), verified) }
            return try verdict(about: verified, issuer, now: now)
        } catch { return .refused(error) }
    }

    private func verdict(about token: VerifiedToken, _ issuer: Int, now: Int64) throws(TokenFault) -> TokenVerdict {
        let rules = issuers[issuer].rules
        switch rules.fault(of: token, now: now) {
        case nil: return .good(token)
        case .expired: return .expired(token, forSeconds: rules.secondsOver(token, now: now))
        case .some(let fault): throw fault
        }
    }

    /// The one issuer; out of several the one that the token names, although nobody has verified yet that it signed the token.
    private func issuer(of signed: SignedToken, _ allowed: [Int]) throws(TokenFault) -> Int {
        if allowed.count == 1 { return allowed[0] }
        let named = try TokenChecker.claims(of: signed)["iss"]?.string
        guard let issuer = allowed.first(where: { issuers[$0].rules.name.utf8.elementsEqual(named ?? []) }) else { throw .issuer }
        return issuer
    }

    private func verify(_ signed: SignedToken, _ token: Span<UInt8>, by issuer: TokenIssuer) throws(TokenFault) -> VerifiedToken {
        guard issuer.rules.algorithms.contains(signed.algorithm) else { throw .algorithm }
        let text = token.extracting(0..<signed.signedCount)
        let isSigned = try issuer.keys.candidates(for: signed).contains { key in
            signatureCount += 1
            return key.verifies(signed.algorithm, of: text, signature: signed.signature)
        }
        guard isSigned else { throw .signature }
        return try issuer.rules.read(try TokenChecker.claims(of: signed), type: signed.type, fingerprinter)
    }

    private static func claims(of signed: SignedToken) throws(TokenFault) -> JSONObject {
        do { return try JSONObject(reading: signed.payload, limits: payloadLimits) } catch { throw .payload }
    }
}
