// The issuer whose keys the proxy fetches: it makes new keys and withdraws old ones, and its service has troubles. Invariant: what the
// proxy may know at a moment follows from the answers that it was given, and from nothing that the proxy says.

import Configuration
import Credentials
import Reactor
import TestSupport

final class KeyHouse {
    private static let host = "10.0.0.100"
    private static let target = "/keys.json"
    static let refreshMilliseconds: Int64 = 12_000
    static let cooldownMilliseconds: Int64 = 4_000
    static let timeoutMilliseconds = 1_500

    /// Where the proxy fetches the keys, and for how long it keeps them.
    static func keysURL(keepMilliseconds: Int) -> KeysURL {
        let url = ServiceURL(server: Upstream.Server(host: host, port: 80), isSecure: false, target: target, authority: host)
        var times = KeyTimes()
        times.refreshMilliseconds = Int(refreshMilliseconds)
        times.cooldownMilliseconds = Int(cooldownMilliseconds)
        times.timeoutMilliseconds = timeoutMilliseconds
        times.keepMilliseconds = keepMilliseconds
        return KeysURL(service: ServiceEndpoint(name: "issuer keys", url: url, timeoutMilliseconds: timeoutMilliseconds), times: times)
    }

    private struct Key {
        let name: String
        let seed: [UInt8]
        var isPublished = true
    }

    private let world: SimulatedWorld
    let service: SimulatedService
    private let keepMilliseconds: Int64
    private var keys: [Key] = []

    init(_ world: SimulatedWorld, _ kernel: SimulatedKernel, keepMilliseconds: Int) {
        self.world = world
        self.keepMilliseconds = Int64(keepMilliseconds)
        service = SimulatedService(KeyHouse.host, world, kernel)
        makeKey()
        service.nonsense = [
            "{\"keys\":", "[]", "<html>", "{\"keys\":{}}", "{\"keys\":[]}",
            "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"key-1\"}]}",
        ]
        service.body = { [unowned self] _ in published }
    }

    private func makeKey() {
        let number = keys.count + 1
        keys.append(Key(name: "key-\(number)", seed: [UInt8](repeating: UInt8(100 + number), count: 32)))
    }

    /// New keys, and moments of trouble.
    func begin() {
        service.beginTroubles()
        for _ in 0..<world.chance.number(0...3) {
            world.after(Int64(world.chance.number(0...36_000))) { [self] in
                world.count("new key of an issuer")
                let old = keys.count - 1
                makeKey()
                guard world.chance.permille(700) else { return }
                world.after(Int64(world.chance.number(0...12_000))) { [self] in
                    world.count("key of an issuer withdrawn")
                    keys[old].isPublished = false
                }
            }
        }
    }

    private var published: String {
        let texts = keys.filter(\.isPublished).map { key in
            let point = TokenSigner.base64URL(TokenSigner.publicKey(ofSeed: key.seed))
            return "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"EdDSA\",\"use\":\"sig\",\"kid\":\"\(key.name)\",\"x\":\"\(point)\"}"
        }
        return "{\"keys\":[\(texts.joined(separator: ","))]}"
    }

    // MARK: Signing

    /// Who signs for that issuer now, and under which name; nil for an issuer whose keys are not fetched.
    func signer(for signer: TokenSigner) -> (signer: TokenSigner, name: String?)? {
        guard signer.issuer == CredentialPlan.signerB.issuer, case .ed25519 = signer.key else { return nil }
        let key = world.chance.permille(700) ? keys[keys.count - 1] : world.chance.pick(keys.filter(\.isPublished))
        return (KeyHouse.signer(key), key.name)
    }

    /// Signs with a key that may be withdrawn, with a wrong one, or under a name that no key ever has.
    func signDoubtfully(_ token: inout SimulatedToken, by mint: Mint) {
        let key = world.chance.pick(keys)
        switch world.chance.number(0...3) {
        case 0:
            token.isNameless = true
            mint.sign(&token, KeyHouse.signer(key), named: key.name)
        case 1: mint.sign(&token, KeyHouse.signer(key), named: key.name)
        case 2:
            token.faults = ["signature"]
            mint.sign(&token, KeyHouse.nobody, named: key.name)
        default: signUnknown(&token, by: mint)
        }
    }

    /// Signs under a name that no key ever has.
    func signUnknown(_ token: inout SimulatedToken, by mint: Mint) {
        mint.sign(&token, KeyHouse.nobody, named: "none-\(world.chance.number(0...9_999))")
    }

    private static let nobody = TokenSigner(issuer: CredentialPlan.signerB.issuer, key: .ed25519([UInt8](repeating: 99, count: 32)))

    private static func signer(_ key: Key) -> TokenSigner {
        TokenSigner(issuer: CredentialPlan.signerB.issuer, key: .ed25519(key.seed))
    }
}

// What the proxy may know.
extension KeyHouse {
    private func has(_ name: String, _ answer: SimulatedService.Question) -> Bool { answer.answer.contains("\"\(name)\"") }

    /// For how long an answer serves at the most, if no other one comes.
    private func servesUntil(_ answer: SimulatedService.Question) -> Int64 {
        min(
            answer.sentAt! + service.travelMilliseconds + KeyHouse.refreshMilliseconds + keepMilliseconds + 100,
            service.certainAnswer(after: answer.askedAt))
    }

    /// When the proxy may have that key.
    private func known(_ name: String) -> Spans {
        var spans = Spans()
        for answer in service.answers where has(name, answer) { spans.add(answer.sentAt!, servesUntil(answer)) }
        return spans
    }

    /// When it may have keys without that one.
    private func lacking(_ name: String) -> Spans {
        var spans = Spans()
        for answer in service.answers where !has(name, answer) { spans.add(answer.sentAt!, servesUntil(answer)) }
        return spans
    }

    /// When it may have no keys at all, or none of that name.
    private func missing(_ name: String) -> Spans {
        var spans = lacking(name)
        spans.add(.min, service.certainAnswer(after: .min))
        for answer in service.answers {
            let end = answer.sentAt! + KeyHouse.refreshMilliseconds * 9 / 10 + keepMilliseconds
            spans.add(end, service.certainAnswer(after: answer.askedAt))
        }
        return spans
    }

    /// When its last fetch may have failed.
    private var failing: Spans {
        var spans = Spans()
        for moment in service.failures { spans.add(moment, service.certainAnswer(after: moment)) }
        return spans
    }

    /// When it may not fetch because of another unknown key.
    private var settled: Spans {
        var spans = Spans()
        for question in service.questions {
            spans.add(question.askedAt - service.travelMilliseconds, question.askedAt + KeyHouse.cooldownMilliseconds)
        }
        return spans
    }

    /// What a check may find in that time of a token that was signed under that name.
    /// - Parameter base: what it finds where it has the key.
    func verdicts(_ base: Set<Verdict>, of token: SimulatedToken, named name: String, within time: ClosedRange<Int64>) -> Set<Verdict> {
        var found: Set<Verdict> = []
        // What is wrong with a forged token may be seen before its key is looked for.
        if !token.faults.isEmpty || known(name).meet(time) { found.formUnion(base) }
        if lacking(name).meet(settled, within: time) { found.insert(.refused([token.isNameless ? "signature" : "key"])) }
        if missing(name).meet(failing, within: time) { found.insert(.unavailable) }
        return found
    }

    /// The first moment from that one on since which the proxy certainly has the key for so long a time; nil for none.
    func certainlyKnown(_ name: String, from start: Int64, forMilliseconds time: Int64) -> Int64? {
        let moments = [start] + service.questions.filter { $0.isCertain && has(name, $0) }.map { $0.goneAt! + service.travelMilliseconds }
        return moments.sorted().first { moment in
            moment >= start && known(name).meet(moment...moment) && !missing(name).meet(moment...moment + time)
        }
    }

    /// What is wrong with the requests that it got, and with their moments, until the proxy drains.
    func problems(until end: Int64) -> [String] {
        var problems: [String] = []
        for head in service.questions.map(\.request) {
            let holdsSecret = head.lines.contains { $0.contains("eyJ") || $0.lowercased().hasPrefix("authorization:") }
            if head.method != "GET" || head.path != KeyHouse.target || holdsSecret {
                problems.append("an issuer was asked for something else than its keys: \(head.lines)")
            }
        }
        var searchedAt = Int64.min / 2
        let slack = 2 * service.travelMilliseconds
        for (before, question) in zip(service.questions, service.questions.dropFirst()) {
            guard before.isCertain, !service.failures.contains(where: { $0 >= before.askedAt && $0 <= question.askedAt }) else {
                // After a failure it is asked again at moments of their own, and which of them an unknown key caused is not known.
                continue
            }
            let pause = question.askedAt - before.askedAt
            if pause > KeyHouse.refreshMilliseconds + slack + 400, question.askedAt < end {
                problems.append("an issuer was not asked for its keys for \(pause) ms")
            }
            if pause >= KeyHouse.refreshMilliseconds * 9 / 10 - slack { continue }
            if question.askedAt - searchedAt < KeyHouse.cooldownMilliseconds - slack {
                problems.append("an issuer was asked for unknown keys after \(question.askedAt - searchedAt) ms: \(question.askedAt)")
            }
            searchedAt = question.askedAt
        }
        if let last = service.questions.last, last.isCertain, !service.failures.contains(where: { $0 > last.askedAt }),
            end - last.askedAt > KeyHouse.refreshMilliseconds + slack + 400
        {
            problems.append("an issuer was not asked for its keys any more after \(last.askedAt)")
        }
        return problems
    }
}
