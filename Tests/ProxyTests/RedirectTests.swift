// Redirects: the token's parameter goes back into the URL of the client's own host, and a server's own address becomes the client's.

import Configuration
import Credentials
import HTTP
import Reactor
import TestSupport
import Testing

@testable import Exchanges
@testable import Proxy

@Suite("A redirect of the server's")
struct RedirectTests {
    private static let secret = "s3cr3t-T0ken"
    private static let piece = "%61ccess_token=s3cr3t%2DT0ken"
    private static let bearer = BearerPolicy(sources: [.query(name: "access_token"), .cookie(name: "session")])

    /// A response's head as the client of `h:81` gets it.
    private func answered(
        _ fields: String, status: Int = 307, to target: String = "/a/events?x=1&\(piece)", way: Way = Way(bearer: bearer),
        claims: String = "", isServerSecured: Bool = false
    ) throws -> ReadHead {
        let forwarded = try way.forwarded("GET \(target) HTTP/1.1\nHost: h:81\(claims)")
        let head = try response("HTTP/1.1 \(status) X\nContent-Length: 0\n\(fields)")
        let bridged = CompiledRoute(Route(upstreamIndex: 0, bearer: RedirectTests.bearer))
        let other = CompiledRoute(Route(upstreamIndex: 0, bearer: BearerPolicy(sources: [.query(name: "jwt")])))
        let servers = RedirectTerms.Servers(
            isSecured: isServerSecured, addresses: ["backend:9000", "[::1]:80"].map { URLOrigin(Array($0.utf8)[...], isSecured: false)! })
        let edits = forwarded.redirects?.edits(of: head, from: servers) { host, path in
            if latin1(path).hasPrefix("/other") { return other }
            return latin1(path).hasPrefix("/none") ? nil : bridged
        }
        let plan = ResponseForwarding(
            head: head, framing: .length(0), isWoven: false, isStream: false, wouldBeWoven: false, isBridged: false, urlHeldToken: false,
            strictTransportSecuritySeconds: nil,
            date: HTTPDate.text(unixSeconds: 0), edits: edits ?? FieldEdits())
        return try ReadHead(plan.response(to: .get).rendered())
    }

    private func location(_ value: String, claims: String = "", way: Way = Way(bearer: bearer)) throws -> String? {
        try answered("Location: \(value)", way: way, claims: claims).values("location").first
    }

    @Test(
        "on the client's host has the token's parameter again, byte for byte as it came",
        arguments: [
            ("/a/events/", "/a/events/?§"), ("http://h:81/a/events/", "http://h:81/a/events/?§"),
            ("HTTP://H:81/b?x=1", "HTTP://H:81/b?x=1&§"),
            ("//h:81/b", "//h:81/b?§"), ("events/", "events/?§"), ("./b?x=1#top", "./b?x=1&§#top"), ("?y=2", "?y=2&§"), ("/b?", "/b?§"),
            ("#top", "?§#top"), ("/b#a?b", "/b?§#a?b"), ("http://h:81", "http://h:81?§"), ("../c/", "../c/?§"),
            ("http://h:81?x", "http://h:81?x&§"),
            ("/b?next=http://evil/", "/b?next=http://evil/&§"), ("https://h:81/b", "https://h:81/b?§"),
            ("/b?access_tokens=1", "/b?access_tokens=1&§"),
            ("/%C3%A9", "/%C3%A9?§"), ("/login:x", "/login:x?§"),
        ])
    func completes(_ value: String, _ expected: String) throws {
        for status in [301, 302, 303, 307, 308] {
            let sent = try answered("X-Before: 1\nLocation: \(value)\nX-After: 2", status: status)
            #expect(sent.values("location") == [expected.replacing("§", with: RedirectTests.piece)], "\(status)")
            #expect(sent.lines().filter { $0.contains("X-") || $0.contains("Location") }.map { $0.prefix(4) } == ["X-Be", "Loca", "X-Af"])
        }
    }

    @Test("names what was made, and is no redirect: a 201 is told nothing of the token")
    func created() throws {
        #expect(try answered("Location: /a/events/", status: 201).values("location") == ["/a/events/"])
    }

    @Test(
        "never takes the token from TLS to plain HTTP, also where TLS ends at a hop that is not trusted to say so",
        arguments: [
            "X-Forwarded-Proto: https", "X-Forwarded-Proto: http, https", "Sec-Fetch-Site: same-origin",
        ])
    func maybeSecured(claims: String) throws {
        #expect(try location("http://h:81/a/events/", claims: "\n" + claims) == "http://h:81/a/events/")
        #expect(try location("/a/events/", claims: "\n" + claims) == "/a/events/?" + RedirectTests.piece)
        #expect(try location("https://h:81/a/events/", claims: "\n" + claims) == "https://h:81/a/events/?" + RedirectTests.piece)
    }

    @Test(
        "that leads anywhere else, or could, is told nothing of the token",
        arguments: [
            "http://evil/", "//evil/", "https://evil:81/h:81", "http://h/", "http://h:82/", "http://h.evil:81/", "http://h:81.evil/",
            "http://h:81@evil/", "http://user@h:81/", "http://h:81;@evil/", "http://h:81,@evil/", "http://h:81>@evil/", "//h:81'@evil/",
            "///evil/", "http:///evil/", "/\\evil/", "\\\\evil/", "http:\\\\evil/", "http:evil/",
            "http:/evil/", "/\tevil/", "/ /evil", "mailto:h:81", "javascript:alert(1)", "http://h:811/", "http://h:81:81/",
            "http://[h:81]/",
            "ftp://h:81/", "http://%68:81/", "http://h:081x/", "/other/x", "/none", "../other/x", "/b?access_token=own",
            "/b?x&%61ccess_token=own", "http://h:81/other/", "",
        ])
    func leavesOut(_ value: String) throws {
        let sent = try location(value)
        #expect(sent == (value == "" ? "" : value) || (value == "" && sent == "?\(RedirectTests.piece)"))
        if !value.isEmpty { #expect(sent?.contains("s3cr3t") == false) }
    }

    @Test("of another status, or in other fields, has no token")
    func otherPlaces() throws {
        for status in [200, 202, 400, 401, 503] {
            #expect(try answered("Location: /b", status: status).values("location") == ["/b"])
        }
        let sent = try answered("Content-Location: /b\nRefresh: 5; url=/b\nLink: </b>; rel=next")
        #expect(sent.values("content-location") == ["/b"] && sent.values("refresh") == ["5; url=/b"])
    }

    @Test("is not changed where no token came in the URL")
    func withoutToken() throws {
        #expect(try answered("Location: /b", to: "/a/events").values("location") == ["/b"])
        let request = "GET /a HTTP/1.1\nHost: h:81\nCookie: session=\(RedirectTests.secret)"
        #expect(try Way(bearer: RedirectTests.bearer).forwarded(request).redirects == nil)
    }

    @Test("counts as the client's host what a trusted proxy said of it, and never takes a token from TLS to plain text")
    func proxies() throws {
        let claims = "\nX-Forwarded-Proto: https\nX-Forwarded-Host: shop.example"
        let trusted = Way(bearer: RedirectTests.bearer, isTrusted: true)
        let completed = "https://shop.example/b?\(RedirectTests.piece)"
        #expect(try location("https://shop.example/b", claims: claims, way: trusted) == completed)
        #expect(try location("https://shop.example:443/b", claims: claims, way: trusted)?.hasSuffix(RedirectTests.piece) == true)
        #expect(try location("http://shop.example/b", claims: claims, way: trusted) == "http://shop.example/b")
        #expect(try location("http://h:81/b", claims: claims, way: trusted) == "http://h:81/b")
        #expect(try location("https://shop.example/b", claims: claims) == "https://shop.example/b", "a stranger's word")
        let port = claims + "\nX-Forwarded-Port: 8443"
        #expect(try location("https://shop.example:8443/b", claims: port, way: trusted)?.hasSuffix(RedirectTests.piece) == true)
        let secured = Way(bearer: RedirectTests.bearer, isSecured: true)
        #expect(try location("http://h:81/b", way: secured) == "http://h:81/b")
        #expect(try location("https://h:81/b", way: secured) == "https://h:81/b?\(RedirectTests.piece)")
    }

    @Test(
        "by the server's own address leads to the client's, where the server was told its own",
        arguments: [
            ("http://backend:9000/b?x#y", "http://h:81/b?x#y"), ("HTTP://Backend:9000", "http://h:81"),
            ("//backend:9000/b", "http://h:81/b"),
            ("https://backend:9000/", "http://h:81/"), ("http://[::1]/b", "http://h:81/b"), ("http://[::1]:80/b", "http://h:81/b"),
            ("http://backend:9000?x", "http://h:81?x"), ("http://backend:9001/", "http://backend:9001/"),
            ("http://backend/", "http://backend/"),
            ("http://evil/?next=http://backend:9000/", "http://evil/?next=http://backend:9000/"), ("/b", "/b"),
            ("http://backend:9000.evil/", "http://backend:9000.evil/"), ("http://backend:9000;@evil/", "http://backend:9000;@evil/"),
            ("http://u@backend:9000/", "http://u@backend:9000/"),
        ])
    func addresses(_ value: String, _ expected: String) throws {
        let way = Way(hostField: .server)
        for status in [200, 201, 301, 302, 404] {
            #expect(try answered("Location: \(value)", status: status, way: way).values("location") == [expected])
        }
        #expect(try answered("Content-Location: \(value)", way: way).values("content-location").count == 1)
        // A server that knows the client's address has written its own address on purpose.
        #expect(try answered("Location: \(value)", way: Way()).values("location") == [value])
    }

    @Test("by the server's own address gets both, the client's address and the token")
    func both() throws {
        let way = Way(bearer: RedirectTests.bearer, hostField: .server)
        #expect(try location("http://backend:9000/b", way: way) == "http://h:81/b?\(RedirectTests.piece)")
        let secured = Way(bearer: RedirectTests.bearer, hostField: .server, isSecured: true)
        #expect(try location("http://backend:9000/b", way: secured) == "https://h:81/b?\(RedirectTests.piece)")
    }

    @Test("lets the server's address out in no other field in which browsers look for URLs")
    func otherFields() throws {
        let sent = try answered(
            """
            Content-Location: http://backend:9000/b
            Refresh: 5; url=http://backend:9000/c
            Refresh: 0;URL="http://backend:9000/d"
            Link: <http://backend:9000/e>; rel=next, <//backend:9000/f>;rel="http://other/", <http://cdn/g>
            X-Other: http://backend:9000/
            """, status: 200, way: Way(hostField: .server))
        #expect(sent.values("content-location") == ["http://h:81/b"])
        #expect(sent.values("refresh") == ["5; url=http://h:81/c", "0;URL=\"http://h:81/d\""])
        #expect(sent.values("link") == ["<http://h:81/e>; rel=next, <http://h:81/f>;rel=\"http://other/\", <http://cdn/g>"])
        #expect(sent.values("x-other") == ["http://backend:9000/"])
    }

    @Test(
        "has the path alone for a client of HTTP/1.0 that named no host",
        arguments: [
            ("http://backend:9000/b?x", "/b?x"), ("http://backend:9000//evil/", "http://backend:9000//evil/"),
            ("http://backend:9000/\\evil/", "http://backend:9000/\\evil/"), ("http://other/", "http://other/"),
        ])
    func withoutHost(_ value: String, _ expected: String) throws {
        let forwarded = try Way(hostField: .server).forwarded("GET /a HTTP/1.0")
        let head = try response("HTTP/1.1 302 X\nLocation: \(value)")
        let server = RedirectTerms.Servers(isSecured: false, addresses: [URLOrigin(Array("backend:9000".utf8)[...], isSecured: false)!])
        var writer = HeadWriter()
        writer.statusLine(of: head)
        writer.copyForwardableFields(of: head, edits: try #require(forwarded.redirects).edits(of: head, from: server) { _, _ in nil })
        writer.end()
        #expect(try ReadHead(writer.take()).values("location") == [expected])
    }

    @Test("holds only what a field may, and the token at the client's host only, whatever the server says")
    func random() throws {
        var generator = SeededGenerator("redirects")
        let pieces = [
            "h:81", "http://h:81", "backend:9000", ";", ",", "evil", "http:", "https:", "//", "/", "\\", "?", "#", "@", ":", "..",
            "access_token=x", "&", "\t", " ", "%2F", "é", "<", ">",
        ]
        for _ in 0..<4_000 {
            let value = (0..<Int.random(in: 0...7, using: &generator)).map { _ in pieces.randomElement(using: &generator)! }.joined()
            let way = Way(bearer: RedirectTests.bearer, hostField: .server)
            let sent = try answered("Location: \(value)\nLink: \(value)\nRefresh: \(value)", way: way)
            let location = try #require(sent.values("location").first)
            guard location.contains(RedirectTests.piece) else { continue }
            let isRelative = !location.hasPrefix("//") && !location.prefix { $0 != "/" && $0 != "?" && $0 != "#" }.contains(":")
            let start = ["http://h:81", "https://h:81", "//h:81"].first(where: location.hasPrefix)
            let isHome = start.map { "/?#".contains(location.dropFirst($0.count).first ?? "/") } ?? isRelative
            #expect(isHome && !location.contains("\\"), "\(value) became \(location)")
        }
    }

    @Test(
        "whose relative path leads to a route that takes no token has none",
        arguments: [
            ("/a/b/c", "../../other", false), ("/a/b/c", "../../a", true), ("/a", "other/x", false), ("/a/", "other/x", true),
            ("/other/x", "", false),
            ("/a", "../../../other", false), ("/a/b", "./../other", false), ("/other/x", "/a", true), ("/a", ".", true),
            ("/other/x/y", "..", false),
        ])
    func relative(_ target: String, _ value: String, _ isCompleted: Bool) throws {
        let sent = try answered("Location: \(value)", to: "\(target)?\(RedirectTests.piece)").values("location")
        #expect((sent.first?.hasSuffix(RedirectTests.piece) == true) == isCompleted)
    }
}
