// What one user's browser or program holds of tokens, how the user gets the next one, and what requests bring of it. Invariant: what is
// brought is recorded with the truth about it before it is sent.

import TestSupport

/// What a request brings, and what must come of it.
struct BroughtCredentials {
    /// The token that counts; nil where none does.
    var token: SimulatedToken?
    /// The ticket that holds the token; nil where it is brought itself.
    var ticket: BroughtTicket?
    /// What is wrong with the way in which it is brought, in the words of the log; empty for nothing.
    var faults: Set<String> = []
    /// The status of the answer to such a fault.
    var status = 401
    /// Whether an expired token is told in an event.
    var isEventSource = false
    /// It brings nothing, and that is allowed.
    var isNobody = false

    /// All that a check may find while a clock shows these seconds.
    func verdicts(at readings: [ClosedRange<Int64>], _ rules: CredentialPlan) -> Set<Verdict> {
        if !faults.isEmpty { return [.refused(faults)] }
        return token?.verdicts(at: readings, rules) ?? [.good]
    }
}

/// Makes the tokens of a world, good and bad.
final class Mint {
    let plan: CredentialPlan
    private let world: SimulatedWorld
    private let clock: () -> Int64
    private var count = 0
    /// The issuer whose keys are fetched, in some worlds.
    let house: KeyHouse?
    /// Good ones that were made last, for those who change them.
    private var recent: [SimulatedToken] = []

    /// `clock` gives the seconds since 1970.
    init(_ plan: CredentialPlan, _ world: SimulatedWorld, house: KeyHouse?, clock: @escaping () -> Int64) {
        (self.plan, self.world, self.house, self.clock) = (plan, world, house, clock)
    }

    /// A good token. The issuer's clock differs from the proxy's by no more than the leeway.
    func make(for user: String, lifetimeSeconds: ClosedRange<Int>) -> SimulatedToken {
        var token = SimulatedToken(user: user, expires: 0)
        let leeway = Int(plan.leewaySeconds)
        let issued = clock() + Int64(world.chance.number(-leeway...leeway))
        if world.chance.permille(500) { token.begins = issued }
        token.expires = issued + Int64(world.chance.number(lifetimeSeconds))
        sign(&token, world.chance.pick(plan.signers))
        recent.append(token)
        if recent.count > 8 { recent.removeFirst() }
        return token
    }

    /// Signs with that key, or with one that is published if the signer's are.
    func sign(
        _ token: inout SimulatedToken, _ signer: TokenSigner, named name: String? = nil, audience: String = CredentialPlan.audience,
        more: String = ""
    ) {
        count += 1
        let begins = token.begins.map { ",\"nbf\":\($0)" } ?? ""
        var signer = signer
        if let name { token.keyName = name } else if let published = house?.signer(for: signer) { (signer, token.keyName) = published }
        let scope = plan.requiresScope && token.lastFault != .forbidden("scope") ? ",\"scope\":\"a \(CredentialPlan.scope)\"" : ""
        token.text = signer.token(
            """
            {"iss":"\(signer.issuer)","aud":"\(audience)","sub":"\(token.user)","exp":\(token.expires)\(begins)\(scope),\
            "jti":"\(count)"\(more)}
            """, keyName: token.isNameless ? nil : token.keyName)
    }

    /// A token that is not good now, or good by a hair.
    func makeBad(for user: String) -> SimulatedToken {
        let leeway = Int(plan.leewaySeconds)
        let now = clock()
        let signer = world.chance.pick(plan.signers)
        var token = SimulatedToken(user: user, expires: now + 600)
        if let house, world.chance.permille(400) {
            house.signDoubtfully(&token, by: self)
            return token
        }
        switch world.chance.number(0...12) {
        case 0: token.expires = now - Int64(world.chance.number(0...leeway + 3))
        case 1: token.expires = now - Int64(leeway + world.chance.number(0...400))
        case 2: token.expires = now - Int64(leeway + world.chance.number(300...100_000))
        case 3: token.begins = now + Int64(world.chance.number(0...2 * leeway + 5))
        case 4: token.begins = now + Int64(leeway + world.chance.number(1...100_000))
        case 5: if plan.requiresScope { token.lastFault = .forbidden("scope") }
        case 6:
            token.faults = ["audience"]
            sign(&token, signer, audience: world.chance.pick(["event", "events/", "Events", "other"]))
            return token
        case 7:
            // The stranger signs in its own name, or in that of an issuer that is accepted.
            let name = world.chance.permille(500) ? CredentialPlan.stranger.issuer : signer.issuer
            token.faults = ["issuer", "signature", "algorithm"]
            sign(&token, TokenSigner(issuer: name, key: CredentialPlan.stranger.key))
            return token
        case 8: return forge(user)
        case 9:
            token.faults = ["algorithm", "header", "shape"]
            let none = world.chance.pick(["none", "None", "NONE", "hs256"])
            sign(&token, signer)
            token.keyName = nil
            let parts = token.text.split(separator: ".").map(String.init)
            token.text = TokenSigner.base64URL(Array("{\"alg\":\"\(none)\"}".utf8)) + "." + parts[1] + "."
            if world.chance.permille(500) { token.text += parts[2] }
            return token
        case 10:
            token.faults = ["shape", "header"]
            token.text = world.chance.pick(["garbage-\(count)-\(user)", "a.b.c", "....", "eyJhbGciOiJIUzI1NiJ9.e30"])
            return token
        case 11:
            token.faults = ["claims"]
            sign(&token, signer, more: world.chance.pick([",\"iat\":\"now\"", ",\"nbf\":\"0\"", ",\"client_id\":7"]))
            return token
        default:
            // Its subject would make another field of the server's request.
            token.user = "\(user)\\r\\nX-Admin: yes"
            token.lastFault = .refused(["claims"])
        }
        if let limit = plan.lifetimeLimitSeconds, world.chance.permille(100) { token.expires = now + limit + 1_000 }
        sign(&token, signer)
        return token
    }

    /// Somebody else's good token, changed.
    private func forge(_ user: String) -> SimulatedToken {
        let good = recent.isEmpty ? make(for: user, lifetimeSeconds: 20...600) : world.chance.pick(recent)
        var token = SimulatedToken(user: user, faults: ["signature"], expires: good.expires)
        (token.keyName, token.isNameless) = (good.keyName, good.isNameless)
        var parts = good.text.split(separator: ".").map { Array($0.utf8) }
        if world.chance.permille(500) {
            // The same text, and another signature.
            let place = world.chance.number(0...parts[2].count - 2)
            parts[2][place] = parts[2][place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        } else {
            // Another text, and the same signature.
            var other = token
            sign(&other, plan.signers[0])
            parts[1] = Array(other.text.split(separator: ".")[1].utf8)
            // Where the issuer is chosen by its name, its algorithm may be another one.
            token.faults = ["signature", "algorithm"]
        }
        token.text = parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".")
        return token
    }
}

/// One user's tokens.
final class Wallet {
    /// How the user gets the next token.
    enum Renewal: CaseIterable {
        /// Never.
        case never
        /// When the page is told that it has expired.
        case whenTold
        /// In time, as far as the clock allows it. A page cannot do that with a token in its URL.
        case ahead
    }

    /// Where a browser's page, or a program, puts the token.
    enum Place { case query, cookie, authorization }

    let user: String
    let place: Place
    let renewal: Renewal
    private let mint: Mint
    private let world: SimulatedWorld
    private let clock: () -> Int64
    private(set) var token: SimulatedToken
    private let lifetimeSeconds: ClosedRange<Int>
    /// What else each request brings wrongly, in thousandths.
    private let clumsiness: Int
    /// All tokens that it ever had.
    private(set) var all: [SimulatedToken] = []

    init(_ world: SimulatedWorld, _ mint: Mint, user: String, places: [Place], clock: @escaping () -> Int64) {
        (self.world, self.mint, self.user, self.clock) = (world, mint, user, clock)
        place = world.chance.pick(places)
        renewal = world.chance.pick([.never, .whenTold, .whenTold, .ahead])
        lifetimeSeconds = world.chance.pick([1...8, 5...30, 5...30, 600...3_000])
        clumsiness = world.chance.permille(300) ? 150 : 0
        token = world.chance.permille(350) ? mint.makeBad(for: user) : mint.make(for: user, lifetimeSeconds: lifetimeSeconds)
        all.append(token)
    }

    /// The user gets another token, and a good one in most cases.
    func renew() {
        world.count("token renewed")
        token = world.chance.permille(60) ? mint.makeBad(for: user) : mint.make(for: user, lifetimeSeconds: lifetimeSeconds)
        all.append(token)
    }

    /// What a request brings: a part of its target, and lines of its head.
    func bring(isEventSource: Bool, isHTTP2: Bool) -> (query: String, lines: String, credentials: BroughtCredentials) {
        if renewal == .ahead, place != .query, token.expires - clock() < Int64(lifetimeSeconds.lowerBound) { renew() }
        var brought = BroughtCredentials(token: token, isEventSource: isEventSource && place != .authorization)
        var (query, lines) = ("", "")
        switch place {
        case .query: query = "?\(CredentialPlan.parameter)=\(spelled(token.text))"
        case .cookie: lines = "Cookie: a=b; \(CredentialPlan.cookie)=\(token.text); c=d\r\n"
        case .authorization: lines = "Authorization: \(world.chance.pick(["Bearer", "Bearer", "bearer"])) \(token.text)\r\n"
        }
        if world.chance.permille(clumsiness) { spoil(&query, &lines, &brought) }
        lines += CredentialPlan.forgedField(&world.chance)
        // A field that the client names here would be dropped by a proxy that obeys.
        if !isHTTP2, world.chance.permille(100) { lines += "Connection: \(CredentialPlan.userField)\r\n" }
        return (query, lines, brought)
    }

    private func spelled(_ text: String) -> String {
        world.chance.permille(200) ? text.replacing(".", with: "%2E").replacing("e", with: "%65") : text
    }

    /// Brings it in a way that is wrong, or brings none.
    private func spoil(_ query: inout String, _ lines: inout String, _ brought: inout BroughtCredentials) {
        let other = "Authorization: Bearer \(token.text)\r\n"
        switch world.chance.number(0...5) {
        case 0, 1:
            (query, lines) = world.chance.pick([
                ("", ""), ("?\(CredentialPlan.parameter)=", ""), ("", "Authorization: Bearer\r\n"), ("", "Authorization:\r\n"),
            ])
            brought.token = nil
            if mint.plan.passesNobody { brought.isNobody = true } else { brought.faults = ["missing"] }
        case 2:
            (query, lines) = ("?\(CredentialPlan.parameter)=\(token.text)&b=c&\(CredentialPlan.parameter)=\(token.text)", "")
            (brought.faults, brought.status) = (["repeated"], 400)
        case 3:
            (query, lines) = ("?\(CredentialPlan.parameter)=\(token.text)", other)
            (brought.faults, brought.status) = (["beside_authorization"], 400)
        case 4:
            (query, lines) = ("", "Authorization: Basic dXNlcjpwYXNz\r\n")
            brought.faults = ["scheme"]
        default:
            // Cookies come by themselves, and what the page says counts.
            let stolen = mint.make(for: "somebody-else", lifetimeSeconds: 600...600)
            (query, lines) = ("", "\(other)Cookie: \(CredentialPlan.cookie)=\(stolen.text)\r\n")
            brought.isEventSource = false
        }
    }
}
