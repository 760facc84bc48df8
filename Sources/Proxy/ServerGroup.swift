// One upstream as one worker sees it: which server is next, at which of its addresses, and which idle connections
// to it can serve again. It decides and keeps; making connections and talking over them is `UpstreamConnection`'s.
// Invariant: an idle connection stands in exactly one pool, and has nothing unread or unwritten.

import Configuration
import Reactor

/// One server of an upstream, on one worker.
final class ServerState {
    let server: Upstream.Server
    /// For the log: `10.0.0.7:9000`, `unix:/run/app.sock`, as configured.
    let name: String
    /// What the name stood for when it was last looked up.
    var addresses: [SocketAddress]
    /// The address that worked last; the others are tried after it.
    var preferredAddress: SocketAddress?
    /// Exchanges that this worker has with it now.
    var activeCount = 0
    /// Until then other servers are preferred, because it refused or did not answer.
    var failedUntil: Int64 = 0
    /// What those who wait for streams have learnt of it.
    var breaker = CircuitBreaker()
    var idle: [UpstreamConnection] = []
    /// TLS sessions with it that can be resumed.
    let resumption = TLSResumption()

    /// Until when none of those who wait tries it.
    var restsUntil: Int64 { max(failedUntil, breaker.blockedUntil) }

    /// Whether other servers are preferred now: by those who wait, to be asked again, and by all others, to be reached at all.
    fileprivate func isPassedOver(byWaiting isWaiting: Bool, _ probe: HalfOpenProbe?, now: Int64) -> Bool {
        if addresses.isEmpty || failedUntil > now { return true }
        guard isWaiting else { return failedUntil > 0 && breaker.isBeingProbed(now: now) }
        return restsUntil > now && probe?.includes(self) != true
    }

    /// The addresses in the order in which they are to be tried.
    var addressesBestFirst: [SocketAddress] {
        guard let preferredAddress, let index = addresses.firstIndex(of: preferredAddress), index > 0 else { return addresses }
        return Array(addresses[index...] + addresses[..<index])
    }

    init(_ server: Upstream.Server, addresses: [SocketAddress]) {
        self.server = server
        name = server.description
        self.addresses = addresses
    }
}

/// The servers of one upstream, on one worker.
final class ServerGroup {
    let upstream: Upstream
    private(set) var security: UpstreamSecurity
    let servers: [ServerState]
    private var turn: Int
    /// Whether the newest configuration no longer has it: what runs goes on, and nothing is kept for later.
    private var isRetired = false

    init(_ upstream: Upstream, security: UpstreamSecurity, addresses: [[SocketAddress]], workerNumber: Int) {
        self.upstream = upstream
        self.security = security
        servers = zip(upstream.servers, addresses).map(ServerState.init)
        // Workers begin at different servers, so that few requests on many workers are spread too.
        turn = workerNumber
    }

    /// Chooses a server that is not among those tried, one that did not fail lately before one that did; nil when all
    /// have been tried. `isWaiting` says that it is for an exchange that servers could not serve before, `probe` which of
    /// them it probes.
    func choose(excluding tried: Set<Int>, isWaiting: Bool = false, probe: HalfOpenProbe? = nil, now: Int64) -> Int? {
        var best: Int?
        for offset in servers.indices {
            let index = (turn + offset) % servers.count
            guard !tried.contains(index) else { continue }
            guard let current = best else {
                best = index
                continue
            }
            if isBetter(servers[index], than: servers[current], isWaiting, probe, now: now) { best = index }
        }
        if let best { turn = (best + 1) % servers.count }
        return best
    }

    private func isBetter(
        _ candidate: ServerState, than current: ServerState, _ isWaiting: Bool, _ probe: HalfOpenProbe?, now: Int64
    ) -> Bool {
        let currentRests = current.isPassedOver(byWaiting: isWaiting, probe, now: now)
        if candidate.isPassedOver(byWaiting: isWaiting, probe, now: now) != currentRests { return currentRests }
        return upstream.balance == .leastConnections && candidate.activeCount < current.activeCount
    }

    /// Takes an idle connection to the server, the one that was used last.
    func takeIdle(_ index: Int) -> UpstreamConnection? { servers[index].idle.popLast() }

    /// Keeps a connection for the next exchange; false when there are enough.
    func keepIdle(_ connection: UpstreamConnection, server: ServerState) -> Bool {
        guard !isRetired, server.idle.count < upstream.idleConnections else { return false }
        server.idle.append(connection)
        return true
    }

    /// Forgets an idle connection that was closed.
    func forgetIdle(_ connection: UpstreamConnection, server: ServerState) {
        server.idle.removeAll { $0 === connection }
    }

    /// A server refused a connection or did not answer in time.
    func noteFailure(_ server: ServerState, now: Int64) {
        server.failedUntil = now + Int64(upstream.failureCooldownMilliseconds)
    }

    /// When a client that waits looks again whether a server is to be tried, where all of them failed lately or are being probed; nil
    /// where one may be tried now. It failed at that moment, on a path with that hash.
    func nextLook(now: Int64, failedAt: Int64, path: Int) -> Int64? {
        let looks = servers.map { max($0.failedUntil, $0.breaker.nextLook(now: now, failedAt: failedAt, path: path)) }
        guard let earliest = looks.min(), earliest > now else { return nil }
        return earliest
    }

    /// Takes what names stand for now.
    func update(addresses: [[SocketAddress]]) {
        for (server, addresses) in zip(servers, addresses) where !addresses.isEmpty && addresses != server.addresses {
            server.addresses = addresses
        }
    }

    /// Secures further connections by certificates and authorities that were read anew.
    func secure(by security: UpstreamSecurity) { self.security = security }

    /// Nothing new will come for these servers.
    func retire() {
        isRetired = true
        closeIdle()
    }

    /// Closes all idle connections.
    func closeIdle() {
        for server in servers {
            let idle = server.idle
            server.idle = []
            for connection in idle { connection.close() }
        }
    }
}
