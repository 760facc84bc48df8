// One table for the client's side: the log's words for a client's departure, and the answer to a request that cannot be served.
// ServerFailure has the server's side.

import Downstreams
import HTTP
import Reactor
import Telemetry

extension Ending {
    /// The log's words for a client that is gone, or for which the proxy no longer waits.
    init(_ departure: ClientDeparture) {
        switch departure {
        case .ended(let goodbye, let place): self.init(cause: .clientClosed, evidence: goodbye.evidence + place.evidence)
        case .broke(let error, let operation, let isInsideRecord):
            self.init(
                cause: error.meansUnreachable ? .clientVanished : .clientReset,
                evidence: Ending.evidence(of: error, operation, isInsideRecord: isInsideRecord), errnoName: error.name)
        case .brokeWhileStalled(let error, let operation, let isInsideRecord):
            self.init(
                cause: .clientStalled, evidence: Ending.evidence(of: error, operation, isInsideRecord: isInsideRecord),
                errnoName: error.name)
        case .stalled(let count, let milliseconds):
            self.init(cause: .clientStalled, evidence: "took none of \(count) pending bytes for \(milliseconds) ms")
        case .vanished(let milliseconds, let retransmits):
            self.init(cause: .clientVanished, evidence: "nothing acknowledged for \(milliseconds) ms, \(retransmits) retransmissions")
        case .streamReset(let code):
            self.init(cause: code.isOrderly ? .clientClosed : .clientReset, evidence: "RST_STREAM(\(code.name)) received")
        case .brokeRulesOfHTTP2(let code, let reason): self.init(cause: .clientProtocolError, evidence: "\(code.name): \(reason)")
        case .headTimeout(let milliseconds):
            self.init(cause: .requestTimeout, evidence: "no whole request head within \(milliseconds) ms")
        case .tlsFailed(let failure): self.init(cause: .clientTLSError, evidence: failure.reason)
        case .handshakeTimeout(let milliseconds):
            self.init(cause: .handshakeTimeout, evidence: "no TLS handshake within \(milliseconds) ms")
        case .proxyHeaderTimeout(let milliseconds):
            self.init(cause: .requestTimeout, evidence: "no whole PROXY header within \(milliseconds) ms")
        case .proxyHeaderBroken(let error): self.init(cause: .clientProtocolError, evidence: error.reason)
        case .proxyHeaderCutOff:
            self.init(cause: .clientProtocolError, evidence: "the connection ended in the middle of the PROXY header")
        case .untrustedProxy:
            self.init(cause: .clientProtocolError, evidence: "the listener takes the PROXY protocol, from trusted_proxies only")
        }
    }

    private static func evidence(of error: SystemError, _ operation: LinkOperation, isInsideRecord: Bool) -> String {
        "\(operation == .writing ? "write" : "read"): \(error.message)"
            + (isInsideRecord ? ClientDeparture.Place.insideRecord.evidence : "")
    }
}

extension ClientDeparture {
    /// Whether a TLS handshake failed or was not finished in time, for connections without a request.
    var isFailedHandshake: Bool {
        switch self {
        case .tlsFailed, .handshakeTimeout: true
        default: false
        }
    }
}

extension ClientDeparture.Goodbye {
    fileprivate var evidence: String {
        switch self {
        case .plain: "FIN received"
        case .authentic: "close_notify received"
        case .unauthenticated: "FIN received without close_notify"
        }
    }
}

extension ClientDeparture.Place {
    fileprivate var evidence: String {
        switch self {
        case .betweenMessages: ""
        case .insideRecord: " in the middle of a TLS record"
        case .insideRequestBody: " in the middle of the request's body"
        case .afterGoAway: " after GOAWAY"
        }
    }
}

extension ExchangeWorker {
    /// The answer to a request that cannot be served. Reached limits are reported to the operator.
    func refusal(of failure: RequestFailure) -> Refusal {
        switch failure {
        case .brokeRules(let error): return Refusal(error)
        case .malformed(let reason):
            return Refusal(status: 400, cause: .clientProtocolError, evidence: "a malformed request: \(reason)", closes: false)
        case .headTimeout(let milliseconds):
            return Refusal(status: 408, cause: .requestTimeout, evidence: "no whole request head within \(milliseconds) ms")
        case .bodyTimeout(let milliseconds):
            return Refusal(status: 408, cause: .requestTimeout, evidence: "no byte of the request's body within \(milliseconds) ms")
        case .plainText:
            counters.add(.handshakes, HandshakeOutcome.failed)
            return Refusal(status: 400, cause: .clientTLSError, evidence: "this port speaks TLS; use https://")
        case .tooMany(let limit):
            worker.warn("the limit \(limit.rawValue) is reached; clients are refused or told to come back")
            return .overload(limit: limit.rawValue, evidence: "the limit \(limit.rawValue) is reached")
        case .noRoom(let count):
            worker.warn("the limit pending is reached; clients that read too slowly are closed now")
            return .overload(limit: "pending", evidence: "the limit pending is reached: \(count) bytes wait on this worker")
        }
    }
}
