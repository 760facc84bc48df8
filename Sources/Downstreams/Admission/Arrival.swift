// What is known of a connection from the moment on at which the kernel gives it.

import Configuration
import Reactor

/// A connection that has arrived and is not served yet.
struct Arrival {
    /// How long those who are too many are listened to, with each thing that they owe, in milliseconds.
    static let excessMilliseconds: Int64 = 2_000

    let place: ListeningPlace
    let security: ListenerSecurity
    /// The client's address: the peer's, or what a PROXY header named.
    var client: SocketAddress
    /// Whether the client's `X-Forwarded-*` fields are believed.
    var isTrusted: Bool
    /// Whether it stands in the count of its client's address.
    var isCounted = false
    /// False where a trusted proxy passes on the bytes of a client that it could not name.
    var isKnown = true
    /// What the limits say of it.
    var admission = Admission.admitted

    init(_ accepted: AcceptedConnection, at place: ListeningPlace, _ security: ListenerSecurity, isTrusted: Bool) {
        self.place = place
        self.security = security
        client = accepted.peer
        self.isTrusted = isTrusted
    }

    /// How long it may take for something that usually may take so many milliseconds.
    func patience(usual: Int) -> Int64 {
        admission == .admitted ? Int64(usual) : min(Int64(usual), Arrival.excessMilliseconds)
    }
}

/// What connections that come by one address of one worker are subject to, now.
package final class ListeningPlace {
    /// Nil where no listener wants them.
    package var security: ListenerSecurity?

    /// An address with a listener, or without one.
    package init(_ security: ListenerSecurity?) { self.security = security }
}
