// Tokens whose signatures one worker has verified, so that clients that come back do not cost another verification. They are known by
// the digest of their whole text: a token that differs in any bit has not been verified. Invariant: a fixed number of them; no token's
// text is kept.

/// Remembers verified tokens.
final class RememberedTokens {
    /// A token, and the number of the issuer by whose rules it was verified.
    struct Key: Hashable {
        let digest: KeyedDigest
        let issuer: Int

        /// Few tokens are good by the rules of several issuers.
        func hash(into hasher: inout Hasher) { hasher.combine(digest) }
    }

    /// A verified token, with the key that verified it.
    struct Entry {
        let token: VerifiedToken
        let key: VerificationKey
        /// The set of keys that last had this key.
        let keysVersion: UInt64
    }

    /// The most tokens that are remembered.
    static let capacity = 1_024

    private var entries: [Key: Entry] = [:]
    /// The keys in the order in which their tokens came; the next one replaces the one at `oldest`.
    private var order: [Key] = []
    private var oldest = 0

    /// How many are remembered. For tests.
    var count: Int { entries.count }

    subscript(key: Key) -> Entry? { entries[key] }

    /// Remembers a token in the place of the oldest one, or in its own.
    func remember(_ key: Key, _ entry: Entry) {
        if entries.updateValue(entry, forKey: key) != nil { return }
        guard order.count == RememberedTokens.capacity else { return order.append(key) }
        entries[order[oldest]] = nil
        order[oldest] = key
        oldest = (oldest + 1) % RememberedTokens.capacity
    }
}
