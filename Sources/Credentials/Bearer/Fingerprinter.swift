// What logs show in place of a token: a keyed hash, short enough to read and useless without the key. The caller supplies the random
// bytes for a key. Invariant: equal tokens under one key have equal fingerprints; the key is never printed.

/// The first 64 bits of a token's HMAC-SHA256 (RFC 2104, FIPS 180-4).
package struct Fingerprint: Sendable, Hashable, CustomStringConvertible {
    /// The bits, the hash's first byte being the most significant.
    package let value: UInt64

    /// A fingerprint from its bits.
    package init(value: UInt64) { self.value = value }

    /// 16 lower-case hexadecimal digits.
    package var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// A token's whole HMAC-SHA256. Nobody can make two tokens that have the same one, so it stands for the token's text.
package struct KeyedDigest: Sendable, Hashable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// Its first 64 bits.
    package var fingerprint: Fingerprint { Fingerprint(value: words.0) }

    /// Its first 128 bits.
    package var beginning: (UInt64, UInt64) { (words.0, words.1) }

    fileprivate init(_ words: PreparedHMAC.Words) { self.words = words }

    /// Whether both are the same in every bit.
    package static func == (left: KeyedDigest, right: KeyedDigest) -> Bool { left.words == right.words }

    /// Hashes the first word: each is as good as a hash of all.
    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// Makes fingerprints of tokens under one key.
package struct Fingerprinter: Sendable, CustomStringConvertible, CustomReflectable {
    /// Nil where libcrypto had no memory for it; then there are no fingerprints.
    private let code: PreparedHMAC?
    /// Whether logs show subjects as they stand in tokens.
    private let showsSubjects: Bool

    /// How many bytes of a subject logs show at most.
    package static let subjectBytes = 256
    /// The length of a key made by `randomKey`, in bytes. A key longer than the hash adds nothing (RFC 2104 section 3).
    package static let keyBytes = 32

    /// A fingerprinter. The key must not be empty; the configuration guarantees that.
    package init(key: [UInt8], showsSubjects: Bool = false) {
        precondition(!key.isEmpty, "a fingerprint without a key could be reversed by trying tokens")
        code = PreparedHMAC(key: key)
        self.showsSubjects = showsSubjects
    }

    /// What logs show of a token's `sub`; nil when libcrypto fails.
    func subject(_ bytes: [UInt8]) -> LoggedSubject? {
        if showsSubjects { return .text(Array(bytes.prefix(Fingerprinter.subjectBytes))) }
        return fingerprint(ofBytes: bytes.span).map { .fingerprint($0.value) }
    }

    /// A key of `keyBytes` bytes out of a source of randomness, which fills the buffer and says whether it could.
    package static func randomKey(from source: (UnsafeMutableRawBufferPointer) -> Bool) -> [UInt8]? {
        var key = [UInt8](repeating: 0, count: keyBytes)
        return key.withUnsafeMutableBytes(source) ? key : nil
    }

    /// Another key that nobody can compute without the first one, nor the first one from it. `purpose` tells keys that
    /// come from one key apart. Nil when libcrypto fails.
    package static func derivedKey(from key: [UInt8], for purpose: StaticString) -> [UInt8]? {
        purpose.withUTF8Buffer { digest(key: key, of: Span(_unsafeElements: $0)) }
    }

    /// The token's fingerprint; nil when libcrypto fails, which happens only without free memory.
    package func fingerprint(of token: Token) -> Fingerprint? {
        token.withBytes { fingerprint(ofBytes: $0) }
    }

    /// The fingerprint of any bytes; nil when libcrypto fails.
    package func fingerprint(ofBytes bytes: Span<UInt8>) -> Fingerprint? { digest(ofBytes: bytes)?.fingerprint }

    /// The whole digest of any bytes; nil when libcrypto fails.
    package func digest(ofBytes bytes: Span<UInt8>) -> KeyedDigest? { code?.code(of: bytes).map(KeyedDigest.init) }

    /// The whole HMAC-SHA256; nil when libcrypto fails.
    static func digest(key: [UInt8], of bytes: Span<UInt8>) -> [UInt8]? {
        guard let words = PreparedHMAC(key: key)?.code(of: bytes) else { return nil }
        return [words.0, words.1, words.2, words.3].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }

    /// Always `<fingerprinter>`.
    package var description: String { "<fingerprinter>" }
    /// A mirror without children.
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
