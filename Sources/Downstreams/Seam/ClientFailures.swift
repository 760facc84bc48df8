// How a client's side fails: by a departure, which nobody can be told of any more, or by a request that is answered all the same. What
// the log calls them, and what a client is told, is a table above (Exchanges).

import HTTP
import Reactor

/// Why a client is gone, or is no longer waited for.
package enum ClientDeparture: Sendable {
    /// How an orderly end was said.
    package enum Goodbye: Sendable {
        /// A FIN, on a connection without TLS.
        case plain
        /// A FIN behind TLS's close_notify.
        case authentic
        /// A FIN without close_notify, which anybody on the way can forge.
        case unauthenticated
    }

    /// What the end came in the middle of.
    package enum Place: Sendable {
        case betweenMessages, insideRecord, insideRequestBody
    }

    /// The client ended its sending.
    case ended(Goodbye, Place)
    /// The connection broke while it was read or written. `isUnreachable` says that the kernel gave the client up.
    case broke(SystemError, LinkOperation, isInsideRecord: Bool)
    /// The kernel gave up a client that acknowledged bytes until then and took none.
    case brokeWhileStalled(SystemError, LinkOperation, isInsideRecord: Bool)
    /// The client took none of so many bytes for so long.
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

/// Why a request cannot be served that can still be answered.
package enum RequestFailure: Sendable {
    /// The request breaks a rule of HTTP, or a limit of its head.
    case brokeRules(HTTPError)
    /// No whole head came in time.
    case headTimeout(milliseconds: Int64)
    /// No byte of the body came in time.
    case bodyTimeout(milliseconds: Int)
    /// A client speaks plain text where TLS is spoken.
    case plainText
    /// The connection is one too many.
    case tooMany(ConnectionLimit)
    /// So many bytes wait on this worker, which is too much.
    case noRoom(waitingBytes: Int)
}
