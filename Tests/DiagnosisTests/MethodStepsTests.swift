// Steps of the method one by one, where a whole log would hide them.

import Telemetry
import TestSupport
import Testing

@testable import Diagnosis

@Suite("The steps of the method")
struct MethodStepsTests {
    private func seconds(_ milliseconds: [UInt32]) -> Double {
        Limit.seconds(of: milliseconds.sorted().enumerated().map { EndPoint($1, stream: $0) })
    }

    @Test("a limit is the round number just below the ends, because timers are late")
    func limits() {
        #expect(seconds([60_001, 60_003, 60_004, 60_020]) == 60)
        #expect(seconds([60_100, 60_300, 60_900, 61_400, 61_900]) == 60)
        #expect(seconds([61_000, 61_004, 61_010, 61_050]) == 61)
        #expect(seconds([3_002, 3_004, 3_010, 3_040]) == 3)
        #expect(seconds([17_430, 17_431, 17_440, 17_450]) == 17.4)
    }

    @Test("nginx cuts up to 0.3 s early, and that is still its limit")
    func early() {
        #expect(seconds([59_750, 59_800, 59_900, 60_010]) == 60)
        #expect(seconds([2_930, 2_960, 2_990, 3_000]) == 3)
    }

    @Test("somebody who left a little before the others were cut does not move the limit")
    func leavers() { #expect(seconds([296_000, 298_500] + (0..<30).map { 300_400 + $0 * 50 }) == 300) }

    @Test("numbers are sorted by the asked digits, and equal ones keep their order")
    func digits() {
        var random = SeededGenerator("numbers are sorted by the asked digits")
        var numbers = (0..<5_000).map { UInt64(random.number(0...70_000)) << 32 | UInt64($0) }
        let expected = numbers.sorted()
        numbers.sortByDigits(from: 32)
        #expect(numbers == expected)
        var small = (0..<3_000).map { _ in UInt32(truncatingIfNeeded: random.next()) }
        let smallExpected = small.sorted()
        small.sortByDigits()
        #expect(small == smallExpected)
    }

    @Test("chances are bounded from above")
    func chances() {
        // P(X ≥ 4) of a mean of 1 is 0.01899.
        #expect(abs(Chance.atLeast(4, mean: 1) - -3.96) < 0.06 && Chance.atLeast(4, mean: 1) >= -3.964)
        #expect(Chance.atLeast(3, mean: 5) == 0)
        // One way out of 252 to have all five marked ones on top of ten.
        #expect(abs(Chance.split(marked: 5, others: 5, high: 5, highOthers: 0) - -5.529) < 0.001)
    }

    /// A log of streams that the server ended at these ages, each opened some seconds after the one before.
    private func ended(atAges ages: [Double], openedAt: (Int) -> Double) -> LogFacts {
        var log = SimulatedLog()
        for (number, age) in ages.enumerated() {
            log.add(
                SimulatedStream(
                    client: number, opened: openedAt(number), duration: age, cause: number % 3 == 0 ? .upstreamFinished : .upstreamReset,
                    upstreamSilence: age / 2, longestUpstreamSilence: age / 2, events: number % 7))
        }
        return log.facts(until: 100_000)
    }

    @Test("streams that are done within a second or two are no limit of one second: as many end just below it")
    func shortLives() {
        var random = SeededGenerator("streams that are done within a second or two")
        for _ in 0..<50 {
            let short = (0..<60).map { _ in random.uniform(0.1...1) + random.uniform(0.1...1) }
            let long = (0..<30).map { _ in random.uniform(2...40) }
            let claims = Diagnosis(of: ended(atAges: short + long) { Double($0) * 7 }).findings.filter(\.isClaim)
            #expect(claims.isEmpty, "\(words(claims))")
        }
    }

    @Test("a few visits of four to six seconds are no limit of four, although nobody ended earlier and they came back")
    func shortVisits() {
        var log = SimulatedLog()
        for (number, age) in [5.369, 4.091, 5.919, 4.483, 5.282].enumerated() {
            let opened = Double(number * 12)
            log.add(SimulatedStream(client: number % 2, opened: opened, duration: age, cause: .clientReset))
            log.add(
                SimulatedStream(
                    client: number % 2, opened: opened + age + 1.2, duration: 0.3 + 0.4 * Double(number), cause: .upstreamFinished))
            log.add(SimulatedStream(client: 10 + number, opened: opened, duration: 60, cause: .drained))
        }
        let claims = Diagnosis(of: log.facts(until: 120)).findings.filter(\.isClaim)
        #expect(claims.isEmpty, "\(words(claims))")
    }

    @Test("a machine that stood still for ten hours has no limit of ten hours, although all its streams were silent for as long")
    func suspended() {
        var log = SimulatedLog()
        for number in 0..<30 {
            log.add(
                SimulatedStream(
                    client: number, opened: Double(number * 3), duration: 36_100 - Double(number * 3), cause: .upstreamReset,
                    upstreamSilence: 36_000 + Double(number) / 20, longestUpstreamSilence: 36_000 + Double(number) / 20, events: number))
        }
        let claims = Diagnosis(of: log.facts(until: 36_200)).findings.filter { $0.isClaim && $0.kind == .idleTimeout }
        #expect(claims.isEmpty, "\(words(claims))")
    }

    @Test("streams that were held outlive no limit of a hop behind the proxy: their server came later")
    func heldStreams() {
        var log = SimulatedLog()
        for number in 0..<60 {
            let silence = 3.4 + Double(number) / 100
            log.add(
                SimulatedStream(
                    client: number, opened: Double(number * 7), duration: 4.002 + Double(number % 5) / 1_000, cause: .upstreamReset,
                    upstreamSilence: silence, longestUpstreamSilence: silence, events: number % 9))
            guard number % 20 == 0 else { continue }
            var held = SimulatedStream(
                client: 100 + number, opened: Double(number * 7), duration: 6, cause: .upstreamReset, upstreamSilence: 3,
                longestUpstreamSilence: 3)
            held.marks.insert(.wasHeld)
            log.add(held)
        }
        let claims = Diagnosis(of: log.facts(until: 1_000)).findings.filter(\.isClaim)
        #expect(claims.map(\.kind) == [.absoluteTimeout] && claims[0].seconds == 4, "\(words(claims))")
    }

    @Test("streams that share a connection of HTTP/2 end in one moment, and that is no restart of a hop")
    func sharedConnections() {
        var (facts, _) = PlantedLogs.happening(.hopReload, streams: 60, seed: 7)
        #expect(Diagnosis(of: facts).findings.contains { $0.isClaim && $0.kind == .hopRestart })
        for index in facts.surroundings.indices { facts.surroundings[index].http = "2" }
        #expect(!Diagnosis(of: facts).findings.contains { $0.kind == .hopRestart })
    }

    @Test("a limit of a second and a half is found among streams that are done at once")
    func shortLimit() {
        var random = SeededGenerator("a limit of a second and a half is found")
        let ages = (0..<40).map { _ in random.uniform(1.5...1.53) } + (0..<20).map { _ in random.uniform(0.05...0.9) }
        let claims = Diagnosis(of: ended(atAges: ages) { Double($0) * 7 }).findings.filter(\.isClaim)
        #expect(claims.map(\.kind) == [.absoluteTimeout] && claims[0].seconds == 1.5, "\(words(claims))")
    }

    @Test("what a path bore is the longest silence that several streams outlived, below any limit that was found")
    func survived() {
        var world = World(seed: 1)
        world.gap = .exponential(mean: 100)
        let healthy = Diagnosis(of: world.log())
        #expect(healthy.client.silence.map { $0 > 200 } ?? false && healthy.client.silenceStreams >= 3)
        #expect(healthy.client.age.map { $0 > 600 } ?? false)
        world = World(seed: 2)
        world.clientIdle = Timer(seconds: 60)
        let cut = Diagnosis(of: world.log())
        #expect(cut.client.silence.map { $0 < 60 && $0 > 30 } ?? false)
    }

    private func one(_ change: (inout World) -> Void) -> Finding? {
        var world = World(seed: 11)
        (world.stay, world.streams) = (.exponential(mean: 1_000), 120)
        change(&world)
        return Diagnosis(of: world.log()).findings.first
    }

    @Test("clients that give up at their own limit for silence although heartbeats went out tell of a hop that keeps bytes back")
    func buffering() {
        let finding = one {
            $0.heartbeat = 15
            $0.clientAbsolute = Timer(seconds: 45)
        }
        #expect(finding?.kind == .buffering && finding?.alternative == .absoluteTimeout)
        let other = one {
            $0.heartbeat = 15
            $0.clientAbsolute = Timer(seconds: 60)
        }
        #expect(other?.kind == .absoluteTimeout && other?.alternative == .buffering)
    }

    @Test("people that come back as a new page had wanted to leave: the ids tell it where the time does not")
    func newPages() {
        func log(resumes: Bool) -> LogFacts {
            var log = SimulatedLog()
            for client in 0..<20 {
                for visit in 0..<5 {
                    var stream = SimulatedStream(client: client, opened: Double(client) * 31 + Double(visit) * 62.5, duration: 60.002)
                    stream.cause = .clientClosed
                    (stream.clientSilence, stream.longestClientSilence, stream.events) = (3 + Double(visit) * 1.7, 9, 12)
                    stream.marks = [.openingSeen, .tellsResuming, .hasEventID]
                    if resumes && visit > 0 { stream.marks.insert(.resumes) }
                    log.add(stream)
                }
            }
            return log.facts(until: 3_000)
        }
        #expect(
            Diagnosis(of: log(resumes: true)).findings.first.map { $0.isClaim && $0.kind == .absoluteTimeout && $0.seconds == 60 } ?? false)
        #expect(Diagnosis(of: log(resumes: false)).findings.first.map { !$0.isClaim } ?? false)
    }

    @Test("streams that say nothing from beginning to end leave idle and absolute open")
    func undecided() {
        let finding = one {
            $0.gap = .never
            $0.clientIdle = Timer(seconds: 60)
        }
        #expect(finding?.kind == .idleTimeout && finding?.alternative == .absoluteTimeout && finding!.confidence <= 0.75)
    }

    @Test("a limit that Envoy itself told is certain, whether or not anybody comes back")
    func told() {
        var log = SimulatedLog()
        for client in 0..<12 {
            var stream = SimulatedStream(client: client, opened: Double(client) * 7, duration: 15.003, cause: .clientReset)
            (stream.clientSilence, stream.longestClientSilence, stream.events) = (Double(client) / 5, 5, 4)
            stream.surroundings.expectedTimeout = 15_000
            log.add(stream)
        }
        let finding = Diagnosis(of: log.facts(until: 200)).findings.first
        #expect(finding.map { $0.seconds == 15 && $0.kind == .absoluteTimeout && $0.confidence >= 0.9 } ?? false)
    }

    @Test("streams that one address brings and others do not are said to share it")
    func sharing() {
        var log = SimulatedLog()
        for client in 0..<40 {
            var stream = SimulatedStream(
                client: client, address: client % 2, opened: Double(client) * 9.3, duration: 0, cause: .clientClosed)
            stream.duration = client % 2 == 0 ? 80 + Double(client) : 200 + Double(client) * 3
            stream.clientSilence = client % 2 == 0 ? 60.001 : Double(client) / 3
            stream.longestClientSilence = client % 2 == 0 ? 60.001 : 90
            log.add(stream)
        }
        let finding = Diagnosis(of: log.facts(until: 1_000)).findings.first
        #expect(finding?.seconds == 60 && finding?.evidence.contains("20 of 20 come from 10.0.0.0") == true)
    }
}
