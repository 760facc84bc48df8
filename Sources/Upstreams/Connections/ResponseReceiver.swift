// The seam upward: what a connection to a server tells the one that uses it.
//
// In order: `serverConnected` or `serverNotReached`, any number of interim heads, one head. In the turn of a head exactly one call of
// `receiveBody` follows, perhaps with an empty payload: the receiver can keep the head back and send both at once. More pieces follow; the
// last one says so. Behind the head of a 101 come `receiveFromTunnel` and `serverEndedTunnel` instead.
// `serverFailed` may come at any time after `serverConnected`, and nothing comes behind it.
// The receiver calls `detach` when it wants nothing more, also from within any of these calls.

import HTTP
import Reactor

/// The user of a connection to a server.
package protocol ResponseReceiver: AnyObject {
    /// What a response's head may cost. Asked when a head comes.
    var responseLimits: HeadLimits { get }
    /// How long a TLS handshake may take, in milliseconds. Asked while one is under way.
    var handshakeMilliseconds: Int64 { get }
    /// How long the server may send nothing of the present body, in milliseconds; nil for as long as it likes. Asked after the head, and
    /// when that time is over.
    var silenceLimitMilliseconds: Int64? { get }

    /// The connection stands: the request can be sent.
    func serverConnected()
    /// The connection could not be made and has closed and detached itself. Nothing was sent.
    func serverNotReached(_ seen: SeenFailure)
    /// A 1xx other than 101 came (RFC 9110 section 15.2).
    func receiveInterim(_ head: ResponseHead)
    /// The response's head came.
    func receiveHead(_ head: ResponseHead, framing: BodyFraming)
    /// A piece of the response's body came. It lies in the worker's scratch buffer with `Worker.headroomBytes` free on either side, and may
    /// be changed in place until the call returns. After the last piece the connection serves this receiver no longer.
    func receiveBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool)
    /// Bytes came in a tunnel; never empty.
    func receiveFromTunnel(_ bytes: UnsafeRawBufferPointer)
    /// The server has ended its sending in a tunnel.
    func serverEndedTunnel()
    /// The server failed. The receiver has to detach.
    func serverFailed(_ seen: SeenFailure)
    /// The server has taken all that was sent to it.
    func serverDrained()
}
