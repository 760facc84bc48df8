// The seam upward from a client: what the protocol's side reports to an exchange. None of these calls is made for an event.

import HTTP
import Reactor

/// One request's receiver: an exchange. It gets no more calls after it has ended its sink.
package protocol RequestReceiver: AnyObject {
    /// The request's head. Called once, before all others, unless `refuse` comes first.
    func begin(_ head: RequestHead)
    /// The turn in which the request came ends, and the client has not reset it: now it may go to a server. Called only where
    /// `Sink.connectsLater` said so.
    func connectNow()
    /// Answers a request that cannot be read or cannot be served.
    func refuse(_ failure: RequestFailure)
    /// Whether (more of) the request's body, or of a tunnel's bytes, can be taken now.
    var takesRequestBody: Bool { get }
    /// A piece of the request's body, which lies in the worker's scratch buffer with room around it. Returns whether more can be taken.
    func received(body: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool
    /// Bytes of a tunnel. Returns whether more can be taken.
    func received(tunnelled bytes: UnsafeRawBufferPointer) -> Bool
    /// The client has taken everything that was sent to it.
    func clientDrained()
    /// The client has ended its side of a tunnel.
    func clientEndedTunnel()
    /// The other side of a tunnel ended, and this side did not within that many milliseconds.
    func tunnelOverdue(afterMilliseconds limit: Int)
    /// The client is gone, or the proxy no longer waits for it.
    func clientLeft(_ departure: ClientDeparture)
    /// Handles what is due; returns the next deadline, `.max` for none.
    func deadlineReached(now: Int64) -> Int64
    /// Whether there is room for one more slow client. Without room the exchange ends itself.
    func mayWait() -> Bool
    /// The proxy ends: a running exchange may finish.
    func drain()
    /// The grace period is over.
    func endGrace()
}

// For receivers that ask no server.
extension RequestReceiver {
    /// Does nothing.
    package func connectNow() {}
}

/// Makes the receivers, and learns of connections that never had one.
package protocol RequestHandler: AnyObject {
    /// A receiver for a request; `head` is nil if it could not be read.
    func makeReceiver(for head: RequestHead?, from sink: Sink) -> any RequestReceiver
    /// A connection came by that place. `connectionClosed` follows.
    func connectionOpened(at place: ListeningPlace)
    /// A connection that came by that place is closed.
    func connectionClosed(at place: ListeningPlace)
    /// A connection of HTTP/2 has all the streams that it may have, or no longer.
    func connectionFull(_ isFull: Bool)
    /// A connection was closed without an answer, because that limit is far exceeded.
    func connectionShed(by limit: ConnectionLimit)
    /// A client's TLS handshake succeeded.
    func handshakeSucceeded(version: String, isResumed: Bool)
    /// A connection ended without a request.
    func connectionFailed(from client: SocketAddress, _ departure: ClientDeparture)
    /// The last client connection is closed, and no new one is accepted.
    func clientsDrained()
}

// For handlers that count nothing.
extension RequestHandler {
    /// Does nothing.
    package func connectionOpened(at place: ListeningPlace) {}
    /// Does nothing.
    package func connectionClosed(at place: ListeningPlace) {}
    /// Does nothing.
    package func connectionFull(_ isFull: Bool) {}
    /// Does nothing.
    package func connectionShed(by limit: ConnectionLimit) {}
    /// Does nothing.
    package func handshakeSucceeded(version: String, isResumed: Bool) {}
}
