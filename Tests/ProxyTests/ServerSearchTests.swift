// Which server is next, at which of its addresses, and when there is none.

import Configuration
import Reactor
import Telemetry
import Testing

@testable import Proxy

/// A group of servers `a`, `b` …, each with so many addresses: 10.0.<server>.<address>.
private func group(
    _ addressCounts: [Int], balance: Upstream.Balance = .roundRobin, cooldown: Int = 2000, worker: Int = 0
) throws -> ServerGroup {
    let servers = addressCounts.indices.map { Upstream.Server(host: "s\($0)", port: 80) }
    let upstream = Upstream(name: "group", servers: servers, balance: balance, failureCooldownMilliseconds: cooldown)
    let addresses = addressCounts.enumerated().map { server, count in (0..<count).map { address(server, $0) } }
    return ServerGroup(upstream, security: try UpstreamSecurity(upstream), addresses: addresses, workerNumber: worker)
}

private func address(_ server: Int, _ number: Int) -> SocketAddress {
    SocketAddress(bytes: [10, 0, UInt8(server), UInt8(number)], port: 80)
}

@Suite("The choice of a server")
struct ServerGroupTests {
    @Test("round robin gives each server its turn, and workers begin at different ones")
    func roundRobin() throws {
        for worker in 0..<5 {
            let group = try group([1, 1, 1], worker: worker)
            let chosen = (0..<7).compactMap { _ in group.choose(excluding: [], now: 0) }
            #expect(chosen == (0..<7).map { (worker + $0) % 3 })
        }
    }

    @Test("least connections gives the server with the fewest, and equal ones take turns")
    func leastConnections() throws {
        let group = try group([1, 1, 1], balance: .leastConnections)
        let counts = [(2, 1, 3), (0, 0, 1), (5, 4, 0)]
        for (counts, expected) in zip(counts, [[1], [0, 1], [2]]) {
            (group.servers[0].activeCount, group.servers[1].activeCount, group.servers[2].activeCount) = counts
            let chosen = Set((0..<6).compactMap { _ in group.choose(excluding: [], now: 0) })
            #expect(chosen == Set(expected))
        }
        for server in group.servers { server.activeCount = 0 }
        var tally = [0, 0, 0]
        for _ in 0..<30 {
            let index = group.choose(excluding: [], now: 0)!
            tally[index] += 1
            group.servers[index].activeCount += 1
        }
        #expect(tally == [10, 10, 10])
    }

    @Test("round robin does not look at connections")
    func roundRobinIgnoresConnections() throws {
        let group = try group([1, 1])
        group.servers[0].activeCount = 100
        #expect((0..<4).compactMap { _ in group.choose(excluding: [], now: 0) } == [0, 1, 0, 1])
    }

    @Test(
        "a server that failed rests for its cooldown, unless it is all there is",
        arguments: [Upstream.Balance.roundRobin, .leastConnections])
    func cooldown(_ balance: Upstream.Balance) throws {
        let group = try group([1, 1, 1], balance: balance, cooldown: 2000)
        group.servers[0].activeCount = 5
        group.servers[2].activeCount = 5
        group.noteFailure(group.servers[1], now: 1000)
        for now in [1000, 2000, 2999] as [Int64] {
            for _ in 0..<4 { #expect(group.choose(excluding: [], now: now) != 1, "at \(now)") }
        }
        #expect(group.choose(excluding: [0, 2], now: 1500) == 1)
        let later = Set((0..<3).compactMap { _ in group.choose(excluding: [], now: 3000) })
        #expect(later.contains(1))
        for server in group.servers { group.noteFailure(server, now: 5000) }
        #expect(group.choose(excluding: [], now: 5001) != nil)
    }

    @Test("a name without addresses is passed over as long as another server has one")
    func withoutAddresses() throws {
        let group = try group([0, 1])
        for _ in 0..<4 { #expect(group.choose(excluding: [], now: 0) == 1) }
        #expect(group.choose(excluding: [1], now: 0) == 0)
        #expect(group.choose(excluding: [0, 1], now: 0) == nil)
    }

    @Test("a look-up that finds nothing leaves the known addresses, one that finds others takes their place")
    func lookups() throws {
        let group = try group([2, 1])
        group.servers[0].preferredAddress = address(0, 1)
        group.update(addresses: [[], [address(1, 7)]])
        #expect(group.servers[0].addresses == [address(0, 0), address(0, 1)] && group.servers[0].preferredAddress == address(0, 1))
        #expect(group.servers[1].addresses == [address(1, 7)])
        group.update(addresses: [[address(0, 0), address(0, 1)], [address(1, 7)]])
        #expect(group.servers[0].preferredAddress == address(0, 1), "the same addresses change nothing")
        group.update(addresses: [[address(0, 9)], [address(1, 7)]])
        #expect(group.servers[0].addresses == [address(0, 9)] && group.servers[0].addressesBestFirst == [address(0, 9)])
    }
}

@Suite("The search for a server")
struct ServerSearchTests {
    /// Lets every attempt fail and notes where they went.
    private func failAll(_ group: ServerGroup, now: Int64 = 0) -> [SocketAddress?] {
        var search = ServerSearch()
        var tried: [SocketAddress?] = []
        while let candidate = search.next(in: group, now: now), tried.count < 100 {
            tried.append(candidate.address)
            search.failed(.connectionRefused, .connectionRefused, server: candidate.server, in: group, now: now)
        }
        return tried
    }

    private struct NoServer: Error {}

    private func next(_ search: inout ServerSearch, _ group: ServerGroup) throws -> (server: Int, address: SocketAddress?) {
        guard let candidate = search.next(in: group, now: 0) else { throw NoServer() }
        return candidate
    }

    @Test("every address of every server is tried once, one server after the other")
    func everyAddress() throws {
        #expect(
            try failAll(group([1, 3, 2])) == [
                address(0, 0), address(1, 0), address(1, 1), address(1, 2), address(2, 0), address(2, 1),
            ])
        #expect(try failAll(group([1])) == [address(0, 0)])
        #expect(try failAll(group([0])) == [nil])
        #expect(try failAll(group([0, 2])) == [address(1, 0), address(1, 1), nil], "a name without addresses is the last resort")
    }

    @Test("a server rests only when all of its addresses failed")
    func restAfterLastAddress() throws {
        let group = try group([2])
        var search = ServerSearch()
        _ = search.next(in: group, now: 100)
        search.failed(.connectTimeout, .timedOut, server: 0, in: group, now: 100)
        #expect(group.servers[0].failedUntil == 0)
        _ = search.next(in: group, now: 200)
        search.failed(.connectionRefused, .connectionRefused, server: 0, in: group, now: 200)
        #expect(group.servers[0].failedUntil == 2200)
        #expect(search.lastFailure == .connectionRefused && search.lastError == .connectionRefused)
    }

    @Test("the address that worked is the first one next time, and its server rests no longer")
    func preference() throws {
        let group = try group([3])
        group.servers[0].failedUntil = 9000
        var search = ServerSearch()
        for _ in 0..<2 {
            _ = search.next(in: group, now: 0)
            search.failed(.connectionRefused, nil, server: 0, in: group, now: 0)
        }
        let third = try next(&search, group)
        #expect(third.address == address(0, 2))
        search.succeeded(in: group)
        #expect(group.servers[0].failedUntil == 0)
        #expect(failAll(group) == [address(0, 2), address(0, 0), address(0, 1)])
    }

    @Test("a request that goes on over a new connection stays at its server")
    func retry() throws {
        let group = try group([1, 1])
        var search = ServerSearch()
        let first = try next(&search, group)
        #expect(!search.wantsFresh)
        search.retryFresh()
        #expect(search.wantsFresh)
        let second = try next(&search, group)
        #expect(first.server == second.server && first.address == second.address)
    }

    @Test("each idle connection is kept up to the limit, and the one used last serves first")
    func idleConnections() throws {
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "a", port: 1)], idleConnections: 2)
        let group = ServerGroup(upstream, security: try UpstreamSecurity(upstream), addresses: [[address(0, 0)]], workerNumber: 0)
        let worker = try Worker(number: 0, kernel: LinuxKernel())
        let server = group.servers[0]
        let connections = (0..<3).map { _ in UpstreamConnection(worker: worker, group: group, server: server) }
        #expect(connections.map { group.keepIdle($0, server: server) } == [true, true, false])
        #expect(group.takeIdle(0) === connections[1])
        group.forgetIdle(connections[0], server: server)
        #expect(group.takeIdle(0) == nil)
    }
}
