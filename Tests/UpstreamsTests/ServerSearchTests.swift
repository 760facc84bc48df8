// Where a search for a server goes next, at which of a server's addresses, and when it ends.

import Marks
import Reactor
import TestSupport
import Testing

@testable import Upstreams

@Suite("The search for a server")
struct ServerSearchTests {
    /// Lets every attempt fail and notes where they went.
    private func failAll(_ group: ServerGroup, now: Int64 = 0) -> [SocketAddress?] {
        var search = ServerSearch()
        var tried: [SocketAddress?] = []
        while let candidate = search.next(in: group, now: now), tried.count < 100 {
            tried.append(candidate.address)
            search.failed(seen(.connectionRefused), server: candidate.server, in: group, now: now)
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
        search.failed(seen(.connectTimeout), server: 0, in: group, now: 100)
        #expect(group.servers[0].health.ejectedUntil == 0)
        _ = search.next(in: group, now: 200)
        search.failed(seen(.connectionRefused), server: 0, in: group, now: 200)
        #expect(group.servers[0].health.ejectedUntil == 2200)
        #expect(search.lastFailure.failure == .connectionRefused && search.failures == [.connectTimeout, .connectionRefused])
    }

    @Test("the address that worked is the first one next time, and its server rests no longer")
    func preference() throws {
        let group = try group([3])
        group.eject(group.servers[0], now: 7000)
        var search = ServerSearch()
        for _ in 0..<2 {
            _ = search.next(in: group, now: 0)
            search.failed(seen(.connectionRefused), server: 0, in: group, now: 0)
        }
        let third = try next(&search, group)
        #expect(third.address == address(0, 2))
        search.succeeded(in: group)
        #expect(group.servers[0].health.ejectedUntil == 0)
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

    @Test("two searches that both found the second address leave it preferred")
    func concurrentSuccess() throws {
        let group = try group([2])
        var one = ServerSearch()
        var two = ServerSearch()
        _ = one.next(in: group, now: 0)
        _ = two.next(in: group, now: 0)
        one.failed(seen(.connectionRefused), server: 0, in: group, now: 0)
        two.failed(seen(.connectionRefused), server: 0, in: group, now: 0)
        _ = one.next(in: group, now: 0)
        _ = two.next(in: group, now: 0)
        one.succeeded(in: group)
        two.succeeded(in: group)
        #expect(group.servers[0].preferredAddress == address(0, 1))
    }

    @Test("a search tries no address twice when another one's success changes the order")
    func twice() throws {
        let group = try group([2])
        var one = ServerSearch()
        var two = ServerSearch()
        let first = one.next(in: group, now: 0)
        _ = two.next(in: group, now: 0)
        two.failed(seen(.connectTimeout), server: 0, in: group, now: 0)
        _ = two.next(in: group, now: 0)
        two.succeeded(in: group)
        one.failed(seen(.connectTimeout), server: 0, in: group, now: 0)
        let second = one.next(in: group, now: 0)
        #expect(first?.address != second?.address)
    }

    @Test("a search that begins after another one found a better address begins there, and does not change it")
    func preferredMovesUnderSuccess() throws {
        let group = try group([2])
        var slow = ServerSearch()
        var quick = ServerSearch()
        _ = quick.next(in: group, now: 0)
        quick.failed(seen(.connectTimeout), server: 0, in: group, now: 0)
        _ = quick.next(in: group, now: 0)
        quick.succeeded(in: group)
        _ = slow.next(in: group, now: 0)
        #expect(group.servers[0].preferredAddress == address(0, 1))
    }

    @Test("after a dead idle connection no address is tried that failed before", .reaches(.deadIdleConnectionRetried))
    func retryAgain() throws {
        let group = try group([2])
        var search = ServerSearch()
        let first = try next(&search, group)
        search.failed(seen(.connectionRefused), server: 0, in: group, now: 0)
        // The idle connection of the same server is taken for the second attempt, and is dead.
        _ = try next(&search, group)
        search.retryFresh()
        let third = try next(&search, group)
        #expect(third.address == address(0, 1) && first.address == address(0, 0))
    }

    @Test("a look-up that comes during an attempt makes no address be tried twice")
    func lookup() throws {
        let group = try group([2])
        var search = ServerSearch()
        let first = try next(&search, group)
        group.update(addresses: [[address(0, 1), address(0, 0)]])
        search.failed(seen(.connectionRefused), server: 0, in: group, now: 0)
        let second = try next(&search, group)
        #expect(first.address == address(0, 0) && second.address == address(0, 1))
    }
}
