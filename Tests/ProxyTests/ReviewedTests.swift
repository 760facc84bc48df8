// What a second review found broken, under faults, and was mended; each of these failed once.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("What the second review found")
struct ReviewedTests {
    private static let request = "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream"

    private func world(
        outage: OutagePolicy = .retry(holdMilliseconds: 30_000), early: EarlyPolicy? = nil, limits: Limits = Limits()
    ) throws -> ScriptedProxy {
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        return try ScriptedProxy(
            upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]],
            route: Route(upstreamIndex: 0, outage: outage, early: early), limits: limits)
    }

    /// Lets time pass until the server is tried once more, and the connection stands.
    private func nextAttempt(_ world: ScriptedProxy) throws -> Int32 {
        let before = world.kernel.attempts.count
        for _ in 0..<200 where world.kernel.attempts.count == before { world.pass(milliseconds: 50) }
        try world.attemptEnds()
        return try #require(world.kernel.attempts.last).descriptor
    }

    @Test("a server that fails a held client in another way than by refusing it keeps it held", arguments: ["reset", "head", "end"])
    func heldThroughFailures(_ how: String) throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, ReviewedTests.request)
        try world.attemptEnds(.connectionRefused)
        let descriptor = try nextAttempt(world)
        switch how {
        case "reset": world.kernel.breaks(descriptor, .connectionReset)
        case "head":
            world.kernel.receive(descriptor, "HTTP/1.1 200 O")
            world.worker.turn()
            world.kernel.receive(descriptor, "")
        default: world.kernel.receive(descriptor, "")
        }
        world.worker.turn()
        #expect(client.isOpen && client.exchange != nil)
        let next = try nextAttempt(world)
        world.kernel.receive(next, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
        world.worker.turn()
        #expect(latin1(world.answers(client)).hasSuffix("9\r\ndata: x\n\n\r\n"))
    }

    @Test("a page of another origin does not learn from the event of a failure what its server answered")
    func foreignStatus() throws {
        let world = try world(early: EarlyPolicy(afterMilliseconds: 1_000, onFailure: .event(name: "gone")))
        let client = try world.connectClient()
        world.send(client, ReviewedTests.request + "\nOrigin: https://evil.example")
        try world.attemptEnds(.connectionRefused)
        let descriptor = try nextAttempt(world)
        world.kernel.receive(descriptor, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        world.worker.turn()
        let answer = latin1(world.answers(client))
        #expect(answer.contains("retry: ") && answer.hasSuffix("0\r\n\r\n") && !answer.contains("403"))
    }

    @Test(
        "a stream that is between two events when the grace period ends is told when to come back",
        arguments: [true, false])
    func boundaryAtTheEnd(isAtBoundary: Bool) throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, ReviewedTests.request)
        try world.attemptEnds()
        world.kernel.receive(
            try #require(world.kernel.attempts.last).descriptor,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n" + (isAtBoundary ? "\n" : ""))
        world.worker.turn()
        client.endGrace()
        let answer = latin1(world.answers(client))
        #expect(answer.hasSuffix("0\r\n\r\n") && answer.contains("\r\nretry: ") == isAtBoundary)
    }

    @Test(
        "what waits in all stays near its limit, however many read too slowly",
        arguments: [
            "Content-Type: text/event-stream", "Content-Type: text/plain", "Content-Length: 60008",
        ])
    func pendingIsBounded(field: String) throws {
        let world = try world(limits: Limits(pendingBytes: 1 << 20))
        for _ in 0..<100 {
            let client = try world.connectClient()
            world.send(client, ReviewedTests.request)
            try world.attemptEnds()
            let server = try #require(world.kernel.attempts.last).descriptor
            world.kernel.rooms[world.descriptor(of: client)] = 0
            world.kernel.receive(
                server, "HTTP/1.1 200 OK\r\n\(field)\r\n\r\ndata: " + String(repeating: "x", count: 60_000) + "\n\n")
            world.worker.turn()
            world.worker.turn()
        }
        #expect(world.worker.pendingBytes < 5 << 18)
    }
}
