// Which pages of other origins may read what comes through a route, and what a browser is told that asks first.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("A route that names the pages that may read")
struct CrossOriginTests {
    private static let page = "https://app.example"
    private static let preflight = "OPTIONS /e HTTP/1.1\nHost: h\nOrigin: \(page)\nAccess-Control-Request-Method: "
    private static let servers = """
        HTTP/1.1 200 OK
        Content-Length: 0
        Access-Control-Allow-Origin: *
        ACCESS-CONTROL-ALLOW-CREDENTIALS: false
        Access-Control-Expose-Headers: X-Count
        Access-Control-Allow-Methods: PUT
        Access-Controls: 1
        """

    private func world(
        allows: [String] = [page, "https://*.trusted.example"], credentials: Bool = true,
        outage: OutagePolicy = .retry(holdMilliseconds: 30_000), early: EarlyPolicy? = nil
    ) throws -> ScriptedProxy {
        let origins = try allows.map { try #require(OriginPattern($0)) }
        var route = Route(upstreamIndex: 0, allowedOrigins: origins, outage: outage, early: early)
        route.allowsCredentials = credentials
        let upstream = Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)])
        return try ScriptedProxy(upstream, addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]], route: route)
    }

    /// The head that a client gets for a request that a server answers.
    private func answered(_ request: String, by answer: String = servers, _ world: ScriptedProxy) throws -> ReadHead {
        let client = try world.connectClient()
        world.send(client, request)
        let count = world.kernel.attempts.count
        try world.attemptEnds()
        try #require(world.kernel.attempts.count == count, "the request went to a server")
        world.kernel.receive(try #require(world.kernel.attempts.last).descriptor, latin1(wire(answer)))
        world.worker.turn()
        return try ReadHead(world.answers(client))
    }

    /// The head that the proxy answers by itself.
    private func own(_ request: String, _ world: ScriptedProxy) throws -> ReadHead {
        let client = try world.connectClient()
        world.send(client, request)
        #expect(world.kernel.attempts.isEmpty, "no server is asked")
        return try ReadHead(world.answers(client))
    }

    private func permissions(_ head: ReadHead) -> [String] {
        head.fields.filter { $0.name.lowercased().hasPrefix("access-control-") }.map { "\($0.name.lowercased()): \($0.value)" }.sorted()
    }

    @Test("what the server says about readers is replaced for a page that may read, and taken away for all others")
    func replaced() throws {
        let allowed = try answered("GET /e HTTP/1.1\nHost: h\nOrigin: \(CrossOriginTests.page)", try world())
        #expect(
            permissions(allowed) == [
                "access-control-allow-credentials: true", "access-control-allow-methods: PUT",
                "access-control-allow-origin: \(CrossOriginTests.page)", "access-control-expose-headers: WWW-Authenticate, Retry-After",
                "access-control-expose-headers: X-Count",
            ])
        for fields in [
            "", "\nOrigin: null", "\nOrigin: https://evil.example", "\nOrigin: https://app.example.evil.example",
            "\nOrigin: https://trusted.example", "\nOrigin: http://app.example", "\nOrigin: https://app.example:444", "\nOrigin:",
            "\nOrigin: \(CrossOriginTests.page)\nOrigin: \(CrossOriginTests.page)", "\nOrigin: *",
        ] {
            let other = try answered("GET /e HTTP/1.1\nHost: h\(fields)", try world())
            #expect(permissions(other).isEmpty && other.values("access-controls") == ["1"], "\(fields)")
            #expect(other.values("vary") == ["Origin"], "\(fields)")
        }
    }

    @Test("without a list the server's own fields stay, and there is no Vary")
    func serverDecides() throws {
        let head = try answered("GET /e HTTP/1.1\nHost: h\nOrigin: \(CrossOriginTests.page)", try world(allows: []))
        #expect(permissions(head).count == 4 && head.values("access-control-allow-origin") == ["*"] && head.values("vary").isEmpty)
    }

    @Test("Vary names Origin once, whatever the server names")
    func varies() throws {
        for (server, expected) in [
            ("Vary: Accept", "Accept, Origin"), ("Vary: origin, Accept", "origin, Accept"), ("Vary: *", "*"),
            ("Vary: Accept\nVary: Cookie", "Accept, Cookie, Origin"), ("Vary:", "Origin"), ("Vary: X-Origin", "X-Origin, Origin"),
        ] {
            let head = try answered("GET /e HTTP/1.1\nHost: h", by: "HTTP/1.1 200 OK\nContent-Length: 0\n\(server)", try world())
            #expect(head.values("vary") == [expected], "\(server)")
        }
    }

    @Test("without credentials the field that allows cookies is missing, also the server's")
    func withoutCredentials() throws {
        let answer = CrossOriginTests.servers.replacing("false", with: "true")
        let request = "GET /e HTTP/1.1\nHost: h\nOrigin: \(CrossOriginTests.page)"
        let head = try answered(request, by: answer, try world(credentials: false))
        #expect(head.values("access-control-allow-credentials").isEmpty)
        #expect(head.values("access-control-allow-origin") == [CrossOriginTests.page])
    }

    @Test("a preflight for what readers of streams need is answered at once", arguments: ["GET", "HEAD", "POST"])
    func preflights(method: String) throws {
        for fields in [
            "", "\nAccess-Control-Request-Headers: authorization,last-event-id", "\nAccess-Control-Request-Headers:",
            "\nAccess-Control-Request-Headers: Cache-Control, Content-Type\nAccess-Control-Request-Headers: authorization",
            "\nCookie: a=b\nAuthorization: Basic YTpi",
        ] {
            let head = try own(CrossOriginTests.preflight + method + fields, try world())
            #expect(head.firstLine == "HTTP/1.1 204 No Content" && head.rest.isEmpty)
            #expect(
                permissions(head) == [
                    "access-control-allow-credentials: true",
                    "access-control-allow-headers: authorization, cache-control, content-type, last-event-id",
                    "access-control-allow-methods: GET, HEAD, POST", "access-control-allow-origin: \(CrossOriginTests.page)",
                    "access-control-max-age: 600",
                ])
            #expect(head.elements("vary").contains("origin") && head.values("content-length").isEmpty)
        }
    }

    @Test("a preflight of another page is answered at once, and allows nothing", arguments: ["GET", "PUT"])
    func foreignPreflights(method: String) throws {
        for origin in ["null", "https://evil.example", "https://trusted.example"] {
            let request = "OPTIONS /e HTTP/1.1\nHost: h\nOrigin: \(origin)\nAccess-Control-Request-Method: \(method)"
            let head = try own(request, try world())
            #expect(head.firstLine == "HTTP/1.1 204 No Content" && permissions(head).isEmpty && head.elements("vary").contains("origin"))
        }
    }

    @Test(
        "a preflight for more is the server's to answer, which says neither who may read nor whether with cookies",
        arguments: ["PUT", "get", "GET\nAccess-Control-Request-Headers: x-mine", "POST\nAccess-Control-Request-Headers: authorization, x"])
    func larger(asked: String) throws {
        let head = try answered(CrossOriginTests.preflight + asked, try world())
        #expect(head.values("access-control-allow-origin") == [CrossOriginTests.page])
        #expect(head.values("access-control-allow-credentials") == ["true"] && head.values("access-control-allow-methods") == ["PUT"])
    }

    @Test(
        "what is no preflight is a request like all others",
        arguments: [
            "OPTIONS /e HTTP/1.1\nHost: h\nOrigin: \(page)", "OPTIONS /e HTTP/1.1\nHost: h\nAccess-Control-Request-Method: GET",
            "GET /e HTTP/1.1\nHost: h\nOrigin: \(page)\nAccess-Control-Request-Method: GET", preflight,
            preflight + "GET\nContent-Length: 1",
        ])
    func noPreflight(request: String) throws {
        #expect(try answered(request, try world()).firstLine == "HTTP/1.1 200 OK")
    }

    @Test("a held client of a page that may read goes on with its server's stream, under the proxy's fields")
    func heldAndJoined() throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream\nCookie: a=b\nOrigin: \(CrossOriginTests.page)")
        try world.attemptEnds(.connectionRefused)
        let head = try ReadHead(world.answers(client))
        #expect(head.firstLine == "HTTP/1.1 200 OK" && head.values("access-control-allow-origin") == [CrossOriginTests.page])
        #expect(head.values("access-control-allow-credentials") == ["true"] && head.values("vary") == ["Origin"])
        for _ in 0..<200 where world.kernel.attempts.count == 1 { world.pass(milliseconds: 50) }
        try world.attemptEnds()
        world.kernel.receive(
            world.kernel.attempts[1].descriptor, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: mine\n\n")
        world.worker.turn()
        #expect(latin1(world.answers(client)).contains("data: mine"))
    }

    @Test("a page that may not read is refused in an outage, since its browser could use no other answer")
    func otherInOutage() throws {
        let world = try world()
        let client = try world.connectClient()
        world.send(client, "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream\nOrigin: https://evil.example")
        try world.attemptEnds(.connectionRefused)
        let head = try ReadHead(world.answers(client))
        #expect(head.firstLine == "HTTP/1.1 502 Bad Gateway" && permissions(head).isEmpty && head.values("vary") == ["Origin"])
    }

    @Test("a page that may read is answered early, and another one is not", arguments: [page, "https://evil.example"])
    func early(origin: String) throws {
        let world = try world(early: EarlyPolicy(afterMilliseconds: 1_000))
        let client = try world.connectClient()
        world.send(client, "GET /e HTTP/1.1\nHost: h\nAccept: text/event-stream\nOrigin: \(origin)")
        try world.attemptEnds()
        world.pass(milliseconds: 2_000)
        #expect(world.answers(client).isEmpty == (origin != CrossOriginTests.page))
    }
}
