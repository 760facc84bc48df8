// What all workers know of streams: which ended lately, and how many are open.

import TestSupport
import Testing

@testable import Telemetry

@Suite("The streams that ended lately")
struct RecentStreamTests {
    private func stream(_ number: UInt64, worker: Int = 0) -> StreamIdentifier { StreamIdentifier(worker: worker, number: number) }

    @Test("are given to the same client once, the latest first, and to no other")
    func once() {
        let streams = RecentStreams()
        #expect(streams.takeLast(of: 7, now: 1_000) == nil)
        streams.ended(stream(1), of: 7, now: 1_000)
        streams.ended(stream(2, worker: 3), of: 7, now: 2_000)
        // Another client whose ends lie in the same place.
        streams.ended(stream(3), of: 7 + 16 * 128, now: 3_000)
        let latest = streams.takeLast(of: 7, now: 5_000)
        #expect(latest?.stream == stream(2, worker: 3) && latest?.sinceMilliseconds == 3_000)
        #expect(streams.takeLast(of: 7, now: 5_000)?.stream == stream(1))
        #expect(streams.takeLast(of: 7, now: 5_000) == nil)
        #expect(streams.takeLast(of: 7 + 16 * 128, now: 5_000)?.stream == stream(3))
    }

    @Test("are forgotten after five minutes, and an end from a clock that is a turn ahead is no time ago")
    func forgotten() {
        let streams = RecentStreams()
        streams.ended(stream(1), of: 1, now: 0)
        streams.ended(stream(2), of: 2, now: 0)
        streams.ended(stream(3), of: 3, now: 10)
        #expect(streams.takeLast(of: 1, now: 300_000)?.sinceMilliseconds == 300_000)
        #expect(streams.takeLast(of: 2, now: 300_001) == nil)
        #expect(streams.takeLast(of: 3, now: 5)?.sinceMilliseconds == 0)
    }

    @Test("are bounded: of the ends that share a place the oldest makes room")
    func bounded() {
        let streams = RecentStreams()
        for number in 0..<17 { streams.ended(stream(UInt64(number)), of: UInt64(number) * 16 * 128, now: Int64(number)) }
        #expect(streams.takeLast(of: 0, now: 20) == nil)
        for number in 1..<17 { #expect(streams.takeLast(of: UInt64(number) * 16 * 128, now: 20)?.stream == stream(UInt64(number))) }
    }

    @Test("ten thousand clients that are cut at once are all known when they come back, and never as one another")
    func manyClients() {
        let seed = SeededGenerator.seed(of: "streams that ended lately")
        var random = SeededGenerator(seed: seed)
        let streams = RecentStreams()
        let clients = (0..<10_000).map { _ in random.next() }
        for (number, client) in clients.enumerated() { streams.ended(stream(UInt64(number)), of: client, now: Int64(number / 100)) }
        var known = 0
        for (number, client) in clients.enumerated().reversed() {
            guard let found = streams.takeLast(of: client, now: 3_000) else { continue }
            #expect(found.stream == stream(UInt64(number)), "HEARTWIRE_SEED=\(seed)")
            known += 1
        }
        #expect(known > 9_990, "HEARTWIRE_SEED=\(seed)")
    }
}

@Suite("The streams that are open")
struct OpenStreamTests {
    @Test("are counted for each route and each server, and the one that ends does not count")
    func counts() {
        let streams = OpenStreams()
        for _ in 0..<3 { streams.opened(route: "/a") }
        streams.opened(route: "/b")
        for _ in 0..<2 { streams.joined(server: "s") }
        #expect(streams.ended(route: "/a", server: nil) == (2, nil))
        #expect(streams.ended(route: "/a", server: "s") == (1, 1))
        #expect(streams.ended(route: "/b", server: "s") == (0, 0))
        streams.opened(route: "/b")
        #expect(streams.ended(route: "/a", server: nil) == (0, nil))
        #expect(streams.ended(route: "/b", server: nil) == (0, nil))
    }
}
