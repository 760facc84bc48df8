// Which server of an upstream is next.

import Configuration
import Testing

@testable import Upstreams

@Suite("The choice of a server")
struct ServerChoiceTests {
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
        "a server that failed is ejected for its cooldown, unless it is all there is",
        arguments: [Upstream.Balance.roundRobin, .leastConnections])
    func cooldown(_ balance: Upstream.Balance) throws {
        let group = try group([1, 1, 1], balance: balance, cooldown: 2000)
        group.servers[0].activeCount = 5
        group.servers[2].activeCount = 5
        group.eject(group.servers[1], now: 1000)
        for now in [1000, 2000, 2999] as [Int64] {
            for _ in 0..<4 { #expect(group.choose(excluding: [], now: now) != 1, "at \(now)") }
        }
        #expect(group.choose(excluding: [0, 2], now: 1500) == 1)
        let later = Set((0..<3).compactMap { _ in group.choose(excluding: [], now: 3000) })
        #expect(later.contains(1))
        for server in group.servers { group.eject(server, now: 5000) }
        #expect(group.choose(excluding: [], now: 5001) != nil)
    }

    @Test("a name without addresses is passed over as long as another server has one")
    func withoutAddresses() throws {
        let group = try group([0, 1])
        for _ in 0..<4 { #expect(group.choose(excluding: [], now: 0) == 1) }
        #expect(group.choose(excluding: [1], now: 0) == 0)
        #expect(group.choose(excluding: [0, 1], now: 0) == nil)
    }
}
