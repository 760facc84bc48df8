// What all workers do when a ticket is taken back: nobody opens a stream with it any more, and each worker ends the streams that it has
// opened. Invariant: a worker looks at the list before it registers a stream, so no stream is missed whatever the order is.

import Credentials
import Reactor
import Synchronization
import Telemetry

/// The tickets that were taken back, and the workers that must know it.
final class TicketRevocations: Sendable {
    private struct Follower: @unchecked Sendable {
        // Unchecked because the streams are used on their own worker only. They are not the worker's exchanges, because an object that a
        // weak reference knows costs more each time that it is retained, and each request retains those.
        weak var streams: AuthorizedStreams?
        let mailbox: Mailbox
    }

    private let tickets = RevokedTickets()
    private let followers = Mutex<[Follower]>([])

    /// Tells a worker of each ticket from now on. Called once for each worker.
    func follow(_ exchanges: ExchangeWorker) {
        let follower = Follower(streams: exchanges.authorizedStreams, mailbox: exchanges.worker.mailbox)
        followers.withLock { $0.append(follower) }
    }

    /// Whether the ticket was taken back.
    func contains(_ id: TicketID) -> Bool { tickets.contains(id) }

    /// Takes a ticket for the token of that digest back, and all that renew it, until a moment in seconds since 1970. Its streams end.
    /// - Returns: False if there is no room to remember it.
    func revoke(_ id: TicketID, of token: KeyedDigest?, until end: Int64, now: Int64) -> Bool {
        let isKept = tickets.revoke(id, of: token?.fingerprint.value ?? 0, until: end, now: now)
        for follower in followers.withLock({ $0 }) {
            follower.mailbox.post { _ in
                follower.streams?.endAll(.init(id), .revoked, evidence: "the page took its ticket back")
            }
        }
        return isKept
    }
}
