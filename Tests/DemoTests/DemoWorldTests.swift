// The demo as a whole, with the real proxy in it, over real sockets.

import Configuration
import Proxy
import Reactor
import Testing

@testable import Demo

@Suite struct DemoWorldTests {
    private let anyPort = SocketAddress(numeric: "127.0.0.1", port: 0)!

    @Test("a port in use is a SystemError, and nothing else stays bound")
    func portInUse() throws {
        let stage = try Stage()
        let first = try DemoWorld.standing(on: stage.worker, listen: anyPort)
        let count = stage.worker.endpointCount
        #expect(throws: SystemError(98)) { try DemoWorld.standing(on: stage.worker, listen: first.pageAddress) }
        #expect(stage.worker.endpointCount == count)
    }

    @Test("the direct port is the next one, or any other where that is taken")
    func directPort() throws {
        let stage = try Stage()
        let first = try DemoWorld.standing(on: stage.worker, listen: anyPort)
        #expect(first.directAddress.port != first.pageAddress.port && first.directAddress.port != 0)
        guard first.directAddress.port == first.pageAddress.port &+ 1, first.pageAddress.port > 1024 else { return }
        // A page right below the first page finds its next port taken, unless another program has that port itself.
        var below = first.pageAddress
        below.port -= 1
        guard let second = try? DemoWorld.standing(on: stage.worker, listen: below) else { return }
        #expect(second.directAddress.port != first.pageAddress.port && second.directAddress.port != 0)
    }

    @Test("the configuration is good, leads both routes to the backend, and takes the token from the query")
    func configuration() throws {
        let world = try DemoWorld.standing(on: try Stage().worker, listen: anyPort)
        let configuration = world.configuration()
        #expect(configuration.listeners[0] == Listener(host: "127.0.0.1", port: 0))
        #expect(configuration.listeners.map(\.speaksHTTP2) == [false, true] && configuration.listeners[1].tls != nil)
        #expect(configuration.routes.map(\.name) == ["/events", "/events-kept", "/*"])
        #expect([0, 2].allSatisfy { configuration.routes[$0].heartbeat.intervalMilliseconds == 1000 })
        #expect(configuration.routes.map(\.upstreamIndex) == [0, 1, 0])
        #expect(configuration.routes.map { $0.bearer != nil } == [true, true, false])
        let ports = [world.backendAddress.port, world.addressBehind.port]
        #expect(configuration.upstreams.map(\.servers) == ports.map { [.init(host: "127.0.0.1", port: $0)] })
    }

    @Test("the certificate names this machine, and the address where the demo listens")
    func hosts() {
        let machine = ["localhost", "127.0.0.1", "::1"]
        #expect(DemoWorld.hosts(for: SocketAddress(numeric: "127.0.0.1", port: 1)!) == machine)
        #expect(DemoWorld.hosts(for: SocketAddress(numeric: "0.0.0.0", port: 1)!) == machine)
        #expect(DemoWorld.hosts(for: SocketAddress(numeric: "::", port: 1)!) == machine)
        #expect(DemoWorld.hosts(for: SocketAddress(numeric: "192.0.2.7", port: 1)!) == machine + ["192.0.2.7"])
    }

    @Test("the introduction names the page and a curl line with the token; each start has another token")
    func introduction() throws {
        let stage = try Stage()
        let world = try DemoWorld.standing(on: stage.worker, listen: anyPort)
        #expect(world.introduction.contains("http://\(world.pageAddress)/ "))
        #expect(world.introduction.contains("curl -N 'http://\(world.pageAddress)/events?access_token=\(world.token)'"))
        #expect(world.introduction.contains("https://\(world.securedAddress)/eight\n"))
        #expect(world.introduction.contains("curl -Nk 'https://\(world.securedAddress)/events?access_token=\(world.token)'"))
        #expect(world.token.utf8.count == 32)
        #expect(try DemoWorld.standing(on: stage.worker, listen: anyPort).token != world.token)
    }

    @Test("one of the eight streams says which version of HTTP the browser speaks, and how many connections the load balancer sees")
    func eight() throws {
        let stage = try Stage()
        let world = try DemoWorld.standing(on: stage.worker, listen: anyPort, timing: .hasty)
        let proxy = try ProxyServer(world.configuration()) { LinuxKernel() }
        defer { proxy.stop() }
        world.connect(proxyAddresses: proxy.listeningAddresses)
        let clients = try (1...2).map { _ in try stage.connect(to: world.pageAddress) }
        for client in clients { client.say("GET /eight/1 HTTP/1.1\r\nHost: demo\r\nAccept: text/event-stream\r\n\r\n") }
        try stage.turn { clients.allSatisfy { numbers(in: $0.text).count >= 2 } }
        for client in clients {
            #expect(client.text.contains("event: hello\ndata: {\"http\":\"1.1\"}\n\n"))
            #expect(client.text.contains("data: {\"seq\":2,\"connections\":2}\n\n"))
            client.close()
        }
        // The version of a client that spoke to the backend itself is unknown.
        let direct = try stage.connect(to: world.directAddress)
        direct.say("GET /eight/8 HTTP/1.1\r\nHost: demo\r\n\r\n")
        try stage.turn { direct.text.contains("data: {\"http\":\"\"}\n\n") }
        direct.close()
        try stage.turn(milliseconds: 100)
    }

    @Test("a stream that is cut on both sides in a silence, and whose client comes back later, has lost nothing and tells of a gap")
    func kept() throws {
        let stage = try Stage()
        var timing = DemoTiming.hasty
        // Heartwire asks again within half a second, so before the next burst, which comes before another cut.
        timing.hopIdleLimitMilliseconds = 1000
        timing.silenceMilliseconds = 2000
        let world = try DemoWorld.standing(on: stage.worker, listen: anyPort, timing: timing)
        let proxy = try ProxyServer(world.configuration()) { LinuxKernel() }
        defer { proxy.stop() }
        world.connect(proxyAddresses: proxy.listeningAddresses)
        func get(_ target: String, _ fields: String = "") throws -> Client {
            let client = try stage.connect(to: world.pageAddress)
            client.say("GET \(target) HTTP/1.1\r\nHost: demo\r\nAccept: text/event-stream\r\n\(fields)\r\n")
            return client
        }
        let feed = try get("/feed?page=mine")
        let first = try get("/events-kept?access_token=\(world.token)&page=mine")
        try stage.turn { first.isGone }
        #expect(first.failure == .connectionReset)
        let last = try #require(numbers(in: first.text).last)
        // The next burst begins while the client is away.
        try stage.turn(milliseconds: 1500)
        let second = try get("/events-kept?access_token=\(world.token)&page=mine", "Last-Event-ID: \(last)\r\n")
        try stage.turn { numbers(in: second.text).contains(last + 4) || second.isGone }
        // The first one is the place that the client named.
        #expect(numbers(in: second.text) == (0...4).map { last + $0 })
        #expect(second.text.contains("event: stream_gap\ndata: {\"reason\":\"upstream\",\"certain\":false,\"missed\":null}"))
        #expect(!second.text.contains("hello") && !first.text.contains("retry"))
        #expect(feed.text.contains("{\"side\":\"kept\",\"kind\":\"cut\",\"idleMilliseconds\":1"))
        #expect(feed.text.contains("{\"side\":\"behind\",\"kind\":\"cut\",\"idleMilliseconds\":1"))
        for client in [feed, second] { client.close() }
        try stage.turn(milliseconds: 100)
    }

    @Test("the silence that kills the direct stream is survived through Heartwire, without losing an event, and the page gets a report")
    func survives() throws {
        let stage = try Stage()
        let world = try DemoWorld.standing(on: stage.worker, listen: anyPort, timing: .hasty)
        let proxy = try ProxyServer(world.configuration()) { LinuxKernel() }
        defer { proxy.stop() }
        world.connect(proxyAddresses: proxy.listeningAddresses)
        func get(_ target: String, at address: SocketAddress) throws -> Client {
            let client = try stage.connect(to: address)
            client.say("GET \(target) HTTP/1.1\r\nHost: demo\r\nAccept: text/event-stream\r\n\r\n")
            return client
        }
        let feed = try get("/feed?page=mine", at: world.pageAddress)
        try stage.turn { feed.text.contains("200 OK") }
        let through = try get("/events?access_token=\(world.token)&page=mine", at: world.pageAddress)
        let refused = try get("/events?page=mine", at: world.directAddress)
        let direct = try get("/events-open?page=mine", at: world.directAddress)
        try stage.turn { direct.isGone }
        #expect(direct.failure == .connectionReset)
        let before = numbers(in: through.text).count
        try stage.turn { numbers(in: through.text).count >= before + 6 || through.isGone }

        #expect(!through.isGone && !feed.isGone)
        let seen = numbers(in: through.text)
        #expect(seen == Array(seen[0]..<(seen[0] + seen.count)))
        #expect(refused.text.hasPrefix("HTTP/1.1 401 "))
        #expect(feed.text.contains("{\"side\":\"through\",\"kind\":\"heartbeat\"}"))
        #expect(feed.text.contains("{\"side\":\"direct\",\"kind\":\"refused\",\"status\":401}"))
        #expect(feed.text.contains("{\"side\":\"direct\",\"kind\":\"cut\",\"idleMilliseconds\":6"))
        #expect(!feed.text.contains("{\"side\":\"through\",\"kind\":\"cut\""))
        for client in [feed, through, refused] { client.close() }
        // Without clients the proxy ends before its grace period is over.
        try stage.turn(milliseconds: 100)
    }
}
