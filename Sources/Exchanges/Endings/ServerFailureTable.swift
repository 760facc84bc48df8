// One table for what follows from each way in which a server fails, so that nothing is guessed from a status.

import Telemetry
import Upstreams

extension ServerFailure {
    /// What may help a client for which waiting is better than a refusal.
    enum Remedy {
        /// The server is down, perhaps only for a moment: the client is held, and servers are tried again.
        case wait
        /// Waiting does not repair it. It may have been an accident, or concern one of several servers: one more try shows that.
        case tryOnceMore
        /// The client has the beginning of the response: it can only be truncated.
        case tooLate
    }

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
        case .bodyCutOff: (.upstreamCutOff, 502, .tooLate)
        case .silent: (.upstreamSilent, 504, .tooLate)
        }
    }

    /// What the log calls it.
    var cause: Cause { row.cause }
    /// The status for a client that cannot wait; for `outageAnswer` it is the server's own status.
    var status: Int { row.status }
    /// What may help a client for which waiting is better than a refusal.
    var remedy: Remedy { row.remedy }
}
