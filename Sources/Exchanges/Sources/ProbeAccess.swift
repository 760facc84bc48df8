// Who may use the endpoint for probes, and what a request there asks for. Invariant: nothing of a request is used before its proof is
// right, and the time that the check takes says nothing about the secret.

import Bytes
import Credentials
import HTTP
import ProbeScripts
import Telemetry

/// The endpoint for probes, compiled.
struct ProbeAccess: Sendable {
    /// What a request with a right proof asks for.
    enum Wish {
        /// To play this.
        case play(ProbeScript)
        /// How the stream with this nonce was seen.
        case seen(nonce: String)
    }

    private static let proofField: StaticString = "x-heartwire-probe"
    private static let seenPath = Array("/seen".utf8)
    /// How far the clocks of probe and proxy may differ. An old request that somebody has recorded is useless after that.
    private static let clockSeconds: Int64 = 3_600

    private let path: [UInt8]
    private let secret: ProbeSecret
    /// The longest heartbeat of all routes; nil if none has one.
    let heartbeatMilliseconds: Int?

    init(path: String, secret: ProbeSecret, heartbeatMilliseconds: Int?) {
        self.path = Array(path.utf8)
        self.secret = secret
        self.heartbeatMilliseconds = heartbeatMilliseconds
    }

    /// Whether the request is for the endpoint.
    func covers(_ head: RequestHead) -> Bool {
        let target = head.target
        guard target.count >= path.count, head.bytes[target.lowerBound..<(target.lowerBound + path.count)].elementsEqual(path) else {
            return false
        }
        let rest = head.bytes[(target.lowerBound + path.count)..<target.upperBound].prefix { $0 != UInt8(ascii: "?") }
        return rest.isEmpty || rest.elementsEqual(Self.seenPath)
    }

    /// What the request asks for.
    ///
    /// - Throws: the answer to a request without the right proof, or with one that is malformed.
    func wish(of head: RequestHead, unixSeconds: Int64) throws(ProbeRefusal) -> Wish {
        guard head.method == .get, head.framing == .none, head.upgradeProtocol == nil else { throw .noGet }
        let target = String(decoding: head.bytes[head.target], as: UTF8.self)
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = (parts.count == 2 ? parts[1] : "").utf8
        let proofs = head.values(named: Self.proofField)
        guard proofs.count == 1 else { throw .noProof }
        let proof = Array(head.bytes[proofs[0]])
        guard parts[0].utf8.count == path.count else {
            let values = ProbeScript.parameters(of: query)
            guard let nonce = values["nonce"], ProbeScript.isNonce(nonce), let at = values["at"], let askedAt = Int64(at) else {
                throw .malformed("a nonce or a time is missing")
            }
            try check(proof, of: ProbeScript.seenQuery(nonce: String(nonce), askedAt: askedAt), askedAt, unixSeconds)
            return .seen(nonce: String(nonce))
        }
        let script: ProbeScript
        do throws(ProbeScriptError) { script = try ProbeScript(query: query) } catch { throw .malformed(error.message) }
        try check(proof, of: script.query, script.askedAt, unixSeconds)
        return .play(script)
    }

    private func check(_ proof: [UInt8], of text: String, _ askedAt: Int64, _ unixSeconds: Int64) throws(ProbeRefusal) {
        guard secret.accepts(proof, of: text) else { throw .wrongProof }
        let (distance, isTooFar) = askedAt.subtractingReportingOverflow(unixSeconds)
        guard !isTooFar, distance.magnitude <= Self.clockSeconds.magnitude else { throw .wrongTime }
    }
}

/// Why a request to the endpoint is refused.
enum ProbeRefusal: Error {
    case noGet, noProof, wrongProof, wrongTime
    case malformed(String)
    /// Enough streams are played already.
    case full
    /// The nonce was played before.
    case known

    /// The answer.
    var refusal: Refusal {
        switch self {
        case .noGet: Refusal(status: 405, cause: .clientProtocolError, evidence: "the endpoint for probes takes GET only", closes: false)
        case .noProof:
            Refusal(status: 403, cause: .credentialsRefused, evidence: "no proof: the field X-Heartwire-Probe is missing", closes: false)
        case .wrongProof:
            Refusal(
                status: 403, cause: .credentialsRefused, evidence: "the proof is wrong: another secret, or a hop changed the query",
                closes: false)
        case .wrongTime:
            Refusal(
                status: 403, cause: .credentialsRefused, evidence: "the clocks of probe and proxy differ by more than an hour",
                closes: false)
        case .malformed(let what):
            Refusal(status: 400, cause: .clientProtocolError, evidence: "no script of a probe: \(what)", closes: false)
        case .full:
            Refusal.overload(
                limit: "probe_endpoint", evidence: "\(ProbeRegister.openLimit) streams of probes are open already")
        case .known:
            Refusal(status: 409, cause: .credentialsRefused, evidence: "this nonce was played before", closes: false)
        }
    }
}
