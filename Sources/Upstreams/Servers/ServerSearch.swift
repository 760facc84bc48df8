// The search of one exchange for a server that takes it: which servers and addresses were tried, and how the last
// attempt came out. Invariant: each address is tried at most once; the exchange counts its attempts up to `attemptLimit`.

import Reactor

/// How far an exchange's search for a server has come.
package struct ServerSearch {
    /// Attempts for one exchange, over all servers and addresses.
    package static let attemptLimit: UInt8 = 8

    /// Whether it is another try, after servers could not serve.
    package let isWaiting: Bool
    /// What it probes for all who wait, where it is.
    let probe: HalfOpenProbe?
    /// Whether no idle connection is taken any more, because one turned out dead.
    package private(set) var wantsFresh = false
    /// The server of the present attempt.
    package private(set) var server = 0
    /// The address of the present attempt.
    private var address: SocketAddress?
    /// The addresses of the present server, as they were when it was chosen: a look-up or another exchange may reorder the server's
    /// own list meanwhile.
    private var addresses: [SocketAddress] = []
    /// How many of them have been tried, the present attempt's included.
    private var addressesTried = 0
    private var tried: Set<Int> = []
    /// How the last attempt failed.
    package private(set) var lastFailure = SeenFailure(.connectFailed, evidence: "no server could be reached")
    /// Every kind of failure that was met.
    package private(set) var failures: Set<ServerFailure> = []

    /// A search from the beginning.
    package init(isWaiting: Bool = false, probe: HalfOpenProbe? = nil) {
        self.isWaiting = isWaiting
        self.probe = probe
    }

    /// One more try after a server could not be understood: over a new connection, and with another server where there is one.
    package init(avoiding server: Int, in group: ServerGroup) {
        self.init()
        wantsFresh = true
        if group.servers.count > 1 { tried = [server] }
    }

    /// Where to try next; an address is missing where the server's name has none.
    package mutating func next(in group: ServerGroup, now: Int64) -> (server: Int, address: SocketAddress?)? {
        if addressesTried == addresses.count {
            guard let index = group.choose(excluding: tried, isWaiting: isWaiting, probe: probe, now: now) else { return nil }
            server = index
            addresses = group.servers[index].addressesBestFirst
            addressesTried = 0
        }
        guard addressesTried < addresses.count else {
            address = nil
            return (server, nil)
        }
        address = addresses[addressesTried]
        addressesTried += 1
        return (server, address)
    }

    /// The present attempt, at that server, failed: the server's next address comes next, or another server.
    package mutating func failed(_ failure: SeenFailure, server index: Int, in group: ServerGroup, now: Int64) {
        lastFailure = failure
        failures.insert(failure.failure)
        guard addressesTried == addresses.count else { return }
        tried.insert(index)
        group.eject(group.servers[index], now: now)
    }

    /// The present attempt came through: its address is the one to begin with from now on.
    package mutating func succeeded(in group: ServerGroup) {
        let state = group.servers[server]
        state.health.reached()
        state.preferredAddress = address
    }

    /// Goes on at the same server, over a new connection, with the address that an idle connection spared.
    package mutating func retryFresh() {
        wantsFresh = true
        if address != nil { addressesTried -= 1 }
    }
}
