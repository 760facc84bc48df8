// What of a request reaches the server: hop-by-hop fields, X-Forwarded and Via, Host, the framing.

import Configuration
import HTTP
import TestSupport
import Testing

@testable import Exchanges
@testable import Proxy

@Suite("A request on its way to the server")
struct RequestForwardingTests {
    /// Fields that the proxy always writes.
    private static let own: Set<String> = ["host", "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]

    @Test("method, target and ordinary fields pass byte for byte and in their order")
    func untouched() throws {
        let sent = try Way().sent(
            """
            PURGE /a%2Fb//c;d=1?x=%20&&y=a+b&access_token=t HTTP/1.1
            Host: Example.com:8080
            aCCept: text/html, */*;q=0.1
            Accept-Encoding: gzip, br;q=0.5
            Cookie: a=1; access_token=t
            Last-Event-ID: 日本語
            X_Custom.Name: 1
            X-Twice: 1
            Authorization: Basic dTpw
            X-Empty:
            X-Twice: 2
            Range: bytes=0-1
            If-None-Match: "a, b"
            """)
        #expect(sent.firstLine == "PURGE /a%2Fb//c;d=1?x=%20&&y=a+b&access_token=t HTTP/1.1")
        #expect(
            sent.lines(except: RequestForwardingTests.own) == [
                "aCCept: text/html, */*;q=0.1", "Accept-Encoding: gzip, br;q=0.5", "Cookie: a=1; access_token=t",
                "Last-Event-ID: \(latin1("日本語".utf8))", "X_Custom.Name: 1", "X-Twice: 1", "Authorization: Basic dTpw", "X-Empty: ",
                "X-Twice: 2", "Range: bytes=0-1", "If-None-Match: \"a, b\"",
            ])
    }

    @Test("fields of the hop and those that Connection names stay behind, in any case of letters")
    func hopByHop() throws {
        let sent = try Way().sent(
            """
            GET / HTTP/1.1
            Host: h
            Connection: keep-alive, X-Hop ,,x-OTHER
            CONNECTION: x-third
            Keep-Alive: timeout=5
            Proxy-Connection: keep-alive
            Proxy-Authorization: Basic dTpw
            Proxy-Authenticate: Basic
            TE: trailers
            Trailer: X-Sum
            Upgrade: h2c
            HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA
            X-Hop: 1
            x-other: 2
            X-Third: 3
            X-Hop: 4
            X-Kept: 5
            """)
        #expect(sent.lines(except: RequestForwardingTests.own) == ["X-Kept: 5"])
    }

    @Test("Connection cannot take away what the proxy vouches for, nor what frames the body")
    func connectionCannotRemove() throws {
        let sent = try Way(isTrusted: true).sent(
            """
            POST / HTTP/1.1
            Host: h
            Connection: host, authorization, cookie, content-length, transfer-encoding, via, x-forwarded-for, x-forwarded-proto
            Connection: x-forwarded-host, forwarded, x-real-ip, last-event-id, expect, close
            Authorization: Bearer abc
            Cookie: a=b
            Last-Event-ID: 7
            X-Forwarded-For: 203.0.113.5
            X-Forwarded-Proto: https
            X-Forwarded-Host: shop
            Content-Length: 3
            """)
        #expect(sent.values("host") == ["h"] && sent.values("content-length") == ["3"] && sent.values("connection").isEmpty)
        #expect(sent.values("authorization") == ["Bearer abc"] && sent.values("cookie") == ["a=b"] && sent.values("last-event-id") == ["7"])
        #expect(sent.elements("x-forwarded-for") == ["203.0.113.5", "198.51.100.9"])
        #expect(sent.values("x-forwarded-proto") == ["https"] && sent.values("x-forwarded-host") == ["shop"])
        #expect(sent.values("via").count == 1)
    }

    // MARK: The way

    private static let claims = """
        GET / HTTP/1.1
        Host: h:81
        x-forwarded-FOR: 203.0.113.5, 203.0.113.6
        X-Forwarded-For: 203.0.113.7
        X-Forwarded-Proto: https
        X-Forwarded-Host: shop
        X-Forwarded-Port: 444
        X-Real-IP: 203.0.113.8
        Forwarded: for=203.0.113.9
        Via: 1.0 edge, 1.1 inner
        """

    @Test("a stranger's claims about where it comes from are replaced by what is known")
    func strangers() throws {
        let sent = try Way().sent(RequestForwardingTests.claims)
        #expect(sent.values("x-forwarded-for") == ["198.51.100.9"])
        #expect(sent.values("x-forwarded-proto") == ["http"] && sent.values("x-forwarded-host") == ["h:81"])
        #expect(!sent.lines().contains { $0.contains("203.0.113") || $0.contains("shop") || $0.contains("444") })
    }

    @Test("a trusted proxy's claims are kept, and its own address is added behind them")
    func trusted() throws {
        let sent = try Way(isTrusted: true).sent(RequestForwardingTests.claims)
        #expect(sent.elements("x-forwarded-for") == ["203.0.113.5", "203.0.113.6", "203.0.113.7", "198.51.100.9"])
        #expect(sent.values("x-forwarded-for").count == 1)
        #expect(sent.values("x-forwarded-proto") == ["https"] && sent.values("x-forwarded-host") == ["shop"])
        #expect(sent.values("forwarded") == ["for=203.0.113.9"] && sent.values("x-real-ip") == ["203.0.113.8"])
        #expect(sent.values("x-forwarded-port") == ["444"])
    }

    @Test("a trusted proxy that claims nothing gets what is known, and an IPv6 peer is written without brackets")
    func trustedWithoutClaims() throws {
        let sent = try Way(peer: "2001:db8::7", isTrusted: true).sent("GET / HTTP/1.1\nHost: h\nX-Forwarded-For:\n")
        #expect(sent.values("x-forwarded-for") == ["2001:db8::7"])
        #expect(sent.values("x-forwarded-proto") == ["http"] && sent.values("x-forwarded-host") == ["h"])
    }

    @Test("the last address in X-Forwarded-For is whom the proxy in front saw")
    func lastForwarded() throws {
        func last(_ fields: String) throws -> String? {
            RequestForwarding.lastForwardedClient(try request("GET / HTTP/1.1\nHost: h\n\(fields)")).map { latin1($0) }
        }
        #expect(try last("X-Forwarded-For: 1.1.1.1, 2.2.2.2\nX-Forwarded-For: 3.3.3.3 , 4.4.4.4 ,") == "4.4.4.4")
        #expect(try last("X-Forwarded-For: 1.1.1.1") == "1.1.1.1")
        #expect(try last("X-Other: 1.1.1.1") == nil)
        #expect(try last("X-Forwarded-For: " + String(repeating: "a", count: 500))?.count == 64)
    }

    @Test("Via keeps those before, in their order, and ends with the proxy and the version that it received")
    func via() throws {
        #expect(try Way().sent(RequestForwardingTests.claims).elements("via") == ["1.0 edge", "1.1 inner", "1.1 heartwire"])
        #expect(try Way().sent("GET / HTTP/1.0\nHost: h").elements("via") == ["1.0 heartwire"])
    }

    @Test("where the route says so, Via has only those before")
    func noVia() throws {
        let way = Way(writesVia: false)
        #expect(try way.sent("GET / HTTP/1.1\nHost: h").values("via").isEmpty)
        #expect(try way.sent(RequestForwardingTests.claims).elements("via") == ["1.0 edge", "1.1 inner"])
    }

    @Test(
        "where the route says so, every request asks for uncompressed answers",
        arguments: [
            "GET / HTTP/1.1\nHost: h\nAccept-Encoding: gzip, br",
            "POST / HTTP/1.1\nHost: h\nAccept: application/json\nAccept-Encoding: gzip\nAccept-Encoding: br\nContent-Length: 0",
            "GET / HTTP/1.1\nHost: h", "GET / HTTP/1.1\nHost: h\nAccept: text/event-stream\nAccept-Encoding: gzip",
        ])
    func identity(_ text: String) throws {
        #expect(try Way(asksForIdentity: true).sent(text).values("accept-encoding") == ["identity"])
        let isStream = text.contains("event-stream")
        #expect(try Way().sent(text).elements("accept-encoding").contains("identity") == isStream)
    }

    @Test("a client that came over TLS is said to have done so")
    func secured() throws {
        #expect(try Way(isSecured: true).sent(RequestForwardingTests.claims).values("x-forwarded-proto") == ["https"])
        let lying = try Way(isSecured: true).sent("GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto: http")
        #expect(lying.values("x-forwarded-proto") == ["https"])
    }

    @Test("the subject of a client's certificate is the proxy's word alone, on every listener and in every spelling of case")
    func subject() throws {
        let text =
            """
            GET / HTTP/1.1\nHost: h\nConnection: X-Client\nX-CLIENT: CN=forged\nx-client: CN=forged\nX_CLIENT: CN=forged\n\
            X.client: CN=forged\nX-Client-2: kept
            """
        for isTrusted in [false, true] {
            let known = try Way(isTrusted: isTrusted, subjectField: "X-Client", subject: "CN=real").sent(text)
            #expect(known.values("x-client") == ["CN=real"] && known.values("x-client-2") == ["kept"])
            #expect(!known.lines().contains { $0.contains("forged") })
            #expect(!(try Way(isTrusted: isTrusted, subjectField: "x_client").sent(text).lines().contains { $0.contains("forged") }))
        }
    }

    // MARK: Host

    @Test(
        "a host is told from its port, an IPv6 address included",
        arguments: [
            ("h:81", "h"), ("h", "h"), ("[::1]:81", "[::1]"), ("[::1]", "[::1]"), ("127.0.0.1:8080", "127.0.0.1"),
        ])
    func hostWithoutPort(_ host: String, _ expected: String) throws {
        #expect(latin1(RequestForwarding.hostWithoutPort(try request("GET / HTTP/1.1\nHost: \(host)"))) == expected)
    }

    @Test("Host is the client's, or the server's where the route says so, and X-Forwarded-Host tells of the client's")
    func host() throws {
        let text = "GET / HTTP/1.1\nX-First: 1\nHost: Example.com:80"
        #expect(try Way().sent(text).values("host") == ["Example.com:80"])
        let replaced = try Way(hostField: .server).sent(text)
        #expect(replaced.values("host") == ["backend:9000"] && replaced.values("x-forwarded-host") == ["Example.com:80"])
    }

    @Test(
        "an absolute-form target goes on in origin-form, and its authority is the Host",
        arguments: [
            ("http://real.example/a?b", "/a?b"), ("http://real.example", "/"), ("HTTPS://real.example?b=http://c", "/?b=http://c"),
        ])
    func absoluteForm(_ target: String, _ expected: String) throws {
        let sent = try Way().sent("GET \(target) HTTP/1.1\nHost: forged.example")
        #expect(sent.firstLine == "GET \(expected) HTTP/1.1")
        #expect(sent.values("host") == ["real.example"] && sent.values("x-forwarded-host") == ["real.example"])
        #expect(!sent.lines().contains { $0.contains("forged") })
    }

    @Test("a client of HTTP/1.0 without Host is sent on with the server's name and version 1.1")
    func withoutHost() throws {
        let sent = try Way().sent("GET /a HTTP/1.0\nConnection: keep-alive")
        #expect(sent.firstLine == "GET /a HTTP/1.1" && sent.values("host") == ["backend:9000"])
        #expect(sent.values("x-forwarded-host").isEmpty && sent.values("connection").isEmpty)
    }

    @Test("OPTIONS for the whole server keeps its asterisk")
    func asterisk() throws {
        #expect(try Way().sent("OPTIONS * HTTP/1.1\nHost: h").firstLine == "OPTIONS * HTTP/1.1")
        #expect(try Way().sent("OPTIONS http://h HTTP/1.1\nHost: h").firstLine == "OPTIONS * HTTP/1.1")
    }

    // MARK: Framing, expectations, upgrades

    @Test(
        "the framing is rewritten, stands once, and means the same",
        arguments: [
            ("Content-Length: 0", ["Content-Length: 0"]), ("content-length:007", ["Content-Length: 7"]), ("", []),
            ("transfer-encoding: CHUNKED", ["Transfer-Encoding: chunked"]),
        ])
    func framing(_ field: String, _ expected: [String]) throws {
        for method in ["GET", "POST", "DELETE", "BREW"] {
            let sent = try Way().sent("\(method) / HTTP/1.1\nHost: h\nConnection: close, content-length, transfer-encoding\n\(field)")
            #expect(sent.lines(except: RequestForwardingTests.own) == expected, "\(method)")
        }
    }

    @Test("an expectation goes on where there is a body to wait for, and only there")
    func expectation() throws {
        #expect(try Way().sent("POST / HTTP/1.1\nHost: h\nExpect: 100-Continue\nContent-Length: 5").values("expect") == ["100-continue"])
        #expect(try Way().sent("POST / HTTP/1.1\nHost: h\nExpect: 100-continue\nTransfer-Encoding: chunked").values("expect").count == 1)
        #expect(try Way().sent("GET / HTTP/1.1\nHost: h\nExpect: 100-continue").values("expect").isEmpty)
        #expect(try Way().sent("POST / HTTP/1.0\nHost: h\nExpect: 100-continue\nContent-Length: 5").values("expect").isEmpty)
    }

    @Test("a WebSocket's upgrade goes on with a Connection of the proxy's own; HTTP/2 and TLS do not")
    func upgrades() throws {
        let text = "GET / HTTP/1.1\nHost: h\nConnection: keep-alive, Upgrade, x-hop\nX-Hop: 1\nSec-WebSocket-Key: a\nUpgrade: "
        let sent = try Way().sent(text + "websocket")
        #expect(sent.elements("connection") == ["upgrade"] && sent.values("upgrade") == ["websocket"])
        #expect(sent.values("sec-websocket-key") == ["a"] && sent.values("x-hop").isEmpty)
        for other in ["h2c", "websocket, h2c", "TLS/1.0", "HTTP/2.0"] {
            let sent = try Way().sent(text + other)
            #expect(sent.values("connection").isEmpty && sent.values("upgrade").isEmpty, "\(other)")
        }
        #expect(try Way().sent("GET / HTTP/1.1\nHost: h\nUpgrade: websocket").values("upgrade").isEmpty, "without Connection: upgrade")
    }

    @Test("who asks for an event stream is not offered a compressed one, which could not be woven")
    func acceptEncoding() throws {
        let sent = try Way().sent("GET / HTTP/1.1\nHost: h\nAccept: Text/Event-Stream\nAccept-Encoding: gzip, br\nAccept-Encoding: zstd")
        #expect(sent.values("accept-encoding") == ["identity"])
        #expect(try Way().sent("GET / HTTP/1.1\nHost: h\nAccept: text/html\nAccept-Encoding: gzip").values("accept-encoding") == ["gzip"])
        #expect(try Way().sent("GET / HTTP/1.1\nHost: h\nAccept: text/html").values("accept-encoding").isEmpty)
    }

    @Test("Max-Forwards is counted down, and at zero a request goes no further")
    func maxForwards() throws {
        #expect(try Way().sent("OPTIONS / HTTP/1.1\nHost: h\nMax-Forwards: 5").values("max-forwards") == ["4"])
        if case .forward = try Way().outcome("TRACE / HTTP/1.1\nHost: h\nMax-Forwards: 0") { Issue.record("forwarded") }
    }

    @Test("all fields of the X-Forwarded family are taken from trusted proxies only")
    func forwardedFamily() throws {
        let sent = try Way().sent("GET / HTTP/1.1\nHost: h\nX-Forwarded-Ssl: on\nX-Forwarded-Server: evil\nX-Forwarded-Prefix: /x")
        #expect(sent.fields.filter { $0.name.lowercased().hasPrefix("x-forwarded-") }.count == 3, "\(sent.lines())")
    }

    @Test("an empty X-Forwarded field of a trusted proxy is as good as none")
    func emptyForwarded() throws {
        let sent = try Way(isTrusted: true).sent("GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto:\nX-Forwarded-Host:")
        #expect(sent.values("x-forwarded-proto") == ["http"] && sent.values("x-forwarded-host") == ["h"])
    }
}
