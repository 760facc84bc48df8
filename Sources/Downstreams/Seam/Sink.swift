// Where a response goes: the seam between an exchange and whatever speaks its client's protocol. An exchange never asks which protocol
// that is. README.md in this folder's room lists what each end is on the wire.

import HTTP
import Reactor

/// How a response ends.
package enum ResponseEnd: Sendable {
    /// The response is whole.
    case complete
    /// The response is not whole and will not be. The client has to see that (RFC 9112 section 8).
    case truncated
    /// The client is gone, or is no longer waited for.
    case abandoned
}

/// A client's side of one exchange: a connection of HTTP/1. Eight bytes, and every call is dispatched statically.
package enum Sink {
    /// A connection of HTTP/1, which carries one exchange at a time.
    case http1(HTTP1Connection)

    // MARK: The response

    /// Begins the response. `opening` is the body's beginning where that is known. A head that awaits its body goes out with the first
    /// bytes of the body: `send` or `flush` has to follow in the same turn.
    @inline(__always)
    package func begin(_ response: consuming OutgoingResponse, opening: [UInt8]? = nil, awaitsBody: Bool = false) {
        switch self {
        case .http1(let connection): connection.begin(response, opening: opening, awaitsBody: awaitsBody)
        }
    }

    /// Sends an interim response (1xx) to a client that understands such.
    package func sendInterim(_ response: consuming OutgoingResponse) {
        switch self {
        case .http1(let connection): connection.sendInterim(response)
        }
    }

    /// Sends a piece of the body that lies in the worker's scratch buffer, with room around it, or behind the last piece its end.
    /// Returns whether all that was sent has been taken; where it was not, `drained` follows.
    @discardableResult @inline(__always)
    package func send(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool {
        switch self {
        case .http1(let connection): connection.sendBody(payload, isLast: isLast)
        }
    }

    /// Sends bytes of the proxy's own as part of the body. Not while received bytes wait in the scratch buffer.
    @discardableResult
    package func send(own bytes: [UInt8], isLast: Bool = false) -> Bool {
        switch self {
        case .http1(let connection): connection.sendOwn(bytes, isLast: isLast)
        }
    }

    /// Sends a head that awaits its body although no byte of the body has come.
    @inline(__always)
    package func flush() {
        switch self {
        case .http1(let connection): connection.sendWithheldHead()
        }
    }

    /// Ends the response. The exchange is over for this side, and nothing may be sent any more.
    package func end(_ end: ResponseEnd) {
        switch self {
        case .http1(let connection): connection.endExchange(end)
        }
    }

    /// How many bytes wait for the client to take them.
    @inline(__always)
    package var waitingCount: Int {
        switch self {
        case .http1(let connection): connection.pendingCount
        }
    }

    /// Whether the client can still be sent something. A failed write is reported at the end of its turn.
    package var isConnected: Bool {
        switch self {
        case .http1(let connection): connection.isConnected
        }
    }

    /// Has the exchange's `deadlineReached` called at that moment, or earlier.
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

    /// Has more of the request's body, or of a tunnel's bytes, handed to the exchange.
    package func readOn() {
        switch self {
        case .http1(let connection): connection.requestCanGoOn()
        }
    }

    // MARK: Tunnels

    /// Switches protocols: from now on bytes pass in both directions as they are.
    package func beginTunnel(_ response: consuming OutgoingResponse) {
        switch self {
        case .http1(let connection): connection.beginTunnel(response)
        }
    }

    /// Sends bytes of a tunnel. Returns whether all that was sent has been taken.
    package func sendThroughTunnel(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .http1(let connection):
            connection.send(bytes)
            return connection.pendingCount == 0
        }
    }

    /// Ends the sending to the client as soon as all is sent. The client may still send.
    package func endTunnelSending() {
        switch self {
        case .http1(let connection): connection.shutdownWhenDrained()
        }
    }

    /// One side of a tunnel has ended; the other side has the time of a stalled client to end too.
    package func expectTunnelEnd() {
        switch self {
        case .http1(let connection): connection.expectTunnelEnd()
        }
    }

    // MARK: Facts about the client

    /// Who the client is, and what its connection is secured by.
    package var client: ClientFacts {
        switch self {
        case .http1(let connection): connection.facts
        }
    }

    /// The client's address.
    package var peer: SocketAddress {
        switch self {
        case .http1(let connection): connection.peer
        }
    }

    /// The limit that the client's connection exceeds; nil where it exceeds none.
    package var exceededLimit: ConnectionLimit? {
        switch self {
        case .http1(let connection): connection.exceededLimit
        }
    }

    /// For `Strict-Transport-Security`, in seconds; nil where nothing is said of it.
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

    /// What the kernel knows about the client's connection; nil where it is closed or knows nothing.
    package var transportInformation: TransportInformation? {
        switch self {
        case .http1(let connection): connection.transportInformation
        }
    }
}

/// What an exchange has to know of its client before it forwards a request.
package struct ClientFacts {
    /// The port of https to which every request is sent; nil where requests are served.
    package let redirectPort: UInt16?
    /// Whether the client's certificate, by which it was let in, has ended since.
    package let certificateIsOver: Bool
    /// Whether the client's `X-Forwarded-*` fields are believed.
    package let isTrusted: Bool
    /// Whether TLS protects the client's connection.
    package let isSecured: Bool
    /// The field in which the server is told of clients' certificates; nil where it is not.
    package let subjectField: String?
    /// The subject of the client's certificate as RFC 4514 writes it; nil without one.
    package let subject: [UInt8]?
}
