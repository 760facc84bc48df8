// The log of events in a scripted world: what gets a line, when, and what the line says about bytes that the kernel did not take.

import Configuration
import Foundation
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

/// A stream through a proxy that logs each event.
private final class LoggedStream {
    private let sink = LogLines()
    private let writer: LogWriter
    let world: ScriptedProxy
    let client: HTTP1Connection
    let server: Int32

    init(_ fields: String = "", logsEvents: Bool = true) throws {
        writer = LogWriter(sink: sink, capacityBytes: 1 << 20, clock: { 0 })
        var route = Route(upstreamIndex: 0, logsEvents: logsEvents)
        route.heartbeat = HeartbeatPolicy(intervalMilliseconds: 1_000, opening: false)
        world = try ScriptedProxy(
            Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)]),
            addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]],
            route: route, eventLog: writer)
        client = try world.connectClient()
        world.send(client, "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream" + fields)
        try world.attemptEnds()
        server = try #require(world.kernel.attempts.last).descriptor
        world.kernel.receive(server, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        world.worker.turn()
    }

    func receive(_ text: String) {
        world.kernel.receive(server, text)
        world.worker.turn()
    }

    /// All lines: for each its values in the order of these keys, and "-" for a missing key.
    func lines(_ keys: String...) -> [String] {
        let writer = self.writer
        Thread.detachNewThread { writer.run() }
        #expect(writer.finish(deadlineMilliseconds: 5_000))
        return sink.records.map { record in keys.map { key in record[key].map { "\($0)" } ?? "-" }.joined(separator: " ") }
    }
}

@Suite("The log of events")
struct EventLogTests {
    @Test("has one line for an event, at its end, wherever the bytes are split")
    func splits() throws {
        let text = "id: 1\r\nevent: tick\r\ndata: a\r\n\r\n: ping\n\nid: 2\ndata: b\n\n"
        let expected = ["1 tick 1 29", "2 - 2 14"]
        for cut in 0...text.utf8.count {
            let stream = try LoggedStream()
            let bytes = Array(text.utf8)
            for piece in [bytes[..<cut], bytes[cut...]] where !piece.isEmpty { stream.receive(String(decoding: piece, as: UTF8.self)) }
            #expect(stream.lines("number", "type", "id", "bytes") == expected, "cut at \(cut)")
        }
        let single = try LoggedStream()
        for byte in text.utf8 { single.receive(String(decoding: [byte], as: UTF8.self)) }
        #expect(single.lines("number", "type", "id", "bytes") == expected)
    }

    @Test("tells the time between events, and the silence that a heartbeat ended")
    func times() throws {
        let stream = try LoggedStream()
        stream.receive("data: a\n\n")
        stream.world.pass(milliseconds: 1_500)
        stream.receive("data: b\n\ndata: c\n\n")
        #expect(
            stream.lines("event", "number", "since_previous_ms", "silence_ms") == [
                "stream_event 1 - -", "stream_heartbeat 1 - 1000", "stream_event 2 1500 -", "stream_event 3 0 -",
            ])
    }

    @Test("says what the kernel did not take, and has no line for what nobody can be sent any more")
    func pending() throws {
        let stream = try LoggedStream()
        stream.receive("data: a\n\n")
        let client = stream.world.descriptor(of: stream.client)
        stream.world.kernel.rooms[client] = 5
        stream.receive("data: b\n\n")
        stream.world.kernel.rooms[client] = nil
        stream.world.kernel.report(client, .writable)
        stream.world.worker.turn()
        stream.receive("data: c\n\n")
        stream.world.kernel.writeFailures[client] = .connectionReset
        stream.receive("data: d\n\n")
        // An event of 9 bytes has 14 in a chunk.
        #expect(stream.lines("number", "pending_bytes") == ["1 0", "2 9", "3 0"])
    }

    @Test("shows no text that holds the request's token, and those of others")
    func token() throws {
        let stream = try LoggedStream("\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz")
        stream.receive("id: abcdefghijklmnopqrstuvwxyz\nevent: x\ndata: a\n\nid: zyxwvutsrqponmlkjihgfedcba\ndata: a\n\n")
        #expect(stream.lines("id", "id_withheld", "type") == ["- 1 x", "zyxwvutsrqponmlkjihgfedcba - -"])
    }

    @Test("has no line of a route that keeps out of it")
    func keptOut() throws {
        let stream = try LoggedStream(logsEvents: false)
        stream.receive("data: a\n\n")
        stream.world.pass(milliseconds: 1_500)
        #expect(stream.lines("event") == [])
    }
}
