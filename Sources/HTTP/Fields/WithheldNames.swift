// Field names that tell a server what only its proxy can know, in every spelling that some server accepts for them. The proxy decides
// which peers may send them; this file only lists the names and compares spellings.
//
// Invariant: whether a field is withheld depends on its name alone, so each field costs the same in a head of many fields.

import Bytes

/// The fields without their own `FieldName` that are not passed on. Servers that make variables of fields (CGI, WSGI, PHP, Rack)
/// replace `-` by `_`, and some replace every character that is neither a letter nor a digit: `X_Forwarded_User` and `X-Forwarded-User`
/// are one variable. So all such bytes are compared as `-`.
public struct WithheldNames: Sendable, Equatable {
    /// Whether the request comes from a trusted proxy. Then these names pass in their registered spelling, and only other spellings are
    /// withheld: the proxy in front did not look for those when it cleaned its own clients' fields.
    private let believesProxyFields: Bool
    /// Never passed on in any spelling, in lower case with `-`.
    private let guarded: [[UInt8]]
    /// A bit for each first letter of the names: most fields need no further check.
    private let firstLetters: UInt32

    /// What is withheld of a head. `guarded` names never pass; `Proxy` never does either.
    public init(guarded: [String] = [], believesProxyFields: Bool) {
        self.believesProxyFields = believesProxyFields
        self.guarded = Set(guarded.map { name in name.utf8.map(folded) } + [Array("proxy".utf8)]).sorted {
            $0.lexicographicallyPrecedes($1)
        }
        firstLetters = (self.guarded + Self.proxyFields).reduce(Self.bit(of: 0x78)) { $0 | Self.bit(of: $1.first ?? 0) }
    }

    /// Whether this name never passes, in any spelling.
    public func guards(_ name: String) -> Bool { guarded.contains(name.utf8.map(folded)) }

    /// Whether a server could take the two names for one.
    public static func areOne(_ first: String, _ second: String) -> Bool { first.utf8.map(folded) == second.utf8.map(folded) }

    /// Whether a server could take the name for one with which its proxy speaks. The configuration may not give such a name another
    /// meaning.
    public static func meansProxy(_ name: String) -> Bool {
        let name = name.utf8.map(folded)
        return meansProxy(name.span, name.indices) || name == Array("proxy".utf8)
    }

    /// Whether a field of that name is withheld. The caller decides about `known` names.
    func withholds(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
        guard firstLetters & Self.bit(of: folded(bytes[name.lowerBound])) != 0 else { return false }
        for guarded in guarded where spells(bytes, name, guarded) { return true }
        guard Self.meansProxy(bytes, name) else { return false }
        return !believesProxyFields || !isSpelledWithDashes(bytes, name)
    }

    private static func bit(of byte: UInt8) -> UInt32 { 1 << UInt32(byte & 31) }

    private static let family = Array("x-forwarded-".utf8)

    /// Fields that frameworks believe by default, besides those that have a `FieldName`: addresses, scheme and host, a URL in place of
    /// the request's own, the client's certificate (RFC 9440), file paths (Rack).
    private static let proxyFields: [[UInt8]] = [
        "client-ip", "x-client-ip", "true-client-ip", "x-cluster-client-ip", "x-real-ip", "x-forwarded", "forwarded-for",
        "x-original-forwarded-for", "x-original-for", "x-envoy-external-address",
        "x-scheme", "x-url-scheme", "front-end-https", "x-original-proto", "x-original-host", "x-http-host-override",
        "x-original-url", "x-rewrite-url", "client-cert", "client-cert-chain", "x-sendfile-type", "x-accel-mapping",
    ].map { Array($0.utf8) }

    private static func meansProxy(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
        if name.count > family.count, spells(bytes, name.lowerBound..<(name.lowerBound + family.count), family) { return true }
        for field in proxyFields where spells(bytes, name, field) { return true }
        return false
    }
}

extension FieldName {
    /// Whether a server could take this name, in any spelling, for one that the proxy acts upon.
    public static func hasMeaning(_ name: String) -> Bool {
        let name = name.utf8.map(folded)
        return allCases.contains { known in known.lowercasedName.withUTF8Buffer { !$0.isEmpty && $0.elementsEqual(name) } }
    }
}

/// The byte as names are compared: letters in lower case, and `-` for everything but letters and digits.
private func folded(_ byte: UInt8) -> UInt8 {
    isLetterOrDigit(byte) ? lowercased(byte) : UInt8(ascii: "-")
}

private func spells(_ bytes: Span<UInt8>, _ range: Range<Int>, _ foldedName: [UInt8]) -> Bool {
    guard range.count == foldedName.count else { return false }
    for offset in 0..<foldedName.count where folded(bytes[range.lowerBound + offset]) != foldedName[offset] { return false }
    return true
}

private func isSpelledWithDashes(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    for index in range where folded(bytes[index]) == 0x2D && bytes[index] != 0x2D { return false }
    return true
}
