// In which form the proxy's comments and its `retry` reach a client, from the opening to the end. The test decides about time.

import Configuration
import EventStream
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("What the proxy writes into a stream")
struct CommentFormTests {
    private static let idle: Int64 = 15_100

    /// Everything that a client is sent as its stream's body: the opening, a silence, one event, a silence, the end in order.
    private func body(_ form: CommentForm, event: String, request fields: String = "", kind: Heartbeat.Kind = .comment)
        throws -> String
    {
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        let policy = HeartbeatPolicy(kind: kind, commentText: "on", form: form)
        let world = try ScriptedProxy(
            upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]], route: Route(upstreamIndex: 0, heartbeat: policy))
        let client = try world.connectClient()
        world.send(client, "GET /e HTTP/1.0\nHost: h\nAccept: text/event-stream" + fields)
        try world.attemptEnds()
        let server = world.kernel.attempts[0].descriptor
        world.kernel.receive(server, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        world.worker.turn()
        world.pass(milliseconds: Self.idle)
        world.kernel.receive(server, event)
        world.worker.turn()
        world.pass(milliseconds: Self.idle)
        world.proxy.drain(graceMilliseconds: 1_000, streamMilliseconds: 0)
        world.pass(milliseconds: 500)
        let body = latin1(try ReadHead(world.answers(client)).rest)
        // The time in the `retry` is random.
        return String(
            body.split(separator: "\n", omittingEmptySubsequences: false).map { $0.hasPrefix("retry: ") ? "retry" : $0 }.joined(
                separator: "|"))
    }

    @Test("has a blank line behind it until the client keeps an id, and none from then on; a `retry` has none at all")
    func automatic() throws {
        #expect(try body(.automatic, event: "data: a\n\n") == ": on||: on||data: a||: on||retry|")
        #expect(try body(.automatic, event: "id: 1\ndata: a\n\n") == ": on||: on||id: 1|data: a||: on|retry|")
        #expect(try body(.automatic, event: "data: a\n\n", request: "\nLast-Event-ID: 1") == ": on|: on|data: a||: on|retry|")
    }

    @Test("has no blank line behind it where the route says `line`")
    func line() throws {
        #expect(try body(.line, event: "data: a\n\n") == ": on|: on|data: a||: on|retry|")
        #expect(try body(.line, event: "id: 1\ndata: a\n\n") == ": on|: on|id: 1|data: a||: on|retry|")
    }

    @Test("has a blank line behind it where the route says `block`, but where that would lose an id")
    func block() throws {
        #expect(try body(.block, event: "id: 1\ndata: a\n\n") == ": on||: on||id: 1|data: a||: on||retry||")
        #expect(try body(.block, event: "id: 2\ndata: a\n\n", request: "\nLast-Event-ID: 1") == ": on|: on|id: 2|data: a||: on||retry||")
    }

    @Test("ends with a blank line where it is an event, in every form", arguments: [CommentForm.automatic, .line, .block])
    func event(_ form: CommentForm) throws {
        let body = try body(form, event: "id: 1\ndata: a\n\n", kind: .event(name: "beat"))
        #expect(body.contains("id: 1|data: a||event: beat|data:||retry|"))
    }

    @Test("says the route's words also between the lines of an event")
    func between() throws {
        #expect(try body(.automatic, event: "data: a\n").hasSuffix("data: a|: on|"))
    }
}
