// The circuit breaker for clients that wait, by itself.

import Marks
import TestSupport
import Testing

@testable import Upstreams

@Suite("A circuit breaker")
struct CircuitBreakerTests {
    private let path = 1
    private let otherPath = 2

    private func fail(_ breaker: inout CircuitBreaker, at now: Int64, isProbe: Bool = true, path: Int = 1, longest: Int64 = 2_000) {
        breaker.failed(isProbe: isProbe, path: path, now: now, longestCooldownMilliseconds: longest)
    }

    @Test("is closed for everybody at first, and cools down longer after each probe that fails, up to its longest")
    func cooldowns() {
        var breaker = CircuitBreaker()
        #expect(!breaker.isOpen && breaker.blockedUntil == 0)
        var now: Int64 = 1_000
        fail(&breaker, at: now, isProbe: false)
        for expected: Int64 in [250, 500, 1_000, 2_000, 2_000, 2_000] {
            #expect(breaker.isOpen && breaker.blockedUntil == now + expected)
            now = breaker.blockedUntil
            let probe = breaker.beginProbe(now: now, patienceMilliseconds: 3_000)
            fail(&breaker, at: now)
            breaker.probeEnded(probe)
        }
        breaker.served(now: now)
        #expect(!breaker.isOpen && breaker.blockedUntil == 0)
    }

    @Test("learns nothing from failures of requests that are no probe while it is open, however many they are", .reaches(.failureOfNoProbe))
    func strangers() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 1_000, isProbe: false)
        for now: Int64 in stride(from: 1_010, to: 1_400, by: 10) { fail(&breaker, at: now, isProbe: false, path: otherPath) }
        #expect(breaker.blockedUntil == 1_250)
        #expect(breaker.nextLook(now: 1_250, failedAt: 1_000, path: path) == 1_250)
    }

    @Test(
        "lets one probe begin at a time, and where none comes back twice as many in each time that one is waited for",
        .reaches(.probePeriodUnanswered))
    func hungProbes() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 0, isProbe: false)
        var begun: [Int] = []
        for start: Int64 in stride(from: 250, through: 250 + 8 * 3_000, by: 3_000) {
            var count = 0
            for now in start..<(start + 3_000) where breaker.nextLook(now: now, failedAt: 0, path: path) <= now {
                let probe = breaker.beginProbe(now: now, patienceMilliseconds: 3_000)
                if now == start { breaker.probeReached(probe, now: now, patienceMilliseconds: 3_000) }
                count += 1
            }
            begun.append(count)
        }
        #expect(begun == [1, 2, 4, 8, 16, 32, 64, 64, 64])
    }

    @Test("lets one probe follow another that has not reached the server in its time: it may be on its way to another server")
    func unreached() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 0, isProbe: false)
        for start: Int64 in [250, 1_250, 2_250, 3_250] {
            _ = breaker.beginProbe(now: start, patienceMilliseconds: 1_000)
            #expect(breaker.blockedUntil == start + 1_000)
        }
    }

    @Test("stays open beside a probe that hangs: the next one that fails makes it cool down")
    func oneHungProbe() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 0, isProbe: false)
        _ = breaker.beginProbe(now: 250, patienceMilliseconds: 3_000)
        #expect(breaker.blockedUntil == 3_250 && breaker.nextLook(now: 260, failedAt: 0, path: path) == 760)
        var now: Int64 = 3_250
        var count = 0
        while now < 23_250 {
            if breaker.blockedUntil <= now {
                let probe = breaker.beginProbe(now: now, patienceMilliseconds: 3_000)
                fail(&breaker, at: now + 20)
                breaker.probeEnded(probe)
                count += 1
            }
            now += 10
        }
        #expect((8...14).contains(count), "about one in each cooldown of two seconds")
        // The one that hung is served at last.
        breaker.served(now: now)
        #expect(breaker.nextLook(now: now, failedAt: now - 1, path: path) == now)
    }

    @Test("lets everybody ask who failed before a client was served, also when another one has failed since")
    func goodNews() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 0, isProbe: false)
        breaker.served(now: 1_000)
        fail(&breaker, at: 1_010, isProbe: false, path: otherPath)
        #expect(breaker.nextLook(now: 1_020, failedAt: 999, path: path) == 1_020)
        #expect(breaker.nextLook(now: 1_020, failedAt: 1_010, path: otherPath) == 1_260)
    }

    @Test("gives the next turn to another path than those on which probes failed")
    func otherPathsFirst() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 0, isProbe: false)
        fail(&breaker, at: 250)
        #expect(breaker.nextLook(now: 750, failedAt: 0, path: otherPath) == 750)
        #expect(breaker.nextLook(now: 750, failedAt: 0, path: path) == 1_250)
        // Of many paths the last ones are remembered.
        for number in 0..<20 { fail(&breaker, at: Int64(10_000 * (number + 1)), path: 100 + number) }
        let now: Int64 = 202_000
        #expect(
            breaker.nextLook(now: now, failedAt: 0, path: path) == now && breaker.nextLook(now: now, failedAt: 0, path: 119) == now + 500)
    }

    @Test("gives the next turn to those who have waited for longer than since the last probe failed")
    func longestFirst() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 1_000, isProbe: false)
        #expect(breaker.nextLook(now: 1_250, failedAt: 1_020, path: path) == 1_250, "all who failed together at first are alike")
        fail(&breaker, at: 1_250, path: otherPath)
        #expect(breaker.nextLook(now: 1_750, failedAt: 1_020, path: path) == 1_750)
        #expect(breaker.nextLook(now: 1_750, failedAt: 1_300, path: path) == 2_250, "a stranger that has come since")
    }

    @Test("gives the next turn to a client that has waited for more than a cooldown, before strangers that came since")
    func strangersBehind() {
        var breaker = CircuitBreaker()
        for now: Int64 in [0, 1_000, 3_000, 6_000] { fail(&breaker, at: now, path: Int(now)) }
        #expect(breaker.blockedUntil == 8_000)
        #expect(breaker.nextLook(now: 6_100, failedAt: 2_900, path: path) == 8_000)
        #expect(breaker.nextLook(now: 6_100, failedAt: 3_100, path: path) == 8_250)
        #expect(breaker.nextLook(now: 6_100, failedAt: 6_010, path: path) == 8_500)
    }

    @Test("lets two paths take turns on which every probe fails")
    func paths() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 0, isProbe: false)
        for now: Int64 in [1_000, 3_000, 6_000, 9_000] { fail(&breaker, at: now, path: now % 2_000 == 0 ? otherPath : path) }
        #expect(breaker.nextLook(now: 12_000, failedAt: 100, path: path) == 12_000 - 500)
        #expect(breaker.nextLook(now: 10_000, failedAt: 100, path: otherPath) == 11_000)
        fail(&breaker, at: 12_000, path: otherPath)
        #expect(breaker.nextLook(now: 12_500, failedAt: 100, path: otherPath) == 14_500)
        #expect(breaker.nextLook(now: 12_500, failedAt: 100, path: path) == 14_000)
    }

    @Test("is not moved by the end of a probe of an earlier time")
    func lateEnds() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 0, isProbe: false)
        let hung = breaker.beginProbe(now: 250, patienceMilliseconds: 1_000)
        breaker.probeReached(hung, now: 250, patienceMilliseconds: 1_000)
        _ = breaker.beginProbe(now: 1_250, patienceMilliseconds: 1_000)
        _ = breaker.beginProbe(now: 1_250, patienceMilliseconds: 1_000)
        breaker.probeEnded(hung)
        breaker.probeReached(hung, now: 1_260, patienceMilliseconds: 60_000)
        #expect(breaker.blockedUntil == 2_250)
    }

    @Test("with no cooldown at all still lets one probe begin at a time")
    func noCooldown() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 100, isProbe: false, longest: 0)
        #expect(breaker.blockedUntil == 100)
        _ = breaker.beginProbe(now: 100, patienceMilliseconds: 1_000)
        #expect(breaker.blockedUntil == 1_100)
    }
}
