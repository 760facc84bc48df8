// The tokens of a simulated world, signed without any of Heartwire's code, and what must be found out about each of them at any moment.
// Invariant: `verdict` knows from the making of a token what is wrong with it, and never reads one.

import COpenSSL
import Foundation
import TestSupport

/// What a check must find.
enum Verdict: Hashable {
    case good
    /// Good in every way, but over for so many seconds.
    case expired(overSeconds: Int64)
    /// One of these words of the log.
    case refused(Set<String>)
    /// Good, and not for this route.
    case forbidden(String)
    /// Nobody can say it now.
    case unavailable
}

/// Signs for one issuer.
struct TokenSigner {
    enum Key {
        /// HS256.
        case secret([UInt8])
        /// EdDSA on Curve25519, with the key's seed.
        case ed25519([UInt8])
    }

    /// Its `iss`.
    let issuer: String
    let key: Key

    var algorithm: String {
        switch key {
        case .secret: "HS256"
        case .ed25519: "EdDSA"
        }
    }

    static func base64URL(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// A token in its compact form; `keyName` is its `kid`.
    func token(_ claims: String, keyName: String? = nil) -> String {
        let kid = keyName.map { ",\"kid\":\"\($0)\"" } ?? ""
        return signed(header: "{\"alg\":\"\(algorithm)\"\(kid)}", claims)
    }

    func signed(header: String, _ claims: String) -> String {
        let text = TokenSigner.base64URL(Array(header.utf8)) + "." + TokenSigner.base64URL(Array(claims.utf8))
        return text + "." + TokenSigner.base64URL(signature(of: Array(text.utf8)))
    }

    private func signature(of text: [UInt8]) -> [UInt8] {
        switch key {
        case .secret(let secret):
            var digest = [UInt8](repeating: 0, count: 32)
            var count: UInt32 = 32
            precondition(HMAC(EVP_sha256(), secret, Int32(secret.count), text, text.count, &digest, &count) != nil)
            return digest
        case .ed25519(let seed):
            var signature = [UInt8](repeating: 0, count: 64)
            var count = 64
            let key = TokenSigner.privateKey(seed)
            let context = EVP_MD_CTX_new()
            defer {
                EVP_MD_CTX_free(context)
                EVP_PKEY_free(key)
            }
            precondition(EVP_DigestSignInit(context, nil, nil, nil, key) == 1)
            precondition(EVP_DigestSign(context, &signature, &count, text, text.count) == 1)
            return signature
        }
    }

    private static func privateKey(_ seed: [UInt8]) -> OpaquePointer {
        guard let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count) else { preconditionFailure("no key") }
        return key
    }

    /// The 32 bytes of the public key of a seed.
    static func publicKey(ofSeed seed: [UInt8]) -> [UInt8] {
        let key = privateKey(seed)
        defer { EVP_PKEY_free(key) }
        var bytes = [UInt8](repeating: 0, count: 32)
        var count = 32
        precondition(EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1)
        return bytes
    }

    /// A file with the public key in PEM, made once for all runs.
    static func publicKeyFile(ofSeed seed: [UInt8], name: String) -> String {
        let prefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]
        let text = Data(prefix + publicKey(ofSeed: seed)).base64EncodedString()
        let file = OpenSSLProgram.makeFolder("simulated-issuer") + "/\(name).pem"
        precondition(
            FileManager.default.createFile(
                atPath: file, contents: Data("-----BEGIN PUBLIC KEY-----\n\(text)\n-----END PUBLIC KEY-----\n".utf8)))
        return file
    }
}

/// A token, and the truth about it.
struct SimulatedToken {
    /// The user whose token it is, whether or not it is a good one.
    var user: String
    var text = ""
    /// The words for what no time heals; empty for nothing.
    var faults: Set<String> = []
    /// When its time begins, in seconds since 1970; nil for no beginning.
    var begins: Int64?
    /// When it is over.
    var expires: Int64
    /// Under which name its issuer publishes the key that it is signed with; nil where the proxy has the keys from its operator.
    var keyName: String?
    /// Whether its header does not say that name.
    var isNameless = false
    /// What is found only when everything else is good.
    var lastFault: Verdict?

    /// What a check must find at that moment.
    func verdict(at now: Int64, _ rules: CredentialPlan) -> Verdict {
        if !faults.isEmpty { return .refused(faults) }
        if let begins, now + rules.leewaySeconds < begins { return .refused(["not_yet"]) }
        if let limit = rules.lifetimeLimitSeconds, expires > now + limit + rules.leewaySeconds { return .refused(["lifetime"]) }
        let over = now - (expires + rules.leewaySeconds)
        return over >= 0 ? .expired(overSeconds: over) : lastFault ?? .good
    }

    /// All that a check may find while a clock shows these seconds.
    func verdicts(at readings: [ClosedRange<Int64>], _ rules: CredentialPlan) -> Set<Verdict> {
        let leeway = rules.leewaySeconds
        let edges = [
            begins.map { $0 - leeway }, rules.lifetimeLimitSeconds.map { expires - $0 - leeway }, expires + leeway,
            expires + leeway + CredentialChecks.toldSeconds,
        ].compactMap { $0 }
        var found: Set<Verdict> = []
        for range in readings {
            // An expired token differs from second to second, and only its ends and the edges matter.
            for moment in [range.lowerBound, range.upperBound] + edges.flatMap({ [$0 - 1, $0] }) where range.contains(moment) {
                found.insert(verdict(at: moment, rules))
            }
        }
        return found
    }
}
