// Streams that the proxy ends because of their credentials: where they end, and when they are cut. The test decides about time.

import Configuration
import Credentials
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("A stream whose credentials are no longer good")
struct StreamEndTests {
    static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    private static let evidence = "the service says so"

    /// A stream that has begun with this, and its server.
    private func stream(_ start: String) throws -> (ScriptedProxy, HTTP1Connection, server: Int32) {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest)
        try world.serverSends(StreamEndTests.head + chunk(start))
        return (world, client, try #require(world.kernel.attempts.last).descriptor)
    }

    private func chunk(_ text: String) -> String { "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n" }

    private func key(_ text: String) throws -> AuthorizedStreams.Key {
        let digest = Way.fingerprinter.digest(ofBytes: Array(text.utf8).span)
        return AuthorizedStreams.Key(try #require(digest))
    }

    @Test("ends between two events, with a time to come back", arguments: [Cause.revoked, .authorizationUnavailable])
    func atBoundary(_ cause: Cause) throws {
        let (world, client, server) = try stream("data: 1\n\n")
        try #require(client.exchange).endByVerdict(cause, evidence: StreamEndTests.evidence)
        world.pass(milliseconds: 50)
        let answer = latin1(world.answers(client))
        #expect(answer.hasSuffix("\r\n0\r\n\r\n") && answer.contains("retry: "), "\(answer)")
        #expect(world.kernel.closed.contains(server))
        #expect(world.proxy.exchanges.counted().value(of: .streamsEnded, cause, series: 2) == 1)
    }

    @Test("waits for the end of an event that is open, and not for what comes behind")
    func insideEvent() throws {
        let (world, client, server) = try stream("data: 1\n")
        try #require(client.exchange).endByVerdict(.revoked, evidence: StreamEndTests.evidence)
        world.pass(milliseconds: 900)
        #expect(client.exchange != nil)
        world.kernel.receive(server, chunk("\n"))
        world.worker.turn()
        #expect(client.exchange == nil)
        #expect(latin1(world.answers(client)).hasSuffix("0\r\n\r\n"))
    }

    @Test("is cut inside an event that does not end within a second, and its client sees that", arguments: [false, true])
    func openEvent(_ isEndedByOperatorToo: Bool) throws {
        let (world, client, _) = try stream("data: half")
        let exchange = try #require(client.exchange)
        if isEndedByOperatorToo {
            exchange.endForOperator()
            world.pass(milliseconds: 5_000)
            #expect(client.exchange != nil, "an operator's wish waits for the end of the event")
        }
        exchange.endByVerdict(.revoked, evidence: StreamEndTests.evidence)
        world.pass(milliseconds: 950)
        #expect(client.exchange != nil)
        world.pass(milliseconds: 100)
        #expect(client.exchange == nil && !client.isOpen)
        #expect(latin1(world.answers(client)).hasSuffix(chunk("data: half")))
    }

    @Test("ends together with all others of the same credentials, and with no others")
    func together() throws {
        let world = try ScriptedProxy.withOneServer()
        let streams = world.proxy.exchanges.authorizedStreams
        var clients: [HTTP1Connection] = []
        for index in 0..<4 {
            let client = try world.connectClient()
            world.send(client, ScriptedProxy.streamRequest)
            try world.serverSends(StreamEndTests.head + chunk("data: 1\n\n"))
            let exchange = try #require(client.exchange)
            streams.register(exchange, under: try key(index < 3 ? "a" : "b"))
            if index == 0 { streams.register(exchange, under: try key("c")) }
            clients.append(client)
        }
        #expect(streams.count == 3)
        // One client leaves by itself before.
        world.kernel.receive(world.descriptor(of: clients[2]), "")
        world.worker.turn()
        #expect(try streams.exchanges(of: key("a")).count == 2)
        #expect(try streams.endAll(key("a"), .revoked, evidence: StreamEndTests.evidence) == 2)
        world.pass(milliseconds: 50)
        #expect(clients.map { $0.exchange == nil } == [true, true, true, false])
        #expect(try streams.count == 1 && streams.exchanges(of: key("c")).isEmpty)
    }

    @Test("was none yet: its request is refused, and no server's answer can come any more")
    func unanswered() throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest)
        try world.attemptEnds()
        try #require(client.exchange).endByVerdict(.revoked, evidence: StreamEndTests.evidence)
        #expect(try ReadHead(world.answers(client)).firstLine == "HTTP/1.1 401 Unauthorized")
        #expect(client.exchange == nil)
    }

    @Test("was none yet, and nobody says whether it may be one: an EventSource is told to come back, and any other client gets 503")
    func unansweredAndUnasked() throws {
        for (request, isToldToComeBack) in [(ScriptedProxy.streamRequest, true), ("GET /e HTTP/1.1\nHost: h", false)] {
            let world = try ScriptedProxy.withOneServer()
            let client = try world.connectClient()
            world.send(client, request)
            try world.attemptEnds()
            let server = try #require(world.kernel.attempts.last).descriptor
            try #require(client.exchange).endByVerdict(.authorizationUnavailable, evidence: StreamEndTests.evidence)
            let answer = latin1(world.answers(client))
            #expect(answer.hasPrefix(isToldToComeBack ? "HTTP/1.1 200 OK" : "HTTP/1.1 503 Service Unavailable"))
            #expect(answer.contains("retry: ") == isToldToComeBack)
            // No answer of the server can come any more, and the server is not tried again.
            world.pass(milliseconds: 10_000)
            #expect(client.exchange == nil && world.kernel.closed.contains(server) && world.kernel.attempts.count == 1)
        }
    }

    @Test("was held: it is told to come back")
    func held() throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest)
        try world.attemptEnds(.connectionRefused)
        try #require(client.exchange).endByVerdict(.revoked, evidence: StreamEndTests.evidence)
        world.pass(milliseconds: 50)
        #expect(latin1(world.answers(client)).contains("retry: ") && latin1(world.answers(client)).hasSuffix("0\r\n\r\n"))
    }
}
