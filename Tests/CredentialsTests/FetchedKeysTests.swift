import Foundation
import Synchronization
import Testing

@testable import Credentials

@Suite("Fetched keys")
struct FetchedKeysTests {
    private let seconds = TokenVectors.now

    private func fetchedKeys(_ times: KeyTimes = KeyTimes()) -> FetchedKeys {
        FetchedKeys(label: "main", algorithms: TokenVectors.publicAlgorithms, times: times)
    }

    private func checker(_ fetched: FetchedKeys) -> TokenChecker {
        TokenChecker(
            [TokenIssuer(rules: TokenVectors.rules(TokenVectors.publicAlgorithms), keys: .fetched(fetched))], TokenVectors.fingerprinter)
    }

    /// A set with the keys of these names.
    private func set(_ names: String..., change: (inout [String: Any]) -> Void = { _ in }) throws -> [UInt8] {
        let text = try #require(TokenVectors.lines("set").first { $0[0] == "all" })[1]
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: [[String: Any]]])
        var keys = try #require(object["keys"]).filter { names.contains($0["kid"] as? String ?? "") }
        #expect(keys.count == names.count)
        for index in keys.indices { change(&keys[index]) }
        return Array(try JSONSerialization.data(withJSONObject: ["keys": keys]))
    }

    private func fetch(_ fetched: FetchedKeys, _ text: [UInt8], _ missing: MissingKey? = nil, at now: Int64) throws -> [String] {
        fetched.publish(text, try #require(fetched.begin(for: missing, now: now)), now: now, chance: 0).lines
    }

    private func verdict(_ checker: TokenChecker, _ sentence: String, at monotonic: Int64) -> String {
        let token = TokenVectors.token(sentence)
        return word(checker.check(token.span, checker.digest(of: token.span), by: [0], now: seconds, monotonic: monotonic))
    }

    @Test("without keys nothing is decided, apart from tokens that no key could make good")
    func noKeys() throws {
        let checker = checker(fetchedKeys())
        #expect(verdict(checker, "PyJWT's ES256", at: 0) == "no keys")
        #expect(verdict(checker, "PyJWT's HS256", at: 0) == "algorithm")
        #expect(verdict(checker, "alg 'none' without one", at: 0) == "algorithm")
    }

    @Test("a name that the set lacks is undecided, one that it has is not, and a token without a name may ask for any key")
    func unknownNames() throws {
        let fetched = fetchedKeys()
        _ = try fetch(fetched, try set("p256"), at: 0)
        let checker = checker(fetched)
        #expect(verdict(checker, "PyJWT's ES256", at: 0) == "good")
        #expect(verdict(checker, "PyJWT's RS256", at: 0) == "new key, or key")
        #expect(verdict(checker, "RS256 with a kid that no key has, where keys have none", at: 0) == "new key, or key")
        _ = try fetch(fetched, try set("p256", "rsa"), .newKey(.key), at: 1)
        #expect(verdict(checker, "PyJWT's RS256", at: 1) == "good")
        // Its one key is the set's own, under another name or none.
        let unnamed = fetchedKeys()
        _ = try fetch(unnamed, try set("rsa") { $0["kid"] = nil }, at: 0)
        let second = self.checker(unnamed)
        #expect(verdict(second, "PyJWT's RS256", at: 0) == "good")
        #expect(verdict(second, "RS256 with one bit of its signature changed", at: 0) == "new key, or signature")
        // A name that the set has is that key's alone.
        let named = fetchedKeys()
        _ = try fetch(named, try set("rsa"), at: 0)
        var forged = TokenVectors.token("PyJWT's RS256")
        forged[forged.count - 20] ^= 1
        let verdict = self.checker(named).check(forged, by: [0], now: seconds)
        #expect(word(verdict) == "signature")
    }

    @Test("a key that leaves the set takes its remembered tokens along, and those of keys that stay cost no signature")
    func removedKey() throws {
        let fetched = fetchedKeys()
        _ = try fetch(fetched, try set("p256", "rsa"), at: 0)
        let checker = checker(fetched)
        for _ in 0..<3 { for name in ["ES256", "RS256"] { #expect(verdict(checker, "PyJWT's \(name)", at: 0) == "good") } }
        #expect(checker.signatureCount == 2)
        let due: Int64 = 600_000
        // The same key under the same name, beside others.
        _ = try fetch(fetched, try set("rsa", "ed25519"), at: due)
        for _ in 0..<3 { #expect(verdict(checker, "PyJWT's RS256", at: due) == "good") }
        #expect(checker.signatureCount == 2)
        #expect(verdict(checker, "PyJWT's ES256", at: due) == "new key, or key")
        _ = try fetch(fetched, try set("rsa", "p256"), .newKey(.key), at: due + 1)
        #expect(verdict(checker, "PyJWT's ES256", at: due + 1) == "good")
        #expect(checker.signatureCount == 3)
        // The same name for another key.
        _ = try fetch(fetched, try set("p256") { $0["kid"] = "rsa" }, at: 2 * due + 1)
        #expect(verdict(checker, "PyJWT's RS256", at: 2 * due + 1) == "algorithm")
    }

    @Test("keys whose time is over serve nobody, remembered tokens included")
    func over() throws {
        let fetched = fetchedKeys()
        _ = try fetch(fetched, try set("p256"), at: 0)
        let checker = checker(fetched)
        let end: Int64 = 600_000 + 86_400_000
        #expect(verdict(checker, "PyJWT's ES256", at: end - 1) == "good")
        #expect(verdict(checker, "PyJWT's ES256", at: end) == "no keys")
        _ = try fetch(fetched, try set("p256"), at: end)
        #expect(verdict(checker, "PyJWT's ES256", at: end) == "good")
        #expect(checker.signatureCount == 1)
    }

    @Test("a set that cannot be used changes nothing, and the operator is told once, and once when it is over")
    func brokenSet() throws {
        let fetched = fetchedKeys()
        let checker = checker(fetched)
        #expect(try fetch(fetched, try set("p256"), at: 0) == [])
        var now: Int64 = 600_000
        let tooMany = "{\"keys\":[" + repeatElement("{\"kty\":\"x\"}", count: 65).joined(separator: ",") + "]}"
        let large = try set("p256") + [UInt8](repeating: 0x20, count: 256 * 1_024)
        let texts = [Array("{\"keys\":[]}".utf8), Array("<html>".utf8), [], Array("[]".utf8), Array(tooMany.utf8), large]
        for (number, text) in texts.enumerated() {
            let lines = try fetch(fetched, text, at: now)
            let told = ["issuer main: its keys cannot be fetched: \(KeyError.noUsableKey); those that it had serve on"]
            #expect(lines == (number == 0 ? told : []))
            #expect(verdict(checker, "PyJWT's ES256", at: now) == "good")
            #expect(fetched.outlook(for: .newKey(.key), now: now) == .failing)
            now += 60_000
        }
        #expect(try fetch(fetched, try set("p256"), at: now) == ["issuer main: its keys were fetched again"])
        #expect(checker.signatureCount == 1)
        #expect(fetched.ageMilliseconds(now: now + 7) == 7)
    }

    @Test("a failure before the first keys says what cannot be checked")
    func firstFailure() throws {
        let fetched = fetchedKeys()
        #expect(fetched.look(now: 0, chance: 0).nextAt < 0)
        let lease = try #require(fetched.begin(for: nil, now: 0))
        let end = fetched.fail(.unreachable, "no connection", lease, now: 5, chance: 0)
        #expect(end.lines == ["issuer main: its keys cannot be fetched: no connection; its tokens cannot be checked until then"])
        #expect(end.failure == .unreachable)
        #expect(fetched.outlook(for: .allKeys, now: 5) == .failing)
        #expect(fetched.ageMilliseconds(now: 5) == 5)
    }

    @Test("keys that were left out, and private keys, are told with the first set that has them")
    func remarks() throws {
        let fetched = fetchedKeys()
        let private1 = try set("p256", "rsa") { $0["d"] = "AQAB" }
        let told = "issuer main: 2 of its keys are private ones; who can read them can sign tokens: publish public keys only"
        #expect(try fetch(fetched, private1, at: 0) == [told])
        #expect(try fetch(fetched, private1, at: 600_000) == [])
        let weak = try set("p256", "rsa") { if $0["kid"] as? String == "rsa" { $0["e"] = "AQ" } }
        #expect(try fetch(fetched, weak, at: 1_200_000) == ["issuer main: a key is left out: \(KeyError.rsaExponent)"])
    }

    @Test("every worker is told of each end of a fetch, also of a stuck worker's")
    func observers() throws {
        let fetched = fetchedKeys()
        let calls = Mutex<[Int]>([])
        for number in [0, 1, 1] { fetched.notify(number) { calls.withLock { $0.append(number) } } }
        func told(_ expected: Int, sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(calls.withLock { $0.sorted() } == (0..<expected).flatMap { _ in [0, 1] }.sorted(), sourceLocation: sourceLocation)
        }
        _ = try fetch(fetched, try set("p256"), at: 0)
        told(1)
        _ = try fetch(fetched, [], at: 600_000)
        told(2)
        let stuck = try #require(fetched.begin(for: nil, now: 602_000))
        #expect(fetched.look(now: 602_000, chance: 0) == (false, 609_000))
        told(2)
        #expect(fetched.look(now: 609_000, chance: 0) == (true, 611_000))
        told(3)
        #expect(fetched.publish(try set("rsa"), stuck, now: 609_001, chance: 0).lines == [])
        told(3)
        #expect(verdict(checker(fetched), "PyJWT's RS256", at: 609_001) == "new key, or key")
    }

    @Test("with other times the keys serve on, and their remembered tokens cost no signature")
    func otherTimes() throws {
        let fetched = fetchedKeys()
        _ = try fetch(fetched, try set("p256"), at: 0)
        let next = FetchedKeys(fetched, label: "renamed", times: KeyTimes())
        let checker = checker(next)
        #expect(verdict(checker, "PyJWT's ES256", at: 10) == "good")
        #expect(try fetch(next, try set("p256"), at: 10) == [])
        #expect(verdict(checker, "PyJWT's ES256", at: 10) == "good")
        #expect(checker.signatureCount == 1)
    }
}
