// Several causes in one log, and causes that only a part of the people meet.

import Telemetry
import TestSupport
import Testing

@testable import Diagnosis

@Suite("The method tells causes apart that are in one log")
struct TwoCausesTests {
    /// Several worlds in one log; each has its own people.
    private func log(_ worlds: [World]) -> LogFacts {
        var log = SimulatedLog()
        for (number, world) in worlds.enumerated() {
            var world = world
            world.firstClient = number * 1_000_000
            world.fill(&log)
        }
        return log.facts(until: log.lastOpening + 60)
    }

    private func each(_ name: StaticString, _ try_: (UInt64, Int) -> Void) {
        let seed = SeededGenerator.seed(of: name)
        for index in 0..<UInt64(count(usually: 2)) { for streams in [200, 5_000] { try_(seed &+ index, streams) } }
    }

    @Test("an idle limit before the proxy and an absolute one behind it")
    func twoSides() {
        each("an idle limit before the proxy and an absolute one behind it") { seed, streams in
            var world = World(seed: seed)
            (world.streams, world.span, world.stay, world.gap) = (streams, 14_400, .exponential(mean: 3_000), .exponential(mean: 25))
            world.clientIdle = Timer(seconds: 60)
            world.upstreamAbsolute = Timer(seconds: 300, late: .uniform(0...1), cause: .upstreamCutOff)
            let expected = [
                Expected(kind: .idleTimeout, side: .client, seconds: 60), Expected(kind: .absoluteTimeout, side: .upstream, seconds: 300),
            ]
            check(world.log(), expected, "HEARTWIRE_SEED=\(seed): \(streams) streams")
        }
    }

    @Test("a limit that was changed on one day, and one on the other side that came to light by it (nf-tower #48)")
    func oneAfterTheOther() {
        each("a limit that was changed on one day") { seed, streams in
            var before = World(seed: seed)
            (before.streams, before.stay, before.gap) = (streams, .exponential(mean: 4_000), .exponential(mean: 70))
            before.clientIdle = Timer(seconds: 120)
            var after = before
            after.gap = .exponential(mean: 150)
            after.clientIdle = nil
            after.upstreamIdle = Timer(seconds: 300, cause: .upstreamCutOff)
            let expected = [
                Expected(kind: .idleTimeout, side: .client, seconds: 120), Expected(kind: .idleTimeout, side: .upstream, seconds: 300),
            ]
            check(log([before, after]), expected, "HEARTWIRE_SEED=\(seed): \(streams) streams")
        }
    }

    @Test("two routes with a limit each")
    func twoRoutes() {
        each("two routes with a limit each") { seed, streams in
            var prices = World(seed: seed)
            (prices.streams, prices.route, prices.stay) = (streams / 2, "/prices", .exponential(mean: 1_000))
            prices.gap = .exponential(mean: 25)
            prices.clientIdle = Timer(seconds: 60)
            var news = prices
            (news.route, news.gap) = ("/news", .exponential(mean: 10))
            (news.clientIdle, news.clientAbsolute) = (nil, Timer(seconds: 100, cause: .clientReset))
            let expected = [
                Expected(kind: .idleTimeout, side: .client, seconds: 60), Expected(kind: .absoluteTimeout, side: .client, seconds: 100),
            ]
            check(log([prices, news]), expected, "HEARTWIRE_SEED=\(seed): \(streams) streams")
        }
    }

    @Test("a server that was restarted, and an idle limit all the time")
    func restartAndLimit() {
        each("a server that was restarted, and an idle limit all the time") { seed, streams in
            var world = World(seed: seed)
            (world.streams, world.span, world.stay, world.gap) = (3 * streams, 3_600, .exponential(mean: 1_500), .exponential(mean: 25))
            world.clientIdle = Timer(seconds: 60)
            world.breaks = [Break(time: 2_000)]
            let expected = [Expected(kind: .idleTimeout, side: .client, seconds: 60), Expected(kind: .serverRestart, side: .upstream)]
            check(world.log(), expected, "HEARTWIRE_SEED=\(seed): \(streams) streams")
        }
    }

    @Test("a limit that only three of ten people pass")
    func someOnly() {
        each("a limit that only three of ten people pass") { seed, streams in
            var world = World(seed: seed)
            (world.streams, world.stay, world.gap) = (streams, .exponential(mean: 400), .exponential(mean: 8))
            world.clientAbsolute = Timer(seconds: 60, share: 0.3)
            check(world.log(), [Expected(kind: .absoluteTimeout, side: .client, seconds: 60)], "HEARTWIRE_SEED=\(seed): \(streams) streams")
        }
    }
}
