import Testing

@testable import Credentials

@Suite("Tokens that PyJWT made, and attacks")
struct TokenVectorTests {
    @Test("each gets the word that the file has for it, also the second time")
    func verdicts() throws {
        let lines = TokenVectors.lines("token")
        #expect(lines.count > 300)
        let checkers = TokenVectors.issuers.mapValues { TokenChecker([$0], TokenVectors.fingerprinter) }
        for _ in 0..<2 {
            for parts in lines {
                let checker = try #require(checkers[parts[1]])
                let verdict = word(checker.check(Array(parts[3].utf8), by: [0], now: TokenVectors.now))
                #expect(verdict == parts[0], "\(parts[2])")
            }
        }
    }

    @Test("every word of a token's own faults occurs in the file")
    func isComplete() {
        let words = Set(TokenVectors.lines("token").map { $0[0] })
        // Of routes, of the clock, and of issuers that are asked.
        let others: Set<TokenFault> = [.scope, .claim, .lifetime, .denied]
        for fault in TokenFault.allCases where !others.contains(fault) { #expect(words.contains(fault.rawValue), "\(fault)") }
    }

    @Test("a token with any one character changed, left out or doubled is refused")
    func mutations() throws {
        let token = TokenVectors.token("PyJWT's HS256")
        let checker = TokenChecker([try #require(TokenVectors.issuers["secret"])], TokenVectors.fingerprinter)
        let alphabet = Array("ABab01-_.=+/ ".utf8)
        for index in token.indices {
            for byte in alphabet where byte != token[index] {
                var changed = token
                changed[index] = byte
                #expect(word(checker.check(changed, by: [0], now: TokenVectors.now)) != "good", "\(index)")
            }
            var shorter = token
            shorter.remove(at: index)
            var longer = token
            longer.insert(token[index], at: index)
            #expect(word(checker.check(shorter, by: [0], now: TokenVectors.now)) != "good", "\(index)")
            #expect(word(checker.check(longer, by: [0], now: TokenVectors.now)) != "good", "\(index)")
        }
        #expect(word(checker.check(token, by: [0], now: TokenVectors.now)) == "good")
    }

    private func name(of error: KeyError) -> String {
        switch error {
        case .unreadable, .notPEM: "\(error == .notPEM ? "notPEM" : "unreadable")"
        case .rsaSize: "rsaSize"
        case .rsaExponent: "rsaExponent"
        case .weakPoint: "weakPoint"
        case .malformedSet: "malformedSet"
        case .tooManyKeys: "tooManyKeys"
        case .tooLarge: "tooLarge"
        case .noUsableKey: "noUsableKey"
        case .isPrivate, .isCertificate, .mismatch: "\(error)"
        }
    }

    @Test("keys that protect nothing, or are for something else, are not taken")
    func keys() {
        let lines = TokenVectors.lines("key")
        #expect(lines.count > 50)
        for parts in lines {
            var found = "taken"
            do { _ = try KeySet.keys(in: Array(parts[2].utf8), for: TokenVectors.publicAlgorithms) } catch { found = name(of: error) }
            #expect(found == parts[0], "\(parts[1])")
        }
        let large = Array("{\"keys\":[]}".utf8) + [UInt8](repeating: 0x20, count: 256 * 1_024)
        #expect(throws: KeyError.tooLarge) { try KeySet.keys(in: large, for: TokenVectors.publicAlgorithms) }
    }

    @Test("a weak key beside a good one is left out, and the good one serves")
    func leftOut() throws {
        let good = try #require(TokenVectors.lines("set").first { $0[0] == "rsa" })[1].dropLast(2)
        let weak = try #require(TokenVectors.lines("key").first { $0[0] == "rsaExponent" })[2].dropFirst(10)
        let set = try KeySet.keys(in: Array((good + "," + weak).utf8), for: TokenVectors.publicAlgorithms)
        #expect(set.keys.count == 1)
        #expect(set.leftOut == [.rsaExponent])
    }

    @Test("a set is only for the algorithms of its issuer")
    func algorithmsOfIssuer() throws {
        let text = Array(try #require(TokenVectors.lines("set").first { $0[0] == "all" })[1].utf8)
        let keys = try KeySet.keys(in: text, for: [.ES256]).keys
        let checker = TokenChecker([TokenVectors.issuerWith(keys, [.ES256])], TokenVectors.fingerprinter)
        #expect(word(checker.check(TokenVectors.token("PyJWT's ES256"), by: [0], now: TokenVectors.now)) == "good")
        for algorithm in ["RS256", "PS512", "ES384"] {
            let verdict = checker.check(TokenVectors.token("PyJWT's \(algorithm)"), by: [0], now: TokenVectors.now)
            #expect(word(verdict) == "algorithm")
        }
    }

    @Test("a PEM key is one for its algorithm, public, and no certificate")
    func pem() throws {
        func error(_ name: String, _ algorithm: SignatureAlgorithm) -> KeyError? { error(TokenVectors.pem(name), for: algorithm) }
        func error(_ text: String, for algorithm: SignatureAlgorithm) -> KeyError? {
            do {
                _ = try VerificationKey(pem: Array(text.utf8), name: nil, algorithm: algorithm)
                return nil
            } catch { return error }
        }
        #expect(error("pem-RS256-rsa", .PS384) == nil)
        #expect(error("pem-RS256-rsa", .ES256) == .mismatch(algorithm: .ES256))
        #expect(error("pem-ES256-p256", .ES384) == .mismatch(algorithm: .ES384))
        #expect(error("pem-ES256-p256", .RS256) == .mismatch(algorithm: .RS256))
        #expect(error("pem-EdDSA-ed448", .EdDSA) == nil)
        #expect(error("pem-EdDSA-ed448", .RS256) == .mismatch(algorithm: .RS256))
        #expect(error("pem-EdDSA-ed448", .Ed448) == nil)
        #expect(error("pem-EdDSA-ed448", .Ed25519) == .mismatch(algorithm: .Ed25519))
        #expect(error("", for: .RS256) == .notPEM)
        #expect(error("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", for: .RS256) == .notPEM)
        #expect(error("-----BEGIN EC PRIVATE KEY-----\n", for: .ES256) == .isPrivate)
        #expect(error("-----BEGIN CERTIFICATE-----\n", for: .ES256) == .isCertificate)
    }
}
