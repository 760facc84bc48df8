// A connection that is handed over after its TLS handshake: a reload during the handshake applies to it too.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

/// An arrival whose handshake is done, without TLS.
private final class DoneArrival: Link {}

@Suite("A connection that is handed over")
struct HandOverTests {
    private func world() throws -> ScriptedProxy {
        let upstream = Upstream(name: "a", servers: [Upstream.Server(host: "127.0.0.1", port: 9000)])
        return try ScriptedProxy(upstream, addresses: [[SocketAddress(bytes: [127, 0, 0, 1], port: 9000)]])
    }

    private let peer = SocketAddress(bytes: [192, 0, 2, 1], port: 5)

    @Test("takes notice at its first request of a reload during its handshake")
    func reload() throws {
        let world = try world()
        let clients = world.proxy.exchanges.clients
        let listener = try ListenerSecurity(Listener(host: "127.0.0.1", port: 8080))
        let place = ListeningPlace(listener)
        var trusting = Configuration()
        trusting.trustedProxies = [try #require(AddressRange("192.0.2.0/24"))]
        clients.adopt(DownstreamTerms(trusting, workerCount: 1), counts: clients.counts)
        let arrival = Arrival(AcceptedConnection(descriptor: -1, peer: peer), at: place, listener, terms: clients.terms)
        #expect(arrival.isTrusted)
        // The new configuration no longer trusts the peer, and its listener redirects.
        var address = Listener(host: "127.0.0.1", port: 8080)
        address.redirectPort = 443
        place.security = try ListenerSecurity(address)
        clients.adopt(DownstreamTerms(Configuration(), workerCount: 1), counts: clients.counts)
        let client = HTTP1Connection(arrival, clients: clients)
        try client.adopt(world.kernel.makeDescriptor())
        client.begin()
        client.redeliver(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(!client.isTrusted && client.facts.redirectPort == 443)
    }

    @Test("with bytes that wait has a stalled client's time from then on")
    func waitingBytes() throws {
        let world = try world()
        let listener = try ListenerSecurity(Listener(host: "127.0.0.1", port: 8080))
        let clients = world.proxy.exchanges.clients
        let arrival = Arrival(AcceptedConnection(descriptor: -1, peer: peer), at: ListeningPlace(listener), listener, terms: clients.terms)
        let before = DoneArrival(worker: world.worker)
        let descriptor = world.kernel.makeDescriptor()
        try before.adopt(descriptor)
        world.kernel.rooms[descriptor] = 0
        before.send(Array("tickets".utf8))
        let client = HTTP1Connection(arrival, clients: clients)
        before.handOver(to: client)
        client.begin()
        // A request without a Host is answered 400, after the bytes that wait.
        client.redeliver(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        world.pass(milliseconds: 1_000)
        #expect(client.isOpen && client.pendingCount > 7 && !world.kernel.closed.contains(descriptor))
        world.kernel.rooms[descriptor] = nil
        world.kernel.report(descriptor, .writable)
        world.worker.turn()
        let sent = world.kernel.written[descriptor] ?? []
        #expect(latin1(sent).hasPrefix("ticketsHTTP/1.1 400 "))
    }
}
