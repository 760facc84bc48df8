// The endpoint for probes: who may use it, what it plays when, what it remembers, and what the logs say.

import Configuration
import Credentials
import Foundation
import HTTP
import ProbeScripts
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("The endpoint for probes")
struct ProbeEndpointTests {
    private static let secretText = "a secret of sufficient length"

    private func world() throws -> ScriptedProxy {
        let file = NSTemporaryDirectory() + "heartwire-probe-secret-\(UUID().uuidString)"
        defer { unlink(file) }
        try Data(Self.secretText.utf8).write(to: URL(fileURLWithPath: file))
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        return try ScriptedProxy(
            upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]],
            probeEndpoint: ProbeEndpoint(path: "/probe", secretFile: file))
    }

    private func nonce(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: ProbeScript.nonceDigits - digits.count) + digits
    }

    private func proof(_ text: String) throws -> String {
        try #require(try ProbeSecret(fileContent: Array(Self.secretText.utf8)).proof(of: text))
    }

    private func ask(
        _ world: ScriptedProxy, _ target: String, proof: String, more: String = "", on connection: HTTP1Connection? = nil
    ) throws -> HTTP1Connection {
        let client = try connection ?? world.connectClient()
        world.send(
            client, "GET \(target) HTTP/1.1\nHost: h\nAuthorization: Bearer sekret\nVia: 1.1 nginx\nX-Heartwire-Probe: \(proof)\(more)")
        world.worker.turn()
        return client
    }

    private func play(
        _ world: ScriptedProxy, _ number: Int, on connection: HTTP1Connection? = nil, _ change: (inout ProbeScript) -> Void = { _ in }
    ) throws -> HTTP1Connection {
        var script = ProbeScript(nonce: nonce(number), askedAt: world.kernel.now / 1_000)
        change(&script)
        return try ask(world, "/probe?\(script.query)", proof: try proof(script.query), on: connection)
    }

    private func seen(_ world: ScriptedProxy, _ number: Int) throws -> String {
        let query = ProbeScript.seenQuery(nonce: nonce(number), askedAt: world.kernel.now / 1_000)
        return latin1(world.answers(try ask(world, "/probe/seen?\(query)", proof: try proof(query))))
    }

    @Test("plays what it is asked for at its times, with the request's fields by name and no secret value, and without heartbeats")
    func plays() throws {
        let world = try world()
        let client = try play(world, 1) { script in
            script.holdMilliseconds = 2_000
            script.parts = [.init(1, afterEach: 0), .init(2, comments: true, afterEach: 1_000), .init(1, afterEach: 40_000)]
        }
        world.pass(milliseconds: 1_900)
        #expect(world.answers(client).isEmpty)
        world.pass(milliseconds: 200)
        let head = latin1(world.answers(client))
        #expect(head.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store"))
        #expect(!head.contains("X-Accel-Buffering") && !head.contains("sekret"))
        #expect(head.contains("data: nonce=\(nonce(1))\n") && head.contains("data: heartbeat=15000\n"))
        #expect(head.contains("data: field authorization=\n") && head.contains("data: field via=1.1 nginx\n"))
        world.pass(milliseconds: 2_100)
        #expect(latin1(world.answers(client)).contains(": n=2 ms=4"))
        // A silence far above the heartbeat stays one.
        let before = world.answers(client).count
        world.pass(milliseconds: 39_000)
        #expect(world.answers(client).count == before)
        world.pass(milliseconds: 1_200)
        #expect(latin1(world.answers(client)).hasSuffix("\n\n\r\n0\r\n\r\n"))
        #expect(try seen(world, 1).contains("items=4 silence=0 ended=44"))
        #expect(try seen(world, 1).contains("cause=probe_ended side=proxy"))
    }

    @Test("remembers when and why a client left, also while not even the head was sent")
    func remembers() throws {
        let world = try world()
        let held = try play(world, 1) { $0.holdMilliseconds = 60_000 }
        let open = try play(world, 2) { script in
            script.parts = [.init(1, afterEach: 0)]
            script.stays = true
        }
        world.pass(milliseconds: 5_000)
        #expect(try seen(world, 2).contains("items=1 silence=4") && !(try seen(world, 2).contains("ended=")))
        for client in [held, open] { world.kernel.receive(world.descriptor(of: client), bytes: []) }
        world.worker.turn()
        #expect(try seen(world, 1).contains("ended=5000 cause=client_closed side=client"))
        #expect(try seen(world, 2).contains("ended=5000 cause=client_closed side=client"))
        #expect(try seen(world, 3).contains("\(nonce(3)) unknown"))
    }

    @Test("refuses without the right proof, an old script, a script that is none, another method, and a nonce twice")
    func refuses() throws {
        let world = try world()
        func status(_ target: String, _ proof: String, more: String = "") throws -> String {
            String(latin1(world.answers(try ask(world, target, proof: proof, more: more))).dropFirst(9).prefix(3))
        }
        var script = ProbeScript(nonce: nonce(1), askedAt: world.kernel.now / 1_000)
        #expect(try status("/probe?\(script.query)", String(repeating: "0", count: 64)) == "403")
        #expect(try status("/probe?\(script.query)", "") == "403")
        #expect(try status("/probe?\(script.query)", try proof(script.query), more: "\nX-Heartwire-Probe: x") == "403")
        #expect(try status("/probe", try proof(script.query)) == "400")
        #expect(try status("/probe/seen?nonce=\(nonce(1))", try proof(script.query)) == "400")
        #expect(try status("/probe?\(script.query)", try proof(script.query), more: "\nContent-Length: 1") == "405")
        _ = try play(world, 1) { $0.stays = true }
        script.stays = true
        #expect(try status("/probe?\(script.query)", try proof(script.query)) == "409")
        script.askedAt += 3_601
        #expect(try status("/probe?\(script.query)", try proof(script.query)) == "403")
        script.askedAt = .min / 2
        #expect(try status("/probe?\(script.query)", try proof(script.query)) == "400")
        // Other paths are none of its business.
        #expect(try world.kernel.attempts.isEmpty && status("/probes", "") == "" && world.kernel.attempts.count == 1)
    }

    @Test("plays sixteen streams at once and not one more, until one of them ends")
    func bounded() throws {
        let world = try world()
        let clients = try (1...ProbeRegister.openLimit).map { number in
            try play(world, number) { script in
                script.parts = [.init(1, afterEach: 0)]
                script.stays = true
            }
        }
        world.pass(milliseconds: 100)
        #expect(clients.allSatisfy { latin1(world.answers($0)).hasPrefix("HTTP/1.1 200") })
        #expect(latin1(world.answers(try play(world, 100))).hasPrefix("HTTP/1.1 503"))
        world.kernel.receive(world.descriptor(of: clients[0]), bytes: [])
        world.worker.turn()
        let next = try play(world, 101)
        world.pass(milliseconds: 100)
        #expect(latin1(world.answers(next)).hasPrefix("HTTP/1.1 200"))
        // An hour later all of them have ended by themselves.
        world.pass(milliseconds: 3_600_000)
        #expect(latin1(world.answers(clients[1])).hasSuffix("0\r\n\r\n"))
    }

    @Test("remembers a bounded number of streams, the last ones")
    func forgets() {
        let register = ProbeRegister()
        for number in 0..<2_000 {
            _ = register.open("\(number)", now: Int64(number))
            register.ended("\(number)", .clientClosed, now: Int64(number))
        }
        #expect(register.record(of: "0") == nil && register.record(of: "1999")?.cause == .clientClosed)
        #expect(register.record(of: "1488") != nil && register.record(of: "1487") == nil)
    }

    @Test("ends its streams when the proxy drains")
    func drains() throws {
        let world = try world()
        let client = try play(world, 1) { script in
            script.parts = [.init(1, afterEach: 0)]
            script.stays = true
        }
        world.pass(milliseconds: 100)
        world.proxy.drain(graceMilliseconds: 1_000, streamMilliseconds: 0)
        world.pass(milliseconds: 8_000)
        #expect(latin1(world.answers(client)).hasSuffix("0\r\n\r\n"))
    }

    @Test("closes the connection of a held head when the grace period is over")
    func drainsHeldHead() throws {
        let world = try world()
        let socket = world.kernel.makeDescriptor()
        try world.proxy.listen(on: socket, as: try ListenerSecurity(Listener(host: "127.0.0.1", port: 80)))
        // The end waits only for clients that were accepted.
        let client = try play(world, 1, on: try world.acceptClient(by: socket)) { $0.holdMilliseconds = 600_000 }
        world.pass(milliseconds: 100)
        world.proxy.drain(graceMilliseconds: 1_000, streamMilliseconds: 0)
        world.pass(milliseconds: 800)
        #expect(client.isOpen)
        world.pass(milliseconds: 400)
        #expect(world.answers(client).isEmpty && !client.isOpen)
    }
}
