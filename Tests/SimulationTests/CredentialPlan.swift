// What one seed decides about credentials: who signs tokens, what the route that checks them wants, and who brings them.

import Configuration
import Credentials
import TestSupport

/// The credentials of one world.
struct CredentialPlan {
    /// The paths that are checked.
    static let path = "/checked/"
    /// Where a browser puts its token.
    static let parameter = "access_token"
    static let cookie = "session"
    /// The field in which servers are told who a client is.
    static let userField = "X-User"
    static let scope = "events.read"
    static let audience = "events"
    private static let secret = Array("a secret that both sides know, 1".utf8)
    private static let seed = [UInt8](repeating: 7, count: 32)
    private static let keyFile = TokenSigner.publicKeyFile(ofSeed: seed, name: "b")

    static let signerA = TokenSigner(issuer: "https://a.example/", key: .secret(secret))
    static let signerB = TokenSigner(issuer: "https://b.example/", key: .ed25519(seed))
    /// Nobody accepts its tokens.
    static let stranger = TokenSigner(issuer: "https://c.example/", key: .secret(Array("a secret that nobody else knows, 2".utf8)))

    /// The issuers that the route accepts.
    private(set) var signers: [TokenSigner]
    let leewaySeconds: Int64
    let lifetimeLimitSeconds: Int64?
    let requiresScope: Bool
    /// How long before the end of its token a stream is warned, in milliseconds; nil for no warning.
    let warningMilliseconds: Int?
    /// Whether requests without credentials pass.
    let passesNobody: Bool
    let eventSourceCount: Int
    let clientCount: Int
    let memberCount: Int
    /// For how long the keys of the second issuer are kept, where they are fetched; nil where they are in a file.
    private(set) var keepMilliseconds: Int?

    /// Two worlds of five have credentials. Nothing of the world itself follows from these choices.
    init?(ofWorld seed: UInt64) {
        var chance = Chance(seed: seed &+ 14_014)
        guard chance.permille(400) else { return nil }
        signers = chance.pick([
            [CredentialPlan.signerA], [CredentialPlan.signerA], [CredentialPlan.signerB], [CredentialPlan.signerA, CredentialPlan.signerB],
        ])
        leewaySeconds = chance.pick([0, 2, 5, 30])
        lifetimeLimitSeconds = chance.permille(200) ? 3_600 : nil
        requiresScope = chance.permille(500)
        passesNobody = chance.permille(200)
        warningMilliseconds = chance.permille(500) ? chance.pick([1_000, 3_000, 8_000]) : nil
        eventSourceCount = chance.number(1...4)
        clientCount = chance.number(1...4)
        memberCount = chance.permille(600) ? chance.number(2...4) : 0
        if chance.permille(600) {
            signers = chance.pick([[CredentialPlan.signerB], [CredentialPlan.signerA, CredentialPlan.signerB]])
            keepMilliseconds = chance.pick([4_000, 86_400_000])
        }
    }

    /// The same without services that the proxy asks, whose answers a judge could not follow in such a world.
    func withoutServices() -> CredentialPlan {
        var plan = self
        plan.keepMilliseconds = nil
        return plan
    }

    /// How many clients there are.
    var regulars: Int { eventSourceCount + clientCount + memberCount }

    var issuers: [Issuer] {
        signers.enumerated().map { number, signer in
            let (algorithm, key): (SignatureAlgorithm, Issuer.Key) =
                switch signer.key {
                case .secret(let secret): (.HS256, .secret(secret, .HS256, name: nil))
                case .ed25519: (.EdDSA, .file(CredentialPlan.keyFile, .EdDSA, name: nil))
                }
            let rules = IssuerRules(
                label: "issuer\(number)", name: signer.issuer, audiences: [CredentialPlan.audience], algorithms: [algorithm],
                leewaySeconds: leewaySeconds, lifetimeLimitSeconds: lifetimeLimitSeconds)
            if signer.issuer == CredentialPlan.signerB.issuer, let keepMilliseconds {
                return Issuer(rules: rules, keys: [], keysURL: KeyHouse.keysURL(keepMilliseconds: keepMilliseconds))
            }
            return Issuer(rules: rules, keys: [key])
        }
    }

    /// The route that checks, in every other way like the one that does not.
    func route(like route: Route) -> Route {
        var route = route
        route.name = CredentialPlan.path + "*"
        route.path = .prefix(CredentialPlan.path)
        route.bearer = BearerPolicy(
            sources: [.query(name: CredentialPlan.parameter), .cookie(name: CredentialPlan.cookie)],
            whenMissing: passesNobody ? .pass : .refuse, checksTokens: true)
        var claims = ClaimRules()
        claims.fields = [ClaimRules.Field(name: CredentialPlan.userField, claim: "sub")]
        if requiresScope { claims.scopes = [CredentialPlan.scope] }
        route.check = BearerCheck(issuers: issuers.map(\.rules.label), claims: claims)
        route.check?.expiry.warning = warningMilliseconds.map { ExpiryPolicy.Warning(leadMilliseconds: $0) }
        return route
    }

    /// What somebody sends who wants to be taken for somebody else, in the spellings that servers take for the field; often nothing.
    static func forgedField(_ chance: inout Chance) -> String {
        guard chance.permille(300) else { return "" }
        return "\(chance.pick(["X-User", "x_user", "X.User", "x-USER"])): admin\r\n"
    }
}
