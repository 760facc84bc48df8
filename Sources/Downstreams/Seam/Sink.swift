// Where a response goes: the seam between an exchange and its client's protocol. An exchange never asks which protocol that is.
// README.md of this room lists what each end is on the wire.

import HTTP
import Reactor

/// How a response ends.
package enum ResponseEnd: Sendable {
    /// The response is complete.
    case complete
    /// The response is incomplete and stays so. The client must see that (RFC 9112 section 8).
    case truncated
    /// The client is gone, or the proxy no longer waits for it.
    case abandoned
    /// The connection breaks, as it did in what is played again.
    case reset
}

/// A client's side of one exchange: an HTTP/1 connection or a stream of HTTP/2. Eight bytes, and every call is dispatched statically.
package enum Sink {
    /// An HTTP/1 connection, which carries one exchange at a time.
    case http1(HTTP1Connection)
    /// A stream of HTTP/2, beside others on its connection.
    case http2(HTTP2Stream)

    // MARK: The response

    /// Begins the response. `opening` is the body's beginning if that is known. A withheld head goes out with the first bytes of the
    /// body: `send` or `flush` must follow in the same turn.
    @inline(__always)
    package func begin(_ response: consuming OutgoingResponse, opening: [UInt8]? = nil, awaitsBody: Bool = false) {
        switch self {
        case .http1(let connection): connection.begin(response, opening: opening, awaitsBody: awaitsBody)
        case .http2(let stream): stream.begin(response, opening: opening)
        }
    }

    /// Sends an interim response (1xx) to a client that understands one.
    package func sendInterim(_ response: consuming OutgoingResponse) {
        switch self {
        case .http1(let connection): connection.sendInterim(response)
        case .http2(let stream): stream.sendInterim(response)
        }
    }

    /// Sends a piece of the body, which lies in the worker's scratch buffer with room around it; after the last piece sends the body's
    /// end. Returns whether everything sent has been taken; if not, `clientDrained` follows.
    @discardableResult @inline(__always)
    package func send(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool {
        switch self {
        case .http1(let connection): connection.sendBody(payload, isLast: isLast)
        case .http2(let stream): stream.sendBody(payload, isLast: isLast)
        }
    }

    /// Sends the proxy's own bytes as part of the body. Not while the scratch buffer holds received bytes.
    @discardableResult
    package func send(own bytes: [UInt8], isLast: Bool = false) -> Bool {
        switch self {
        case .http1(let connection): connection.sendOwn(bytes, isLast: isLast)
        case .http2(let stream): stream.send(bytes, isLast: isLast)
        }
    }

    /// Sends a withheld head although no byte of the body has come.
    @inline(__always)
    package func flush() {
        switch self {
        case .http1(let connection): connection.sendWithheldHead()
        case .http2: break
        }
    }

    /// Ends the response. The exchange is over for this side, and nothing more may be sent.
    package func end(_ end: ResponseEnd) {
        switch self {
        case .http1(let connection): connection.endExchange(end)
        case .http2(let stream): stream.end(end)
        }
    }

    /// Whether the response's end is its own sign: it was begun without a length, so it is whole wherever it ends.
    package var isOpenEnded: Bool {
        switch self {
        case .http1(let connection): connection.isOpenEnded
        case .http2(let stream): stream.flags.contains(.isOpenEnded)
        }
    }

    /// How many bytes wait for the client.
    @inline(__always)
    package var waitingCount: Int {
        switch self {
        case .http1(let connection): connection.pendingCount
        case .http2(let stream): stream.waitingCount
        }
    }

    /// Whether something can still be sent to the client. A failed write is reported at the end of its turn.
    package var isConnected: Bool {
        switch self {
        case .http1(let connection): connection.isConnected
        case .http2(let stream): stream.connection.isConnected
        }
    }

    /// Calls the exchange's `deadlineReached` at that moment or earlier.
    package func wake(atMilliseconds moment: Int64) {
        switch self {
        case .http1(let connection): connection.wake(atMilliseconds: moment)
        case .http2(let stream): stream.wake(atMilliseconds: moment)
        }
    }

    /// Whether the receiver's `connectNow` follows at the end of the turn: a client that resets a request in the same packet costs no
    /// server a connection. False means that the exchange connects by itself.
    package func connectsLater() -> Bool {
        switch self {
        case .http1: return false
        case .http2(let stream): return stream.connectsLater()
        }
    }

    // MARK: The request's body

    /// Whether all of the request has been received.
    package var isRequestComplete: Bool {
        switch self {
        case .http1(let connection): connection.isRequestComplete
        case .http2(let stream): stream.isRequestComplete
        }
    }

    /// Asks for more of the request's body, or of a tunnel's bytes.
    package func readOn() {
        switch self {
        case .http1(let connection): connection.requestCanGoOn()
        case .http2(let stream): stream.readOn()
        }
    }

    // MARK: Tunnels

    /// Switches protocols: from now on bytes pass unchanged in both directions.
    package func beginTunnel(_ response: consuming OutgoingResponse) {
        switch self {
        case .http1(let connection): connection.beginTunnel(response)
        case .http2(let stream): stream.beginTunnel(response)
        }
    }

    /// Sends bytes of a tunnel. Returns whether everything sent has been taken.
    package func sendThroughTunnel(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .http1(let connection):
            connection.send(bytes)
            return connection.pendingCount == 0
        case .http2(let stream): return stream.send(bytes, isLast: false)
        }
    }

    /// Shuts down sending to the client when everything is sent. The client may still send.
    package func endTunnelSending() {
        switch self {
        case .http1(let connection): connection.shutdownWhenDrained()
        case .http2(let stream): stream.endTunnelSending()
        }
    }

    /// One side of a tunnel has ended; the other side must end within `client_stall`.
    package func expectTunnelEnd() {
        switch self {
        case .http1(let connection): connection.expectTunnelEnd()
        case .http2(let stream): stream.expectTunnelEnd()
        }
    }

    // MARK: Facts about the client

    /// The client and the security of its connection.
    package var client: ClientFacts {
        switch self {
        case .http1(let connection): connection.facts
        case .http2(let stream): stream.connection.facts
        }
    }

    /// The SHA-256 of the client's verified certificate; nil without one.
    package var certificateDigest: [UInt8]? {
        switch self {
        case .http1(let connection): connection.peerCertificateDigest
        case .http2(let stream): stream.connection.peerCertificateDigest
        }
    }

    /// Whether the client's `X-Forwarded-*` fields are believed.
    package var isTrusted: Bool {
        switch self {
        case .http1(let connection): connection.isTrusted
        case .http2(let stream): stream.connection.isTrusted
        }
    }

    /// The client's address.
    package var peer: SocketAddress {
        switch self {
        case .http1(let connection): connection.peer
        case .http2(let stream): stream.connection.peer
        }
    }

    /// The limit that the client's connection exceeds, or its stream; nil for none.
    package var exceededLimit: ConnectionLimit? {
        switch self {
        case .http1(let connection): connection.exceededLimit
        case .http2(let stream): stream.flags.contains(.isAboveLimit) ? .connections : stream.connection.exceededLimit
        }
    }

    /// For `Strict-Transport-Security`, in seconds; nil for no such field.
    package var strictTransportSecuritySeconds: Int? {
        switch self {
        case .http1(let connection): connection.strictTransportSecuritySeconds
        case .http2(let stream): stream.connection.strictTransportSecuritySeconds
        }
    }

    /// Facts about TLS for the log; nil without TLS.
    package var security: (version: String, isResumed: Bool)? {
        switch self {
        case .http1(let connection): connection.security
        case .http2(let stream): stream.connection.security
        }
    }

    /// The number of the connection that the request shares with others at the same time, on its worker; nil where it has its own.
    package var sharedConnection: UInt32? {
        switch self {
        case .http1: nil
        case .http2(let stream): stream.connection.number
        }
    }

    /// The kernel's view of the client's connection; nil if it is closed or the kernel has none.
    package var transportInformation: TransportInformation? {
        switch self {
        case .http1(let connection): connection.transportInformation
        case .http2(let stream): stream.connection.transportInformation
        }
    }
}

/// What an exchange must know of its client before it forwards a request.
package struct ClientFacts {
    /// The https port to which every request is redirected; nil where requests are served.
    package let redirectPort: UInt16?
    /// Whether the client's certificate has expired since the handshake.
    package let certificateIsOver: Bool
    /// Whether the client's `X-Forwarded-*` fields are believed.
    package let isTrusted: Bool
    /// Whether TLS protects the client's connection.
    package let isSecured: Bool
    /// Whether the request came over HTTP/2.
    package let speaksHTTP2: Bool
    /// The field with the certificate's subject for the server; nil for none.
    package let subjectField: String?
    /// The subject of the client's certificate as RFC 4514 writes it; nil without one.
    package let subject: [UInt8]?
    /// The keys of those who may publish events here, and of nobody else; empty where clients are served.
    package var publishKeys: [[UInt8]] = []
}
