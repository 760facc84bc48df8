// Logs with one known cause: every limit of the table of hops, and everything that is no limit.

import Telemetry
import TestSupport

@testable import Diagnosis

/// What a log should be said to show.
struct Expected {
    var kind: Finding.Kind
    var side: Finding.Side
    var seconds: Double?
    /// How far from it the limit may be said.
    var within = 1.0
    /// A silent drop has no constant: it is right too where the two bounds hold the limit.
    var isSilentDrop = false

    func fits(_ finding: Finding) -> Bool {
        // A hop that cuts at an age and one that keeps bytes back until the client gives up look alike.
        let isKind = finding.kind == kind || kind == .absoluteTimeout && finding.kind == .buffering && finding.alternative == kind
        guard isKind, finding.side == side, finding.isSilentDrop == isSilentDrop else { return false }
        guard let seconds else { return true }
        if isSilentDrop, let between = finding.between, between.contains(seconds) { return true }
        return finding.seconds.map { abs($0 - seconds) <= within } ?? false
    }
}

enum PlantedLogs {
    /// The limit of that row on a side, in a log of so many streams. Some people leave by themselves, and most come back when they were
    /// cut.
    static func limit(_ hop: Hop, on side: Finding.Side, streams: Int, seed: UInt64) -> (LogFacts, Expected) {
        var world = World(seed: seed)
        let limit = hop.seconds
        let isLate = hop.marks.contains(.late)
        world.streams = streams
        world.span = max(3_600, limit * 30)
        world.hasFields = world.random.oneIn(2)
        world.hasEventIDs = world.random.oneIn(2)
        world.hasNames = !world.random.oneIn(4)
        world.addresses = world.random.pick([1, 2, 4])
        world.servers = world.random.pick([1, 2, 3])
        let isReset = world.random.oneIn(3)
        var timer = Timer(seconds: limit)
        timer.late = isLate ? .uniform(0.3...2) : .uniform(0...0.02)
        timer.cause = side == .client ? (isReset ? .clientReset : .clientClosed) : isReset ? .upstreamReset : .upstreamCutOff
        if isLate && side == .upstream {
            timer.cause = .upstreamFinished
            // After a last chunk the kernel's figures say nothing of the silence before it: only the new fields do.
            if hop.limit == .idle { world.hasFields = true }
        }
        let isForgetful = hop.marks.contains(.forgets)
        var expected = Expected(
            kind: hop.limit == .idle ? .idleTimeout : .absoluteTimeout, side: side, seconds: limit, within: isLate ? 2 : 1)
        if isForgetful {
            // A hop that forgets is found by what was survived too, so it needs streams that lived beside it, and the new fields.
            expected.isSilentDrop = true
            timer = Timer(seconds: limit, late: .always(0), cause: .clientReset, isForgetful: true)
            world.hasFields = true
            world.gap = .exponential(mean: limit / 3)
            world.stay = .exponential(mean: limit * 8)
            world.clientIdle = timer
        } else if hop.limit == .idle {
            world.gap = .exponential(mean: limit / 2)
            world.stay = .exponential(mean: limit * 12)
            if side == .client { world.clientIdle = timer } else { world.upstreamIdle = timer }
            if side == .upstream && world.random.oneIn(2) { world.heartbeat = 15 }
        } else {
            // Streams that their server never breaks cannot tell idle from absolute on the server's side.
            world.gap = side == .client && world.random.oneIn(3) ? .never : .exponential(mean: limit / 5)
            if case .never = world.gap { world.heartbeat = min(15, limit / 4) }
            if world.random.oneIn(2) { world.heartbeat = min(15, limit / 4) }
            world.stay = .exponential(mean: limit * 7)
            if side == .client { world.clientAbsolute = timer } else { world.upstreamAbsolute = timer }
        }
        return (world.log(), expected)
    }

    /// What is no limit.
    enum Happening: String, CaseIterable, Sendable {
        case restart, deployment, recycling, hopReload, badServer, staleToken, storm, loop, slowReaders, sleepingPhones
        case sixConnections, silentServer, ownLimit
    }

    /// A log of so many streams in which that happened.
    static func happening(_ what: Happening, streams: Int, seed: UInt64) -> (LogFacts, Expected) {
        var world = World(seed: seed)
        world.streams = streams
        world.span = 3_600
        world.stay = .exponential(mean: 3_600)
        world.hasFields = world.random.oneIn(2)
        var log = SimulatedLog()
        switch what {
        case .restart:
            world.servers = streams < 100 ? 1 : 2
            world.breaks = [Break(time: 1_800, cause: world.random.pick([.upstreamCutOff, .upstreamReset, .upstreamFinished]), server: 0)]
            return (world.log(), Expected(kind: .serverRestart, side: .upstream))
        case .deployment:
            world.servers = 3
            world.streams = max(streams, 120)
            world.breaks = (0..<3).map { Break(time: 1_800 + 120 * Double($0), server: $0) }
            return (world.log(), Expected(kind: .deployment, side: .upstream))
        case .recycling:
            world.streams = max(streams, 90)
            world.breaks = (1...4).map { Break(time: 800 * Double($0), share: 0.4, within: 0.3) }
            return (world.log(), Expected(kind: .workerRecycling, side: .upstream))
        case .hopReload:
            if streams < 100 { world.addresses = 1 }
            world.breaks = [Break(time: 1_900, cause: .clientClosed, address: 0)]
            return (world.log(), Expected(kind: .hopRestart, side: .client))
        case .badServer:
            world.servers = 3
            world.stay = .exponential(mean: 300)
            world.fill(&log)
            for client in 0..<streams / 3 + 6 {
                var stream = SimulatedStream()
                stream.client = 50_000 + client
                stream.opened = world.random.uniform(0...3_000)
                stream.duration = world.random.uniform(2...500)
                stream.cause = world.random.pick([.upstreamCutOff, .upstreamReset])
                stream.upstreamSilence = world.random.uniform(0...1) * stream.duration
                stream.longestUpstreamSilence = stream.duration
                stream.events = 3
                stream.surroundings.route = "/*"
                stream.surroundings.upstream = "app"
                stream.surroundings.server = "http://10.1.0.2:9000"
                log.add(stream)
            }
            return (log.facts(until: world.span), Expected(kind: .badServer, side: .upstream))
        case .staleToken:
            world.fill(&log)
            for client in 0..<3 {
                for attempt in 0..<streams / 4 {
                    log.refuse(at: 100 + Double(attempt) * 3.1 + Double(client), client: 70_000 + client, cause: nil)
                }
            }
            return (log.facts(until: world.span), Expected(kind: .staleToken, side: .client))
        case .storm:
            world.stay = .exponential(mean: 300)
            world.fill(&log)
            for client in 0..<max(streams / 5, 40) {
                _ = world.visit(client, arriving: 2_000 + world.random.uniform(0...0.9), into: &log)
            }
            return (log.facts(until: world.span), Expected(kind: .reconnectStorm, side: .client))
        case .loop:
            world.fill(&log)
            for client in 0..<3 {
                for attempt in 0..<streams / 2 {
                    var stream = SimulatedStream()
                    stream.client = 80_000 + client
                    stream.opened = 500 + Double(attempt) * 1.3 + world.random.uniform(0...0.2)
                    stream.duration = world.random.uniform(0.01...0.3)
                    stream.cause = .upstreamFinished
                    stream.surroundings.route = "/*"
                    log.add(stream)
                }
            }
            return (log.facts(until: world.span), Expected(kind: .reconnectStorm, side: .client))
        case .slowReaders, .sleepingPhones, .silentServer:
            world.fill(&log)
            ended(what, &world, into: &log)
            let expected: Expected =
                what == .slowReaders
                ? Expected(kind: .slowReader, side: .client)
                : what == .sleepingPhones
                    ? Expected(kind: .mobileSleep, side: .client) : Expected(kind: .upstreamSilent, side: .upstream, seconds: 90)
            return (log.facts(until: world.span), expected)
        case .sixConnections:
            world.fill(&log)
            sixTabs(&world, into: &log)
            return (log.facts(until: world.span), Expected(kind: .connectionLimit, side: .client))
        case .ownLimit:
            world.fill(&log)
            for _ in 0..<streams {
                log.refuse(at: world.random.uniform(0...3_000), client: 90_000, status: 503, cause: .refusedByLimit)
            }
            return (log.facts(until: world.span), Expected(kind: .refusedByLimit, side: .proxy))
        }
    }

    /// Streams that ended for a reason which the log itself names.
    private static func ended(_ what: Happening, _ world: inout World, into log: inout SimulatedLog) {
        for client in 0..<max(world.streams / 5, 8) {
            var stream = SimulatedStream()
            stream.client = 60_000 + client
            stream.opened = world.random.uniform(0...3_000)
            stream.duration = 95 + world.random.uniform(0...500)
            stream.events = 5
            stream.surroundings.route = "/*"
            stream.surroundings.upstream = "app"
            stream.surroundings.server = "http://10.1.0.1:9000"
            let silence = world.random.uniform(1...20)
            (stream.clientSilence, stream.longestClientSilence) = (silence, silence + world.random.uniform(0...20))
            (stream.upstreamSilence, stream.longestUpstreamSilence) = (silence, silence)
            switch what {
            case .slowReaders: stream.cause = .clientStalled
            case .sleepingPhones: stream.cause = .clientVanished
            default:
                stream.cause = .upstreamSilent
                (stream.upstreamSilence, stream.longestUpstreamSilence) = (90.004, 90.004)
            }
            log.add(stream)
        }
    }

    /// One browser with six tabs, and more that wait until one is closed.
    private static func sixTabs(_ world: inout World, into log: inout SimulatedLog) {
        var free = [Double](repeating: 100, count: 6).enumerated().map { $1 + Double($0) * 4 }
        for tab in 0..<12 {
            let place = free.indices.min { free[$0] < free[$1] }!
            var stream = SimulatedStream()
            stream.client = 95_000
            stream.opened = free[place] + (tab < 6 ? 0 : world.random.uniform(0.005...0.1))
            stream.duration = world.random.uniform(100...400)
            stream.cause = .clientClosed
            stream.events = 7
            stream.surroundings.route = "/*"
            free[place] = stream.opened + stream.duration
            let silence = world.random.uniform(0...10)
            (stream.clientSilence, stream.longestClientSilence) = (silence, silence + 10)
            log.add(stream)
        }
    }
}
