// Response fields that are wrong after the proxy has changed the body, has found that the response is for one client alone, or decides
// itself which pages may read the response. The proxy decides whether that is so; this file only lists the fields.
//
// Invariant: whether a field is left out depends on its name alone. Only fields without their own `FieldName` are concerned.

import Bytes

/// Kinds of response fields that are not passed on.
public struct ReplacedFields: OptionSet, Sendable {
    /// One bit for each kind.
    public let rawValue: UInt8

    /// The kinds of these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Fields computed from the body's bytes, or offering ranges of them: `Digest` (RFC 3230), `Content-Digest` and `Repr-Digest` (RFC
    /// 9530), `Unencoded-Digest` (its extension), `Content-MD5` (RFC 2616), `Accept-Ranges` (RFC 9110 section 14.3).
    public static let ofOldBytes = ReplacedFields(rawValue: 1)
    /// Fields that tell shared caches to store the response in spite of `Cache-Control`: `CDN-Cache-Control` (RFC 9213) and names with
    /// the same ending, `Surrogate-Control`, `Edge-Control`, and nginx's `X-Accel-Expires`.
    public static let forSharedCaches = ReplacedFields(rawValue: 2)

    /// `Access-Control-Allow-Credentials`, the second field that says who may read the response (Fetch section 3.2.3).
    public static let ofReaders = ReplacedFields(rawValue: 4)
    /// All `Access-Control-` fields.
    public static let ofOtherOrigins = ReplacedFields(rawValue: 8)

    /// Whether a field of that name is of these kinds.
    func contains(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
        if contains(.ofReaders), equalsIgnoringCase(bytes, name, Self.nameOfReaders) { return true }
        if contains(.ofOtherOrigins), name.count > Self.prefixOfOrigins.utf8CodeUnitCount {
            let prefix = name.lowerBound..<(name.lowerBound + Self.prefixOfOrigins.utf8CodeUnitCount)
            if equalsIgnoringCase(bytes, prefix, Self.prefixOfOrigins) { return true }
        }
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
    private static let nameOfReaders: StaticString = "access-control-allow-credentials"
    private static let prefixOfOrigins: StaticString = "access-control-"
    private static let targetedSuffix: StaticString = "cdn-cache-control"
}
