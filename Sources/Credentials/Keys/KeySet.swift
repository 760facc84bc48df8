// The keys of one issuer, and which of them may have signed a token. A set of keys as issuers publish it is a JSON text (RFC 7517
// section 5). Invariant: keys of several issuers are never in one set, and a set that is read holds no secrets.

/// The keys of one issuer.
package struct KeySet: Sendable {
    /// The most keys that an issuer may have.
    package static let mostKeys = 64
    /// The largest text, in bytes.
    package static let mostBytes = 256 * 1_024
    /// The most keys that are tried for one token.
    private static let mostCandidates = 8
    private static let limits = JSONLimits(depth: 8, members: 2_000)

    private let keys: [VerificationKey]

    /// A set of keys.
    package init(_ keys: [VerificationKey]) { self.keys = keys }

    /// A set of keys in which those that a previous set has too are the previous set's own objects.
    init(_ keys: [VerificationKey], keeping previous: KeySet?) {
        self.keys = keys.map { key in previous?.keys.first { $0.isSame(as: key) } ?? key }
    }

    /// Whether one of the two has a key object that the other one lacks.
    func isOther(than other: KeySet?) -> Bool {
        guard let other else { return true }
        return keys.count != other.keys.count || !keys.allSatisfy(other.contains)
    }

    /// Whether this very object is one of the keys.
    func contains(_ key: VerificationKey) -> Bool { keys.contains { $0 === key } }

    /// Whether tokens that ask for this key may mean one that the set does not have: a token without a name asks for any key.
    func lacks(_ name: [UInt8]?) -> Bool { name.map { name in !keys.contains { $0.name == name } } ?? true }

    /// The keys of a text. Keys that are not for signatures, and those of kinds that the issuer does not use, are left out, as RFC 7517
    /// section 5 asks for; weak ones too.
    /// - Parameter algorithms: the issuer's.
    package static func keys(
        in text: [UInt8], for algorithms: [SignatureAlgorithm]
    ) throws(KeyError) -> PublishedKeys {
        guard text.count <= mostBytes else { throw .tooLarge }
        let set: JSONObject
        do { set = try JSONObject(reading: text, limits: limits) } catch { throw .malformedSet }
        guard let members = set["keys"]?.elements else { throw .malformedSet }
        guard members.count <= mostKeys else { throw .tooManyKeys }
        var keys: [VerificationKey] = []
        var leftOut: [KeyError] = []
        var privateCount = 0
        for member in members {
            guard let description = member.object else { throw .malformedSet }
            do throws(KeyError) {
                guard let key = try WebKey(description, for: algorithms) else { continue }
                keys.append(try key.imported())
                if key.isPrivate { privateCount += 1 }
            } catch { leftOut.append(error) }
        }
        guard !keys.isEmpty else { throw leftOut.first ?? .noUsableKey }
        return PublishedKeys(keys: keys, leftOut: leftOut, privateCount: privateCount)
    }

    /// The keys that may have signed a token, for its algorithm.
    /// - Throws: `key` where there is none for its name, and `algorithm` where those are for other algorithms.
    func candidates(for token: SignedToken) throws(TokenFault) -> ArraySlice<VerificationKey> {
        var candidates = keys
        if let name = token.keyName {
            candidates = keys.filter { $0.name == name }
            if candidates.isEmpty { candidates = keys.filter { $0.name == nil } }
        }
        guard !candidates.isEmpty else { throw .key }
        let fitting = candidates.filter { $0.algorithms.contains(token.algorithm) }
        guard !fitting.isEmpty else { throw .algorithm }
        return fitting.prefix(KeySet.mostCandidates)
    }
}

/// The keys of a text, and what is wrong with it.
package struct PublishedKeys: Sendable {
    /// The keys.
    package let keys: [VerificationKey]
    /// Why each of the others was left out that should have been a key.
    package let leftOut: [KeyError]
    /// How many of the keys are private ones. Only their public half is taken.
    package let privateCount: Int

    /// What the operator should know of it, a phrase each.
    package var remarks: [String] {
        var remarks = leftOut.map { "a key is left out: \($0)" }
        if privateCount > 0 {
            let keys = privateCount == 1 ? "1 of its keys is a private one" : "\(privateCount) of its keys are private ones"
            remarks.append("\(keys); who can read them can sign tokens: publish public keys only")
        }
        return remarks
    }
}
