// What a review found broken and was mended; each of these failed once.

import Configuration
import Credentials
import HTTP
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy

@Suite("What was broken once") struct RegressionTests {
    func a(_ n: UInt8) -> SocketAddress { SocketAddress(bytes: [10, 0, 0, n], port: 80) }
    @Test("a token in a second Referer does not reach the server")
    func referer() throws {
        let way = Way(bearer: BearerPolicy(sources: [.query(name: "access_token")]))
        let sent = try way.sent("GET /e?access_token=tok HTTP/1.1\nHost: h\nReferer: http://h/\nReferer: http://h/?access_token=tok")
        #expect(!sent.lines(except: ["authorization"]).contains { $0.contains("tok") })
    }
    @Test("a directive that names fields is another one than that without") func qualified() throws {
        func cc(_ t: String, bridged: Bool) throws -> [String] {
            let h = try response(t)
            let f = try h.framing(requestMethod: .get)
            let s = h.isEventStream
            return try ReadHead(
                ResponseForwarding(
                    head: h, framing: f, isWoven: s, isStream: s, wouldBeWoven: s, isBridged: bridged, urlHeldToken: bridged,
                    strictTransportSecuritySeconds: nil,
                    date: HTTPDate.text(unixSeconds: 0)
                ).response(to: .get).rendered()
            ).elements("cache-control")
        }
        #expect(try cc("HTTP/1.1 200 OK\nCache-Control: private=\"set-cookie\", max-age=60", bridged: true).contains("private"))
        #expect(
            try cc("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nCache-Control: no-cache=\"set-cookie\"", bridged: false).contains(
                "no-cache"))
    }
    @Test("Max-Forwards is counted down, and at zero a request goes no further") func maxForwards() throws {
        #expect(try Way().sent("OPTIONS / HTTP/1.1\nHost: h\nMax-Forwards: 5").values("max-forwards") == ["4"])
        if case .forward = try Way().outcome("TRACE / HTTP/1.1\nHost: h\nMax-Forwards: 0") { Issue.record("forwarded") }
    }
    @Test("a refusal that keeps the connection of an HTTP/1.0 client says so") func keepAlive10() throws {
        let upstream = Upstream(name: "u", servers: [.init(host: "s", port: 80)])
        let w = try ScriptedProxy(upstream, addresses: [[a(0)]])
        w.kernel.connectFailure = SystemError(113)
        let c = try w.connectClient()
        w.send(c, "GET / HTTP/1.0\nConnection: keep-alive")
        for _ in 0..<3 { w.worker.turn() }
        let h = try ReadHead(w.answers(c))
        #expect(!c.isOpen || h.elements("connection").contains("keep-alive"), "\(h.lines()) open \(c.isOpen)")
    }
    @Test("a response without a date gets one") func date() throws {
        let h = try response("HTTP/1.1 200 OK\nContent-Length: 0")
        let d = try ReadHead(
            ResponseForwarding(
                head: h, framing: .length(0), isWoven: false, isStream: false, wouldBeWoven: h.isEventStream, isBridged: false,
                urlHeldToken: false, strictTransportSecuritySeconds: nil,
                date: HTTPDate.text(unixSeconds: 0)
            ).response(to: .get).rendered())
        #expect(d.values("date").count == 1)
    }
    @Test("HEAD announces no length that the woven stream would not have") func headLength() throws {
        let h = try response("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nContent-Length: 9")
        let d = try ReadHead(
            ResponseForwarding(
                head: h, framing: .none, isWoven: false, isStream: false, wouldBeWoven: h.isEventStream, isBridged: false,
                urlHeldToken: false, strictTransportSecuritySeconds: nil,
                date: HTTPDate.text(unixSeconds: 0)
            ).response(to: .head).rendered())
        #expect(d.values("content-length").isEmpty)
    }
    @Test("all fields of the X-Forwarded family are taken from trusted proxies only") func others() throws {
        let s = try Way().sent("GET / HTTP/1.1\nHost: h\nX-Forwarded-Ssl: on\nX-Forwarded-Server: evil\nX-Forwarded-Prefix: /x")
        #expect(s.fields.filter { $0.name.lowercased().hasPrefix("x-forwarded-") }.count == 3, "\(s.lines())")
    }
    @Test("an empty X-Forwarded field of a trusted proxy is as good as none") func emptyProto() throws {
        let s = try Way(isTrusted: true).sent("GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto:\nX-Forwarded-Host:")
        #expect(s.values("x-forwarded-proto") == ["http"] && s.values("x-forwarded-host") == ["h"])
    }
}
@Suite("What was broken once between two clients") struct TwoClientTests {
    @Test("two clients at once both find the address that answers") func twoClients() throws {
        let a = (0..<2).map { SocketAddress(bytes: [10, 0, 0, UInt8($0)], port: 80) }
        let w = try ScriptedProxy(Upstream(name: "u", servers: [.init(host: "s", port: 80)]), addresses: [a])
        let one = try w.connectClient(), two = try w.connectClient()
        w.send(one, "GET /1 HTTP/1.1\nHost: h")
        w.kernel.now += 1000; w.worker.turn()
        w.send(two, "GET /2 HTTP/1.1\nHost: h")
        for _ in 0..<100 {
            w.kernel.now += 100
            for attempt in w.kernel.attempts where attempt.address == a[1] && !w.kernel.closed.contains(attempt.descriptor) {
                w.kernel.report(attempt.descriptor, .writable)
            }
            w.worker.turn()
        }
        // Once: 10.0.0.0, 10.0.0.0, 10.0.0.1, 10.0.0.0 and a 504 for the second client, though 10.0.0.1 answers.
        #expect(!contains(w.answers(two), "504"), "\(w.kernel.attempts.map { "\($0.address)" })")
    }
}
