// Tokens whose signatures one worker has verified, so that clients that come back do not cost another verification. They are known by
// the digest of their whole text: a token that differs in any bit has not been verified. Invariant: a fixed number of them; no token's
// text is kept.

/// Remembers verified tokens.
final class RememberedTokens {
    /// What is remembered of a token.
    struct Entry {
        let token: VerifiedToken
        /// The number of its issuer.
        let issuer: Int
    }

    /// The most tokens that are remembered.
    static let capacity = 1_024

    private var entries: [KeyedDigest: Entry] = [:]
    /// The digests in the order in which their tokens came; the next one replaces the one at `oldest`.
    private var order: [KeyedDigest] = []
    private var oldest = 0

    /// How many are remembered. For tests.
    var count: Int { entries.count }

    subscript(digest: KeyedDigest) -> Entry? { entries[digest] }

    /// Remembers a token in the place of the oldest one.
    func remember(_ digest: KeyedDigest, _ entry: Entry) {
        if entries.updateValue(entry, forKey: digest) != nil { return }
        guard order.count == RememberedTokens.capacity else { return order.append(digest) }
        entries[order[oldest]] = nil
        order[oldest] = digest
        oldest = (oldest + 1) % RememberedTokens.capacity
    }
}
