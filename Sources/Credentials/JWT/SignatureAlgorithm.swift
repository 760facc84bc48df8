// The algorithms that sign tokens (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2). A token names one; the issuer and
// the key decide whether it is one of theirs.

/// How a token is signed. The raw value is the name, spelled exactly as in the token's header.
package enum SignatureAlgorithm: String, Sendable, CaseIterable {
    case RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519, Ed448, HS256, HS384, HS512

    /// What a key has to be for an algorithm.
    enum Family: Sendable, Equatable {
        /// RSASSA-PKCS1-v1_5.
        case rsa
        /// RSASSA-PSS.
        case pss
        /// ECDSA on the curve that belongs to the hash.
        case ecdsa(EllipticCurve)
        /// A signature on this curve, or on either of them where the algorithm does not say on which.
        case edwards(EdwardsCurve?)
        /// A secret that both sides know.
        case hmac
    }

    /// Which keys it needs.
    var family: Family {
        switch self {
        case .RS256, .RS384, .RS512: .rsa
        case .PS256, .PS384, .PS512: .pss
        case .ES256: .ecdsa(.p256)
        case .ES384: .ecdsa(.p384)
        case .ES512: .ecdsa(.p521)
        case .EdDSA: .edwards(nil)
        case .Ed25519: .edwards(.ed25519)
        case .Ed448: .edwards(.ed448)
        case .HS256, .HS384, .HS512: .hmac
        }
    }

    /// Whether it needs a secret instead of a public key.
    package var needsSecret: Bool { family == .hmac }

    /// OpenSSL's name of its hash; nil for Edwards curves, whose signatures hash by themselves.
    var digestName: String? {
        switch self {
        case .RS256, .PS256, .ES256, .HS256: "SHA256"
        case .RS384, .PS384, .ES384, .HS384: "SHA384"
        case .RS512, .PS512, .ES512, .HS512: "SHA512"
        case .EdDSA, .Ed25519, .Ed448: nil
        }
    }

    /// The least length of a secret, in bytes: that of the hash (RFC 7518 section 3.2).
    package var leastSecretBytes: Int {
        switch self {
        case .HS384: 48
        case .HS512: 64
        default: 32
        }
    }
}

/// The curves of ECDSA signatures (RFC 7518 section 3.4). The raw value is the name in key sets.
enum EllipticCurve: String, Sendable, CaseIterable {
    case p256 = "P-256"
    case p384 = "P-384"
    case p521 = "P-521"

    /// OpenSSL's name of the group.
    var groupName: String {
        switch self {
        case .p256: "prime256v1"
        case .p384: "secp384r1"
        case .p521: "secp521r1"
        }
    }

    /// The length of a coordinate, and of each half of a signature, in bytes.
    var coordinateBytes: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }
}

/// The Edwards curves that sign (RFC 8037 section 2). The raw value is the name in key sets.
enum EdwardsCurve: String, Sendable, CaseIterable {
    case ed25519 = "Ed25519"
    case ed448 = "Ed448"

    /// OpenSSL's name of the kind of key.
    var keyType: String {
        switch self {
        case .ed25519: "ED25519"
        case .ed448: "ED448"
        }
    }

    /// The length of a public key, in bytes.
    var keyBytes: Int {
        switch self {
        case .ed25519: 32
        case .ed448: 57
        }
    }
}
