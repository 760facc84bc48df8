// Interim responses: how many a server may send, and how they extend its time. The test decides about time.

import Configuration
import Marks
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("Interim responses")
struct InterimResponseTests {
    private func world(responseTimeout: Int = 60_000) throws -> ScriptedProxy {
        let upstream = Upstream(
            name: "u", servers: [Upstream.Server(host: "s", port: 80)], connectTimeoutMilliseconds: 3_000,
            responseTimeoutMilliseconds: responseTimeout)
        return try ScriptedProxy(upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]])
    }

    private func asked(_ world: ScriptedProxy) throws -> (client: HTTP1Connection, server: Int32) {
        let client = try world.connectClient()
        world.send(client, "GET /work HTTP/1.1\nHost: h")
        try world.attemptEnds()
        return (client, try #require(world.kernel.attempts.last).descriptor)
    }

    private func lastStatus(_ world: ScriptedProxy, _ client: HTTP1Connection) -> String {
        latin1(world.answers(client)).split(separator: "\r\n").last { $0.hasPrefix("HTTP/1.1 ") }.map { String($0.dropFirst(9).prefix(3)) }
            ?? ""
    }

    @Test("a server that says every ten seconds for an hour that it works is waited for, whatever its response_timeout")
    func processing() throws {
        let world = try world(responseTimeout: 15_000)
        let (client, server) = try asked(world)
        for _ in 0..<360 {
            world.pass(milliseconds: 10_000)
            world.kernel.receive(server, "HTTP/1.1 102 Processing\r\n\r\n")
            world.worker.turn()
        }
        world.kernel.receive(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        world.worker.turn()
        #expect(lastStatus(world, client) == "200")
    }

    @Test("interim responses faster than one a second, a burst aside, are a 502")
    func flood() throws {
        let world = try world()
        let (client, server) = try asked(world)
        for number in 1...40 {
            world.pass(milliseconds: 200)
            world.kernel.receive(server, "HTTP/1.1 103 Early Hints\r\n\r\n")
            world.worker.turn()
            if number == 18 { #expect(lastStatus(world, client) == "103") }
        }
        #expect(lastStatus(world, client) == "502")
    }

    @Test("a head that comes byte by byte has one response_timeout in all")
    func tricklingHead() throws {
        let world = try world(responseTimeout: 15_000)
        let (client, server) = try asked(world)
        for byte in "HTTP/1.1 200 OK".utf8 where world.answers(client).isEmpty {
            world.kernel.receive(server, bytes: [byte])
            world.pass(milliseconds: 2_000)
        }
        #expect(lastStatus(world, client) == "504")
    }

    @Test(
        "a 101 to a protocol that was not asked for is a 502, and one to that which was is a tunnel",
        arguments: [("other", "502"), ("Special/1", "101")])
    func switching(_ protocolName: String, _ status: String) throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, "GET /up HTTP/1.1\nHost: h\nConnection: upgrade\nUpgrade: first, special/1")
        try world.attemptEnds()
        world.kernel.receive(
            world.kernel.attempts[0].descriptor,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: \(protocolName)\r\n\r\n")
        world.worker.turn()
        #expect(lastStatus(world, client) == status)
    }

    @Test(
        "one does not go into a response that has begun in the server's place", .reaches(.interimResponseDropped), arguments: [100, 103])
    func afterBeginning(status: Int) throws {
        let world = try ScriptedProxy.withOneServer(early: EarlyPolicy(afterMilliseconds: 300))
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest)
        try world.attemptEnds()
        world.pass(milliseconds: 500)
        try world.serverSends("HTTP/1.1 \(status) Wait\r\n\r\n")
        try world.serverSends("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
        #expect(latin1(world.answers(client)).hasSuffix("\r\n\r\n3\r\n:\n\n\r\n9\r\ndata: x\n\n\r\n"))
    }
}
