// The tickets that were taken back, until they would have ended by themselves. All workers share the list; it is looked at when a ticket
// opens something. Another process does not know it. Invariant: it holds a bounded number of ids.

import Synchronization

/// Tickets that open nothing more.
package final class RevokedTickets: Sendable {
    /// So many ids are kept.
    package static let capacity = 100_000

    private struct State {
        var ends: [TicketID: Int64] = [:]
        /// The earliest of the ends, or a moment before it.
        var earliestEnd = Int64.max
    }

    private let state = Mutex(State())

    /// None were taken back.
    package init() {}

    /// How many ids are kept. For tests.
    package var count: Int { state.withLock { $0.ends.count } }

    /// Takes back a ticket, and all that renew it.
    /// - Parameters:
    ///   - end: when the last of them would end by itself, in seconds since 1970.
    ///   - now: seconds since 1970.
    /// - Returns: False if there is no room for one more id. Those in the list stay: to forget one would let it open streams again.
    package func revoke(_ id: TicketID, until end: Int64, now: Int64) -> Bool {
        state.withLock { state in
            guard end > now || state.ends[id] != nil else { return true }
            if state.ends.count >= RevokedTickets.capacity, state.ends[id] == nil {
                guard state.earliestEnd <= now else { return false }
                state.ends = state.ends.filter { $0.value > now }
                state.earliestEnd = state.ends.values.min() ?? .max
                guard state.ends.count < RevokedTickets.capacity else { return false }
            }
            state.ends[id] = max(end, state.ends[id] ?? end)
            state.earliestEnd = min(state.earliestEnd, end)
            return true
        }
    }

    /// Whether the ticket was taken back.
    package func contains(_ id: TicketID) -> Bool { state.withLock { $0.ends[id] != nil } }
}
