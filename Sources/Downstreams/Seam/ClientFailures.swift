// How a client's side fails: the client departs, so nothing can be answered, or a request fails and is still answered. A table above
// (Exchanges) decides the log's words and the answer.

import HTTP
import Reactor

/// Why a client is gone, or is no longer waited for.
package enum ClientDeparture: Sendable {
    /// How the client ended its sending in good order.
    package enum Goodbye: Sendable {
        /// A FIN, on a connection without TLS.
        case plain
        /// A FIN after TLS's close_notify.
        case authentic
        /// A FIN without close_notify, which anybody on the network can forge.
        case unauthenticated
    }

    /// Where in the exchange the end came.
    package enum Place: Sendable {
        case betweenMessages, insideRecord, insideRequestBody
    }

    /// The client ended its sending.
    case ended(Goodbye, Place)
    /// The connection broke while reading or writing.
    case broke(SystemError, LinkOperation, isInsideRecord: Bool)
    /// The kernel gave up a client that acknowledged packets until then but took no bytes.
    case brokeWhileStalled(SystemError, LinkOperation, isInsideRecord: Bool)
    /// The client took none of the waiting bytes for that long.
    case stalled(waitingBytes: Int, milliseconds: Int64)
    /// The client acknowledges nothing.
    case vanished(unacknowledgedMilliseconds: UInt32, retransmits: UInt32)
    /// TLS failed.
    case tlsFailed(TLSFailure)
    /// The TLS handshake was not finished in time.
    case handshakeTimeout(milliseconds: Int64)
    /// The PROXY header was not there in time.
    case proxyHeaderTimeout(milliseconds: Int64)
    /// The PROXY header cannot be used.
    case proxyHeaderBroken(ProxyHeaderError)
    /// The connection ended in the middle of the PROXY header.
    case proxyHeaderCutOff
    /// The listener takes the PROXY protocol from trusted proxies only.
    case untrustedProxy
}

/// Why a request cannot be served. It can still be answered.
package enum RequestFailure: Sendable {
    /// The request breaks a rule of HTTP, or a limit of its head.
    case brokeRules(HTTPError)
    /// No whole head came in time.
    case headTimeout(milliseconds: Int64)
    /// No byte of the body came in time.
    case bodyTimeout(milliseconds: Int)
    /// A client speaks plain text on a TLS port.
    case plainText
    /// The connection exceeds a limit.
    case tooMany(ConnectionLimit)
    /// Too many bytes wait on this worker.
    case noRoom(waitingBytes: Int)
}
