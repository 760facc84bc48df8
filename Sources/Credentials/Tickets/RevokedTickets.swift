// The tickets that were taken back, until they would have ended by themselves. All workers share the list; it is looked at when a ticket
// opens something. Another process does not know it. Invariant: it holds a bounded number of ids.

import Synchronization

/// Tickets that open nothing more.
package final class RevokedTickets: Sendable {
    /// So many ids are kept.
    package static let capacity = 100_000
    /// So many of them are ids of tickets for one token: nobody fills the list with a token alone.
    package static let capacityOfToken = 256

    private static let sweepSeconds: Int64 = 10

    private struct State {
        var tickets: [TicketID: (end: Int64, token: UInt64)] = [:]
        /// How many tickets there are for each token.
        var counts: [UInt64: Int] = [:]
        /// The earliest of the ends, or a moment before it.
        var earliestEnd = Int64.max
        /// When the whole list was last looked through.
        var sweptAt = Int64.min

        func isFull(for token: UInt64) -> Bool {
            tickets.count >= RevokedTickets.capacity || counts[token, default: 0] >= RevokedTickets.capacityOfToken
        }

        mutating func forget(before now: Int64) {
            // All openings wait meanwhile, so a full list is not looked through for each ticket.
            guard earliestEnd <= now, sweptAt < now - RevokedTickets.sweepSeconds || sweptAt > now else { return }
            sweptAt = now
            tickets = tickets.filter { $0.value.end > now }
            counts = tickets.values.reduce(into: [:]) { $0[$1.token, default: 0] += 1 }
            earliestEnd = tickets.values.lazy.map(\.end).min() ?? .max
        }
    }

    private let state = Mutex(State())

    /// None were taken back.
    package init() {}

    /// How many ids are kept. For tests.
    package var count: Int { state.withLock { $0.tickets.count } }

    /// Takes back a ticket, and all that renew it.
    /// - Parameters:
    ///   - token: stands for the token that the ticket holds.
    ///   - end: when the last of them would end by itself, in seconds since 1970.
    ///   - now: seconds since 1970.
    /// - Returns: False if there is no room for one more id. Those in the list stay: to forget one would let it open streams again.
    package func revoke(_ id: TicketID, of token: UInt64, until end: Int64, now: Int64) -> Bool {
        state.withLock { state in
            if let known = state.tickets[id] {
                state.tickets[id]?.end = max(end, known.end)
                return true
            }
            guard end > now else { return true }
            if state.isFull(for: token) { state.forget(before: now) }
            guard !state.isFull(for: token) else { return false }
            state.tickets[id] = (end, token)
            state.counts[token, default: 0] += 1
            state.earliestEnd = min(state.earliestEnd, end)
            return true
        }
    }

    /// Whether the ticket was taken back.
    package func contains(_ id: TicketID) -> Bool { state.withLock { $0.tickets[id] != nil } }
}
