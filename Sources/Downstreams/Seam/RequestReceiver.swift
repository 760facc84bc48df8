// Upward from a client: what the side that speaks its protocol tells an exchange. None of these calls is made for an event.

import HTTP
import Reactor

/// One request's receiver: an exchange. It is told nothing any more once it has ended its sink.
package protocol RequestReceiver: AnyObject {
    /// The request's head. Called once, before all others; a `refuse` may come in its place.
    func begin(_ head: RequestHead)
    /// Answers a request that cannot be read or not be served.
    func refuse(_ failure: RequestFailure)
    /// Whether (more of) the request's body, or of a tunnel's bytes, can be taken now.
    var takesRequestBody: Bool { get }
    /// A piece of the request's body, which lies in the worker's scratch buffer with room around it. Returns whether more can be taken.
    func received(body: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool
    /// Bytes of a tunnel. Returns whether more can be taken.
    func received(tunnelled bytes: UnsafeRawBufferPointer) -> Bool
    /// The client has taken all that was sent to it.
    func clientDrained()
    /// The client has ended its side of a tunnel.
    func clientEndedTunnel()
    /// The other side of a tunnel ended, and this one has not in so many milliseconds.
    func tunnelOverdue(afterMilliseconds limit: Int)
    /// The client is gone, or is no longer waited for.
    func clientLeft(_ departure: ClientDeparture)
    /// Does what is due; returns when to look again, `.max` for never.
    func deadlineReached(now: Int64) -> Int64
    /// Whether there is room for one more who waits; where there is none the exchange ends itself.
    func mayWait() -> Bool
    /// The proxy ends: what is under way may finish.
    func drain()
    /// The grace period is over.
    func endGrace()
}

/// Who makes the receivers and hears of connections that never had one.
package protocol RequestHandler: AnyObject {
    /// A receiver for a request, whose head is nil where it could not be read.
    func makeReceiver(for head: RequestHead?, from sink: Sink) -> any RequestReceiver
    /// A connection ended without a request.
    func connectionFailed(from client: SocketAddress, _ departure: ClientDeparture)
    /// The last client's connection is closed, and no new one is taken.
    func clientsDrained()
}
