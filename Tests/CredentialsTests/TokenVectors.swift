// The tokens in Vectors/tokens.txt: all algorithms, and every known attack on them, made by PyJWT and by hand (Vectors/generate.py).

import Foundation
import Testing

@testable import Credentials

/// The lines of the file. Its times stand still: they are those of `now`.
enum TokenVectors {
    static let now: Int64 = 1_800_000_000
    static let issuer = "https://id.example.com/"
    static let audience = "https://events.example.com"
    static let secret = Array("a secret of 64 bytes, which is as long as the longest hash: 0123".utf8)
    static let fingerprinter = Fingerprinter(key: [1])
    static let publicAlgorithms = SignatureAlgorithm.allCases.filter { !$0.needsSecret }

    struct Line {
        let kind: String
        let parts: [String]
    }

    static let lines: [Line] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Vectors/tokens.txt")
        let text = try! String(contentsOf: file, encoding: .utf8)
        return text.split(separator: "\n").map { line in
            let parts = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            return Line(kind: parts[0], parts: Array(parts.dropFirst()))
        }
    }()

    static func lines(_ kind: String) -> [[String]] { lines.filter { $0.kind == kind }.map(\.parts) }

    /// The issuers of the file, by the names of their sets of keys.
    static let issuers: [String: TokenIssuer] = {
        var issuers: [String: TokenIssuer] = [:]
        for parts in lines("set") {
            let keys = try! KeySet.keys(in: Array(parts[1].utf8), for: publicAlgorithms).keys
            issuers[parts[0]] = issuerWith(keys, publicAlgorithms)
        }
        for parts in lines("pem") {
            let algorithm = SignatureAlgorithm(rawValue: parts[1])!
            let key = try! VerificationKey(pem: Array(pem(parts[0]).utf8), name: nil, algorithm: algorithm)
            issuers[parts[0]] = issuerWith([key], publicAlgorithms)
        }
        let secrets: [SignatureAlgorithm] = [.HS256, .HS384, .HS512]
        let own = secrets.map { VerificationKey(secret: secret, name: nil, algorithm: $0) }
        issuers["secret"] = issuerWith(own, secrets)
        let text = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
        let key = VerificationKey(secret: Base64URL.decode(Array(text.utf8).span)!, name: nil, algorithm: .HS256)
        issuers["rfc7515-a1"] = issuerWith([key], [.HS256])
        return issuers
    }()

    /// The key in PEM of that name.
    static func pem(_ name: String) -> String {
        lines("pem").first { $0[0] == name }![2].replacingOccurrences(of: "\\n", with: "\n")
    }

    static func rules(_ algorithms: [SignatureAlgorithm]) -> IssuerRules {
        IssuerRules(label: "main", name: issuer, audiences: ["https://first.example.com", audience], algorithms: algorithms)
    }

    static func issuerWith(_ keys: [VerificationKey], _ algorithms: [SignatureAlgorithm]) -> TokenIssuer {
        TokenIssuer(rules: rules(algorithms), keys: .configured(KeySet(keys)))
    }

    /// A good token of the set; the first with this sentence.
    static func token(_ sentence: String) -> [UInt8] { Array(lines("token").first { $0[2] == sentence }![3].utf8) }
}

/// A verdict as the file writes it.
func word(_ verdict: TokenVerdict) -> String {
    switch verdict {
    case .good: "good"
    case .expired: "expired"
    case .refused(let fault): fault.rawValue
    case .unasked(let issuer): "ask \(issuer)"
    case .undecided(_, .allKeys): "no keys"
    case .undecided(_, .newKey(let fault)): "new key, or \(fault.rawValue)"
    }
}

extension TokenChecker {
    /// Checks a token as the proxy does.
    func check(_ token: [UInt8], by allowed: [Int], now: Int64) -> TokenVerdict {
        check(token.span, digest(of: token.span), by: allowed, now: now, monotonic: 0)
    }
}
