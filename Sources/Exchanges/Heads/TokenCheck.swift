// The check of a request's token on a route that has one: before anything goes to a server. It makes bytes and sends none.

import Configuration
import Credentials
import HTTP
import Telemetry

/// The check of one route, with everything that its exchanges need, made in advance.
final class CompiledCheck: Sendable {
    /// The numbers of the issuers that may have signed a token.
    let issuers: [Int]
    let claims: ClaimRules
    let expiry: ExpiryPolicy

    init(_ check: BearerCheck, of issuers: [Issuer]) {
        self.issuers = check.issuers.map { name in
            guard let index = issuers.firstIndex(where: { $0.rules.label == name }) else {
                preconditionFailure("a route's issuers are those of the configuration")
            }
            return index
        }
        claims = check.claims
        expiry = check.expiry
    }
}

/// A token that was found good for its request.
struct CheckedToken {
    let identity: TokenIdentity
    /// The token's fingerprint.
    let fingerprint: UInt64?
    /// What the server is told of it.
    let fields: [(name: String, value: [UInt8])]
}

/// What a check finds.
enum CheckResult {
    case good(CheckedToken)
    /// The token has been over for so many seconds, and is good in every other way.
    case expired(TokenIdentity, forSeconds: Int64)
    /// The issuer of that number has no key for it now, and may have one soon.
    case undecided(issuer: Int, MissingKey)
    /// The issuer of that number has to be asked.
    case unasked(issuer: Int)
    /// Another fault; the identity is that of a token that is good for something else.
    case refused(TokenFault, TokenIdentity?)
}

extension CompiledCheck {
    /// Checks a token at this moment, in seconds since 1970 and in monotonic milliseconds. `certificate` is the SHA-256 of the client's.
    func examine(
        _ token: Token, of certificate: @autoclosure () -> [UInt8]?, by checker: TokenChecker, now: Int64, monotonic: Int64
    ) -> CheckResult {
        let digest = token.withBytes(checker.digest)
        let verdict = token.withBytes { checker.check($0, digest, by: issuers, now: now, monotonic: monotonic) }
        return examine(verdict, digest, of: certificate())
    }

    /// Compares a verdict with the client's certificate, and with what the route wants of the token's claims.
    func examine(_ verdict: TokenVerdict, _ digest: KeyedDigest?, of certificate: @autoclosure () -> [UInt8]?) -> CheckResult {
        switch verdict {
        case .good(let verified) where verified.isBound(toOtherThan: certificate),
            .expired(let verified, _) where verified.isBound(toOtherThan: certificate):
            return .refused(.confirmation, verified.identity)
        case .refused(let fault): return .refused(fault, nil)
        case .undecided(let issuer, let missing): return .undecided(issuer: issuer, missing)
        case .unasked(let issuer): return .unasked(issuer: issuer)
        case .expired(let verified, let seconds): return .expired(verified.identity, forSeconds: seconds)
        case .good(let verified):
            if let fault = claims.fault(of: verified) { return .refused(fault, verified.identity) }
            do throws(TokenFault) {
                let fields = try claims.values(of: verified)
                return .good(CheckedToken(identity: verified.identity, fingerprint: digest?.fingerprint.value, fields: fields))
            } catch { return .refused(error, verified.identity) }
        }
    }
}

extension CompiledRoute {
    /// The answer to a request whose token is not good.
    func refusal(for fault: TokenFault, urlHeldToken: Bool) -> Refusal {
        var answer = Refusal(
            status: fault.isForbidden ? 403 : 401, cause: .credentialsRefused, evidence: "\(fault.reason)",
            challenge: bridge?.challenge(for: fault, scopes: check?.claims.scopes ?? []), closes: false)
        answer.urlHeldToken = urlHeldToken
        answer.credentialsFault = CredentialsFault(fault)
        return answer
    }
}

extension CredentialsFault {
    init(_ fault: TokenFault) {
        switch fault {
        case .shape: self = .shape
        case .header: self = .header
        case .algorithm: self = .algorithm
        case .key: self = .key
        case .signature: self = .signature
        case .payload: self = .payload
        case .claims: self = .claims
        case .issuer: self = .issuer
        case .audience: self = .audience
        case .notYet: self = .notYet
        case .lifetime: self = .lifetime
        case .type: self = .type
        case .confirmation: self = .confirmation
        case .expired: self = .expired
        case .denied: self = .denied
        case .scope: self = .scope
        case .claim: self = .claim
        }
    }
}
