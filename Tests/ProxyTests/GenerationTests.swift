// What a reload keeps and what it closes. With real processes it is tested in EndToEnd/test_reload.py.

import Configuration
import Credentials
import HTTP
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("A new generation of the configuration")
struct GenerationTests {
    private static let address = SocketAddress(numeric: "10.0.0.1", port: 80)!

    private func settings(_ upstreams: [Upstream]) throws -> Settings {
        let configuration = Configuration(upstreams: upstreams, routes: [Route(upstreamIndex: 0)])
        return Settings(configuration, try Security(configuration))
    }

    private func upstream(_ name: String, cooldown: Int = 1_000) -> Upstream {
        var upstream = Upstream(name: name, servers: [Upstream.Server(host: "10.0.0.1", port: 80)])
        upstream.failureCooldownMilliseconds = cooldown
        return upstream
    }

    private func generation(_ upstreams: [Upstream], after previous: Generation? = nil) throws -> Generation {
        let addresses = upstreams.map { _ in [[GenerationTests.address]] }
        return Generation(
            try settings(upstreams), addresses: addresses, workerNumber: 0, fingerprinter: Fingerprinter(key: [1]), succeeding: previous)
    }

    @Test("keeps servers that are described as before, with what is known of them, wherever they stand")
    func keeps() throws {
        let first = try generation([upstream("a"), upstream("b")])
        first.groups[0].eject(first.groups[0].servers[0], now: 5)
        let second = try generation([upstream("b"), upstream("a")], after: first)
        #expect(second.groups[1] === first.groups[0] && second.groups[0] === first.groups[1])
        #expect(second.groups[1].servers[0].health.ejectedUntil == 1_005)
    }

    @Test("keeps no idle connection for servers that are described otherwise or no longer")
    func retires() throws {
        let proxy = try ScriptedProxy(upstream("a"), addresses: [[GenerationTests.address]])
        let group = proxy.proxy.exchanges.groups[0]
        let clients = try (0..<2).map { _ in
            let client = try proxy.connectClient()
            proxy.send(client, "GET / HTTP/1.1\nHost: a")
            try proxy.attemptEnds()
            return client
        }
        func answer(_ number: Int) {
            proxy.kernel.receive(proxy.kernel.attempts[number].descriptor, "HTTP/1.1 204 No Content\r\n\r\n")
            proxy.worker.turn()
        }
        answer(0)
        #expect(group.servers[0].idleCount == 1)
        let configuration = Configuration(upstreams: [upstream("a", cooldown: 7)], routes: [Route(upstreamIndex: 0)])
        let changed = Settings(configuration, try Security(configuration))
        proxy.proxy.adopt(
            changed, shared: proxy.proxy.exchanges.shared, addresses: [[[GenerationTests.address]]], listeners: [:])
        #expect(group.servers[0].idleCount == 0 && proxy.kernel.closed.contains(proxy.kernel.attempts[0].descriptor))
        answer(1)
        #expect(group.servers[0].idleCount == 0 && contains(proxy.answers(clients[1]), "HTTP/1.1 204"))
        #expect(proxy.proxy.exchanges.groups[0] !== group && proxy.proxy.exchanges.groups[0].upstream.failureCooldownMilliseconds == 7)
    }

    @Test("is freed when the last exchange of it has ended")
    func freed() throws {
        let proxy = try ScriptedProxy(upstream("a"), addresses: [[GenerationTests.address]])
        weak let old = proxy.proxy.exchanges.generation
        let client = try proxy.connectClient()
        proxy.send(client, "GET / HTTP/1.1\nHost: a")
        let next = try settings([upstream("b")])
        proxy.proxy.adopt(
            next, shared: proxy.proxy.exchanges.shared, addresses: [[[GenerationTests.address]]], listeners: [:])
        #expect(old != nil && client.exchange?.generation === old && client.exchange?.group.upstream.name == "a")
        try proxy.attemptEnds(.connectionRefused)
        #expect(client.exchange == nil && contains(proxy.answers(client), "502"))
        #expect(old == nil, "nothing holds it any more")
        // The connection stays open, and its next request belongs to the new generation.
        proxy.send(client, "GET / HTTP/1.1\nHost: a")
        #expect(client.exchange?.group.upstream.name == "b")
    }

    @Test("goes on with the counts of connections, and does not count off by client whom it had not counted")
    func counts() throws {
        func state(_ perClient: Int, after previous: ConnectionCounts? = nil) -> ConnectionCounts {
            ConnectionCounts(limit: 3, limitPerClient: perClient, succeeding: previous)
        }
        let first = state(0)
        #expect(first.admit(GenerationTests.address, isTrusted: false) == .admitted)
        let second = state(1, after: first)
        #expect(second.connectionCount == 1)
        #expect(second.admit(GenerationTests.address, isTrusted: false) == .admitted)
        second.leave(GenerationTests.address, isCounted: false)
        #expect(second.admit(GenerationTests.address, isTrusted: false) == .heard(.connectionsPerClient))
        #expect(first.connectionCount == 2)
    }

    @Test("guards the field of a listener that is gone from those who came by it")
    func guardedFields() throws {
        let none = try settings([upstream("a")])
        for isTrusted in [true, false] {
            #expect(none.withheldNames(and: "X-Subject", isTrusted: isTrusted).guards("x_subject"))
            #expect(!none.withheldNames(and: nil, isTrusted: isTrusted).guards("x-subject"))
        }
    }

    @Test("gives each worker all sockets of an address between them, whatever their number", arguments: 1...5, 1...5)
    func shares(sockets: Int, workers: Int) throws {
        let kernel = LinuxKernel()
        let given = try (0..<sockets).map { _ in try kernel.listen(SocketAddress(numeric: "127.0.0.1", port: 0)!, sharingPort: true) }
        let address = try #require(kernel.localAddress(of: given[0]))
        let inherited = given.map { InheritedSocket(descriptor: $0, name: "", address: address, isHeldElsewhere: false) }
        let listening = try ListeningSockets(
            [Listener(host: "127.0.0.1", port: address.port)], after: ListeningSockets(), inheriting: inherited, workerCount: workers,
            kernel: kernel, lookups: NameLookups(kernel)
        ) { Issue.record("\($0)") }
        let served = try #require(listening.served.first)
        let shares = (0..<workers).map { served.descriptors(forWorker: $0, of: workers) }
        #expect(Set(shares.joined()) == Set(given) && shares.allSatisfy { !$0.isEmpty })
        if sockets >= workers { #expect(shares.joined().count == sockets, "no socket is watched twice without need") }
        for descriptor in listening.descriptors { kernel.close(descriptor, abortively: false) }
    }
}
