// A key that verifies signatures, imported once into libcrypto. Invariant: a key has its own algorithms, and verifies with no other; what
// a token says only names one of them.

import COpenSSL

/// Why a key is not taken. The description is for the operator; it shows nothing of the key.
package enum KeyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Nothing that libcrypto reads as a public key in PEM.
    case notPEM
    /// A key whose numbers have a wrong form, or that libcrypto does not take.
    case unreadable
    /// A private key, where the proxy needs only the public one.
    case isPrivate
    /// A certificate, where a public key is wanted.
    case isCertificate
    /// Another kind of key than its algorithm needs.
    case mismatch(algorithm: SignatureAlgorithm)
    /// An RSA key of this many bits.
    case rsaSize(bits: Int)
    /// An RSA key whose public exponent protects nothing.
    case rsaExponent
    /// A point that is not on its curve, or whose signatures anybody can make.
    case weakPoint
    /// Two members of one object with the same name, or another fault of the JSON text.
    case malformedSet
    /// More keys than a set may have.
    case tooManyKeys
    /// More bytes than a set may have.
    case tooLarge
    /// A set without any key that could verify a token of the issuer.
    case noUsableKey

    /// One phrase.
    package var description: String {
        switch self {
        case .notPEM: "no public key in PEM can be read"
        case .unreadable: "the key has a member of a wrong form, or numbers that make no key"
        case .isPrivate: "it holds a private key; give the proxy the public one (openssl pkey -in FILE -pubout)"
        case .isCertificate: "it holds a certificate; give the proxy its key (openssl x509 -in FILE -noout -pubkey)"
        case .mismatch(let algorithm): "the key is not one for \(algorithm.rawValue)"
        case .rsaSize(let bits): "the RSA key has \(bits) bits; 2048 to 8192 are allowed"
        case .rsaExponent: "the RSA key has a public exponent that is even, 1, or above 2^32"
        case .weakPoint: "the key is no point of its curve, or one whose signatures anybody can make"
        case .malformedSet: "it is no JSON object with an array 'keys', as RFC 7517 describes, or has a member twice"
        case .tooLarge: "it is larger than 256 KiB"
        case .tooManyKeys: "it holds more than \(KeySet.mostKeys) keys"
        case .noUsableKey: "it holds no key with which a token of this issuer could be verified"
        }
    }
}

/// A public key, or a secret, with its algorithms.
package final class VerificationKey: @unchecked Sendable {
    // Unchecked because libcrypto's keys are only read after they have been imported.
    private enum Material {
        case publicKey(OpaquePointer)
        case secret(Token)
    }

    /// The name by which tokens may ask for it; nil for none.
    let name: [UInt8]?
    let algorithms: [SignatureAlgorithm]
    private let material: Material

    /// Takes the public key over, if it is one for these algorithms, and frees it otherwise.
    init(_ key: OpaquePointer, name: [UInt8]?, algorithms: [SignatureAlgorithm]) throws(KeyError) {
        do throws(KeyError) {
            try PublicKeyRules.check(key, for: algorithms)
        } catch {
            EVP_PKEY_free(key)
            throw error
        }
        self.name = name
        self.algorithms = algorithms
        material = .publicKey(key)
    }

    /// A secret for one algorithm with HMAC. It must be at least as long as the hash; the configuration guarantees that.
    package init(secret: [UInt8], name: [UInt8]?, algorithm: SignatureAlgorithm) {
        precondition(algorithm.needsSecret && secret.count >= algorithm.leastSecretBytes, "a short secret can be found by trying")
        self.name = name
        algorithms = [algorithm]
        material = .secret(Token(copying: secret.span))
    }

    deinit { if case .publicKey(let key) = material { EVP_PKEY_free(key) } }

    /// Whether both are the same public key under the same name, for the same algorithms.
    func isSame(as other: VerificationKey) -> Bool {
        guard name == other.name, algorithms == other.algorithms, case .publicKey(let key) = material,
            case .publicKey(let otherKey) = other.material
        else { return false }
        ERR_clear_error()
        defer { ERR_clear_error() }
        return EVP_PKEY_eq(key, otherKey) == 1
    }

    /// Whether the signature belongs to the text and this key. The algorithm must be one of the key's.
    func verifies(_ algorithm: SignatureAlgorithm, of text: Span<UInt8>, signature: [UInt8]) -> Bool {
        precondition(algorithms.contains(algorithm), "a key verifies only with its own algorithms")
        // libcrypto's error queue belongs to the thread; neither its users before nor those after may take others' errors for theirs.
        ERR_clear_error()
        defer { ERR_clear_error() }
        switch material {
        case .secret(let secret): return VerificationKey.verifiesMAC(algorithm, secret, text, signature)
        case .publicKey(let key): return VerificationKey.verifies(algorithm, key, text, signature)
        }
    }

    private static func verifiesMAC(
        _ algorithm: SignatureAlgorithm, _ secret: Token, _ text: Span<UInt8>, _ signature: [UInt8]
    ) -> Bool {
        guard let digest = Digests.digest(named: algorithm.digestName) else { return false }
        var code = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        let made = secret.withBytes { key in
            key.withUnsafeBufferPointer { key in
                text.withUnsafeBufferPointer {
                    HMAC(digest, key.baseAddress, Int32(key.count), $0.baseAddress, $0.count, &code, &count) != nil
                }
            }
        }
        return made && signature.count == Int(count) && CRYPTO_memcmp(signature, code, Int(count)) == 0
    }

    private static func verifies(
        _ algorithm: SignatureAlgorithm, _ key: OpaquePointer, _ text: Span<UInt8>, _ signature: [UInt8]
    ) -> Bool {
        var signature = signature
        if case .ecdsa(let curve) = algorithm.family {
            guard let encoded = ECDSASignature.encoded(signature, on: curve) else { return false }
            signature = encoded
        } else {
            // The length is a part of the signature's form: for RSA that of the modulus, for Ed25519 64 bytes, for Ed448 114.
            guard signature.count == Int(EVP_PKEY_get_size(key)) else { return false }
        }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        var keyContext: OpaquePointer?
        guard EVP_DigestVerifyInit(context, &keyContext, Digests.digest(named: algorithm.digestName), nil, key) == 1 else { return false }
        if algorithm.family == .pss {
            // Left to itself, libcrypto takes a salt of any length.
            guard EVP_PKEY_CTX_set_rsa_padding(keyContext, RSA_PKCS1_PSS_PADDING) == 1,
                EVP_PKEY_CTX_set_rsa_pss_saltlen(keyContext, RSA_PSS_SALTLEN_DIGEST) == 1
            else { return false }
        }
        // Both 0 and negative values mean a bad signature.
        return text.withUnsafeBufferPointer { EVP_DigestVerify(context, signature, signature.count, $0.baseAddress, $0.count) == 1 }
    }
}

/// The hashes, fetched from libcrypto once: a look-up by name costs more than hashing a token.
enum Digests {
    nonisolated(unsafe) private static let sha256 = EVP_MD_fetch(nil, "SHA256", nil)
    nonisolated(unsafe) private static let sha384 = EVP_MD_fetch(nil, "SHA384", nil)
    nonisolated(unsafe) private static let sha512 = EVP_MD_fetch(nil, "SHA512", nil)

    /// The hash of that name; nil without a name.
    static func digest(named name: String?) -> OpaquePointer? {
        switch name {
        case "SHA256": sha256
        case "SHA384": sha384
        case "SHA512": sha512
        default: nil
        }
    }
}

/// An ECDSA signature: `r` and `s` behind each other in tokens (RFC 7518 section 3.4), DER for libcrypto.
enum ECDSASignature {
    /// The DER of a token's signature; nil where its length is wrong, or where a half is 0. libcrypto refuses halves that are too large.
    static func encoded(_ signature: [UInt8], on curve: EllipticCurve) -> [UInt8]? {
        let half = curve.coordinateBytes
        guard signature.count == 2 * half else { return nil }
        let (first, second) = (Array(signature[..<half]), Array(signature[half...]))
        guard first.contains(where: { $0 != 0 }), second.contains(where: { $0 != 0 }) else { return nil }
        guard let pair = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(pair) }
        // The pair owns both numbers.
        guard ECDSA_SIG_set0(pair, BN_bin2bn(first, Int32(half), nil), BN_bin2bn(second, Int32(half), nil)) == 1 else { return nil }
        var encoded = [UInt8](repeating: 0, count: Int(max(i2d_ECDSA_SIG(pair, nil), 0)))
        let count = encoded.withUnsafeMutableBufferPointer { buffer -> Int32 in
            var end: UnsafeMutablePointer<UInt8>? = buffer.baseAddress
            return i2d_ECDSA_SIG(pair, &end)
        }
        return count > 0 && Int(count) == encoded.count ? encoded : nil
    }
}
