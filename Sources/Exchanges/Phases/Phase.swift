// The phases of an exchange and what may follow what. All changes go through `enter`; a change that is not in this table is a mistake of
// ours, whatever the network sends.
//
//                  ┌───────────────────────┐ the connection was dead, or the request is sent once more
//                  ▼                       │
//   deciding ─▶ connecting ─▶ awaitingHead ┴─▶ relaying, streaming, tunnelling ─▶ finished
//       │        ▲ ▲   │           │
//       ▼        │ │   ▼           ▼                              every phase may go to finished
//   authorizing ─┘ └─ waiting ◀────┘ an outage: nobody is asked until the next attempt
//       ▲ └──────────▶ │
//       └──────────────┘ nobody could say whether the request may pass
//
// From `deciding` and from `authorizing` a request also goes straight to `streaming`: a stream that is kept goes on in its response, or the
// proxy plays a script. A server that refuses the proxy's own token sends a request from `awaitingHead` to `authorizing`, for another
// token. A request for a ticket goes from `deciding` to `ticketing`, and from there to its end. One that publishes an event goes to
// `publishing`, and to its end.
//
// Beside the four phases with a request stands one fact: whether its client is held, with a response of the proxy's own.

/// Where an exchange stands.
enum Phase {
    /// The request's head is examined: its route, its credentials. Nothing has been sent.
    case deciding
    /// A page asks for a ticket. Its request's body is awaited, and then somebody who must be asked about its token.
    case ticketing(TicketCall)
    /// Somebody publishes an event. The request's body is awaited, and then the workers that have streams.
    case publishing(PublishCall)
    /// Somebody was asked whether the request may pass, or for what that depends on.
    case authorizing(PendingRequest)
    /// A server is searched, or connected to.
    case connecting(PendingRequest)
    /// A server has the request's head; the exchange waits for its answer.
    case awaitingHead(PendingRequest)
    /// No server could serve; the next attempt is scheduled.
    case waiting(PendingRequest)
    /// The body of a response is passed on to the client.
    case relaying
    /// The body is an event stream.
    case streaming
    /// Bytes pass in both directions as they are.
    case tunnelling(Tunnel)
    /// The record is written, and both sides are released.
    case finished

    /// How far a tunnel is.
    enum Tunnel {
        case open
        /// The client has ended its sending, and its server has not.
        case clientEnded
        /// The server has ended its sending, and its client has not.
        case serverEnded
    }

    /// State that is needed only until a response begins; nil in phases without it.
    @inline(__always)
    var request: PendingRequest? {
        switch self {
        case .authorizing(let request), .connecting(let request), .awaitingHead(let request), .waiting(let request): request
        case .deciding, .ticketing, .publishing, .relaying, .streaming, .tunnelling, .finished: nil
        }
    }

    func allows(_ next: Phase) -> Bool {
        switch (self, next) {
        case (.finished, _): false
        case (_, .finished): true
        case (.deciding, .connecting), (.deciding, .authorizing), (.deciding, .streaming): true
        case (.deciding, .ticketing), (.deciding, .publishing): true
        case (.authorizing, .authorizing), (.authorizing, .connecting), (.authorizing, .waiting), (.authorizing, .streaming): true
        case (.connecting, .connecting), (.connecting, .awaitingHead), (.connecting, .waiting): true
        case (.awaitingHead, .connecting), (.awaitingHead, .authorizing), (.awaitingHead, .waiting): true
        case (.awaitingHead, .relaying), (.awaitingHead, .streaming), (.awaitingHead, .tunnelling): true
        case (.waiting, .connecting), (.waiting, .authorizing), (.waiting, .waiting): true
        case (.tunnelling(.open), .tunnelling(.clientEnded)), (.tunnelling(.open), .tunnelling(.serverEnded)): true
        case (.deciding, _), (.ticketing, _), (.publishing, _), (.authorizing, _): false
        case (.connecting, _), (.awaitingHead, _), (.waiting, _): false
        case (.relaying, _), (.streaming, _), (.tunnelling, _): false
        }
    }

    /// Goes on to another phase.
    mutating func enter(_ next: Phase) {
        precondition(allows(next), "an exchange goes from \(self) to \(next)")
        self = next
    }
}
