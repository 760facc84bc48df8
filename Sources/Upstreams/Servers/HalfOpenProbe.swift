// A half-open probe: one client's attempt, on behalf of all that wait, to use servers that failed.
// Invariant: each server's breaker is told of its end.

/// One client's attempt, on behalf of all that wait, to use servers that failed.
package struct HalfOpenProbe {
    /// The servers that it probes, each with the period that the server's breaker gave it.
    private(set) var servers: [(server: ServerState, period: Int)]

    /// Begins a probe of the servers that may be probed now; nil if none of them has failed.
    package init?(of servers: [ServerState], now: Int64, patienceMilliseconds: Int64) {
        let failed = servers.filter { $0.health.mayBeProbed(now: now) }
        guard !failed.isEmpty else { return nil }
        self.servers = failed.map { ($0, $0.health.breaker.beginProbe(now: now, patienceMilliseconds: patienceMilliseconds)) }
    }

    /// Whether this server is probed by it.
    func includes(_ server: ServerState) -> Bool { servers.contains { $0.server === server } }

    /// A connection to a server stands; the other servers are not asked any more. Returns what is left of the probe. Where the server could
    /// be reached before but did not serve, its answer still has to come. Where it could not be reached, the question is answered: nil.
    package func reached(_ reached: ServerState, now: Int64, patienceMilliseconds: Int64) -> HalfOpenProbe? {
        var rest = self
        rest.servers = servers.filter { $0.server === reached && reached.health.breaker.isOpen }
        for (server, period) in servers where !rest.includes(server) { server.health.breaker.probeEnded(period) }
        for (server, period) in rest.servers {
            server.health.breaker.probeReached(period, now: now, patienceMilliseconds: patienceMilliseconds)
        }
        return rest.servers.isEmpty ? nil : rest
    }

    /// The attempt is over, with or without success.
    package func end() { for (server, period) in servers { server.health.breaker.probeEnded(period) } }
}
