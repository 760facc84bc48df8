// How a worker ends, also when the system has no descriptor or memory left. With real processes it is tested in
// EndToEnd/test_draining.py.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("A proxy that ends")
struct ProxyEndTests {
    /// A client that waits for its server.
    private func waiting() throws -> (ScriptedProxy, HTTP1Connection) {
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        let world = try ScriptedProxy(upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]])
        let socket = world.kernel.makeDescriptor()
        try world.proxy.listen(on: socket, as: try ListenerSecurity(Listener(host: "127.0.0.1", port: 80)))
        let client = try world.acceptClient(by: socket)
        world.send(client, "GET /e HTTP/1.1\nHost: h")
        try world.attemptEnds()
        return (world, client)
    }

    @Test("ends after its grace period, also without a descriptor left", arguments: [true, false])
    func exhausted(_ hasNoDescriptors: Bool) throws {
        let (world, client) = try waiting()
        world.kernel.hasNoDescriptors = hasNoDescriptors
        world.proxy.drain(graceMilliseconds: 1_000)
        world.pass(milliseconds: 900)
        #expect(client.isOpen)
        world.pass(milliseconds: 300)
        #expect(!client.isOpen)
        #expect(world.worker.endpointCount == 0)
    }

    @Test("ends sooner when it is told to hurry, whether it ends already or not", arguments: [true, false])
    func sooner(_ endsAlready: Bool) throws {
        let (world, client) = try waiting()
        if endsAlready { world.proxy.drain(graceMilliseconds: 60_000, streamMilliseconds: 60_000) }
        world.proxy.endWithin(milliseconds: 2_000)
        world.pass(milliseconds: 1_900)
        #expect(client.isOpen)
        world.pass(milliseconds: 300)
        #expect(!client.isOpen)
        #expect(world.worker.endpointCount == 0)
    }

    @Test("a server that breaks a rule behind an event's end is told of as such while the proxy ends, and its stream is cut")
    func brokenWhileDraining() throws {
        let world = try ScriptedProxy(
            Upstream(name: "a", servers: [.init(host: "s", port: 80)]), addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]])
        let client = try world.connectClient()
        world.send(client, "GET / HTTP/1.1\nHost: a")
        try world.attemptEnds()
        let server = try #require(world.kernel.attempts.last).descriptor
        world.kernel.receive(
            server, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: yy\r\n")
        world.worker.turn()
        world.proxy.drain(graceMilliseconds: 60_000, streamMilliseconds: 0)
        world.pass(milliseconds: 100)
        world.kernel.receive(server, "2\r\n\n\n\r\nzz\r\n")
        world.worker.turn()
        let answer = latin1(world.answers(client))
        #expect(answer.hasSuffix("2\r\n\n\n\r\n"), "\(answer)")
    }

    @Test("a stream that announced its length is cut where the operator ends it: its client does not wait for the rest")
    func announcedLength() throws {
        let world = try ScriptedProxy(
            Upstream(name: "a", servers: [.init(host: "s", port: 80)]), addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]])
        let client = try world.connectClient()
        world.send(client, "GET / HTTP/1.1\nHost: a")
        try world.attemptEnds()
        let server = try #require(world.kernel.attempts.last).descriptor
        world.kernel.receive(
            server,
            """
            HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\nxyz
            """)
        world.worker.turn()
        #expect(world.proxy.exchanges.endStream(1, from: 0).isFound)
        world.pass(milliseconds: 100)
        #expect(latin1(world.answers(client)).hasSuffix("\r\n\r\nxyz"))
        #expect(!client.isOpen)
    }
}
