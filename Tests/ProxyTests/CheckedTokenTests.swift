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
        String(decoding: ExpiredToken.event(overSeconds: seconds, lastEventID: id), as: UTF8.self)
    }

    @Test("repeats the client's last event id, and has data, without which no script would see it")
    func content() {
        #expect(event(10, "41") == "retry: 5000\nid: 41\nevent: token_expired\ndata: {\"expired_for\":10}\n\n")
        #expect(event(0, nil) == "retry: 2000\nevent: token_expired\ndata: {\"expired_for\":0}\n\n")
        #expect(event(0, "") == "retry: 2000\nid:\nevent: token_expired\ndata: {\"expired_for\":0}\n\n")
    }

    @Test("makes a client ask some fourteen times in five minutes, and then no more")
    func retries() {
        var (now, attempts) = (0.0, 0)
        while now < Double(ExpiredToken.toldSeconds) {
            now += Double(ExpiredToken.retryMilliseconds(overSeconds: Int64(now))) / 1_000
            attempts += 1
        }
        #expect(12...16 ~= attempts, "\(attempts)")
        #expect(ExpiredToken.retryMilliseconds(overSeconds: 299) == 60_000)
    }
}

@Suite("Fields that tell a server who a client is")
struct GuardedFieldTests {
    @Test("are taken from clients on every route to one of its servers, and on no other")
    func routes() throws {
        let shared = Upstream.Server(host: "s", port: 80)
        var checked = Route(upstreamIndex: 0)
        checked.check = BearerCheck(issuers: [])
        checked.check?.claims.fields = [ClaimRules.Field(name: "X-User", claim: "sub")]
        let configuration = Configuration(
            upstreams: [
                Upstream(name: "a", servers: [shared]),
                Upstream(name: "b", servers: [Upstream.Server(host: "t", port: 80), shared]),
                Upstream(name: "c", servers: [Upstream.Server(host: "s", port: 81)]),
            ], routes: [checked, Route(upstreamIndex: 1), Route(upstreamIndex: 2)])
        let settings = Settings(configuration, try Security(configuration))
        for isTrusted in [true, false] {
            for (index, isGuarded) in [true, true, false].enumerated() {
                let names = settings.withheldNames(and: nil, isTrusted: isTrusted, upstreamIndex: index)
                #expect(names.guards("x_user") == isGuarded && !names.guards("x-username"))
            }
        }
    }
}
