// Checked tokens in a proxy: nothing goes to a server before the verdict, and identity fields are the proxy's own.

import Configuration
import Credentials
import HTTP
import Reactor
import Testing

@testable import Exchanges
@testable import Proxy

@Suite("The event that tells of an expired token")
struct ExpiredTokenTests {
    private func event(_ seconds: Int64, _ id: String?) -> String {
        String(decoding: ExpiredToken.event(named: "token_expired", overSeconds: seconds, lastEventID: id), as: UTF8.self)
    }

    @Test("repeats the client's last event id, and has data, without which no script would see it")
    func content() {
        #expect(event(10, "41") == "retry: 5000\nid: 41\nevent: token_expired\ndata: {\"expired_for\":10}\n\n")
        #expect(event(0, nil) == "retry: 2000\nevent: token_expired\ndata: {\"expired_for\":0}\n\n")
        #expect(event(0, "") == "retry: 2000\nid:\nevent: token_expired\ndata: {\"expired_for\":0}\n\n")
    }

    @Test("makes a client ask some twenty times in five minutes, and then no more")
    func retries() {
        var (now, attempts) = (0.0, 0)
        while now < Double(ExpiredToken.toldSeconds) {
            now += Double(ExpiredToken.retryMilliseconds(overSeconds: Int64(now))) / 1_000
            attempts += 1
        }
        #expect(18...22 ~= attempts, "\(attempts)")
        #expect([39, 40, 41, 299].map { ExpiredToken.retryMilliseconds(overSeconds: $0) } == [19_500, 20_000, 20_000, 20_000])
    }
}

@Suite("A preflight where credentials are required")
struct StrictPreflightTests {
    private func status(_ fields: String) throws -> Int? {
        let way = Way(bearer: BearerPolicy(sources: [.query(name: "t")], whenMissing: .refuse))
        return try way.refusal("OPTIONS /e HTTP/1.1\nHost: h\n\(fields)")?.status
    }

    @Test("passes without any, and whatever only looks like one does not")
    func looks() throws {
        let real = "Origin: http://a.example\nAccess-Control-Request-Method: POST"
        #expect(try status(real) == nil && status(real + "\nContent-Length: 0") == nil)
        for other in [
            "Origin: http://a.example", "Access-Control-Request-Method: POST", "Origin: http://a.example\nAccess-Control-Request-Method:",
            real + "\nAccess-Control-Request-Method: GET", real + "\nConnection: Upgrade\nUpgrade: websocket",
            real + "\nContent-Length: 5",
        ] {
            #expect(try status(other) == 401, "\(other)")
        }
    }
}

@Suite("Fields that tell a server who a client is")
struct GuardedFieldTests {
    @Test("are taken from clients on no route: another one may lead to the same server under another name")
    func routes() throws {
        var checked = Route(upstreamIndex: 0)
        checked.check = BearerCheck(issuers: [])
        checked.check?.claims.fields = [ClaimRules.Field(name: "X-User", claim: "sub")]
        let upstreams = ["127.0.0.1", "localhost"].map { Upstream(name: $0, servers: [Upstream.Server(host: $0, port: 80)]) }
        let configuration = Configuration(upstreams: upstreams, routes: [checked, Route(upstreamIndex: 1)])
        let settings = Settings(configuration, try Security(configuration))
        for isTrusted in [true, false] {
            let names = settings.withheldNames(and: nil, isTrusted: isTrusted)
            #expect(names.guards("x_user") && !names.guards("x-username"))
        }
    }
}
