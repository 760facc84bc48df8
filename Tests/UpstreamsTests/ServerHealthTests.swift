// When a server is passed over, and when one that failed may be probed.

import Testing

@testable import Upstreams

@Suite("A server's health")
struct ServerHealthTests {
    private func isPassedOver(_ health: ServerHealth, waiting: Bool, isProbed: Bool = false, now: Int64) -> Bool {
        health.isPassedOver(byWaiting: waiting, isProbedByIt: isProbed, now: now)
    }

    @Test("ejects a server for its cooldown, for those who wait and for all others, and forgets it once the server is reached")
    func ejection() {
        var health = ServerHealth()
        #expect(!health.isUnreachable && !health.mayBeProbed(now: 0))
        health.eject(now: 1_000, cooldownMilliseconds: 2_000)
        for waiting in [true, false] {
            #expect(isPassedOver(health, waiting: waiting, now: 2_999) && !isPassedOver(health, waiting: waiting, now: 3_000))
        }
        #expect(health.isUnreachable && !health.mayBeProbed(now: 2_999) && health.mayBeProbed(now: 3_000))
        health.reached()
        #expect(!health.isUnreachable && !health.mayBeProbed(now: 3_000) && !isPassedOver(health, waiting: true, now: 2_000))
    }

    @Test("keeps others from a server that could not be reached while a probe tries it, and never from one that only answers badly")
    func probing() {
        var unreachable = ServerHealth()
        unreachable.eject(now: 0, cooldownMilliseconds: 1_000)
        _ = unreachable.breaker.beginProbe(now: 1_000, patienceMilliseconds: 3_000)
        #expect(isPassedOver(unreachable, waiting: false, now: 2_000) && !isPassedOver(unreachable, waiting: false, now: 4_000))
        var unwell = ServerHealth()
        unwell.breaker.failed(isProbe: false, path: 1, now: 0, longestCooldownMilliseconds: 2_000)
        #expect(isPassedOver(unwell, waiting: true, now: 100) && !isPassedOver(unwell, waiting: false, now: 100))
        _ = unwell.breaker.beginProbe(now: 300, patienceMilliseconds: 3_000)
        #expect(!isPassedOver(unwell, waiting: false, now: 400))
    }

    @Test("lets the client that probes a server try it, and nobody else that waits")
    func ownProbe() {
        var health = ServerHealth()
        health.breaker.failed(isProbe: false, path: 1, now: 0, longestCooldownMilliseconds: 2_000)
        _ = health.breaker.beginProbe(now: 250, patienceMilliseconds: 3_000)
        #expect(!isPassedOver(health, waiting: true, isProbed: true, now: 300) && isPassedOver(health, waiting: true, now: 300))
    }

    @Test("says when to look again by the later of the cooldown and the breaker")
    func nextLook() {
        var health = ServerHealth()
        #expect(health.nextLook(now: 10, failedAt: 5, path: 1) <= 10)
        health.breaker.failed(isProbe: false, path: 1, now: 0, longestCooldownMilliseconds: 2_000)
        #expect(health.nextLook(now: 10, failedAt: 0, path: 1) == 250)
        health.eject(now: 0, cooldownMilliseconds: 2_000)
        #expect(health.nextLook(now: 10, failedAt: 0, path: 1) == 2_000 && health.probesBlockedUntil == 2_000)
    }
}

@Suite("A half-open probe")
struct HalfOpenProbeTests {
    @Test("is of the servers that failed and whose cooldown is over, and there is none where none of them is")
    func servers() throws {
        let group = try group([1, 1, 1])
        #expect(HalfOpenProbe(of: group.servers, now: 0, patienceMilliseconds: 100) == nil)
        group.eject(group.servers[0], now: 0)
        group.eject(group.servers[1], now: 5_000)
        #expect(HalfOpenProbe(of: group.servers, now: 1_999, patienceMilliseconds: 100) == nil)
        let probe = try #require(HalfOpenProbe(of: group.servers, now: 5_000, patienceMilliseconds: 100))
        #expect(group.servers.map(probe.includes) == [true, false, false])
        #expect(group.servers[0].health.breaker.isBeingProbed(now: 5_050))
        probe.end()
        #expect(!group.servers[0].health.breaker.isBeingProbed(now: 5_050))
    }

    @Test("is over when a server is reached that only could not be reached, and waits for the answer of one that did not serve")
    func reached() throws {
        let group = try group([1, 1])
        for server in group.servers { group.eject(server, now: 0) }
        group.noteUnserved(group.servers[1], isProbe: false, path: 1, now: 0)
        let first = try #require(HalfOpenProbe(of: group.servers, now: 2_000, patienceMilliseconds: 100))
        #expect(first.reached(group.servers[0], now: 2_010, patienceMilliseconds: 500) == nil)
        #expect(group.servers.allSatisfy { !$0.health.breaker.isBeingProbed(now: 2_020) })
        let second = try #require(HalfOpenProbe(of: group.servers, now: 2_100, patienceMilliseconds: 100))
        let rest = try #require(second.reached(group.servers[1], now: 2_110, patienceMilliseconds: 500))
        #expect(group.servers.map(rest.includes) == [false, true])
        #expect(group.servers[1].health.breaker.isBeingProbed(now: 2_600) && !group.servers[0].health.breaker.isBeingProbed(now: 2_150))
    }
}
