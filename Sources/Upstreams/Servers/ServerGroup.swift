// The servers of one upstream on one worker. ServerChoice decides which server is next, ServerHealth knows which are healthy,
// ConnectionPool holds idle connections, and UpstreamConnection makes connections and uses them.

import Configuration
import Marks
import Reactor

/// The servers of one upstream, on one worker.
package final class ServerGroup {
    /// The server as it was configured.
    package let upstream: Upstream
    /// The TLS of new connections.
    package private(set) var security: UpstreamSecurity
    /// The servers in the order of the configuration.
    package let servers: [ServerState]
    private var choice: ServerChoice

    /// Servers of which nothing is known yet; `addresses` are those of each server.
    package init(_ upstream: Upstream, security: UpstreamSecurity, addresses: [[SocketAddress]], workerNumber: Int) {
        self.upstream = upstream
        self.security = security
        servers = zip(upstream.servers, addresses).map {
            ServerState($0, addresses: $1, idleConnections: upstream.idleConnections)
        }
        choice = ServerChoice(upstream.balance, beginningAt: workerNumber)
    }

    // MARK: Choice and health

    /// Chooses an untried server, as `ServerChoice` does.
    func choose(excluding tried: Set<Int>, isWaiting: Bool = false, probe: HalfOpenProbe? = nil, now: Int64) -> Int? {
        choice.choose(among: servers, excluding: tried, isWaiting: isWaiting, probe: probe, now: now)
    }

    /// A server refused a connection or did not answer in time.
    package func eject(_ server: ServerState, now: Int64) {
        server.health.eject(now: now, cooldownMilliseconds: upstream.failureCooldownMilliseconds)
    }

    /// A server did not serve a waiting client, on a path with that hash. `isProbe` says that the attempt was the half-open probe.
    package func noteUnserved(_ server: ServerState, isProbe: Bool, path: Int, now: Int64) {
        server.health.breaker.failed(
            isProbe: isProbe, path: path, now: now, longestCooldownMilliseconds: Int64(upstream.failureCooldownMilliseconds))
    }

    /// When a waiting client checks again, if all servers failed recently or are being probed; nil if one may be tried now. The client
    /// failed at that moment, on a path with that hash.
    package func nextLook(now: Int64, failedAt: Int64, path: Int) -> Int64? {
        let looks = servers.map { $0.health.nextLook(now: now, failedAt: failedAt, path: path) }
        guard let earliest = looks.min(), earliest > now else { return nil }
        return earliest
    }

    // MARK: Idle connections

    /// Takes an idle connection to the server. A connection with unread bytes is closed: they would be taken for the next request's
    /// response.
    package func takeIdle(_ index: Int) -> UpstreamConnection? {
        while let idle = servers[index].pool.take() {
            if idle.isQuiet() { return idle }
            Mark.reached(.idleConnectionNotQuiet)
            idle.discardUnused()
        }
        return nil
    }

    // MARK: Reloads and the end

    /// Takes the current addresses of names.
    package func update(addresses: [[SocketAddress]]) {
        for (server, addresses) in zip(servers, addresses) where !addresses.isEmpty && addresses != server.addresses {
            server.addresses = addresses
        }
    }

    /// Uses the certificates and authorities that were read again, for new connections.
    package func secure(by security: UpstreamSecurity) { self.security = security }

    /// No new request will come for these servers: idle connections are closed, and none is kept any more. Running exchanges go on.
    package func retire() {
        for server in servers {
            for connection in server.pool.shut() { connection.discardUnused() }
        }
    }
}
