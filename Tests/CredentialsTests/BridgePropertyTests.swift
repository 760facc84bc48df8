// Random requests with a planted token. The expected result is made from the pieces of the request, so no parser is compared with
// itself.

import Credentials
import Foundation
import TestSupport
import Testing

@Suite("For random requests with a planted token")
struct BridgePropertyTests {
    private static let pieces = [
        "", "a=1", "b=%20", "access_token_=q", "xaccess_token=q", "=", "a=%zz", "%", "a=access_token", "tok=en", "é=ü", "a=b=c", "?", "/",
    ]
    private static let pairs = ["a=b", "", "c", "=d", "e=\"f\"", "tokens=1", "TOKEN=2", "g==", "h=i j", "é=%"]

    private func joined(_ pieces: [String], _ separator: String) -> String { pieces.joined(separator: separator) }

    private func spelled(_ text: String, _ generator: inout SeededGenerator) -> String {
        var result = ""
        for byte in text.utf8 {
            let hexadecimal = (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: Bool.random(using: &generator))
            result += Int.random(in: 0..<4, using: &generator) == 0 ? "%" + hexadecimal : String(Unicode.Scalar(byte))
        }
        return result
    }

    @Test("nothing in the result but the Token holds it, and everything else is untouched")
    func plantedToken() {
        let seed = SeededGenerator.seed(of: "planted tokens")
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/")
        for _ in 0..<20_000 {
            let token =
                "s3cr3t" + String((0..<Int.random(in: 0..<30, using: &generator)).map { _ in alphabet.randomElement(using: &generator)! })
            let written = spelled(token, &generator)
            let isCookie = Bool.random(using: &generator)
            let query = (0..<Int.random(in: 0..<5, using: &generator)).map { _ in Self.pieces.randomElement(using: &generator)! }
            let pairs = (0..<Int.random(in: 0..<5, using: &generator)).map { _ in Self.pairs.randomElement(using: &generator)! }
            var plantedQuery = query
            var plantedPairs = pairs
            let copies = Int.random(in: 1..<8, using: &generator) == 1 ? 2 : 1
            for _ in 0..<copies {
                if isCookie {
                    plantedPairs.insert("token=\(written)", at: Int.random(in: 0...plantedPairs.count, using: &generator))
                } else {
                    let piece = spelled("access_token", &generator) + "=" + written
                    plantedQuery.insert(piece, at: Int.random(in: 0...plantedQuery.count, using: &generator))
                }
            }
            let target = "/e" + (plantedQuery.isEmpty ? "" : "?" + joined(plantedQuery, "&"))
            let cookie = joined(plantedPairs, "; ")
            let isAuthorized = Bool.random(using: &generator)
            let conflicts: [BearerPolicy.Conflict] = [.refuse, .preferAuthorization, .preferBridged]
            let bridge = TokenBridge(
                policy: BearerPolicy(
                    sources: [.query(name: "access_token"), .cookie(name: "token")],
                    onConflict: conflicts.randomElement(using: &generator)!))
            let result = examine(
                bridge, target, cookies: cookie.isEmpty ? [] : [cookie], authorizations: isAuthorized ? ["Bearer own"] : [])

            var shown = String(reflecting: result)
            switch result {
            case .untouched:
                Issue.record("seed \(seed): not found in \(target) \(cookie)")
            case .refused(let refusal):
                shown += String(decoding: refusal.wwwAuthenticate, as: UTF8.self)
                #expect(copies == 2 || isAuthorized, "seed \(seed): \(target) \(cookie)")
            case .forward(let request):
                let expectedTarget = "/e" + (query.isEmpty ? "" : "?" + joined(query, "&"))
                let expectedCookie = pairs.allSatisfy { $0.isEmpty } ? "" : joined(pairs, "; ")
                let newTarget = request.target.map { String(decoding: $0, as: UTF8.self) }
                let newCookie = request.cookies.map { String(decoding: $0, as: UTF8.self) }
                #expect(newTarget == (isCookie ? nil : expectedTarget), "seed \(seed): \(target)")
                if isCookie {
                    #expect(newCookie == expectedCookie, "seed \(seed): \(cookie)")
                } else {
                    #expect(newCookie == nil, "seed \(seed)")
                }
                if let found = request.token { #expect(text(of: found) == token, "seed \(seed)") }
                #expect((request.token == nil) == (isAuthorized && bridge.policy.onConflict == .preferAuthorization))
                shown += (newTarget ?? "") + (newCookie ?? "")
            }
            let clean = redacted(bridge, Array(("https://h" + target + "#" + plantedQuery.joined(separator: "&")).utf8))
            #expect((clean == nil) == isCookie, "seed \(seed): \(target)")
            if !isCookie { shown += clean.map { String(decoding: $0, as: UTF8.self) } ?? "" }
            #expect(!shown.contains(written) && !shown.contains(token), "seed \(seed): \(shown)")
        }
    }

    @Test("random bytes never trap, and are forwarded whole or changed only where a token was")
    func randomBytes() {
        let seed = SeededGenerator.seed(of: "random bytes")
        var generator = SeededGenerator(seed: seed)
        let alphabet: [[UInt8]] =
            ["t=", "t=a", "%74=1", "t", "=", "&", "?", "#", ";", "; ", "%", " ", "\"", "%3D", "a", "1", "/", "//", ":"].map {
                Array($0.utf8)
            }
            + [[0], [0x80], [0xFF], [0x0D, 0x0A]]
        let bridge = TokenBridge(policy: BearerPolicy(sources: [.query(name: "t"), .cookie(name: "t")], maximumTokenBytes: 3))
        var forwarded = 0
        for _ in 0..<30_000 {
            func random() -> [UInt8] {
                (0..<Int.random(in: 0..<8, using: &generator)).flatMap { _ in alphabet.randomElement(using: &generator)! }
            }
            let target = random()
            let cookies = (0..<Int.random(in: 0..<3, using: &generator)).map { _ in random() }
            if case .forward(let request) = examine(bridge, target: target, cookies: cookies) {
                forwarded += 1
                // Cleaned text holds nothing more to find.
                let again = examine(bridge, target: request.target ?? target, cookies: request.cookies.map { [$0] } ?? cookies)
                #expect(summary(again) == "untouched", "seed \(seed): \(target) \(cookies)")
            }
            if let clean = redacted(bridge, target) {
                #expect(redacted(bridge, clean) == nil, "seed \(seed): \(target)")
            }
            let path = TokenBridge.loggablePath(of: target.span)
            #expect(path.lowerBound >= 0 && path.upperBound <= target.count)
            _ = Token.inAuthorization(target.span)
        }
        #expect(forwarded > 100)
    }
}
