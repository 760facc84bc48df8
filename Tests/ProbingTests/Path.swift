// A path without sockets: a model of a hop between a probe and the endpoint. It answers each connection of a plan with what would have
// happened on it, and the conductor is led through a whole probe in virtual time.

import ProbeScripts

@testable import Probing

/// A hop, and the endpoint behind it.
struct Path {
    /// One way through the hop, in milliseconds.
    var way: Int64 = 10
    /// The hop closes after so much silence of the endpoint, by FIN without the last chunk.
    var idle: Int64?
    /// The hop closes at that age.
    var absolute: Int64?
    /// The hop forgets the connection after so much silence: later items are lost, and nobody closes.
    var forgets: Int64?
    /// How late the hop's timers are.
    var lateness: Int64 = 3
    /// The hop holds the head until a byte of the body comes.
    var holdsHead = false
    /// The hop keeps each item until another one, or the end, comes.
    var keepsOneBack = false
    /// The hop collects so many bytes before it sends any.
    var buffer: Int?
    /// The hop collects only where a compressed response is welcome, and compresses.
    var buffersCompressedOnly = false
    /// The hop does not collect what says `X-Accel-Buffering: no`.
    var heedsAccel = false
    /// The hop sends what it has at multiples of so many milliseconds.
    var batches: Int64?
    /// The hop drops comments.
    var dropsComments = false
    /// The hop answers 504 where no head has come for so long.
    var firstByteLimit: Int64?
    /// The endpoint does not hear that its client leaves.
    var hidesLeaving = false
    /// Only so many streams run at once.
    var width = Int.max
    /// A cache answers what was asked before.
    var caches = false
    /// The status of every response, where it is not the endpoint's.
    var status: Int?
    /// Who ends streams: `client` stands for a hop before the proxy.
    var endedBy = "client"
    /// The version of HTTP that the hop chooses.
    var http = "1.1"
    /// How the hop ends streams.
    var manner = FlightEnding.closed(isAuthentic: true)

    /// What the endpoint remembers: when a play began and when it ended there, by the run's clock.
    private(set) var remembered: [String: (began: Int64, ended: Int64?)] = [:]
    private(set) var played: Set<String> = []
    /// The plans that were flown.
    private(set) var flown: [FlightPlan] = []

    init(_ change: (inout Path) -> Void = { _ in }) { change(&self) }

    /// What happens on a connection whose request is sent at that moment.
    mutating func fly(_ plan: FlightPlan, at moment: Int64, openCount: Int) -> Observation {
        var observation = Observation(plan)
        observation.sentAt = moment
        observation.connectMilliseconds = 5
        observation.http = plan.version == .usual ? http : plan.version == .http11 ? "1.1" : "1.0"
        flown.append(plan)
        switch plan.request {
        case .url: return respond(observation, status ?? 200)
        case .seen(let nonce, _): return tell(nonce, observation, at: moment)
        case .play(let script):
            if let status { return respond(observation, status) }
            if openCount >= width { return respond(observation, 503) }
            if played.contains(script.nonce), !caches { return respond(observation, 409) }
            played.insert(script.nonce)
            return play(script, observation, at: moment)
        }
    }

    private func respond(_ observation: Observation, _ status: Int) -> Observation {
        var observation = observation
        (observation.headAt, observation.status, observation.ending, observation.endedAt) = (2 * way, status, .complete, 2 * way)
        return observation
    }

    private func tell(_ nonce: String, _ observation: Observation, at moment: Int64) -> Observation {
        var observation = respond(observation, 200)
        guard let record = remembered[nonce] else {
            observation.beginning = Array(ProbeSighting.unknownLine(nonce: nonce).utf8)
            return observation
        }
        let hasEnded = record.ended.map { $0 <= moment } ?? false
        let sighting = ProbeSighting(
            endedAfterMilliseconds: hasEnded ? record.ended.map { $0 - record.began } : nil, cause: hasEnded ? "\(endedBy)_closed" : nil,
            side: hasEnded ? endedBy : nil, silenceMilliseconds: moment - record.began, items: 1)
        observation.beginning = Array(sighting.line(nonce: nonce).utf8)
        return observation
    }

    /// Items as the endpoint sends them, by its own clock.
    private func sent(_ script: ProbeScript) -> [(item: ProbeItem, bytes: Int)] {
        var playback = ProbePlayback(script)
        var reader = ProbeItemReader()
        var items: [(item: ProbeItem, bytes: Int)] = []
        while let due = playback.nextAt {
            var bytes: [UInt8] = []
            playback.writeNext(at: due, opening: [], to: &bytes)
            for item in bytes.withUnsafeBytes({ reader.receive($0) }) { items.append((item, bytes.count)) }
        }
        return items
    }

    private mutating func play(_ script: ProbeScript, _ empty: Observation, at moment: Int64) -> Observation {
        var observation = empty
        let plan = observation.plan
        observation.status = 200
        var all = sent(script)
        let naturalEnd = script.stays ? nil : Int64(script.durationMilliseconds)
        var end: (at: Int64, ending: FlightEnding)? = naturalEnd.map { ($0 + 2 * way, .complete) }

        // What the hop's timers do, by the time since the request.
        var forgottenAt = Int64.max
        let hold = Int64(script.holdMilliseconds)
        if let firstByteLimit, hold > firstByteLimit {
            observation.status = 504
            (observation.headAt, observation.ending, observation.endedAt) = (
                firstByteLimit + lateness, .complete, firstByteLimit + lateness
            )
            return observation
        }
        var moments = [hold] + all.map(\.item.madeAt)
        if let naturalEnd { moments.append(naturalEnd) } else { moments.append(.max / 2) }
        for (one, next) in zip(moments, moments.dropFirst()) where next - one > min(idle ?? .max, forgets ?? .max) {
            let silence = min(idle ?? .max, forgets ?? .max)
            all.removeAll { $0.item.madeAt > one }
            forgottenAt = idle != silence ? one + silence : .max
            end = idle == silence ? (one + 2 * way + silence + lateness, manner) : nil
            break
        }
        if let absolute, end.map({ $0.at > absolute }) ?? true {
            all.removeAll { $0.item.madeAt > absolute }
            end = (absolute + lateness, manner)
        }

        let isCollected = buffer != nil && !(heedsAccel && script.forbidsBuffering) && (!buffersCompressedOnly || plan.acceptsCompression)
        let arrived = arrivals(of: all, isCollected: isCollected, end: end?.at)
        observation.headAt = holdsHead || isCollected ? arrived.first?.at ?? end?.at : hold + 2 * way
        if isCollected, buffersCompressedOnly { observation.fields = [("content-encoding", "gzip")] }
        observation.facts = [("nonce", script.nonce), ("http", "1.1"), ("heartbeat", "15000")]
        var stop = plan.limitMilliseconds
        for arrival in arrived where arrival.at <= min(stop, end?.at ?? .max) {
            let hidden = isCollected && buffersCompressedOnly
            if !hidden { observation.items.append(Observation.ArrivedItem(at: arrival.at, item: arrival.item)) }
            if observation.arrivals.last?.at == arrival.at {
                observation.arrivals[observation.arrivals.count - 1].bytes += arrival.bytes
            } else {
                observation.arrivals.append(Observation.Arrival(at: arrival.at, bytes: arrival.bytes))
            }
            observation.lastByteAt = arrival.at
            if let limit = plan.itemLimit, observation.items.count >= limit { stop = min(stop, arrival.at) }
        }
        if let head = observation.headAt, head > stop { observation.headAt = nil }
        if observation.items.isEmpty, !(isCollected && buffersCompressedOnly) { observation.facts = [] }
        if let end, end.at <= stop {
            (observation.ending, observation.endedAt) = (end.ending, end.at)
        } else {
            (observation.ending, observation.endedAt) = (.stopped, stop)
        }
        let isNoticed = !hidesLeaving && forgottenAt > stop || observation.ending != .stopped
        remembered[script.nonce] = (moment, isNoticed ? moment + observation.endedAt + way : nil)
        return observation
    }

    /// When each item comes to the probe.
    private func arrivals(
        of sent: [(item: ProbeItem, bytes: Int)], isCollected: Bool, end: Int64?
    ) -> [(at: Int64, item: ProbeItem, bytes: Int)] {
        let passed = sent.filter { !(dropsComments && $0.item.isComment) }
        var collected = 0
        var waiting: [(item: ProbeItem, bytes: Int)] = []
        var arrived: [(at: Int64, item: ProbeItem, bytes: Int)] = []
        for (index, one) in passed.enumerated() {
            var at = one.item.madeAt + 2 * way
            if let batches { at = min((at + batches - 1) / batches * batches, end ?? .max) }
            if keepsOneBack {
                guard let release = index + 1 < passed.count ? passed[index + 1].item.madeAt + 2 * way : end else { break }
                at = release
            }
            guard isCollected, let buffer else {
                arrived.append((at, one.item, one.bytes))
                continue
            }
            waiting.append(one)
            collected += one.bytes
            if collected >= buffer {
                arrived += waiting.map { (at, $0.item, $0.bytes) }
                (waiting, collected) = ([], 0)
            }
        }
        if let end { arrived += waiting.map { (end, $0.item, $0.bytes) } }
        return arrived
    }

    /// A whole probe along this path.
    mutating func probe(
        _ steps: [ProbeStep]? = nil, limitMilliseconds: Int64? = nil, hasSecret: Bool = true, isHTTP2Only: Bool = false
    ) -> (report: ProbeReport, mostOpen: Int, duration: Int64) {
        var nonces = 0
        var now: Int64 = 0
        var terms = ProbeTerms(hasSecret: hasSecret, chosen: steps, limitMilliseconds: limitMilliseconds)
        terms.isHTTP2Only = isHTTP2Only
        let maker = ScriptMaker(
            nonce: {
                nonces += 1
                let digits = String(nonces, radix: 16)
                return String(repeating: "0", count: ProbeScript.nonceDigits - digits.count) + digits
            }, unixSeconds: { 1_000_000 })
        var conductor = Conductor(terms, maker)
        var flying: [(number: Int, endsAt: Int64, observation: Observation)] = []
        var waiting: [(number: Int, startsAt: Int64, plan: FlightPlan)] = []
        var mostOpen = 0
        func obey(_ orders: [Conductor.Order]) {
            for order in orders {
                switch order {
                case .fly(let number, let plan, _): waiting.append((number, now + plan.delayMilliseconds, plan))
                case .stop: (flying, waiting) = ([], [])
                case .began, .ended, .finished: break
                }
            }
        }
        obey(conductor.begin())
        while !flying.isEmpty || !waiting.isEmpty {
            let nextStart = waiting.map(\.startsAt).min() ?? .max
            let nextEnd = flying.map(\.endsAt).min() ?? .max
            now = min(nextStart, nextEnd)
            if nextStart <= nextEnd {
                let index = waiting.firstIndex { $0.startsAt == nextStart }!
                let next = waiting.remove(at: index)
                let observation = fly(next.plan, at: now, openCount: flying.count)
                flying.append((next.number, now + observation.endedAt, observation))
            } else {
                let index = flying.firstIndex { $0.endsAt == nextEnd }!
                let over = flying.remove(at: index)
                obey(conductor.ended(over.number, over.observation))
            }
            mostOpen = max(mostOpen, flying.count + waiting.count)
        }
        return (ProbeReport(conductor.results, steps: terms.steps, refusal: conductor.refusal), mostOpen, now)
    }
}
