// One key of a set, as JSON describes it (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2). Invariant: numbers and points are
// taken in their one canonical length, because libcrypto also takes compressed points and the point at infinity.

import COpenSSL

/// The description of a public key.
struct WebKey {
    private enum Material {
        case rsa(modulus: [UInt8], exponent: [UInt8])
        case point(EllipticCurve, x: [UInt8], y: [UInt8])
        case edwards(EdwardsCurve, [UInt8])
    }

    private let material: Material
    private let name: [UInt8]?
    private let algorithms: [SignatureAlgorithm]
    /// Whether the description holds the private half too (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).
    let isPrivate: Bool

    /// Nil for a key that verifies no signature of these algorithms.
    /// - Throws: `unreadable` for one that should, and has a wrong form.
    init?(_ description: JSONObject, for wanted: [SignatureAlgorithm]) throws(KeyError) {
        guard WebKey.isForVerifying(description), let kind = description["kty"]?.string else { return nil }
        let kindText = String(decoding: kind, as: UTF8.self)
        let curve = description["crv"]?.string.map { String(decoding: $0, as: UTF8.self) }
        var algorithms = wanted.filter { WebKey.fits($0, kindText, curve) }
        if let member = description["alg"] {
            guard let algorithm = member.string else { throw .unreadable }
            algorithms = algorithms.filter { $0.rawValue.utf8.elementsEqual(algorithm) }
        }
        guard !algorithms.isEmpty else { return nil }
        self.algorithms = algorithms
        isPrivate = description["d"] != nil
        if let member = description["kid"] {
            guard let name = member.string else { throw .unreadable }
            self.name = name
        } else {
            name = nil
        }
        func bytes(_ name: StaticString) throws(KeyError) -> [UInt8] {
            guard let text = description[name]?.string, let bytes = Base64URL.decode(text.span), !bytes.isEmpty else { throw .unreadable }
            return bytes
        }
        switch kindText {
        case "RSA": material = .rsa(modulus: try bytes("n"), exponent: try bytes("e"))
        case "EC":
            guard let curve = curve.flatMap(EllipticCurve.init) else { return nil }
            let (x, y) = (try bytes("x"), try bytes("y"))
            guard x.count == curve.coordinateBytes, y.count == curve.coordinateBytes else { throw .weakPoint }
            material = .point(curve, x: x, y: y)
        default:
            guard let curve = curve.flatMap(EdwardsCurve.init) else { return nil }
            let point = try bytes("x")
            guard point.count == curve.keyBytes else { throw .weakPoint }
            material = .edwards(curve, point)
        }
    }

    /// RFC 7517 sections 4.2 and 4.3.
    private static func isForVerifying(_ description: JSONObject) -> Bool {
        if let use = description["use"], use.string != Array("sig".utf8) { return false }
        if let operations = description["key_ops"], operations.strings?.contains(Array("verify".utf8)) != true { return false }
        return true
    }

    private static func fits(_ algorithm: SignatureAlgorithm, _ kind: String, _ curve: String?) -> Bool {
        switch algorithm.family {
        case .rsa, .pss: kind == "RSA"
        case .ecdsa(let needed): kind == "EC" && curve == needed.rawValue
        case .edwards(let needed): kind == "OKP" && curve.flatMap(EdwardsCurve.init).map { needed == nil || needed == $0 } == true
        // A secret in a published set is none.
        case .hmac: false
        }
    }

    /// The key in libcrypto.
    func imported() throws(KeyError) -> VerificationKey {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let key = importedMaterial() else {
            if case .rsa = material { throw .unreadable }
            throw .weakPoint
        }
        return try VerificationKey(key, name: name, algorithms: algorithms)
    }

    private func importedMaterial() -> OpaquePointer? {
        switch material {
        case .rsa(let modulus, let exponent):
            guard let first = BN_bin2bn(modulus, Int32(clamping: modulus.count), nil) else { return nil }
            defer { BN_free(first) }
            guard let second = BN_bin2bn(exponent, Int32(clamping: exponent.count), nil) else { return nil }
            defer { BN_free(second) }
            return WebKey.imported(kind: "RSA") { hw_OSSL_PARAM_BLD_push_RSA($0, first, second) == 1 }
        case .point(let curve, let x, let y):
            // 4 marks an uncompressed point (SEC 1 section 2.3.3).
            let point = [4] + x + y
            return curve.groupName.withCString { group in
                point.withUnsafeBufferPointer { point in
                    WebKey.imported(kind: "EC") { hw_OSSL_PARAM_BLD_push_point($0, group, point.baseAddress, point.count) == 1 }
                }
            }
        case .edwards(let curve, let point):
            return EVP_PKEY_new_raw_public_key_ex(nil, curve.keyType, nil, point, point.count)
        }
    }

    private static func imported(kind: String, _ push: (OpaquePointer) -> Bool) -> OpaquePointer? {
        guard let builder = OSSL_PARAM_BLD_new() else { return nil }
        defer { OSSL_PARAM_BLD_free(builder) }
        guard push(builder), let parameters = OSSL_PARAM_BLD_to_param(builder) else { return nil }
        defer { OSSL_PARAM_free(parameters) }
        // The context keeps the pointer to its kind.
        return kind.withCString { kind in
            guard let context = EVP_PKEY_CTX_new_from_name(nil, kind, nil) else { return nil }
            defer { EVP_PKEY_CTX_free(context) }
            var key: OpaquePointer?
            guard EVP_PKEY_fromdata_init(context) == 1,
                EVP_PKEY_fromdata(context, &key, hw_EVP_PKEY_PUBLIC_KEY(), parameters) == 1
            else { return nil }
            return key
        }
    }
}
