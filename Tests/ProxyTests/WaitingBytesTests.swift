// Bytes that wait on a client's connection: those that the client sent too early, those that it does not read, and the timeouts of
// both. The test decides about time.

import Configuration
import HTTP
import Marks
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("What waits on a client's connection")
struct WaitingBytesTests {
    private static let stream = "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream"
    private static let streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    private static let shortAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    private func world(pendingBytes: Int = 100_000, idleTimeout: Int = 60_000, responseTimeout: Int = 60_000) throws -> ScriptedProxy {
        var upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        upstream.idleTimeoutMilliseconds = idleTimeout
        upstream.responseTimeoutMilliseconds = responseTimeout
        var limits = Limits()
        limits.pendingBytes = pendingBytes
        return try ScriptedProxy(upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]], limits: limits)
    }

    /// A client whose request has reached its server, and the descriptors of both.
    private func exchange(
        _ world: ScriptedProxy, _ request: String = WaitingBytesTests.stream, body: String = ""
    ) throws -> (client: HTTP1Connection, ours: Int32, server: Int32) {
        let client = try world.connectClient()
        let ours = world.descriptor(of: client)
        world.kernel.receive(ours, bytes: wire(request) + Array(body.utf8))
        world.worker.turn()
        try world.attemptEnds()
        return (client, ours, try #require(world.kernel.attempts.last).descriptor)
    }

    private func answer(_ world: ScriptedProxy, _ server: Int32, _ text: String) {
        world.kernel.receive(server, text)
        world.worker.turn()
    }

    // MARK: Sent too early

    @Test("the next request waits until the client has read the answer to this one", .reaches(.answerUnread))
    func readsFirst() throws {
        let world = try world()
        let (client, ours, server) = try exchange(world, "GET /1 HTTP/1.1\nHost: h")
        world.kernel.rooms[ours] = 0
        answer(world, server, WaitingBytesTests.shortAnswer)
        world.kernel.receive(ours, bytes: wire("GET /2 HTTP/1.1\nHost: h"))
        world.pass(milliseconds: 500)
        #expect(world.answers(client).isEmpty && !contains(world.kernel.written[server] ?? [], "GET /2"))
        world.kernel.rooms[ours] = nil
        world.kernel.report(ours, .writable)
        world.kernel.report(ours, .readable)
        world.pass(milliseconds: 500)
        #expect(contains(world.kernel.written[server] ?? [], "GET /2"))
    }

    @Test("bytes behind a request that is being answered are counted, and given back when their turn comes")
    func countsWhatIsAhead() throws {
        let world = try world()
        let (client, ours, server) = try exchange(world, "GET /a HTTP/1.1\nHost: h")
        world.kernel.receive(ours, bytes: wire("GET /b HTTP/1.1\nHost: h"))
        world.worker.turn()
        #expect(world.worker.pendingBytes == wire("GET /b HTTP/1.1\nHost: h").count)
        answer(world, server, WaitingBytesTests.shortAnswer)
        #expect(world.worker.pendingBytes == 0)
        #expect(contains(world.kernel.written[server] ?? [], "GET /b HTTP/1.1"), "it is served then")
        #expect(client.isOpen)
    }

    @Test(
        "where the limit is reached they are thrown away, the answer stays whole, and the connection ends behind it",
        .reaches(.pipelinedBytesDiscarded))
    func throwsAway() throws {
        let world = try world(pendingBytes: 1_000)
        world.worker.countHeld(2_000)
        let (client, ours, server) = try exchange(world, "GET /a HTTP/1.1\nHost: h")
        world.kernel.receive(ours, bytes: wire("GET /b HTTP/1.1\nHost: h"))
        world.worker.turn()
        #expect(world.worker.pendingBytes == 2_000)
        answer(world, server, WaitingBytesTests.shortAnswer)
        let head = try ReadHead(world.answers(client))
        #expect(head.values("connection") == ["close"] && latin1(head.rest) == "ok")
        #expect(!contains(world.kernel.written[server] ?? [], "/b"))
        world.pass(milliseconds: 3_000)
        #expect(!client.isOpen && world.worker.pendingBytes == 2_000)
        world.worker.countHeld(-2_000)
    }

    @Test("a stream goes on undisturbed while what its client sends is thrown away", .reaches(.pipelinedBytesDiscarded))
    func streamGoesOn() throws {
        let world = try world(pendingBytes: 1_000)
        let (client, ours, server) = try exchange(world)
        answer(world, server, WaitingBytesTests.streamHead)
        world.worker.countHeld(2_000)
        for _ in 0..<20 {
            world.kernel.receive(ours, bytes: [UInt8](repeating: 0x61, count: 60_000))
            world.worker.turn()
        }
        #expect(world.worker.pendingBytes == 2_000)
        answer(world, server, "9\r\ndata: 1\n\n\r\n")
        #expect(contains(world.answers(client), "data: 1"))
        world.worker.countHeld(-2_000)
    }

    @Test("a body that has to wait for its server is refused where the limit is reached")
    func refusesBody() throws {
        let world = try world(pendingBytes: 1_000)
        world.worker.countHeld(2_000)
        let client = try world.connectClient()
        world.kernel.receive(world.descriptor(of: client), bytes: wire("POST /a HTTP/1.1\nHost: h\nContent-Length: 9") + Array("123".utf8))
        world.worker.turn()
        #expect(try ReadHead(world.answers(client)).firstLine == "HTTP/1.1 503 Service Unavailable")
        world.worker.countHeld(-2_000)
    }

    @Test("bytes behind a request for an upgrade are never thrown away: where there is no room the upgrade is refused")
    func refusesUpgrade() throws {
        let world = try world(pendingBytes: 1_000)
        world.worker.countHeld(2_000)
        let client = try world.connectClient()
        let request = "GET /ws HTTP/1.1\nHost: h\nConnection: upgrade\nUpgrade: websocket"
        world.kernel.receive(world.descriptor(of: client), bytes: wire(request) + [1, 2, 3])
        world.worker.turn()
        #expect(try ReadHead(world.answers(client)).firstLine == "HTTP/1.1 503 Service Unavailable")
        world.worker.countHeld(-2_000)
    }

    @Test("a head that comes in pieces is counted; a large one is refused where the limit is reached, a small one is served")
    func partialHeads() throws {
        let world = try world(pendingBytes: 1_000)
        let (small, large) = (try world.connectClient(), try world.connectClient())
        world.kernel.receive(world.descriptor(of: small), "GET / HTTP/1.1\r\nHost: h\r\n")
        world.kernel.receive(world.descriptor(of: large), "GET / HTTP/1.1\r\nX-A: " + String(repeating: "a", count: 3_000))
        world.worker.turn()
        #expect(world.worker.pendingBytes > 3_000)
        world.kernel.receive(world.descriptor(of: large), String(repeating: "a", count: 3_000))
        world.worker.turn()
        #expect(try ReadHead(world.answers(large)).firstLine == "HTTP/1.1 503 Service Unavailable")
        world.kernel.receive(world.descriptor(of: small), "\r\n")
        world.worker.turn()
        try world.attemptEnds()
        #expect(world.worker.pendingBytes == 0)
    }

    @Test(
        "what is kept is given back when its client leaves, at whatever moment",
        arguments: ["GET / HT", "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /b"])
    func givesBack(sent: String) throws {
        let world = try world()
        let client = try world.connectClient()
        world.kernel.receive(world.descriptor(of: client), sent)
        world.worker.turn()
        #expect(world.worker.pendingBytes > 0)
        world.kernel.breaks(world.descriptor(of: client), .connectionReset)
        world.worker.turn()
        client.closeNow()
        #expect(world.worker.pendingBytes == 0)
    }

    // MARK: Timeouts

    @Test(
        "a client is not called stalled before it could take nothing for as long as it may, and the evidence says for how long it did not")
    func stall() throws {
        let world = try world()
        let (client, ours, server) = try exchange(world)
        answer(world, server, WaitingBytesTests.streamHead)
        let stall = Int64(Timeouts().clientStallMilliseconds)
        world.pass(milliseconds: 2 * stall)
        #expect(client.isOpen)
        world.kernel.rooms[ours] = 0
        answer(world, server, "9\r\ndata: 1\n\n\r\n")
        world.pass(milliseconds: stall - 100)
        #expect(client.isOpen, "nothing was pending before")
        world.pass(milliseconds: 200)
        #expect(!client.isOpen)
    }

    @Test("interim responses that a client does not take do not put its end off")
    func interimResponses() throws {
        let world = try world(responseTimeout: 3_600_000)
        let (client, ours, server) = try exchange(world)
        world.kernel.rooms[ours] = 0
        let stall = Int64(Timeouts().clientStallMilliseconds)
        for _ in 0..<12 {
            answer(world, server, "HTTP/1.1 102 Processing\r\n\r\n")
            world.pass(milliseconds: stall / 10)
        }
        #expect(!client.isOpen)
    }

    @Test("a server is not silent while its client keeps the proxy from reading")
    func silenceAfterPause() throws {
        let world = try world(idleTimeout: 10_000)
        let (client, ours, server) = try exchange(world, "GET /a HTTP/1.1\nHost: h")
        world.kernel.rooms[ours] = 0
        answer(world, server, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok")
        world.pass(milliseconds: 9_000)
        world.kernel.rooms[ours] = 1_000_000
        world.kernel.report(ours, .writable)
        world.worker.turn()
        world.pass(milliseconds: 5_000)
        #expect(client.isOpen, "the server was silent for 5 s of which it could have said something")
        world.pass(milliseconds: 6_000)
        #expect(!client.isOpen)
    }

    @Test("a server has its whole time for an answer after the request's last byte")
    func slowUpload() throws {
        let world = try world(responseTimeout: 10_000)
        let (client, ours, _) = try exchange(world, "POST /a HTTP/1.1\nHost: h\nContent-Length: 2", body: "1")
        world.pass(milliseconds: 9_000)
        world.kernel.receive(ours, "2")
        world.worker.turn()
        world.pass(milliseconds: 5_000)
        #expect(world.answers(client).isEmpty)
        world.pass(milliseconds: 6_000)
        #expect(try ReadHead(world.answers(client)).firstLine == "HTTP/1.1 504 Gateway Timeout")
    }

    // MARK: Framing

    @Test("around what a link reads there is room for a body's framing")
    func framingRoom() { #expect(Worker.headroomBytes >= OutgoingFraming.roomBytes) }

    @Test(
        "what waits in all stays near its limit, however many read too slowly",
        arguments: ["Content-Type: text/event-stream", "Content-Type: text/plain", "Content-Length: 60008"])
    func boundInAll(field: String) throws {
        let world = try world(pendingBytes: 1 << 20)
        for _ in 0..<100 {
            let (_, ours, server) = try exchange(world)
            world.kernel.rooms[ours] = 0
            answer(world, server, "HTTP/1.1 200 OK\r\n\(field)\r\n\r\ndata: " + String(repeating: "x", count: 60_000) + "\n\n")
            world.worker.turn()
        }
        #expect(world.worker.pendingBytes < 5 << 18)
    }
}
