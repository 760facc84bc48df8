// How a response that the proxy ends looks to its client: whether it is complete, and when the client is told to come back. The test
// decides about time.

import Configuration
import Marks
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("The end of a response")
struct ResponseEndTests {
    private static let streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

    @Test("tells the client of a stream that is between two events when to come back", arguments: [true, false])
    func boundaryAtTheEnd(isAtBoundary: Bool) throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest)
        try world.serverSends(ResponseEndTests.streamHead + "data: x\n" + (isAtBoundary ? "\n" : ""))
        client.endGrace()
        let answer = latin1(world.answers(client))
        #expect(answer.hasSuffix("0\r\n\r\n") && answer.contains("\r\nretry: ") == isAtBoundary)
    }

    @Test("is a reset where only the connection's end would end the body, and it is cut", .reaches(.closeDelimitedBodyReset))
    func cutWithoutLength() throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        let descriptor = world.descriptor(of: client)
        world.send(client, "GET /e HTTP/1.0")
        try world.serverSends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        try world.serverSends("")
        #expect(latin1(world.answers(client)).hasSuffix("hello"))
        #expect(world.kernel.closed.contains(descriptor) && world.kernel.reset.contains(descriptor))
    }

    @Test("is a reset where the grace period cuts off the rest of a body that only the connection's end ends", arguments: [true, false])
    func graceEndsRest(isRead: Bool) throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        let descriptor = world.descriptor(of: client)
        world.send(client, "GET /e HTTP/1.0")
        try world.serverSends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        world.kernel.rooms[descriptor] = isRead ? nil : 3
        try world.serverSends("5\r\nhello\r\n0\r\n\r\n")
        client.endGrace()
        #expect(world.kernel.closed.contains(descriptor))
        #expect(world.kernel.reset.contains(descriptor) != isRead)
    }

    // MARK: Without room

    /// A server gives an EventSource this answer. The client reads the head only, and more bytes wait than all clients together may have.
    private func overfill(_ head: String, _ body: String) throws -> String {
        let world = try ScriptedProxy.withOneServer(limits: Limits(pendingBytes: 1_000))
        let client = try world.connectClient()
        let descriptor = world.descriptor(of: client)
        world.send(client, ScriptedProxy.streamRequest)
        try world.serverSends(head)
        world.kernel.rooms[descriptor] = 0
        try world.serverSends(body)
        world.kernel.rooms[descriptor] = nil
        world.kernel.report(descriptor, .writable)
        world.pass(milliseconds: 100)
        #expect(!client.isOpen || client.exchange == nil)
        return latin1(world.answers(client))
    }

    @Test("has no word of the proxy's own in what is no stream, where there is no room for a slow reader")
    func overfilledAnswer() throws {
        let body = String(repeating: "x", count: 2_000)
        let answers = try overfill("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", body)
        #expect(answers.hasSuffix("\r\n\r\n" + body))
    }

    @Test("has none in a compressed stream either")
    func overfilledCompressed() throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n"
        #expect(!(try overfill(head, String(repeating: "x", count: 2_000))).contains("retry"))
    }

    @Test("tells the client when to come back, also if there is no room and the stream ends within a line")
    func overfilledLine() throws {
        let answers = try overfill(ResponseEndTests.streamHead, "retry: 500\n\ndata: " + String(repeating: "x", count: 2_000))
        #expect(answers.contains("x\r\n"))
        #expect(answers.contains("\r\n\nretry: "))
        #expect(answers.hasSuffix("\n\r\n0\r\n\r\n"))
    }
}
