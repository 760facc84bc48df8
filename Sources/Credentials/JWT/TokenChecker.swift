// Decides whether a token is good: its form, its key, its signature, its claims, in this order, so that what costs most comes last.
//
//     remembered? --no--> form --> issuer --> key --> signature --> payload --> claims --> time
//          \-----------------------------------yes-----------------------------------------/
//
// Invariant: no token is good by a key that its issuer does not have now, also no remembered one.

/// An issuer with its rules and its keys.
package struct TokenIssuer: Sendable {
    /// Where its keys come from.
    package enum Keys: Sendable {
        /// They are configured.
        case configured(KeySet)
        /// They are fetched.
        case fetched(FetchedKeys)
        /// It has none: it is asked about each of its tokens.
        case asked
    }

    let rules: IssuerRules
    /// Its keys.
    package let keys: Keys

    /// An issuer.
    package init(rules: IssuerRules, keys: Keys) {
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
    /// The issuer of that number has no key for it now, and may have one soon.
    case undecided(issuer: Int, MissingKey)
    /// The issuer of that number has to be asked.
    case unasked(issuer: Int)
}

/// A token that none of its issuer's keys has verified, although the issuer may soon have another one.
package struct KeyLack: Sendable {
    /// The number of the issuer.
    package let issuer: Int
    /// What is wrong with the token if no other key comes.
    package let fault: TokenFault
    /// The keys by which it was checked.
    let keysVersion: UInt64
}

/// Checks the tokens of one worker, and remembers those that were verified.
package final class TokenChecker {
    /// The issuers.
    package let issuers: [TokenIssuer]
    /// This worker's copies of fetched keys, each with the stamp that it was made at.
    private var copies: [(stamp: UInt64, keys: KeysInForce?)]
    private let fingerprinter: Fingerprinter
    private let remembered = RememberedTokens()

    /// A checker for the issuers of one configuration. The fingerprinter makes what logs show of subjects.
    package init(_ issuers: [TokenIssuer], _ fingerprinter: Fingerprinter) {
        self.issuers = issuers
        copies = issuers.map { _ in (0, nil) }
        self.fingerprinter = fingerprinter
    }

    /// How many signatures were looked at, good ones and others.
    package private(set) var signatureCount: UInt64 = 0

    /// The digest by which a token is remembered, and of which logs show the beginning.
    package func digest(of token: Span<UInt8>) -> KeyedDigest? { fingerprinter.digest(ofBytes: token) }

    /// Checks a token.
    /// - Parameters:
    ///   - token: the token, as it stands behind `Bearer`.
    ///   - digest: the token's own; nil for one that is not remembered.
    ///   - allowed: the numbers of the issuers that may have signed it.
    ///   - now: seconds since 1970.
    ///   - monotonic: monotonic milliseconds.
    package func check(
        _ token: Span<UInt8>, _ digest: KeyedDigest?, by allowed: [Int], now: Int64, monotonic: Int64
    ) -> TokenVerdict {
        do throws(TokenFault) {
            if let digest {
                for issuer in allowed {
                    let key = RememberedTokens.Key(digest: digest, issuer: issuer)
                    guard let known = recall(key, monotonic) else { continue }
                    return try verdict(about: known, issuer, now: now)
                }
            }
            if let issuer = issuerToAsk(about: token, allowed) { return .unasked(issuer: issuer) }
            let signed = try SignedToken(token)
            let issuer = try issuer(of: signed, allowed)
            guard issuers[issuer].rules.algorithms.contains(signed.algorithm) else { throw .algorithm }
            guard let keys = keysInForce(of: issuer, monotonic) else { return .undecided(issuer: issuer, .allKeys) }
            let signer: VerificationKey
            do throws(TokenFault) { signer = try self.signer(of: signed, token, keys.set) } catch {
                guard case .fetched = issuers[issuer].keys, keys.set.lacks(signed.keyName) else { throw error }
                return .undecided(issuer: issuer, .newKey(error))
            }
            let verified = try issuers[issuer].rules.read(
                try signed.claims(), from: .token(type: signed.type), fingerprinter)
            if let digest {
                remembered.remember(
                    RememberedTokens.Key(digest: digest, issuer: issuer),
                    RememberedTokens.Entry(token: verified, key: signer, keysVersion: keys.version))
            }
            return try verdict(about: verified, issuer, now: now)
        } catch { return .refused(error) }
    }

    /// The verdict on a token that its issuer has called active.
    /// - Parameters:
    ///   - answer: what the issuer answered.
    ///   - issuer: the issuer's number.
    ///   - now: seconds since 1970.
    package func verdict(by answer: [UInt8], of issuer: Int, now: Int64) -> TokenVerdict {
        do throws(TokenFault) {
            guard let claims = IntrospectionAnswer.claims(in: answer) else { throw .payload }
            return try verdict(about: try issuers[issuer].rules.read(claims, from: .issuer, fingerprinter), issuer, now: now)
        } catch { return .refused(error) }
    }

    /// The issuer that has to be asked about a token. One with keys is not asked about its own tokens, which name it.
    private func issuerToAsk(about token: Span<UInt8>, _ allowed: [Int]) -> Int? {
        func isAsked(_ issuer: Int) -> Bool { if case .asked = issuers[issuer].keys { true } else { false } }
        guard let asked = allowed.first(where: isAsked) else { return nil }
        guard allowed.count > 1, let name = SignedToken.namedIssuer(of: token), let named = issuer(named: name, allowed) else {
            return asked
        }
        return isAsked(named) ? named : nil
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
        guard let name = try signed.claims()["iss"]?.string, let issuer = issuer(named: name, allowed) else { throw .issuer }
        return issuer
    }

    private func issuer(named name: [UInt8], _ allowed: [Int]) -> Int? {
        allowed.first { issuers[$0].rules.name.utf8.elementsEqual(name) }
    }

    /// The key whose signature the token has.
    private func signer(of signed: SignedToken, _ token: Span<UInt8>, _ keys: KeySet) throws(TokenFault) -> VerificationKey {
        let text = token.extracting(0..<signed.signedCount)
        for key in try keys.candidates(for: signed) {
            signatureCount += 1
            if key.verifies(signed.algorithm, of: text, signature: signed.signature) { return key }
        }
        throw .signature
    }

    /// A token that was verified before, if its issuer still has the key.
    private func recall(_ key: RememberedTokens.Key, _ monotonic: Int64) -> VerifiedToken? {
        guard let entry = remembered[key], let keys = keysInForce(of: key.issuer, monotonic) else { return nil }
        if entry.keysVersion == keys.version { return entry.token }
        guard keys.set.contains(entry.key) else { return nil }
        remembered.remember(key, RememberedTokens.Entry(token: entry.token, key: entry.key, keysVersion: keys.version))
        return entry.token
    }

    /// Whether the issuer of that number has other keys than those that its last token was checked by.
    package func hasOtherKeys(_ issuer: Int) -> Bool {
        if case .fetched(let fetched) = issuers[issuer].keys { fetched.stamp != copies[issuer].stamp } else { false }
    }

    /// What is told of a token that lacked a key when it was checked just now, so that it is not verified again by the same keys.
    package func lack(_ fault: TokenFault, of issuer: Int) -> KeyLack? {
        copies[issuer].keys.map { KeyLack(issuer: issuer, fault: fault, keysVersion: $0.version) }
    }

    /// Whether its issuer still has the same keys, so that the token still lacks one.
    package func isStill(_ lack: KeyLack, monotonic: Int64) -> Bool {
        keysInForce(of: lack.issuer, monotonic)?.version == lack.keysVersion
    }

    /// The issuer's keys at this moment; nil for none.
    private func keysInForce(of issuer: Int, _ monotonic: Int64) -> KeysInForce? {
        switch issuers[issuer].keys {
        case .configured(let set): return KeysInForce(set: set, version: 0, until: .max)
        case .fetched(let fetched):
            let stamp = fetched.stamp
            if copies[issuer].stamp != stamp { copies[issuer] = (stamp, fetched.inForce()) }
            guard let keys = copies[issuer].keys, monotonic < keys.until else { return nil }
            return keys
        case .asked: return nil
        }
    }
}
