// A response that the proxy began before its server answered: the server fails in another way than by refusing the connection, or the
// client does not read. The test decides about time.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("A held response")
struct HeldResponseTests {
    @Test("goes on when the server fails in another way than by refusing the connection", arguments: ["reset", "head", "end"])
    func otherFailures(_ how: String) throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest)
        try world.attemptEnds(.connectionRefused)
        let descriptor = try world.nextAttempt()
        switch how {
        case "reset": world.kernel.breaks(descriptor, .connectionReset)
        case "head":
            world.kernel.receive(descriptor, "HTTP/1.1 200 O")
            world.worker.turn()
            world.kernel.receive(descriptor, "")
        default: world.kernel.receive(descriptor, "")
        }
        world.worker.turn()
        #expect(client.isOpen && client.exchange != nil)
        _ = try world.nextAttempt()
        try world.serverSends("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
        #expect(latin1(world.answers(client)).hasSuffix("9\r\ndata: x\n\n\r\n"))
    }

    @Test("does not tell a page of another origin what its server answered, not even by the event of a failure")
    func foreignStatus() throws {
        let world = try ScriptedProxy.withOneServer(early: EarlyPolicy(afterMilliseconds: 1_000, onFailure: .event(name: "gone")))
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest + "\nOrigin: https://evil.example")
        try world.attemptEnds(.connectionRefused)
        _ = try world.nextAttempt()
        try world.serverSends("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        let answer = latin1(world.answers(client))
        #expect(answer.contains("retry: ") && answer.hasSuffix("0\r\n\r\n") && !answer.contains(" 403") && !answer.contains("gone"))
    }

    @Test("leaves a client that takes only part of its head the whole stall deadline for the rest")
    func partOfHead() throws {
        let world = try ScriptedProxy.withOneServer(early: EarlyPolicy(afterMilliseconds: 300))
        let client = try world.connectClient()
        world.kernel.rooms[world.descriptor(of: client)] = 20
        world.send(client, ScriptedProxy.streamRequest)
        try world.attemptEnds()
        world.pass(milliseconds: 5_000)
        #expect(client.isOpen && world.answers(client).count == 20)
        world.kernel.rooms[world.descriptor(of: client)] = nil
        world.kernel.report(world.descriptor(of: client), .writable)
        world.worker.turn()
        #expect(latin1(world.answers(client)).hasSuffix("\r\n\r\n3\r\n:\n\n\r\n"))
    }

    @Test("lasts no longer than its route says, also for a client whose turn to try never comes")
    func turnNeverComes() throws {
        let world = try ScriptedProxy.withOneServer(outage: .retry(holdMilliseconds: 5_000))
        let clients = try (0..<30).map { _ in try world.connectClient() }
        for client in clients {
            world.send(client, ScriptedProxy.streamRequest)
            try world.attemptEnds(.connectionRefused)
        }
        world.pass(milliseconds: 8_000) {
            if let last = world.kernel.attempts.last, !world.kernel.closed.contains(last.descriptor) {
                try? world.attemptEnds(.connectionRefused)
            }
        }
        #expect(clients.count { $0.exchange != nil } == 0)
    }
}
