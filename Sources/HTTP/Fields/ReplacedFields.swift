// Fields of a response that do not hold any more once a proxy has changed its body, or has found that it is for one client alone. Whether
// either is so is decided by the proxy; here is only which fields those are.
//
// Invariant: whether a field is left out depends on its own name alone, and only on fields without a `FieldName` of their own.

/// Kinds of response fields that are not passed on.
public struct ReplacedFields: OptionSet, Sendable {
    /// One bit for each kind.
    public let rawValue: UInt8

    /// The kinds of these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// What was computed over the body's bytes, or offers ranges of them: `Digest` (RFC 3230), `Content-Digest` and `Repr-Digest`
    /// (RFC 9530), `Unencoded-Digest` (its extension), `Content-MD5` (RFC 2616), `Accept-Ranges` (RFC 9110 section 14.3).
    public static let ofOldBytes = ReplacedFields(rawValue: 1)
    /// What tells caches that many clients share to store the response whatever `Cache-Control` says: `CDN-Cache-Control` (RFC 9213)
    /// and the names that end like it, `Surrogate-Control`, `Edge-Control`, and nginx's `X-Accel-Expires`.
    public static let forSharedCaches = ReplacedFields(rawValue: 2)

    /// Whether a field of that name is of these kinds.
    func contains(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
        if contains(.ofOldBytes) {
            for known in Self.namesOfOldBytes where equalsIgnoringCase(bytes, name, known) { return true }
        }
        guard contains(.forSharedCaches) else { return false }
        for known in Self.namesForSharedCaches where equalsIgnoringCase(bytes, name, known) { return true }
        let suffixStart = name.upperBound - Self.targetedSuffix.utf8CodeUnitCount
        return suffixStart >= name.lowerBound && equalsIgnoringCase(bytes, suffixStart..<name.upperBound, Self.targetedSuffix)
    }

    private static let namesOfOldBytes: [StaticString] = [
        "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest", "unencoded-digest",
    ]
    private static let namesForSharedCaches: [StaticString] = ["surrogate-control", "edge-control", "x-accel-expires"]
    private static let targetedSuffix: StaticString = "cdn-cache-control"
}
