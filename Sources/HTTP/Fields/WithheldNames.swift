// Field names by which a server is told what only its proxy can know, in every spelling that some server takes for them.
// Who may say such a thing is decided by the proxy; here is only which names those are, and how spellings are compared.
//
// Invariant: whether a field is withheld depends on its own name alone, so a head of many fields costs no more for each of them.

/// The fields without a `FieldName` of their own that are not passed on. Servers that make variables of fields (CGI, WSGI, PHP, Rack)
/// put `_` in the place of `-`, and some of them in the place of everything that is neither a letter nor a digit: `X_Forwarded_User` and
/// `X-Forwarded-User` are one variable. So all such bytes are compared as `-`.
public struct WithheldNames: Sendable, Equatable {
    /// Whether the request comes from a proxy whose word counts. Then names of that kind pass as they are registered, and only their
    /// other spellings stay behind: the proxy in front has not looked for them when it removed what its own clients said.
    private let believesProxyFields: Bool
    /// Never passed on in any spelling, in lower case with `-`.
    private let guarded: [[UInt8]]
    /// A bit for each letter with which any of the names begins: most fields need no further look.
    private let firstLetters: UInt32

    /// What is withheld of a head. `guarded` are names that never pass, besides `Proxy`.
    public init(guarded: [String] = [], believesProxyFields: Bool) {
        self.believesProxyFields = believesProxyFields
        self.guarded = Set(guarded.map { name in name.utf8.map(folded) } + [Array("proxy".utf8)]).sorted {
            $0.lexicographicallyPrecedes($1)
        }
        firstLetters = (self.guarded + Self.proxyFields).reduce(Self.bit(of: 0x78)) { $0 | Self.bit(of: $1.first ?? 0) }
    }

    /// Whether this name never passes, in any spelling.
    public func guards(_ name: String) -> Bool { guarded.contains(name.utf8.map(folded)) }

    /// Whether a server could take the name for one by which its proxy speaks: the configuration may not give it another meaning.
    public static func meansProxy(_ name: String) -> Bool {
        let name = name.utf8.map(folded)
        return meansProxy(name.span, name.indices) || name == Array("proxy".utf8)
    }

    /// Whether a field of that name stays behind; `known` names are for others to decide.
    func withholds(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
        guard firstLetters & Self.bit(of: folded(bytes[name.lowerBound])) != 0 else { return false }
        for guarded in guarded where spells(bytes, name, guarded) { return true }
        guard Self.meansProxy(bytes, name) else { return false }
        return !believesProxyFields || !isSpelledWithDashes(bytes, name)
    }

    private static func bit(of byte: UInt8) -> UInt32 { 1 << UInt32(byte & 31) }

    private static let family = Array("x-forwarded-".utf8)

    /// What frameworks believe without being told to, besides those that have a `FieldName`: addresses, scheme and host, the URL in the
    /// place of the request's own, the client's certificate (RFC 9440), where files lie (Rack).
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
    /// Whether a server could take this name for one that the proxy acts upon, in any spelling.
    public static func hasMeaning(_ name: String) -> Bool {
        let name = name.utf8.map(folded)
        return allCases.contains { known in known.lowercasedName.withUTF8Buffer { !$0.isEmpty && $0.elementsEqual(name) } }
    }
}

/// The byte as names are compared: letters in lower case, and `-` for everything but letters and digits.
private func folded(_ byte: UInt8) -> UInt8 {
    switch byte {
    case 0x30...0x39, 0x61...0x7A: byte
    case 0x41...0x5A: byte | 0x20
    default: 0x2D
    }
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
