// What servers get of requests on a route that keeps its streams.

import Configuration
import Credentials
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("A request on a route that keeps its streams")
struct ContinuedRequestTests {
    private static let stream = "Host: h\nAccept: text/event-stream"

    private func sent(_ request: String, isPublic: Bool = false, parameter: String? = nil, heartbeats: Bool = true) throws -> ReadHead {
        var route = Route(upstreamIndex: 0, outage: .refuse)
        if !heartbeats { route.heartbeat.intervalMilliseconds = nil }
        var continuity = Continuity()
        continuity.ignoredParameters = ["_", "no cache"]
        if isPublic { continuity.identity = .everybody }
        route.continuity = continuity
        route.eventIDParameter = parameter
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        let world = try ScriptedProxy(upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]], route: route)
        world.send(try world.connectClient(), request)
        try world.attemptEnds()
        return try ReadHead(world.kernel.written[try #require(world.kernel.attempts.last).descriptor] ?? [])
    }

    @Test(
        "goes on without ignored parameters, and with a last event id as the field",
        arguments: [
            ("/e?_=1&a=2&no%20cache=3", "/e?a=2", []), ("/e?lastEventId=41&_=5", "/e", ["41"]), ("/e?_&lastEventId=", "/e", []),
            ("/e?lastEventId=41&a&lastEventId=42", "/e?a", ["42"]), ("/e?seen=7&lastEventId=8", "/e", ["8"]),
            ("/e?lastEventId=8&seen=7", "/e", ["7"]), ("/e?a=_", "/e?a=_", []),
        ])
    func parameters(target: String, expected: String, ids: [String]) throws {
        let head = try sent("GET \(target) HTTP/1.1\n\(Self.stream)", parameter: "seen")
        #expect(head.firstLine == "GET \(expected) HTTP/1.1" && head.values("last-event-id") == ids)
    }

    @Test("lets the field count where a URL has an older id")
    func field() throws {
        let head = try sent("GET /e?lastEventId=41 HTTP/1.1\n\(Self.stream)\nLast-Event-ID: 43")
        #expect(head.firstLine == "GET /e HTTP/1.1" && head.values("last-event-id") == ["43"])
    }

    @Test(
        "keeps all its parameters where it asks for no stream",
        arguments: [
            ("GET", "Host: h\nAccept: application/json"), ("POST", "\(stream)\nContent-Length: 0"), ("HEAD", stream),
            ("GET", "\(stream)\nRange: bytes=1-"),
        ])
    func others(method: String, fields: String) throws {
        let target = "/e?lastEventId=41&_=1"
        let head = try sent("\(method) \(target) HTTP/1.1\n\(fields)")
        #expect(head.firstLine == "\(method) \(target) HTTP/1.1" && head.values("last-event-id").isEmpty)
        // A parameter that the route names itself is one in every request.
        let named = try sent("\(method) /e?_=1&seen=41 HTTP/1.1\n\(fields)", parameter: "seen")
        #expect(named.firstLine == "\(method) /e?_=1 HTTP/1.1" && named.values("last-event-id") == ["41"])
    }

    @Test("carries no credentials where streams are public, and all of them where it asks for no stream")
    func everybody() throws {
        let credentials = "Authorization: Bearer t\nCookie: a=1\nX-Key: 5"
        let asked = try sent("GET /e HTTP/1.1\n\(Self.stream)\n\(credentials)", isPublic: true)
        #expect(asked.values("authorization").isEmpty && asked.values("cookie").isEmpty && asked.values("x-key") == ["5"])
        let other = try sent("GET /e HTTP/1.1\nHost: h\n\(credentials)", isPublic: true)
        #expect(other.values("authorization") == ["Bearer t"] && other.values("cookie") == ["a=1"])
        var everybody = Continuity()
        everybody.identity = .everybody
        var way = Way()
        (way.subjectField, way.subject, way.isSecured) = ("X-Subject", "CN=a", true)
        #expect(try way.sent("GET /e HTTP/1.1\n\(Self.stream)").values("x-subject") == ["CN=a"])
        way.continuity = everybody
        #expect(try way.sent("GET /e HTTP/1.1\n\(Self.stream)").values("x-subject").isEmpty)
        let notPublic = try sent("GET /e HTTP/1.1\n\(Self.stream)\n\(credentials)")
        #expect(notPublic.values("authorization") == ["Bearer t"] && notPublic.values("cookie") == ["a=1"])
    }

    @Test("asks for an uncompressed stream, also without heartbeats")
    func uncompressed() throws {
        let stream = try sent("GET /e HTTP/1.1\n\(Self.stream)\nAccept-Encoding: gzip", heartbeats: false)
        #expect(stream.values("accept-encoding") == ["identity"])
        let page = try sent("GET /e HTTP/1.1\nHost: h\nAccept-Encoding: gzip", heartbeats: false)
        #expect(page.values("accept-encoding") == ["gzip"])
    }
}
