// The log of a request that was refused before its token was forwarded: the path may hold the same token.

import Configuration
import Credentials
import Foundation
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("The log of a refused request")
struct RefusedTokenTests {
    /// The only record of a proxy that gets this request.
    private func record(_ head: String) throws -> [String: Any] {
        let sink = LogLines()
        let writer = LogWriter(sink: sink, capacityBytes: 1 << 20, clock: { 0 })
        var route = Route(upstreamIndex: 0)
        route.bearer = BearerPolicy(sources: [.query(name: "access_token"), .cookie(name: "session")], whenMissing: .refuse)
        let world = try ScriptedProxy(
            Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)]),
            addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]],
            route: route, accessLog: writer)
        let client = try world.connectClient()
        world.send(client, head)
        world.worker.turn()
        Thread.detachNewThread { writer.run() }
        #expect(writer.finish(deadlineMilliseconds: 5_000))
        return try #require(sink.records.first)
    }

    @Test(
        "does not show the token in the path, whatever it was refused for, and names no token as used",
        arguments: [
            ("GET /csrf/abcdefghij?access_token=abcdefghij HTTP/1.1\nHost: h\nAuthorization: Bearer xyz", 400),
            ("GET /csrf/abc%64efghij?access_token=%61bcdefghij HTTP/1.1\nHost: h\nAuthorization: Bearer xyz", 400),
            ("GET /csrf/abcdefghij?access_token=abcdefghij&access_token=abcdefghij HTTP/1.1\nHost: h", 400),
            ("GET /csrf/abcdefghij,?access_token=abcdefghij, HTTP/1.1\nHost: h", 400),
            ("POST /csrf/abcdefghij HTTP/1.1\nHost: h\nContent-Length: 0\nCookie: session=abcdefghij\nOrigin: http://other", 403),
            ("GET /csrf/abcdefghij?access_token=abcdefghij HTTP/1.1\nHost: h\nExpect: x", 417),
            ("OPTIONS /csrf/abcdefghij HTTP/1.1\nHost: h\nMax-Forwards: 0\nAuthorization: Bearer abcdefghij", 501),
        ])
    func masked(head: String, status: Int) throws {
        let record = try record(head)
        #expect(record["status"] as? Int == status)
        #expect(record["path"] as? String == "/csrf/...")
        #expect(record["token"] == nil && record["token_from"] == nil)
    }

    @Test("shows the whole path where the request has no token")
    func unmasked() throws {
        let record = try record("GET /csrf/abcdefghij HTTP/1.1\nHost: h")
        #expect(record["status"] as? Int == 401 && record["path"] as? String == "/csrf/abcdefghij")
    }
}
