// Logs in which nothing is wrong: people, pages, monitors and jobs whose streams end because they were meant to. Whatever the method
// claims of one of them is a false accusation.

import Telemetry
import TestSupport

@testable import Diagnosis

enum HealthyLogs {
    enum Kind: String, CaseIterable, Sendable {
        case exponential, lognormal, heavyTail, uniform, twoSorts, reloads, polls, monitors, completions, fixedJobs, officeCloses
        case schoolBell, plannedRecycling, drains, phones, few, nameless, ticks, noticedByHeartbeat, quiet, tabs, dayCurve, oldLogs
        case manyRoutes, reloadForAll, subjectEnds, strangers, busy
    }

    static func log(_ kind: Kind, seed: UInt64) -> LogFacts {
        var world = World(seed: seed)
        world.streams = world.random.pick([30, 60, 200, 600, 2_000])
        world.hasFields = world.random.oneIn(2)
        world.hasEventIDs = world.random.oneIn(2)
        world.hasNames = !world.random.oneIn(5)
        world.addresses = world.random.pick([0, 1, 3])
        world.servers = world.random.pick([1, 2, 3])
        world.heartbeat = world.random.pick([nil, 15, 15, 30])
        world.gap = world.random.pick([.exponential(mean: 5), .exponential(mean: 60), .lognormal(median: 10, sigma: 1.5), .never])
        world.stay = stay(of: kind, &world)
        switch kind {
        case .completions:
            world.work = .lognormal(median: 12, sigma: 0.8)
            world.gap = .exponential(mean: 0.2)
            world.comesBack = 0
        case .fixedJobs:
            world.gap = .always(world.random.uniform(0.5...2))
            world.lastEvent = 30
            world.stay = .never
            world.comesBack = 0
        case .plannedRecycling:
            world.work = .uniform(240...360)
        case .drains:
            for _ in 0..<3 {
                let time = world.random.uniform(0...world.span)
                world.breaks.append(Break(time: time, cause: .drained, within: 10))
            }
        case .phones: world.retry = .exponential(mean: 300)
        case .few: world.streams = world.random.number(3...12)
        case .nameless:
            world.hasNames = false
            world.addresses = 1
        case .ticks:
            let tick = world.random.pick([5.0, 10, 30])
            world.gap = .uniform(tick - 0.02...tick + 0.02)
        case .quiet:
            world.gap = .never
            world.heartbeat = nil
            world.stay = .lognormal(median: 1_800, sigma: 1)
        case .oldLogs:
            world.hasFields = false
            world.hasEventIDs = false
        case .busy:
            world.streams = 8_000
        default: break
        }
        return special(kind, &world) ?? world.log()
    }

    /// How long people want to stay.
    private static func stay(of kind: Kind, _ world: inout World) -> Span {
        let mean = world.random.pick([30.0, 120, 600, 3_000])
        switch kind {
        case .lognormal: return .lognormal(median: mean, sigma: world.random.uniform(0.3...1.5))
        case .heavyTail: return .pareto(least: world.random.uniform(1...20), exponent: 1.1)
        case .uniform: return .uniform(1...2 * mean)
        case .twoSorts: return .mixed(.exponential(mean: 4), .lognormal(median: 900, sigma: 0.8), share: 0.5)
        default: return .exponential(mean: mean)
        }
    }

    /// Logs in which people do not come and go each for himself.
    private static func special(_ kind: Kind, _ world: inout World) -> LogFacts? {
        var log = SimulatedLog()
        switch kind {
        case .reloads, .polls, .monitors: visitors(kind, &world, into: &log)
        case .officeCloses, .schoolBell: together(kind, &world, into: &log)
        case .reloadForAll:
            // The application tells every page to load itself again, now and then.
            let people = world.random.number(8...24)
            var opened = (0..<people).map { _ in world.random.uniform(0...900) }
            var time = 1_000.0
            while time < world.span {
                for client in 0..<people {
                    let end = time + world.random.uniform(0...1.5)
                    var stream = plain(client, &world, from: opened[client], until: end)
                    stream.address = 0
                    log.add(stream)
                    opened[client] = end + world.random.uniform(0.1...0.6)
                }
                time += world.random.uniform(600...2_000)
            }
        case .subjectEnds:
            // A match is over: the server ends all streams about it in good order.
            for match in 0..<world.random.number(1...5) {
                let over = world.random.uniform(2_000...7_000)
                for client in 0..<world.random.number(10...100) {
                    var stream = plain(match * 200 + client, &world, from: world.random.uniform(over - 1_900...over - 60), until: over)
                    stream.cause = .upstreamFinished
                    stream.duration += world.random.uniform(0...0.5)
                    stream.surroundings.path = "/match/\(match)"
                    log.add(stream)
                }
            }
        case .noticedByHeartbeat:
            // A hop that does not watch its client: who left is noticed when a heartbeat meets a reset.
            for client in 0..<world.streams {
                let count = Int(Span.exponential(mean: 20).draw(&world.random)) + 1
                var stream = plain(client, &world, from: world.random.uniform(0...world.span), until: 0)
                stream.duration = Double(count) * 15 + world.random.uniform(0...0.03)
                stream.cause = .clientReset
                stream.events = 0
                stream.heartbeats = count
                stream.heartbeatInterval = 15
                stream.marks.insert(.isWoven)
                (stream.clientSilence, stream.longestClientSilence, stream.clientSilenceBeforeLastWrite) = (0.03, 15.01, 15)
                (stream.upstreamSilence, stream.longestUpstreamSilence) = (stream.duration, stream.duration)
                log.add(stream)
            }
        case .phones:
            world.fill(&log)
            // Some vanish, with a few retransmissions behind them.
            for client in 0..<world.streams / 40 {
                var stream = plain(100_000 + client, &world, from: world.random.uniform(0...world.span), until: 0)
                stream.duration = world.random.uniform(30...2_000)
                stream.cause = .clientVanished
                stream.clientSilence = world.random.uniform(60...90)
                stream.longestClientSilence = stream.clientSilence
                stream.clientSilenceBeforeLastWrite = min(stream.duration, world.heartbeat ?? world.gap.draw(&world.random))
                if world.heartbeat != nil { stream.marks.insert(.isWoven) }
                log.add(stream)
            }
        case .tabs:
            for client in 0..<world.streams / 4 {
                let arriving = world.random.uniform(0...world.span)
                for _ in 0..<world.random.number(1...5) {
                    _ = world.visit(client, arriving: arriving + world.random.uniform(0...60), into: &log)
                }
            }
        case .dayCurve:
            world.span = 86_400
            for client in 0..<world.streams {
                let noon = 43_200 + 9_000 * (world.random.uniform(-1...1) + world.random.uniform(-1...1) + world.random.uniform(-1...1))
                _ = world.visit(client, arriving: noon, into: &log)
            }
        case .manyRoutes:
            for route in 0..<world.random.number(2...6) {
                var part = World(seed: world.random.next())
                part.route = "/route\(route)/*"
                part.streams = world.streams / 4 + 10
                part.firstClient = route * 100_000
                part.stay = .lognormal(median: 30 * Double(route + 1), sigma: 0.9)
                part.gap = world.gap
                part.heartbeat = world.heartbeat
                part.addresses = 1
                part.fill(&log)
            }
        case .strangers:
            world.fill(&log)
            for _ in 0..<world.random.number(5...200) {
                log.refuse(
                    at: world.random.uniform(0...world.span), client: 200_000 + world.random.below(500),
                    cause: .credentialsRefused)
            }
        default: return nil
        }
        return log.facts(until: world.span)
    }

    /// A stream with a few events that somebody ends at a time.
    private static func plain(_ client: Int, _ world: inout World, from: Double, until: Double) -> SimulatedStream {
        var stream = SimulatedStream()
        stream.client = client
        stream.address = world.addresses == 0 ? client : world.random.below(max(world.addresses, 1))
        stream.opened = from
        stream.duration = max(until - from, 0.1)
        stream.cause = .clientClosed
        stream.events = world.random.below(20)
        stream.surroundings.route = "/*"
        stream.surroundings.upstream = "app"
        stream.surroundings.server = "http://10.1.0.1:9000"
        let silence = stream.events == 0 ? stream.duration : min(stream.duration, Span.exponential(mean: 8).draw(&world.random))
        let longest = max(silence, min(stream.duration, Span.exponential(mean: 25).draw(&world.random)))
        (stream.clientSilence, stream.upstreamSilence) = (silence, silence)
        (stream.longestClientSilence, stream.longestUpstreamSilence) = (longest, longest)
        return stream
    }

    /// Pages and programs that come again and again by a clock of their own.
    private static func visitors(_ kind: Kind, _ world: inout World, into log: inout SimulatedLog) {
        let count = kind == .monitors ? world.random.number(1...2) : world.random.number(3...40)
        let every = world.random.pick([30.0, 60])
        for client in 0..<count {
            var time = world.random.uniform(0...60)
            for _ in 0..<world.random.number(10...60) {
                let life = kind == .reloads ? every : kind == .polls ? world.random.uniform(1...2) : 10
                log.add(plain(client, &world, from: time, until: time + life + world.random.uniform(0...0.02)))
                time += life
                switch kind {
                case .reloads: time += world.random.uniform(0.1...0.6)
                case .polls: time += every - life
                default: time += 50 + world.random.uniform(0...0.1)
                }
            }
        }
        world.fill(&log)
    }

    /// An office that closes within minutes, a class that leaves at the bell.
    private static func together(_ kind: Kind, _ world: inout World, into log: inout SimulatedLog) {
        let people = world.random.number(15...60)
        for hour in 0..<(kind == .officeCloses ? 1 : 5) {
            for client in 0..<people {
                let from = Double(hour) * 3_600 + world.random.uniform(0...120)
                let leave =
                    kind == .officeCloses ? world.random.uniform(5_000...5_900) : Double(hour) * 3_600 + 2_700 + world.random.uniform(0...4)
                var stream = plain(client, &world, from: from, until: leave)
                stream.address = 0
                log.add(stream)
            }
        }
    }
}
