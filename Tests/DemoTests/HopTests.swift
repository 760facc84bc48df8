// The hop: what it passes on, and when it cuts.

import Reactor
import Testing

@testable import Demo

/// A hop between clients and a server whose connections are recorded.
private final class HopStage {
    let stage: Stage
    let feed = DemoFeed()
    let hop: Hop
    let hopAddress: SocketAddress
    private(set) var servers: [Client] = []

    init(idleLimitMilliseconds: Int64) throws {
        let stage = try Stage()
        self.stage = stage
        let hop = Hop(worker: stage.worker, side: .direct, idleLimitMilliseconds: idleLimitMilliseconds, feed: feed)
        self.hop = hop
        hopAddress = try stage.listen { hop.accept($0) }
        hop.target = try stage.listen { [unowned self] in
            let server = Client(worker: stage.worker)
            try? server.adopt($0.descriptor)
            servers.append(server)
        }
    }

    /// A client and its connection at the server.
    func connect() throws -> (client: Client, server: Client) {
        let count = servers.count
        let client = try stage.connect(to: hopAddress)
        try stage.turn { self.servers.count > count }
        return (client, servers[count])
    }
}

@Suite struct HopTests {
    @Test("a connection is cut by a reset on both sides after the idle limit, and not before")
    func cuts() throws {
        let world = try HopStage(idleLimitMilliseconds: 400)
        let (client, server) = try world.connect()
        client.say("hello")
        // The last byte comes well after the connection was made, which shows that the limit counts from the byte.
        try world.stage.turn(milliseconds: 250)
        client.say(" again")
        try world.stage.turn { server.text == "hello again" }
        let lastByteAt = server.lastReceivedAt
        try world.stage.turn { client.isGone && server.isGone }
        #expect(client.failure == .connectionReset)
        #expect(server.failure == .connectionReset)
        #expect(client.failedAt - lastByteAt >= 395, "cut after \(client.failedAt - lastByteAt) ms")
        #expect(client.failedAt - lastByteAt < 2000, "cut after \(client.failedAt - lastByteAt) ms")
        #expect(world.hop.connectionCount == 0)
    }

    @Test("a byte in either direction postpones the cut", arguments: [true, false])
    func bytesKeepAlive(fromServer: Bool) throws {
        let world = try HopStage(idleLimitMilliseconds: 500)
        let (client, server) = try world.connect()
        for _ in 0..<8 {
            (fromServer ? server : client).say(":")
            try world.stage.turn(milliseconds: 150)
        }
        #expect(!client.isGone && !server.isGone, "the connection has lived through 1200 ms")
        #expect((fromServer ? client : server).text == "::::::::")
        try world.stage.turn { client.isGone && server.isGone }
    }

    @Test("what passes arrives whole and in order, also when the receiver is slow")
    func order() throws {
        let world = try HopStage(idleLimitMilliseconds: 5000)
        let (client, server) = try world.connect()
        // More than all kernel buffers between the two can hold.
        let block = (0..<999_983).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
        var bytes: [UInt8] = []
        for _ in 0..<40 { bytes += block }
        client.pauseReading()
        server.send(bytes)
        try world.stage.turn(milliseconds: 100)
        #expect(server.pendingCount > 0, "the hop does not take in what the client does not read")
        client.resumeReading()
        try world.stage.turn { client.received.count >= bytes.count }
        // Compared outside the expectation, which would print both values.
        let isSame = client.received == bytes
        #expect(isSame)
    }

    @Test("a server's orderly end reaches the client after everything that the server sent")
    func end() throws {
        let world = try HopStage(idleLimitMilliseconds: 5000)
        let (client, server) = try world.connect()
        server.send([UInt8](repeating: 7, count: 300_000))
        server.closeWhenDrained()
        try world.stage.turn { client.isGone }
        #expect(client.hasEnded)
        #expect(client.received.count == 300_000)
        #expect(world.hop.connectionCount == 0)
    }

    @Test("a client's half-close reaches the server, and the answer still comes back")
    func halfClose() throws {
        let world = try HopStage(idleLimitMilliseconds: 5000)
        let (client, server) = try world.connect()
        client.say("question")
        client.shutdownWhenDrained()
        try world.stage.turn { server.hasEnded }
        server.say("answer")
        try world.stage.turn { client.text == "answer" }
        #expect(server.text == "question")
    }

    @Test("without a target, and past its bound, connections are refused; the others do not notice")
    func bounds() throws {
        let world = try HopStage(idleLimitMilliseconds: 60_000)
        var clients: [Client] = []
        for _ in 0..<Hop.maximumConnections { clients.append(try world.connect().client) }
        let tooMany = try world.stage.connect(to: world.hopAddress)
        try world.stage.turn { tooMany.isGone }
        #expect(world.hop.connectionCount == Hop.maximumConnections)
        #expect(!clients.contains { $0.isGone })
        clients[0].abort()
        try world.stage.turn { world.hop.connectionCount < Hop.maximumConnections }
        world.hop.target = nil
        let early = try world.stage.connect(to: world.hopAddress)
        try world.stage.turn { early.isGone }
        #expect(early.isGone && world.hop.connectionCount == Hop.maximumConnections - 1)
    }

    @Test("a client is reset when the server cannot be reached")
    func unreachable() throws {
        let world = try HopStage(idleLimitMilliseconds: 5000)
        let kernel = world.stage.worker.kernel
        let descriptor = try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: false)
        world.hop.target = kernel.localAddress(of: descriptor)
        kernel.close(descriptor, abortively: false)
        let client = try world.stage.connect(to: world.hopAddress)
        try world.stage.turn { client.isGone }
        #expect(client.failure != nil)
        #expect(world.hop.connectionCount == 0)
    }

    @Test("only the page whose stream was cut gets a report, and other cuts are not reported")
    func reports() throws {
        let world = try HopStage(idleLimitMilliseconds: 300)
        let mine = NotingReader()
        let other = NotingReader()
        #expect(world.feed.join(mine, page: pageName("mine")))
        #expect(world.feed.join(other, page: pageName("other")))
        let (stream, server) = try world.connect()
        stream.say("GET /events-open?page=mine HTTP/1.1\r\nHost: a\r\n\r\n")
        try world.stage.turn { !server.received.isEmpty }
        server.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        let (idle, _) = try world.connect()
        idle.say("GET /?page=mine HTTP/1.1\r\nHost: a\r\n\r\n")
        try world.stage.turn { stream.isGone && idle.isGone }
        #expect(mine.texts.count == 1, "\(mine.texts)")
        #expect(mine.texts.first?.contains("\"kind\":\"cut\"") == true)
        #expect(other.texts.isEmpty)
    }
}

/// A watching page.
final class NotingReader: FeedReader {
    private(set) var texts: [String] = []
    /// Whether it takes the bytes it gets.
    var isThere = true

    func take(_ events: [UInt8]) -> Bool {
        if isThere { texts.append(String(decoding: events, as: UTF8.self)) }
        return isThere
    }
}
