// The search of one exchange for a server that takes it: which servers and addresses were tried, and how the last
// attempt came out. Invariant: each address is tried at most once; the exchange counts its attempts up to `attemptLimit`.

import Reactor
import StreamLog

/// How far an exchange's search for a server has come.
struct ServerSearch {
    /// Attempts for one exchange, over all servers and addresses.
    static let attemptLimit: UInt8 = 8

    /// Whether no idle connection is taken any more, because one turned out dead.
    private(set) var wantsFresh = false
    /// The server of the present attempt.
    private(set) var server = 0
    private var addressOffset: Int?
    private var tried: Set<Int> = []
    private(set) var lastCause = Cause.connectFailed
    private(set) var lastError: SystemError?

    /// Where to try next; an address is missing where the server's name has none.
    mutating func next(in group: ServerGroup, now: Int64) -> (server: Int, address: SocketAddress?)? {
        if addressOffset == nil {
            guard let index = group.choose(excluding: tried, now: now) else { return nil }
            server = index
            addressOffset = 0
        }
        let state = group.servers[server]
        guard !state.addresses.isEmpty else { return (server, nil) }
        return (server, state.addresses[(state.preferredAddress + addressOffset!) % state.addresses.count])
    }

    /// The present attempt failed: the server's next address comes next, or another server.
    mutating func failed(_ cause: Cause, _ error: SystemError?, server index: Int, in group: ServerGroup, now: Int64) {
        lastCause = cause
        lastError = error
        let state = group.servers[index]
        let offset = (addressOffset ?? 0) + 1
        if offset < state.addresses.count {
            addressOffset = offset
        } else {
            addressOffset = nil
            tried.insert(index)
            group.noteFailure(state, now: now)
        }
    }

    /// The present attempt came through: its address is the one to begin with from now on.
    mutating func succeeded(in group: ServerGroup) {
        let state = group.servers[server]
        state.failedUntil = 0
        guard let addressOffset, !state.addresses.isEmpty else { return }
        state.preferredAddress = (state.preferredAddress + addressOffset) % state.addresses.count
    }

    /// Goes on at the same server, over a new connection.
    mutating func retryFresh() {
        wantsFresh = true
        addressOffset = 0
    }
}
