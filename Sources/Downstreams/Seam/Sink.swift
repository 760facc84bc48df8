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

/// A client's side of one exchange: an HTTP/1 connection. Eight bytes, and every call is dispatched statically.
package enum Sink {
    /// An HTTP/1 connection, which carries one exchange at a time.
    case http1(HTTP1Connection)

    // MARK: The response

    /// Begins the response. `opening` is the body's beginning if that is known. A withheld head goes out with the first bytes of the
    /// body: `send` or `flush` must follow in the same turn.
    @inline(__always)
    package func begin(_ response: consuming OutgoingResponse, opening: [UInt8]? = nil, awaitsBody: Bool = false) {
        switch self {
        case .http1(let connection): connection.begin(response, opening: opening, awaitsBody: awaitsBody)
        }
    }

    /// Sends an interim response (1xx) to a client that understands one.
    package func sendInterim(_ response: consuming OutgoingResponse) {
        switch self {
        case .http1(let connection): connection.sendInterim(response)
        }
    }

    /// Sends a piece of the body, which lies in the worker's scratch buffer with room around it; after the last piece sends the body's
    /// end. Returns whether everything sent has been taken; if not, `clientDrained` follows.
    @discardableResult @inline(__always)
    package func send(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool {
        switch self {
        case .http1(let connection): connection.sendBody(payload, isLast: isLast)
        }
    }

    /// Sends the proxy's own bytes as part of the body. Not while the scratch buffer holds received bytes.
    @discardableResult
    package func send(own bytes: [UInt8], isLast: Bool = false) -> Bool {
        switch self {
        case .http1(let connection): connection.sendOwn(bytes, isLast: isLast)
        }
    }

    /// Sends a withheld head although no byte of the body has come.
    @inline(__always)
    package func flush() {
        switch self {
        case .http1(let connection): connection.sendWithheldHead()
        }
    }

    /// Ends the response. The exchange is over for this side, and nothing more may be sent.
    package func end(_ end: ResponseEnd) {
        switch self {
        case .http1(let connection): connection.endExchange(end)
        }
    }

    /// How many bytes wait for the client.
    @inline(__always)
    package var waitingCount: Int {
        switch self {
        case .http1(let connection): connection.pendingCount
        }
    }

    /// Whether something can still be sent to the client. A failed write is reported at the end of its turn.
    package var isConnected: Bool {
        switch self {
        case .http1(let connection): connection.isConnected
        }
    }

    /// Calls the exchange's `deadlineReached` at that moment or earlier.
    package func wake(atMilliseconds moment: Int64) {
        switch self {
        case .http1(let connection): connection.wake(atMilliseconds: moment)
        }
    }

    // MARK: The request's body

    /// Whether all of the request has been received.
    package var isRequestComplete: Bool {
        switch self {
        case .http1(let connection): connection.isRequestComplete
        }
    }

    /// Asks for more of the request's body, or of a tunnel's bytes.
    package func readOn() {
        switch self {
        case .http1(let connection): connection.requestCanGoOn()
        }
    }

    // MARK: Tunnels

    /// Switches protocols: from now on bytes pass unchanged in both directions.
    package func beginTunnel(_ response: consuming OutgoingResponse) {
        switch self {
        case .http1(let connection): connection.beginTunnel(response)
        }
    }

    /// Sends bytes of a tunnel. Returns whether everything sent has been taken.
    package func sendThroughTunnel(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .http1(let connection):
            connection.send(bytes)
            return connection.pendingCount == 0
        }
    }

    /// Shuts down sending to the client when everything is sent. The client may still send.
    package func endTunnelSending() {
        switch self {
        case .http1(let connection): connection.shutdownWhenDrained()
        }
    }

    /// One side of a tunnel has ended; the other side must end within `client_stall`.
    package func expectTunnelEnd() {
        switch self {
        case .http1(let connection): connection.expectTunnelEnd()
        }
    }

    // MARK: Facts about the client

    /// The client and the security of its connection.
    package var client: ClientFacts {
        switch self {
        case .http1(let connection): connection.facts
        }
    }

    /// Whether the client's `X-Forwarded-*` fields are believed.
    package var isTrusted: Bool {
        switch self {
        case .http1(let connection): connection.isTrusted
        }
    }

    /// The client's address.
    package var peer: SocketAddress {
        switch self {
        case .http1(let connection): connection.peer
        }
    }

    /// The limit that the client's connection exceeds; nil for none.
    package var exceededLimit: ConnectionLimit? {
        switch self {
        case .http1(let connection): connection.exceededLimit
        }
    }

    /// For `Strict-Transport-Security`, in seconds; nil for no such field.
    package var strictTransportSecuritySeconds: Int? {
        switch self {
        case .http1(let connection): connection.strictTransportSecuritySeconds
        }
    }

    /// Facts about TLS for the log; nil without TLS.
    package var security: (version: String, isResumed: Bool)? {
        switch self {
        case .http1(let connection): connection.security
        }
    }

    /// The kernel's view of the client's connection; nil if it is closed or the kernel has none.
    package var transportInformation: TransportInformation? {
        switch self {
        case .http1(let connection): connection.transportInformation
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
    /// The field with the certificate's subject for the server; nil for none.
    package let subjectField: String?
    /// The subject of the client's certificate as RFC 4514 writes it; nil without one.
    package let subject: [UInt8]?
}
