// Many clients that wait for one server. The test decides about time.

import Configuration
import Marks
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("Many who wait for one server")
struct WaitingCrowdTests {
    private static let refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    private static let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n"

    /// A proxy with one server that accepts every connection and answers each request with `answer` of its path; nil for no answer.
    private final class World {
        let scripted: ScriptedProxy
        var answer: (String) -> String?
        /// When each request came, and its path.
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
        // The attempt that hangs has no answer yet.
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

    @Test(
        "are let through more and more where none of their attempts is answered, for the server may serve and say nothing yet",
        .reaches(.probePeriodUnanswered))
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
