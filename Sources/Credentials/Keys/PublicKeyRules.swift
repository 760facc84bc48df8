// What a public key has to be. libcrypto 3.0 imports keys that protect nothing: an RSA exponent of 1, 1,024 bits, points of small order.

import COpenSSL

/// The rules for public keys.
enum PublicKeyRules {
    /// Checks that the key is one for all of these algorithms, and a strong one.
    static func check(_ key: OpaquePointer, for algorithms: [SignatureAlgorithm]) throws(KeyError) {
        for algorithm in algorithms {
            let fits =
                switch algorithm.family {
                case .rsa, .pss: EVP_PKEY_is_a(key, "RSA") == 1
                case .ecdsa(let curve): EVP_PKEY_is_a(key, "EC") == 1 && groupName(of: key) == curve.groupName
                case .edwards(let curve):
                    EdwardsCurve.allCases.contains { (curve == nil || curve == $0) && EVP_PKEY_is_a(key, $0.keyType) == 1 }
                case .hmac: false
                }
            guard fits else { throw .mismatch(algorithm: algorithm) }
        }
        switch algorithms.first?.family {
        case .rsa, .pss: try checkRSA(key)
        case .ecdsa: try checkPoint(key)
        case .edwards: try checkEdwards(key)
        case .hmac, nil: break
        }
    }

    private static func groupName(of key: OpaquePointer) -> String? {
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        guard EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else { return nil }
        return String(decoding: name.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func checkRSA(_ key: OpaquePointer) throws(KeyError) {
        let bits = Int(EVP_PKEY_get_bits(key))
        guard 2_048...8_192 ~= bits else { throw .rsaSize(bits: bits) }
        var exponent: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 else { throw .unreadable }
        defer { BN_free(exponent) }
        // With 1 a padded hash is its own signature; above 2^32 each verification would cost an attacker's choice of work.
        guard BN_is_odd(exponent) == 1, BN_is_one(exponent) == 0, BN_num_bits(exponent) <= 32 else { throw .rsaExponent }
    }

    private static func checkPoint(_ key: OpaquePointer) throws(KeyError) {
        guard let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil) else { throw .unreadable }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_public_check(context) == 1 else { throw .weakPoint }
    }

    private static func checkEdwards(_ key: OpaquePointer) throws(KeyError) {
        var bytes = [UInt8](repeating: 0, count: 57)
        var count = bytes.count
        guard EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1 else { throw .unreadable }
        guard !hasSmallOrder(Array(bytes[..<count])) else { throw .weakPoint }
    }

    /// Whether a point of Ed25519 or Ed448 has small order, in any of its encodings: one fixed signature would fit every text.
    static func hasSmallOrder(_ point: [UInt8]) -> Bool {
        // The sign of x stands in the highest bit, and each of these points has both signs.
        var point = point
        point[point.count - 1] &= 0x7F
        return (point.count == 32 ? smallEd25519 : smallEd448).contains(point)
    }

    /// The y of Ed25519's points of small order, p being 2^255 - 19: 0, 1, p - 1, p and p + 1, and two that belong to order 8.
    private static let smallEd25519: [[UInt8]] = {
        func nearPrime(_ first: UInt8) -> [UInt8] { [first] + [UInt8](repeating: 0xFF, count: 30) + [0x7F] }
        func small(_ first: UInt8) -> [UInt8] { [first] + [UInt8](repeating: 0, count: 31) }
        return [
            small(0), small(1), nearPrime(0xEC), nearPrime(0xED), nearPrime(0xEE),
            [
                0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0, 0xD5, 0xDF, 0xAC, 0x05,
                0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
            ],
            [
                0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F, 0x2A, 0x20, 0x53, 0xFA,
                0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A,
            ],
        ]
    }()

    /// The y of Ed448's points of small order, p being 2^448 - 2^224 - 1: 0, 1, p - 1, p and p + 1.
    private static let smallEd448: [[UInt8]] = {
        func nearPrime(_ first: UInt8) -> [UInt8] {
            [first] + [UInt8](repeating: 0xFF, count: 27) + [0xFE] + [UInt8](repeating: 0xFF, count: 27) + [0]
        }
        func small(_ first: UInt8) -> [UInt8] { [first] + [UInt8](repeating: 0, count: 56) }
        let abovePrime = [UInt8](repeating: 0, count: 28) + [UInt8](repeating: 0xFF, count: 28) + [0]
        return [small(0), small(1), nearPrime(0xFE), nearPrime(0xFF), abovePrime]
    }()
}
