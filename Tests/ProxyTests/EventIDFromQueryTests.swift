// A last event id in the URL, on a route that takes it from there.

import Configuration
import Credentials
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("A route that takes last event ids from the URL")
struct EventIDFromQueryTests {
    private func world(name: String? = "last", outage: OutagePolicy = .refuse) throws -> ScriptedProxy {
        var route = Route(upstreamIndex: 0, bearer: BearerPolicy(sources: [.query(name: "t")]), outage: outage)
        route.eventIDParameter = name
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        return try ScriptedProxy(upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]], route: route)
    }

    private func sent(_ request: String, name: String? = "last") throws -> ReadHead {
        let world = try world(name: name)
        world.send(try world.connectClient(), request)
        try world.attemptEnds()
        return try ReadHead(world.kernel.written[try #require(world.kernel.attempts.last).descriptor] ?? [])
    }

    @Test(
        "sends them as the field, and the URL without them",
        arguments: [
            ("/e?last=41", "/e", ["41"]), ("/e?a=1&last=4%201&b", "/e?a=1&b", ["4 1"]), ("/e?last=", "/e", []), ("/e?a=1", "/e?a=1", []),
            ("/e?last=a%00b", "/e", []), ("/e?last=a%0D%0AX-Evil:1", "/e", []), ("/e?last=%7F&a", "/e?a", []), ("/e", "/e", []),
            ("http://other/e?last=41", "/e", ["41"]), ("/e?last=x&t=abc", "/e", ["x"]), ("/e?last=%C3%A9", "/e", ["\u{C3}\u{A9}"]),
        ])
    func sent(target: String, expected: String, ids: [String]) throws {
        let head = try sent("GET \(target) HTTP/1.1\nHost: h\nX-A: 1")
        #expect(head.firstLine == "GET \(expected) HTTP/1.1")
        #expect(head.values("last-event-id") == ids && head.values("x-evil").isEmpty && head.values("x-a") == ["1"])
        #expect(head.values("authorization") == (target.contains("t=abc") ? ["Bearer abc"] : []))
        #expect(head.values("host") == [target.hasPrefix("http:") ? "other" : "h"] && head.rest.isEmpty)
    }

    @Test("lets the browser's own field count", arguments: ["Last-Event-ID: 42", "last-event-id: 4\u{1}2"])
    func fieldWins(field: String) throws {
        let head = try sent("GET /e?last=41 HTTP/1.1\nHost: h\n\(field)")
        #expect(head.firstLine == "GET /e HTTP/1.1" && head.values("last-event-id") == (field.hasSuffix("42") ? ["42"] : []))
    }

    @Test(
        "gives a redirect the parameter back, with the token's, but not where it leads elsewhere or to a client that has sent none",
        arguments: [
            ("/e?last=4%201", "/e/", "/e/?last=4%201"), ("/e?l%61st=41&t=abc", "/e/?a=1#top", "/e/?a=1&t=abc&l%61st=41#top"),
            ("/e?last=1&last=2", "http://h/e/", "http://h/e/?last=2"), ("/e?last=41", "http://other/e/", "http://other/e/"),
            ("/e?last=41", "/e/?last=40", "/e/?last=40"), ("/e?last=41&t=abc", "/e/?last=40", "/e/?last=40&t=abc"),
            ("/e?t=abc", "/e/", "/e/?t=abc"), ("/e?a=1", "/e/", "/e/"),
        ])
    func redirects(target: String, location: String, expected: String) throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, "GET \(target) HTTP/1.1\nHost: h")
        try world.attemptEnds()
        try world.serverSends("HTTP/1.1 307 X\r\nLocation: \(location)\r\nContent-Length: 0\r\n\r\n")
        #expect(try ReadHead(world.answers(client)).values("location") == [expected])
    }

    @Test("does nothing on other routes")
    func otherRoutes() throws {
        let head = try sent("GET /e?last=41 HTTP/1.1\nHost: h", name: nil)
        #expect(head.firstLine == "GET /e?last=41 HTTP/1.1" && head.values("last-event-id").isEmpty)
    }

    @Test("writes no blank line before the first event, as for the field: it could cost the browser its id")
    func comments() throws {
        for (request, expected) in [
            ("GET /e?last=41 HTTP/1.1\nHost: h", ":\n"), ("GET /e HTTP/1.1\nHost: h\nLast-Event-ID: 41", ":\n"),
            ("GET /e?last= HTTP/1.1\nHost: h", ":\n\n"),
        ] {
            let world = try world(outage: .retry(holdMilliseconds: 30_000))
            let client = try world.connectClient()
            world.send(client, request + "\nAccept: text/event-stream")
            try world.attemptEnds(.connectionRefused)
            let body = latin1(try ReadHead(world.answers(client)).rest)
            #expect(body.hasSuffix("\r\n\(expected)\r\n"), "\(request): \(body)")
        }
    }
}
