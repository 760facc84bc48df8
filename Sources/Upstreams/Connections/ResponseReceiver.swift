// The seam upward: what a connection to a server reports to its user. The order is: `serverConnected` or `serverNotReached`, any number
// of interim heads, one head. In the turn of a head exactly one call of `receiveBody` follows, perhaps with an empty payload: so the
// receiver can withhold the head and send both at once. More pieces follow; the last one is marked. After the head of a 101,
// `receiveFromTunnel` and `serverEndedTunnel` come instead. `serverFailed` may come at any time after `serverConnected`, and nothing
// comes after it. The receiver calls `detach` when it wants nothing more, also from within any of these calls.

import HTTP
import Reactor

/// The user of a connection to a server.
package protocol ResponseReceiver: AnyObject {
    /// The limits of a response's head. Read when a head comes.
    var responseLimits: HeadLimits { get }
    /// How long a TLS handshake may take, in milliseconds. Read while one is in progress.
    var handshakeMilliseconds: Int64 { get }
    /// How long the server may send nothing of the current body, in milliseconds; nil for no limit. Read after the head, and when that
    /// time is over.
    var silenceLimitMilliseconds: Int64? { get }

    /// The connection is open: the request can be sent.
    func serverConnected()
    /// The connection could not be made, and is closed and detached already. Nothing was sent.
    func serverNotReached(_ seen: SeenFailure)
    /// A 1xx other than 101 came (RFC 9110 section 15.2).
    func receiveInterim(_ head: ResponseHead)
    /// The response's head came.
    func receiveHead(_ head: ResponseHead, framing: BodyFraming)
    /// A piece of the response's body came. It lies in the worker's scratch buffer with `Worker.headroomBytes` free on either side, and
    /// may be changed in place until the call returns. After the last piece the connection no longer serves this receiver.
    func receiveBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool)
    /// Bytes came in a tunnel; never empty.
    func receiveFromTunnel(_ bytes: UnsafeRawBufferPointer)
    /// The server has ended its sending in a tunnel.
    func serverEndedTunnel()
    /// The server failed. The receiver has to detach.
    func serverFailed(_ seen: SeenFailure)
    /// The server has taken everything that was sent to it.
    func serverDrained()
}
