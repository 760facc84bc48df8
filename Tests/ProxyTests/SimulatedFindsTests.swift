// What the simulation found broken and was mended; each of these failed once.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("What the simulation found")
struct SimulatedFindsTests {
    private static let request = "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream"

    private func world(
        outage: OutagePolicy = .retry(holdMilliseconds: 30_000), early: EarlyPolicy? = nil, limits: Limits = Limits()
    ) throws -> ScriptedProxy {
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        return try ScriptedProxy(
            upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]],
            route: Route(upstreamIndex: 0, outage: outage, early: early), limits: limits)
    }

    /// The server's connection stands, and it sends this.
    private func answer(_ world: ScriptedProxy, _ text: String) throws {
        if world.kernel.written[try #require(world.kernel.attempts.last).descriptor] == nil { try world.attemptEnds() }
        world.kernel.receive(try #require(world.kernel.attempts.last).descriptor, text)
        world.worker.turn()
    }

    @Test("an interim response does not go into a response that has begun in the server's place", arguments: [100, 103])
    func interim(status: Int) throws {
        let world = try world(early: EarlyPolicy(afterMilliseconds: 300))
        let client = try world.connectClient()
        world.send(client, SimulatedFindsTests.request)
        try world.attemptEnds()
        world.pass(milliseconds: 500)
        try answer(world, "HTTP/1.1 \(status) Wait\r\n\r\n")
        try answer(world, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
        #expect(latin1(world.answers(client)).hasSuffix("\r\n\r\n3\r\n:\n\n\r\n9\r\ndata: x\n\n\r\n"))
    }

    @Test("a client that takes only part of a head of the proxy's own has the whole stall deadline for the rest")
    func partOfHead() throws {
        let world = try world(early: EarlyPolicy(afterMilliseconds: 300))
        let client = try world.connectClient()
        world.kernel.rooms[world.descriptor(of: client)] = 20
        world.send(client, SimulatedFindsTests.request)
        try world.attemptEnds()
        world.pass(milliseconds: 5_000)
        #expect(client.isOpen && world.answers(client).count == 20)
        world.kernel.rooms[world.descriptor(of: client)] = nil
        world.kernel.report(world.descriptor(of: client), .writable)
        world.worker.turn()
        #expect(latin1(world.answers(client)).hasSuffix("\r\n\r\n3\r\n:\n\n\r\n"))
    }

    /// A server answers an EventSource this, and the client takes its head only, and less than may wait in all.
    private func overfill(_ head: String, _ body: String) throws -> String {
        let world = try world(limits: Limits(pendingBytes: 1_000))
        let client = try world.connectClient()
        let descriptor = world.descriptor(of: client)
        world.send(client, SimulatedFindsTests.request)
        try answer(world, head)
        world.kernel.rooms[descriptor] = 0
        try answer(world, body)
        world.kernel.rooms[descriptor] = nil
        world.kernel.report(descriptor, .writable)
        world.pass(milliseconds: 100)
        #expect(!client.isOpen || client.exchange == nil)
        return latin1(world.answers(client))
    }

    @Test("what is no stream gets no word of the proxy's when there is no room for whoever reads slowly")
    func overfilledAnswer() throws {
        let body = String(repeating: "x", count: 2_000)
        let answers = try overfill("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", body)
        #expect(answers.hasSuffix("\r\n\r\n" + body))
    }

    @Test("a compressed stream gets none either")
    func overfilledCompressed() throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n"
        #expect(!(try overfill(head, String(repeating: "x", count: 2_000))).contains("retry"))
    }

    @Test("a stream that is ended within a line for want of room tells when to come back all the same")
    func overfilledLine() throws {
        let answers = try overfill(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "retry: 500\n\ndata: " + String(repeating: "x", count: 2_000))
        #expect(answers.contains("x\r\n"))
        #expect(answers.contains("\r\n\nretry: "))
        #expect(answers.hasSuffix("\n\r\n0\r\n\r\n"))
    }

    @Test("of many who wait, whoever never comes to try is held for no longer than its route says")
    func turnNeverComes() throws {
        let world = try world(outage: .retry(holdMilliseconds: 5_000))
        let clients = try (0..<30).map { _ in try world.connectClient() }
        for client in clients {
            world.send(client, SimulatedFindsTests.request)
            try world.attemptEnds(.connectionRefused)
        }
        world.pass(milliseconds: 8_000) {
            if let last = world.kernel.attempts.last, !world.kernel.closed.contains(last.descriptor) {
                try? world.attemptEnds(.connectionRefused)
            }
        }
        #expect(clients.count { $0.exchange != nil } == 0)
    }

    @Test(
        "a body that only the connection's end ends does not pass for whole when the grace period cuts its rest off",
        arguments: [true, false])
    func graceEndsRest(isRead: Bool) throws {
        let world = try world()
        let client = try world.connectClient()
        let descriptor = world.descriptor(of: client)
        world.send(client, "GET /e HTTP/1.0")
        try answer(world, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        world.kernel.rooms[descriptor] = isRead ? nil : 3
        try answer(world, "5\r\nhello\r\n0\r\n\r\n")
        client.endGrace()
        #expect(world.kernel.closed.contains(descriptor))
        #expect(world.kernel.reset.contains(descriptor) != isRead)
    }
}
