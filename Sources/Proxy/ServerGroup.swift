// One upstream as one worker sees it: which server is next, at which of its addresses, and which idle connections
// to it can serve again. It decides and keeps; making connections and talking over them is `UpstreamConnection`'s.
// Invariant: an idle connection stands in exactly one pool, and has nothing unread or unwritten.

import Configuration
import Reactor

/// One server of an upstream, on one worker.
final class ServerState {
    private static let firstRestMilliseconds: Int64 = 250
    /// How soon those who wait look whether an attempt of another's is over.
    private static let claimLookMilliseconds: Int64 = 500

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
    /// Until then nobody who waits asks it, because it was asked by one of them and could not serve him.
    private(set) var unavailableUntil: Int64 = 0
    private var unservedCount: Int64 = 0
    /// The attempt that one of those who wait makes for all of them, until when it is waited for at most, and whether it has come as far as
    /// to ask.
    fileprivate var claim = (number: 0, until: Int64(0), hasAsked: false)
    var idle: [UpstreamConnection] = []
    /// TLS sessions with it that can be resumed.
    let resumption = TLSResumption()

    /// Until when none of those who wait tries it.
    fileprivate var restsUntil: Int64 { max(failedUntil, unavailableUntil, claim.until) }

    /// When those who wait look at it again: an attempt of another's is mostly over long before it has to be.
    fileprivate func nextLook(now: Int64) -> Int64 {
        max(failedUntil, unavailableUntil, min(claim.until, now + ServerState.claimLookMilliseconds))
    }

    /// Whether other servers are preferred now: by those who wait, to be asked again, and by all others, to be reached at all.
    fileprivate func isPassedOver(byWaiting isWaiting: Bool, now: Int64) -> Bool {
        if addresses.isEmpty || failedUntil > now { return true }
        return isWaiting ? restsUntil > now : failedUntil > 0 && claim.until > now
    }

    /// The addresses in the order in which they are to be tried.
    var addressesBestFirst: [SocketAddress] {
        guard let preferredAddress, let index = addresses.firstIndex(of: preferredAddress), index > 0 else { return addresses }
        return Array(addresses[index...] + addresses[..<index])
    }

    /// An exchange that would rather wait was not served by it, though it was reached: it is left alone for a moment, and longer each time.
    fileprivate func noteUnavailable(now: Int64, cooldown: Int64) {
        // Whoever asked before that was known, or does not know of it, is not one more time.
        guard now >= unavailableUntil else { return }
        unavailableUntil = now + min(ServerState.firstRestMilliseconds << min(unservedCount, 8), cooldown)
        unservedCount += 1
    }

    /// It has served one of those who would wait.
    func noteServed() { (unavailableUntil, unservedCount) = (0, 0) }

    /// A server that could not serve, and has been asked and taken longer than anybody waits for another's attempt, serves perhaps, and
    /// says nothing before it has something to say.
    fileprivate func opensToSlowAnswer(now: Int64) {
        if claim.hasAsked, claim.until > 0, claim.until <= now { noteServed() }
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
    private var lastClaimNumber = 0

    init(_ upstream: Upstream, security: UpstreamSecurity, addresses: [[SocketAddress]], workerNumber: Int) {
        self.upstream = upstream
        self.security = security
        servers = zip(upstream.servers, addresses).map(ServerState.init)
        // Workers begin at different servers, so that few requests on many workers are spread too.
        turn = workerNumber
    }

    /// Chooses a server that is not among those tried, one that did not fail lately before one that did; nil when all
    /// have been tried. `isWaiting` says that it is for an exchange that servers could not serve before.
    func choose(excluding tried: Set<Int>, isWaiting: Bool = false, now: Int64) -> Int? {
        var best: Int?
        for offset in servers.indices {
            let index = (turn + offset) % servers.count
            guard !tried.contains(index) else { continue }
            guard let current = best else {
                best = index
                continue
            }
            if isBetter(servers[index], than: servers[current], isWaiting, now: now) { best = index }
        }
        if let best { turn = (best + 1) % servers.count }
        return best
    }

    private func isBetter(_ candidate: ServerState, than current: ServerState, _ isWaiting: Bool, now: Int64) -> Bool {
        let currentRests = current.isPassedOver(byWaiting: isWaiting, now: now)
        if candidate.isPassedOver(byWaiting: isWaiting, now: now) != currentRests { return currentRests }
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

    /// A server was reached by one who would rather wait, and did not serve him: the others who wait leave it alone, for no longer than
    /// one that cannot be reached.
    func noteUnavailable(_ server: ServerState, now: Int64) {
        server.noteUnavailable(now: now, cooldown: Int64(upstream.failureCooldownMilliseconds))
    }

    /// A server refused a connection or did not answer in time.
    func noteFailure(_ server: ServerState, now: Int64) {
        server.failedUntil = now + Int64(upstream.failureCooldownMilliseconds)
    }

    /// When to look again whether a server is to be tried, where all of them failed lately or are being tried; nil where one may be tried
    /// now.
    func nextLook(now: Int64) -> Int64? {
        guard let earliest = servers.map({ $0.nextLook(now: now) }).min(), earliest > now else { return nil }
        return earliest
    }

    /// Says that servers which failed are being tried: the others who wait for them look again when that has come out. Returns what is
    /// to be released then, however it came out; nil where no server has failed.
    func claimFailed(now: Int64) -> Int? {
        for server in servers { server.opensToSlowAnswer(now: now) }
        let failed = servers.filter { ($0.failedUntil > 0 || $0.unavailableUntil > 0) && $0.restsUntil <= now }
        guard !failed.isEmpty else { return nil }
        lastClaimNumber += 1
        for server in failed { server.claim = (lastClaimNumber, now + Int64(upstream.connectTimeoutMilliseconds), false) }
        return lastClaimNumber
    }

    /// One who tries for all has reached a server. If that was the question the others may come; if the server could be reached all
    /// the time and did not serve, its answer is waited for, as long as for a connection. False says that the claim is released.
    func reached(_ server: ServerState, claim: Int, now: Int64) -> Bool {
        release(claim: claim)
        guard server.unavailableUntil > 0, server.claim.number == claim else { return false }
        server.claim = (claim, now + Int64(upstream.connectTimeoutMilliseconds), true)
        return true
    }

    /// What an attempt was to find out is known, or nobody tries any more.
    func release(claim: Int) {
        for server in servers where server.claim.number == claim { server.claim.until = 0 }
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
