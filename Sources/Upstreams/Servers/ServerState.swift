// One server of an upstream, on one worker: its addresses, its health, its idle connections.

import Configuration
import Reactor

/// One server of an upstream, on one worker.
package final class ServerState {
    /// The server as it was configured.
    package let server: Upstream.Server
    /// For the log: `10.0.0.7:9000`, `unix:/run/app.sock`, as configured.
    package let name: String
    /// The addresses of its name at the last look-up.
    package internal(set) var addresses: [SocketAddress]
    /// The address that worked last; the others are tried after it.
    package internal(set) var preferredAddress: SocketAddress?
    /// How many connections of this worker to it are in use now, or are being made.
    package internal(set) var activeCount = 0
    /// Its health.
    package internal(set) var health = ServerHealth()
    var pool: ConnectionPool
    /// TLS sessions with it that can be resumed.
    let resumption = TLSResumption()

    /// A server of which nothing is known yet. `idleLimit` bounds its idle connections.
    package init(_ server: Upstream.Server, addresses: [SocketAddress], idleConnections: Int) {
        self.server = server
        name = server.description
        self.addresses = addresses
        pool = ConnectionPool(limit: idleConnections)
    }

    /// How many idle connections to it are kept now. For tests.
    package var idleCount: Int { pool.count }

    /// It served a waiting client.
    package func served(now: Int64) { health.breaker.served(now: now) }

    /// Whether it has an address, and has not failed to serve since it last did, as far as this worker has seen.
    package func seemsHealthy(now: Int64) -> Bool { !addresses.isEmpty && !health.failedLately(now: now) }

    /// The addresses in the order in which they are to be tried.
    var addressesBestFirst: [SocketAddress] {
        guard let preferredAddress, let index = addresses.firstIndex(of: preferredAddress), index > 0 else { return addresses }
        return Array(addresses[index...] + addresses[..<index])
    }

    /// Whether other servers are preferred now.
    func isPassedOver(byWaiting isWaiting: Bool, _ probe: HalfOpenProbe?, now: Int64) -> Bool {
        addresses.isEmpty
            || health.isPassedOver(byWaiting: isWaiting, isProbedByIt: probe?.includes(self) == true, now: now)
    }
}
