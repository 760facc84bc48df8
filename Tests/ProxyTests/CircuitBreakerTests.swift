// The circuit breaker for clients that wait, by itself and in a proxy whose time is the test's.

import Configuration
import Reactor
import Testing

@testable import Downstreams
@testable import Proxy

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

    @Test("learns nothing from failures of requests that are no probe while it is open, however many they are")
    func strangers() {
        var breaker = CircuitBreaker()
        fail(&breaker, at: 1_000, isProbe: false)
        for now: Int64 in stride(from: 1_010, to: 1_400, by: 10) { fail(&breaker, at: now, isProbe: false, path: otherPath) }
        #expect(breaker.blockedUntil == 1_250)
        #expect(breaker.nextLook(now: 1_250, failedAt: 1_000, path: path) == 1_250)
    }

    @Test("lets one probe begin at a time, and where none comes back twice as many in each time that one is waited for")
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

@Suite("Many who wait for one server")
struct WaitingCrowdTests {
    private static let refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    private static let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n"

    /// A proxy with one server, which takes every connection and answers each request what `answer` says of its path; nil for nothing.
    private final class World {
        let scripted: ScriptedProxy
        var answer: (String) -> String?
        /// When each request was asked, and on which path.
        private(set) var asked: [(path: String, at: Int64)] = []
        private var looked = 0
        private var waiting: [Int32] = []

        init(answer: @escaping (String) -> String?) throws {
            let upstream = Upstream(
                name: "u", servers: [Upstream.Server(host: "s", port: 80)], connectTimeoutMilliseconds: 3_000,
                failureCooldownMilliseconds: 2_000)
            scripted = try ScriptedProxy(
                upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]],
                route: Route(upstreamIndex: 0, outage: .retry(holdMilliseconds: 60_000)))
            self.answer = answer
        }

        func ask(_ path: String) throws -> HTTP1Connection {
            let client = try scripted.connectClient()
            scripted.send(client, "GET \(path) HTTP/1.1\nHost: h\nAccept: text/event-stream")
            return client
        }

        func pass(milliseconds: Int64, each: () -> Void = {}) {
            scripted.pass(milliseconds: milliseconds) {
                serve()
                each()
            }
        }

        private func serve() {
            let kernel = scripted.kernel
            waiting += kernel.attempts[looked...].map(\.descriptor)
            looked = kernel.attempts.count
            for descriptor in waiting {
                guard let written = kernel.written[descriptor] else {
                    kernel.report(descriptor, .writable)
                    continue
                }
                waiting.removeAll { $0 == descriptor }
                let path = String(latin1(written).split(separator: " ")[1])
                asked.append((path, kernel.now))
                if let text = answer(path) { kernel.receive(descriptor, text) }
            }
        }

        func isServed(_ client: HTTP1Connection) -> Bool { contains(scripted.answers(client), "data: a") }
    }

    @Test("ask it in turn also while one attempt hangs, and are all served when it is well")
    func oneHangs() throws {
        let world = try World { _ in Self.refusal }
        let clients = try (0..<100).map { _ in try world.ask("/e") }
        world.pass(milliseconds: 100)
        #expect(world.asked.count == 100)
        var hasHung = false
        world.answer = { _ in
            defer { hasHung = true }
            return hasHung ? Self.refusal : nil
        }
        world.pass(milliseconds: 20_000)
        #expect(hasHung && (5...20).contains(world.asked.count - 100), "\(world.asked.count - 100) asked within 20 s")
        for (index, first) in world.asked.enumerated().dropFirst(100) {
            #expect(world.asked[index...].prefix { $0.at <= first.at + 1_000 }.count <= 3, "a few at a time")
        }
        world.answer = { _ in Self.stream }
        world.pass(milliseconds: 10_000)
        // The one that hangs has its answer still to come.
        #expect(clients.filter { !world.isServed($0) }.count == 1)
    }

    @Test("have their turn although others are answered 503 on another path all the time", arguments: [1, 20])
    func strangersElsewhere(waiting count: Int) throws {
        let world = try World { _ in Self.refusal }
        let clients = try (0..<count).map { _ in try world.ask("/e") }
        world.pass(milliseconds: 100)
        world.answer = { $0 == "/e" ? Self.stream : Self.refusal }
        var strangers: [HTTP1Connection] = []
        var number = 0
        let began = world.scripted.kernel.now
        world.pass(milliseconds: 10_000) {
            number += 1
            if number % 4 == 0, let stranger = try? world.ask("/other") { strangers.append(stranger) }
        }
        #expect(strangers.count == 50 && clients.allSatisfy { world.isServed($0) })
        let served = world.asked.filter { $0.path == "/e" && $0.at > began }.map(\.at)
        #expect(served.count == count && served.allSatisfy { $0 < began + 6_000 }, "\(served.map { $0 - began })")
    }

    @Test("are let through more and more where none of their attempts is answered, for the server may serve and say nothing yet")
    func allHang() throws {
        let world = try World { _ in Self.refusal }
        let clients = try (0..<60).map { _ in try world.ask("/e") }
        world.pass(milliseconds: 100)
        world.answer = { _ in nil }
        world.pass(milliseconds: 4_000)
        #expect((1...3).contains(world.asked.count - 60), "few within the first cooldown")
        world.pass(milliseconds: 20_000)
        #expect(world.asked.count - 60 == 60, "all of them within the time that they are held for")
        #expect(clients.allSatisfy { $0.isOpen })
    }
}
