// How one exchange finds a server: how often it tries, which servers, and when it may send a request again.

import Configuration
import Marks
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("An exchange's way to a server")
struct ExchangeConnectingTests {
    private static let get = "GET /a HTTP/1.1\nHost: h"

    private func world(servers: Int, addresses: Int, idleConnections: Int = 32) throws -> ScriptedProxy {
        let upstream = Upstream(
            name: "u", servers: (0..<servers).map { Upstream.Server(host: "s\($0)", port: 80) }, idleConnections: idleConnections)
        let all = (0..<servers).map { server in
            (0..<addresses).map { SocketAddress(bytes: [10, 0, UInt8(server), UInt8($0)], port: 80) }
        }
        return try ScriptedProxy(upstream, addresses: all)
    }

    @Test("an exchange tries eight times and no more, each time another address, however many there are")
    func attemptLimit() throws {
        for (servers, addresses) in [(20, 1), (1, 20), (5, 4)] {
            let world = try world(servers: servers, addresses: addresses)
            world.kernel.connectFailure = SystemError(113)
            let client = try world.connectClient()
            world.send(client, ExchangeConnectingTests.get)
            #expect(world.kernel.attempts.count == Int(ServerSearch.attemptLimit))
            #expect(Set(world.kernel.attempts.map(\.address)).count == world.kernel.attempts.count)
            let head = try ReadHead(world.answers(client))
            #expect(head.firstLine.hasPrefix("HTTP/1.1 502 ") && head.values("content-length") == ["\(head.rest.count)"])
        }
    }

    @Test("attempts that are refused later count as well, and fewer servers are fewer attempts")
    func refusedLater() throws {
        for (servers, expected) in [(20, 8), (3, 3)] {
            let world = try world(servers: servers, addresses: 1)
            let client = try world.connectClient()
            world.send(client, ExchangeConnectingTests.get)
            for number in 1...expected {
                #expect(world.kernel.attempts.count == number && world.answers(client).isEmpty)
                try world.attemptEnds(.connectionRefused)
            }
            #expect(world.kernel.attempts.count == expected)
            #expect(try ReadHead(world.answers(client)).firstLine.hasPrefix("HTTP/1.1 502 "))
            #expect(world.proxy.exchanges.groups[0].servers.allSatisfy { $0.activeCount == 0 })
        }
    }

    @Test("a POST goes to another server where the connection was refused, since nothing of it was sent")
    func refusedPost() throws {
        let world = try world(servers: 2, addresses: 1)
        let client = try world.connectClient()
        world.send(client, "POST /a HTTP/1.1\nHost: h\nContent-Length: 4", body: "body")
        try world.attemptEnds(.connectionRefused)
        try world.attemptEnds()
        turn(world)
        let sent = try ReadHead(world.kernel.written[world.kernel.attempts[1].descriptor] ?? [])
        #expect(sent.firstLine == "POST /a HTTP/1.1" && sent.rest == Array("body".utf8))
        #expect(world.kernel.written[world.kernel.attempts[0].descriptor] == nil)
    }

    @Test("a proxy without descriptors blames no server and answers 503")
    func exhausted() throws {
        let world = try world(servers: 3, addresses: 1)
        world.kernel.connectFailure = .tooManyFiles
        let client = try world.connectClient()
        world.send(client, ExchangeConnectingTests.get)
        #expect(world.kernel.attempts.count == 1)
        #expect(try ReadHead(world.answers(client)).firstLine.hasPrefix("HTTP/1.1 503 "))
        #expect(world.proxy.exchanges.groups[0].servers.allSatisfy { $0.health.ejectedUntil == 0 })
    }

    @Test(
        "a listener that redirects sends everything to the same place over HTTPS and troubles no server",
        arguments: [
            ("GET /a?b=c HTTP/1.1\nHost: h:80", 443 as UInt16, "https://h/a?b=c"),
            ("POST / HTTP/1.1\nHost: [::1]:80", 8443, "https://[::1]:8443/"),
            ("OPTIONS * HTTP/1.1\nHost: h", 443, "https://h/"), ("GET http://real//evil/ HTTP/1.1\nHost: h", 443, "https://real//evil/"),
        ])
    func redirect(_ text: String, _ port: UInt16, _ location: String) throws {
        let world = try world(servers: 1, addresses: 1)
        let client = try world.connectClient(redirectPort: port)
        world.send(client, text)
        let head = try ReadHead(world.answers(client))
        #expect(head.firstLine.hasPrefix("HTTP/1.1 308 ") && head.values("location") == [location])
        #expect(head.values("content-length") == ["0"] && head.rest.isEmpty && world.kernel.attempts.isEmpty)
    }

    /// Turns the worker until all deferred work is done.
    private func turn(_ world: ScriptedProxy) { for _ in 0..<3 { world.worker.turn() } }

    /// A world in which a connection to the server waits in the pool; returns its descriptor.
    private func pooled(_ world: ScriptedProxy, _ client: HTTP1Connection) throws -> Int32 {
        world.send(client, ExchangeConnectingTests.get)
        try world.attemptEnds()
        let descriptor = world.kernel.attempts[0].descriptor
        world.kernel.receive(descriptor, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        turn(world)
        #expect(world.proxy.exchanges.groups[0].servers[0].idleCount == 1 && !world.kernel.closed.contains(descriptor))
        return descriptor
    }

    @Test("an idle connection serves the next request")
    func reuse() throws {
        let world = try world(servers: 1, addresses: 1)
        let client = try world.connectClient()
        let descriptor = try pooled(world, client)
        world.send(client, ExchangeConnectingTests.get)
        world.kernel.receive(descriptor, "HTTP/1.1 204 No Content\r\n\r\n")
        turn(world)
        #expect(world.kernel.attempts.count == 1)
        let second = try ReadHead(ReadHead(world.answers(client)).rest.dropFirst(2).map { $0 })
        #expect(second.firstLine == "HTTP/1.1 204 No Content" && second.rest.isEmpty)
    }

    @Test("a request on an idle connection that turns out dead is sent again over a new one, once", .reaches(.deadIdleConnectionRetried))
    func repeated() throws {
        let world = try world(servers: 1, addresses: 1)
        let client = try world.connectClient()
        let descriptor = try pooled(world, client)
        world.send(client, ExchangeConnectingTests.get)
        world.kernel.receive(descriptor, "")
        turn(world)
        #expect(world.kernel.attempts.count == 2 && world.kernel.closed.contains(descriptor))
        try world.attemptEnds()
        world.kernel.receive(world.kernel.attempts[1].descriptor, "")
        turn(world)
        #expect(world.kernel.attempts.count == 2, "a new connection that dies is not repeated")
        #expect(contains(world.answers(client), "HTTP/1.1 502 "))
    }

    @Test("an idle connection on which something has come that nobody asked for is closed", .reaches(.idleConnectionNotQuiet))
    func unasked() throws {
        let world = try world(servers: 1, addresses: 1)
        let client = try world.connectClient()
        let descriptor = try pooled(world, client)
        world.kernel.receive(descriptor, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        world.send(client, ExchangeConnectingTests.get)
        #expect(world.kernel.closed.contains(descriptor) && world.kernel.attempts.count == 2)
        try world.attemptEnds()
        world.kernel.receive(world.kernel.attempts[1].descriptor, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright")
        turn(world)
        #expect(contains(world.answers(client), "right") && !contains(world.answers(client), "wrong"))
    }

    @Test("a POST never takes an idle connection, which could be dead and could not be told from one that has acted")
    func postIsNotRepeated() throws {
        let world = try world(servers: 1, addresses: 1)
        let client = try world.connectClient()
        _ = try pooled(world, client)
        world.send(client, "POST /a HTTP/1.1\nHost: h\nContent-Length: 0")
        #expect(world.kernel.attempts.count == 2)
        try world.attemptEnds()
        world.kernel.receive(world.kernel.attempts[1].descriptor, "")
        turn(world)
        #expect(world.kernel.attempts.count == 2 && contains(world.answers(client), "HTTP/1.1 502 "))
    }

    @Test("bytes behind a response go to nobody, and its connection is not used again")
    func surplus() throws {
        let world = try world(servers: 1, addresses: 1)
        let client = try world.connectClient()
        world.send(client, ExchangeConnectingTests.get)
        try world.attemptEnds()
        let descriptor = world.kernel.attempts[0].descriptor
        world.kernel.receive(descriptor, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")
        turn(world)
        #expect(try ReadHead(world.answers(client)).rest == Array("ok".utf8))
        #expect(world.kernel.closed.contains(descriptor) && world.proxy.exchanges.groups[0].servers[0].idleCount == 0)
    }

    @Test("a client that goes away ends its exchange with the server at once")
    func clientLeaves() throws {
        let world = try world(servers: 1, addresses: 1)
        let client = try world.connectClient()
        world.send(client, ExchangeConnectingTests.get)
        try world.attemptEnds()
        world.kernel.receive(world.kernel.attempts[0].descriptor, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        turn(world)
        #expect(contains(world.answers(client), "text/event-stream"))
        world.kernel.receive(client.descriptor, "")
        turn(world)
        #expect(world.kernel.closed.contains(world.kernel.attempts[0].descriptor) && !client.isOpen)
        #expect(world.proxy.exchanges.groups[0].servers[0].activeCount == 0)
    }

    @Test("a refusal says keep-alive to a client of HTTP/1.0 exactly where it keeps the connection", arguments: [true, false])
    func keepAliveOfHTTP10(asks: Bool) throws {
        let world = try world(servers: 1, addresses: 1)
        world.kernel.connectFailure = SystemError(113)
        let client = try world.connectClient()
        world.send(client, "GET / HTTP/1.0" + (asks ? "\nConnection: keep-alive" : ""))
        turn(world)
        let head = try ReadHead(world.answers(client))
        #expect(head.firstLine.hasPrefix("HTTP/1.1 502 "))
        #expect(client.isOpen == head.elements("connection").contains("keep-alive"), "\(head.lines())")
    }

    @Test("two clients at once both find the address that answers")
    func twoClients() throws {
        let world = try world(servers: 1, addresses: 2)
        let one = try world.connectClient()
        let other = try world.connectClient()
        world.send(one, "GET /1 HTTP/1.1\nHost: h")
        world.kernel.now += 1_000
        world.worker.turn()
        world.send(other, "GET /2 HTTP/1.1\nHost: h")
        let answers = SocketAddress(bytes: [10, 0, 0, 1], port: 80)
        for _ in 0..<100 {
            world.kernel.now += 100
            for attempt in world.kernel.attempts where attempt.address == answers && !world.kernel.closed.contains(attempt.descriptor) {
                world.kernel.report(attempt.descriptor, .writable)
            }
            world.worker.turn()
        }
        for (path, client) in [("/1", one), ("/2", other)] {
            #expect(world.kernel.written.values.contains { contains($0, "GET \(path) ") }, "\(world.kernel.attempts.map(\.address))")
            #expect(!contains(world.answers(client), "504"))
        }
    }
}
