// How a client's side fails: the client departs, so nothing can be answered, or a request fails and is still answered. A table above
// (Exchanges) decides the log's words and the answer.

import HTTP
import HTTP2
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
        case betweenMessages, insideRecord, insideRequestBody, afterGoAway
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
    /// The client reset the stream of its request.
    case streamReset(HTTP2Code)
    /// The client broke a rule of HTTP/2 that ends the stream, or its whole connection.
    case brokeRulesOfHTTP2(HTTP2Code, StaticString)
    /// No whole head came in time, and that stops everything else on the connection.
    case headTimeout(milliseconds: Int64)
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
    /// The request of a stream of HTTP/2 is malformed (RFC 9113 section 8.1.1).
    case malformed(StaticString)
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

/// A code of HTTP/2, for logs.
package struct HTTP2Code: Sendable {
    private let code: HTTP2ErrorCode

    init(_ code: HTTP2ErrorCode) { self.code = code }

    /// Whether the client only no longer wants the stream: a page was closed, or connects again.
    package var isOrderly: Bool { code == .cancel || code == .noError }

    /// Its name in RFC 9113 section 7, or its number.
    package var name: String { code.name.map { "\($0)" } ?? "error \(code.rawValue)" }
}
