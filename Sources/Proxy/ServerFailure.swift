// Every way in which a server fails before its response has begun, and what follows from it: one table, so that nothing is
// guessed from a status. Which side broke a response that has begun is ExchangeEnding's.

import Reactor
import Telemetry

/// How a server failed to give a response.
enum ServerFailure: CaseIterable {
    case nameNotResolved, connectionRefused, connectTimeout, connectFailed
    /// Its UNIX socket has as many connections waiting as it wants, which the kernel says at once. Over TCP it would be silent.
    case backlogFull
    /// No TLS handshake in time.
    case handshakeTimeout
    /// The connection ended or broke during the TLS handshake.
    case handshakeBroken
    /// The handshake failed by what one side said: a certificate that does not hold, bytes that are no TLS, an alert.
    case handshakeRefused
    /// What came after the handshake cannot be decrypted, or is an alert, such as one about our own certificate.
    case recordRefused
    case noResponse
    /// It closed in the middle of the response's head.
    case headCutOff
    case reset, vanished, responseTimeout
    /// It answered one of the route's `outage_answers`.
    case outageAnswer
    /// What it sent is no HTTP, or contradicts itself, or is beyond a limit.
    case brokeRules

    /// What may help a client that would rather wait than be refused.
    enum Remedy {
        /// The server is gone, perhaps for a moment only: the client is held, and servers are tried again.
        case wait
        /// Waiting does not mend it. It may have been chance, or one of several servers: one more try tells.
        case tryOnceMore
    }

    /// What the log calls it, what a client is told that cannot wait, and what may help one that can.
    private var row: (cause: Cause, status: Int, remedy: Remedy) {
        switch self {
        case .nameNotResolved: (.nameNotResolved, 502, .wait)
        case .connectionRefused: (.connectionRefused, 502, .wait)
        case .connectTimeout: (.connectTimeout, 504, .wait)
        case .connectFailed: (.connectFailed, 502, .wait)
        case .backlogFull: (.connectFailed, 503, .wait)
        case .handshakeTimeout: (.connectTimeout, 504, .wait)
        case .handshakeBroken: (.upstreamTLSError, 502, .wait)
        case .handshakeRefused: (.upstreamTLSError, 502, .tryOnceMore)
        case .recordRefused: (.upstreamTLSError, 502, .tryOnceMore)
        case .noResponse: (.upstreamNoResponse, 502, .wait)
        case .headCutOff: (.upstreamProtocolError, 502, .wait)
        case .reset: (.upstreamReset, 502, .wait)
        case .vanished: (.upstreamVanished, 502, .wait)
        case .responseTimeout: (.responseTimeout, 504, .wait)
        case .outageAnswer: (.upstreamUnavailable, 503, .wait)
        case .brokeRules: (.upstreamProtocolError, 502, .tryOnceMore)
        }
    }

    /// What the log calls it.
    var cause: Cause { row.cause }
    /// What a client is told that cannot wait; of `outageAnswer` it is told the server's own status.
    var status: Int { row.status }
    /// What may help a client that would rather wait than be refused.
    var remedy: Remedy { row.remedy }

    /// Why a connection could not be made.
    init(connecting error: SystemError) {
        switch error {
        case .connectionRefused: self = .connectionRefused
        case .timedOut: self = .connectTimeout
        case .wouldBlock: self = .backlogFull
        default: self = .connectFailed
        }
    }

    /// Why a connection broke on which a response was waited for.
    init(waiting error: SystemError) { self = error.meansUnreachable ? .vanished : .reset }

    /// Why TLS with a server failed.
    init(_ failure: TLSFailure) {
        switch failure.moment {
        case .handshake: self = failure.isEndOfConnection ? .handshakeBroken : .handshakeRefused
        case .record: self = .recordRefused
        }
    }
}
