// People with browsers, a proxy, a server, and whatever stands between them: who opens a stream, what passes on it, who or what ends it
// first, and who comes back. Out of it comes a log.

import Foundation
import Telemetry
import TestSupport

@testable import Diagnosis

/// How long something takes, in seconds.
enum Span {
    case never
    case always(Double)
    case uniform(ClosedRange<Double>)
    case exponential(mean: Double)
    case lognormal(median: Double, sigma: Double)
    case pareto(least: Double, exponent: Double)
    /// One of two.
    indirect case mixed(Span, Span, share: Double)

    func draw(_ random: inout SeededGenerator) -> Double {
        switch self {
        case .never: return .infinity
        case .always(let seconds): return seconds
        case .uniform(let range): return random.uniform(range)
        case .exponential(let mean): return -mean * log(random.uniform(1e-12...1))
        case .lognormal(let median, let sigma):
            let normal = sqrt(-2 * log(random.uniform(1e-12...1))) * cos(2 * .pi * random.uniform(0...1))
            return median * exp(sigma * normal)
        case .pareto(let least, let exponent): return least * pow(random.uniform(1e-12...1), -1 / exponent)
        case .mixed(let one, let other, let share): return random.uniform(0...1) < share ? one.draw(&random) : other.draw(&random)
        }
    }
}

/// A timer of a hop, a server or a client.
struct Timer {
    var seconds: Double
    /// How late it fires: to the millisecond, on a platform up to two seconds.
    var late: Span = .uniform(0...0.005)
    /// Of the people, the share that passes it.
    var share = 1.0
    var cause = Cause.clientClosed
    /// It forgets, and the next write meets a reset.
    var isForgetful = false
}

/// Something that ends streams at a time of day.
struct Break {
    var time: Double
    var cause = Cause.upstreamCutOff
    var server: Int?
    var address: Int?
    /// The share of the living streams there.
    var share = 1.0
    var within = 0.5
}

struct World {
    var random: SeededGenerator
    /// How many streams at most.
    var streams = 300
    /// Over how many seconds people arrive.
    var span = 7_200.0
    /// How long somebody wants to stay, counted over all streams.
    var stay = Span.exponential(mean: 600)
    /// The server's pauses between events.
    var gap = Span.exponential(mean: 20)
    /// Nothing comes before this.
    var heartbeat: Double?
    var clientIdle: Timer?
    var clientAbsolute: Timer?
    var upstreamIdle: Timer?
    var upstreamAbsolute: Timer?
    /// The server is done after so many events, or after such a time.
    var lastEvent: Int?
    var work: Span?
    var breaks: [Break] = []
    /// How long after an end that he had not wanted a client comes back.
    var retry = Span.mixed(.uniform(3.0...3.2), .uniform(5.0...5.2), share: 0.8)
    var comesBack = 1.0
    /// How people leave; some browsers reset.
    var leaving = Span.uniform(0...1)
    var resets = 0.1
    /// Whether the proxy sees who they are.
    var hasNames = true
    var addresses = 2
    var servers = 1
    var route = "/*"
    /// With the fields of later versions; without, what today's logs have.
    var hasFields = true
    var hasEventIDs = false
    /// Clients have numbers from here on.
    var firstClient = 0

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// One person: arrives, stays, comes back. Returns how many streams that made.
    mutating func visit(_ client: Int, arriving: Double, into log: inout SimulatedLog) -> Int {
        var count = 0
        let leaves = arriving + stay.draw(&random)
        let address = random.below(max(addresses, 1))
        let passes = random.uniform(0...1)
        var time = arriving
        var resumes = false
        while time < leaves && count < 1_000 {
            var stream = SimulatedStream()
            stream.client = firstClient + (hasNames || addresses == 0 ? client : address)
            stream.address = addresses == 0 ? firstClient + client : address
            stream.opened = time
            let server = random.below(servers)
            stream.surroundings.route = route
            stream.surroundings.upstream = "app"
            stream.surroundings.server = "http://10.1.0.\(server + 1):9000"
            run(&stream, leaves: leaves, passes: passes, server: server)
            if hasFields {
                stream.marks.insert(.tellsResuming)
                if hasEventIDs && stream.events > 0 { stream.marks.insert(.hasEventID) }
                if resumes && hasEventIDs { stream.marks.insert(.resumes) }
            }
            log.add(stream)
            count += 1
            let wanted = stream.cause == .clientClosed || stream.cause == .clientReset
            let end = stream.opened + stream.duration
            if wanted && end >= leaves - 0.001 { break }
            guard random.uniform(0...1) < comesBack else { break }
            resumes = stream.events > 0
            time = end + retry.draw(&random)
        }
        return count
    }

    private mutating func run(_ stream: inout SimulatedStream, leaves: Double, passes: Double, server: Int) {
        var end = leaves - stream.opened
        var cause: Cause = random.uniform(0...1) < resets ? .clientReset : .clientClosed
        func first(_ time: Double, _ why: Cause) {
            if time < end { (end, cause) = (time, why) }
        }
        if let timer = clientAbsolute, passes < timer.share { first(timer.seconds + timer.late.draw(&random), timer.cause) }
        if let timer = upstreamAbsolute { first(timer.seconds + timer.late.draw(&random), timer.cause) }
        if let work { first(work.draw(&random), .upstreamFinished) }
        for pause in breaks
        where pause.time > stream.opened && (pause.server ?? server) == server && (pause.address ?? stream.address) == stream.address {
            let time = pause.time - stream.opened + random.uniform(0...pause.within)
            if random.uniform(0...1) < pause.share { first(time, pause.cause) }
        }
        // The server's bytes and the client's, until something ends it. A heartbeat fills the client's silence.
        var (event, write, before, longestUp, longestDown) = (0.0, 0.0, 0.0, 0.0, 0.0)
        var (events, heartbeats) = (0, 0)
        var isForgotten = false
        func wrote(_ time: Double) {
            before = time - write
            longestDown = max(longestDown, before)
            write = time
        }
        while true {
            let next = event + gap.draw(&random)
            if let timer = upstreamIdle, passes < timer.share {
                let cut = event + timer.seconds + timer.late.draw(&random)
                if cut < next { first(cut, timer.cause) }
            }
            var beat = heartbeat.map { write + $0 } ?? .infinity
            while true {
                let toClient = min(beat, next)
                if let timer = clientIdle, passes < timer.share {
                    if timer.isForgetful {
                        if toClient - write > timer.seconds && toClient < end {
                            (end, cause, isForgotten) = (toClient + 0.05, timer.cause, true)
                        }
                    } else {
                        let cut = write + timer.seconds + timer.late.draw(&random)
                        if cut < toClient { first(cut, timer.cause) }
                    }
                }
                guard beat < next, beat < end else { break }
                wrote(beat)
                heartbeats += 1
                beat += heartbeat!
            }
            guard next < end else { break }
            longestUp = max(longestUp, next - event)
            event = next
            events += 1
            wrote(next)
            if events == lastEvent {
                first(next, .upstreamFinished)
                break
            }
            if isForgotten { break }
        }
        stream.duration = end
        stream.cause = cause
        stream.events = events
        stream.heartbeats = heartbeats
        stream.upstreamSilence = hasFields || cause != .upstreamFinished || events == 0 ? end - event : nil
        stream.clientSilence = end - write
        stream.longestUpstreamSilence = max(longestUp, end - event)
        stream.longestClientSilence = max(longestDown, end - write)
        if hasFields {
            stream.clientSilenceBeforeLastWrite = before
            stream.heartbeatInterval = heartbeat
        }
        if heartbeat != nil { stream.marks.insert(.isWoven) }
    }

    /// People who arrive evenly over the span, until there are as many streams as wanted.
    mutating func fill(_ log: inout SimulatedLog) {
        var made = 0
        var client = 0
        while made < streams {
            made += visit(client, arriving: random.uniform(0...span), into: &log)
            client += 1
        }
    }

    /// The log of this world alone. It ends a minute after its last stream began, so some have no end in it.
    mutating func log() -> LogFacts {
        var log = SimulatedLog()
        fill(&log)
        return log.facts(until: log.lastOpening + 60)
    }
}
