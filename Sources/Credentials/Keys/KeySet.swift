// The keys of one issuer, and which of them may have signed a token. A set of keys as issuers publish it is a JSON text (RFC 7517
// section 5). Invariant: keys of several issuers are never in one set, and a set that is read holds no secrets.

/// The keys of one issuer.
package struct KeySet: Sendable {
    /// The most keys that a text may hold.
    static let mostKeys = 64
    /// The largest text, in bytes.
    private static let mostBytes = 256 * 1_024
    /// The most keys that are tried for one token.
    private static let mostCandidates = 8
    private static let limits = JSONLimits(depth: 8, members: 2_000)

    private let keys: [VerificationKey]

    /// A set of keys.
    package init(_ keys: [VerificationKey]) { self.keys = keys }

    /// The keys of a text. Keys that are not for signatures, and those of kinds that the issuer does not use, are left out, as RFC 7517
    /// section 5 asks for; weak ones too.
    /// - Parameter algorithms: the issuer's.
    package static func keys(
        in text: [UInt8], for algorithms: [SignatureAlgorithm]
    ) throws(KeyError) -> (keys: [VerificationKey], leftOut: [KeyError]) {
        guard text.count <= mostBytes else { throw .tooLarge }
        let set: JSONObject
        do { set = try JSONObject(reading: text, limits: limits) } catch { throw .malformedSet }
        guard let members = set["keys"]?.elements else { throw .malformedSet }
        guard members.count <= mostKeys else { throw .tooManyKeys }
        var keys: [VerificationKey] = []
        var leftOut: [KeyError] = []
        for member in members {
            guard let description = member.object else { throw .malformedSet }
            do throws(KeyError) {
                if let key = try WebKey(description, for: algorithms) { keys.append(try key.imported()) }
            } catch { leftOut.append(error) }
        }
        guard !keys.isEmpty else { throw leftOut.first ?? .noUsableKey }
        return (keys, leftOut)
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
