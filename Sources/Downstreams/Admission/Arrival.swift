// What is known of a connection from the moment when it is accepted.

import Configuration
import Reactor

/// An accepted connection that is not served yet.
struct Arrival {
    /// How long a client above a limit has for each step, in milliseconds.
    static let excessMilliseconds: Int64 = 2_000

    let place: ListeningPlace
    let security: ListenerSecurity
    /// What held when it arrived. A reload since then applies to the connection's first request.
    let terms: DownstreamTerms
    /// The client's address: the peer's, or what a PROXY header named.
    var client: SocketAddress
    /// Whether the client's `X-Forwarded-*` fields are believed.
    var isTrusted: Bool
    /// Whether it is counted for its client's address.
    var isCounted = false
    /// False if a trusted proxy passes on the bytes of a client that it could not name.
    var isKnown = true
    /// The limits' decision about it.
    var admission = Admission.admitted

    init(_ accepted: AcceptedConnection, at place: ListeningPlace, _ security: ListenerSecurity, terms: DownstreamTerms) {
        self.place = place
        self.security = security
        client = accepted.peer
        self.terms = terms
        isTrusted = terms.trusts(accepted.peer)
    }

    /// How long it may take for a step with that usual timeout.
    func patience(usual: Int) -> Int64 {
        admission == .admitted ? Int64(usual) : min(Int64(usual), Arrival.excessMilliseconds)
    }
}

/// The current rules for new connections of one address of one worker.
package final class ListeningPlace {
    /// Nil without a listener.
    package var security: ListenerSecurity?
    /// By which its handler counts its connections.
    package var number: Int32
    /// How many of its connections are open; its handler counts them.
    package var connectionCount = 0

    /// An address with a listener, or without one.
    package init(_ security: ListenerSecurity?, number: Int32 = 0) {
        self.security = security
        self.number = number
    }
}
