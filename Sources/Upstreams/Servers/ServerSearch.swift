// One request's search for a server: which servers and addresses were tried, and how the last attempt failed.
// Invariant: each address is tried at most once. The caller counts the attempts, up to `attemptLimit`.

import Marks
import Reactor

/// How far one request's search for a server has come.
package struct ServerSearch {
    /// Attempts for one request, over all servers and addresses.
    package static let attemptLimit: UInt8 = 8

    /// Whether the request waits, because servers could not serve it before.
    package let isWaiting: Bool
    /// The half-open probe that the search makes; nil where it makes none.
    let probe: HalfOpenProbe?
    /// Whether only new connections are used, because an idle one turned out dead.
    package private(set) var wantsFresh = false
    /// The server of the current attempt.
    package private(set) var server = 0
    /// The address of the current attempt.
    private var address: SocketAddress?
    /// The addresses of the current server at the time of its choice: a look-up or another exchange may reorder the server's own list
    /// later.
    private var addresses: [SocketAddress] = []
    /// How many of them have been tried, including the current one.
    private var addressesTried = 0
    private var tried: Set<Int> = []
    /// How the last attempt failed.
    package private(set) var lastFailure = SeenFailure(.connectFailed, evidence: "no server could be reached")
    /// Every kind of failure that the search has met.
    package private(set) var failures: Set<ServerFailure> = []

    /// A search from the beginning.
    package init(isWaiting: Bool = false, probe: HalfOpenProbe? = nil) {
        self.isWaiting = isWaiting
        self.probe = probe
    }

    /// One more try after a server broke HTTP's rules or TLS: over a new connection, and with another server if there is one.
    package init(avoiding server: Int, in group: ServerGroup) {
        self.init()
        wantsFresh = true
        if group.servers.count > 1 { tried = [server] }
    }

    /// The next server and address; the address is nil if the server's name has none.
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

    /// How many more addresses the server of the present attempt has.
    package var addressesLeft: Int { addresses.count - addressesTried }

    /// The present attempt, at that server, failed. The server's next address is tried next, or another server.
    package mutating func failed(_ failure: SeenFailure, server index: Int, in group: ServerGroup, now: Int64) {
        lastFailure = failure
        failures.insert(failure.failure)
        guard addressesTried == addresses.count else { return }
        tried.insert(index)
        group.eject(group.servers[index], now: now)
    }

    /// The server of the present attempt gave an answer that another server may give better. Its next address is tried next, or another
    /// server; false where none is left.
    package mutating func looksOn(in group: ServerGroup, now: Int64) -> Bool {
        if addressesTried == addresses.count { tried.insert(server) }
        var rest = self
        return rest.next(in: group, now: now)?.address != nil
    }

    /// The present attempt succeeded. From now on its address is the first that is tried.
    package mutating func succeeded(in group: ServerGroup) {
        let state = group.servers[server]
        state.health.reached()
        state.preferredAddress = address
    }

    /// Tries the same server again over a new connection. The present address was not tried, because an idle connection was used.
    package mutating func retryFresh() {
        Mark.reached(.deadIdleConnectionRetried)
        wantsFresh = true
        if address != nil { addressesTried -= 1 }
    }
}
