// Streams that end with their tokens, in a scripted world: the test decides about both clocks, so every moment is exact.

import Configuration
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Credentials
@testable import Downstreams
@testable import Exchanges
@testable import Proxy

/// A proxy with one route that checks tokens, and the clients of its streams. The world begins at 1,000 seconds since 1970.
private struct TokenWorld {
    static let secret = Array("a secret of the tests that is long enough".utf8)
    let world: ScriptedProxy

    init(leewaySeconds: Int64 = 0, outageMilliseconds: Int = 60_000, _ change: (inout Route) -> Void = { _ in }) throws {
        var route = Route(upstreamIndex: 0, outage: .retry(holdMilliseconds: outageMilliseconds))
        route.check = BearerCheck(issuers: ["main"])
        route.bearer = BearerPolicy(sources: [.query(name: "t")], whenMissing: .refuse, checksTokens: true)
        change(&route)
        let rules = IssuerRules(label: "main", name: "i", audiences: nil, algorithms: [.HS256], leewaySeconds: leewaySeconds)
        world = try ScriptedProxy(
            Upstream(name: "u", servers: [Upstream.Server(host: "s", port: 80)]),
            addresses: [[SocketAddress(bytes: [10, 0, 0, 1], port: 80)]], route: route,
            issuers: [Issuer(rules: rules, keys: [.secret(TokenWorld.secret, .HS256, name: nil)])])
    }

    /// A token whose `exp` is so many seconds after the world's beginning.
    static func token(_ seconds: Int64) throws -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        func encoded(_ bytes: [UInt8]) -> String {
            let bits = bytes.flatMap { byte in (0..<8).map { byte >> (7 - $0) & 1 } }
            return String(
                stride(from: 0, to: bits.count, by: 6).map { start in
                    digits[(0..<6).reduce(0) { $0 << 1 | (start + $1 < bits.count ? Int(bits[start + $1]) : 0) }]
                })
        }
        let signed = encoded(Array(#"{"alg":"HS256"}"#.utf8)) + "." + encoded(Array("{\"iss\":\"i\",\"exp\":\(1_000 + seconds)}".utf8))
        let signature = Fingerprinter.digest(key: secret, of: Array(signed.utf8).span)
        return signed + "." + encoded(try #require(signature))
    }

    /// A client that asks for a stream with a token that ends so many seconds after the world's beginning.
    func ask(_ seconds: Int64, fields: String = "", isInField: Bool = false) throws -> HTTP1Connection {
        let client = try world.connectClient()
        let token = try TokenWorld.token(seconds)
        let place = isInField ? ("/e", "\nAuthorization: Bearer \(token)") : ("/e?t=\(token)", "")
        world.send(client, "GET \(place.0) HTTP/1.1\nHost: h\nAccept: text/event-stream\(place.1)\(fields)")
        return client
    }

    /// The same, with a stream that begins like this.
    func stream(_ seconds: Int64, _ start: String = "data: 1\n\n", fields: String = "", head: String = "") throws -> HTTP1Connection {
        let client = try ask(seconds, fields: fields)
        try world.serverSends(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\(head)\r\n" + TokenWorld.chunk(start))
        return client
    }

    /// The server of the newest stream sends this.
    func serverSends(_ text: String) throws { try world.serverSends(TokenWorld.chunk(text)) }

    static func chunk(_ text: String) -> String { text.isEmpty ? "" : "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n" }

    /// What the client's page reads, with `<end>` behind a response that ended in order.
    func body(_ client: HTTP1Connection) throws -> String {
        let head = try ReadHead(world.answers(client))
        guard head.elements("transfer-encoding") == ["chunked"] else { return latin1(head.rest) }
        var rest = head.rest[...]
        var bytes: [UInt8] = []
        while let end = rest.firstIndex(of: 0x0D), let count = Int(latin1(rest[..<end]), radix: 16) {
            if count == 0 { return latin1(bytes) + "<end>" }
            rest = rest[(end + 2)...]
            bytes += rest.prefix(count)
            rest = rest.dropFirst(count + 2)
        }
        return latin1(bytes)
    }

    func ended(_ cause: Cause) -> UInt64 { world.proxy.exchanges.counted().value(of: .streamsEnded, cause, series: 2) }

    func pass(_ seconds: Double) { world.pass(milliseconds: Int64(seconds * 1_000)) }
}

/// The value of the only line that begins so.
private func value(_ name: String, in body: String) -> String? {
    let values = body.split(separator: "\n").filter { $0.hasPrefix(name + ": ") }.map { $0.dropFirst(name.count + 2) }
    return values.count == 1 ? String(values[0]) : nil
}

@Suite("A stream whose token runs out")
struct TokenEndTests {
    @Test("ends at the token's end and the leeway, between two events, with an event and a time to come back", arguments: [0, 5])
    func end(_ leeway: Int64) throws {
        let world = try TokenWorld(leewaySeconds: leeway)
        let client = try world.stream(10)
        world.pass(9.9 + Double(leeway))
        #expect(client.exchange != nil)
        world.pass(0.15)
        let body = try world.body(client)
        #expect(client.exchange == nil && body.hasSuffix("event: token_expired\ndata: {\"expired_for\":0}\n\n<end>"), "\(body)")
        #expect(1_000...3_000 ~= Int(try #require(value("retry", in: body))) ?? 0)
        #expect(!body.contains("id:") && world.ended(.tokenExpired) == 1)
    }

    @Test("that was opened within the leeway lives for as long as the leeway")
    func withinLeeway() throws {
        let world = try TokenWorld(leewaySeconds: 30)
        world.pass(25)
        let client = try world.stream(10)
        world.pass(29.9)
        #expect(client.exchange != nil)
        world.pass(0.2)
        #expect(client.exchange == nil && world.ended(.tokenExpired) == 1)
    }

    @Test("waits for the end of an open event, and is cut when that does not come within a second", arguments: [true, false])
    func openEvent(_ ends: Bool) throws {
        let world = try TokenWorld()
        let client = try world.stream(10, "data: half")
        world.pass(10.9)
        #expect(client.exchange != nil)
        if ends {
            try world.serverSends("\n\ndata: next\n")
            let body = try world.body(client)
            #expect(body.contains("data: half\n\nretry: ") && body.hasSuffix("{\"expired_for\":0}\n\n<end>"), "\(body)")
        } else {
            world.pass(0.2)
            #expect(try client.exchange == nil && !client.isOpen && world.body(client).hasSuffix("data: half"))
        }
        #expect(world.ended(.tokenExpired) == 1)
    }

    @Test("and whose server never pauses between two events ends behind the last whole one")
    func neverBetweenEvents() throws {
        let world = try TokenWorld()
        let client = try world.stream(10, "data: 0\n")
        for number in 1...30 where client.exchange != nil {
            world.pass(0.4)
            try world.serverSends("\ndata: \(number)\n")
        }
        let body = try world.body(client)
        #expect(body.contains("data: 24\n\nretry: ") && body.hasSuffix("{\"expired_for\":0}\n\n<end>"), "\(body)")
    }

    @Test("ends without an event where it is compressed", arguments: ["Content-Encoding: gzip\r\n"])
    func compressed(_ head: String) throws {
        let world = try TokenWorld { $0.check?.expiry.warning = ExpiryPolicy.Warning(leadMilliseconds: 5_000) }
        let client = try world.stream(10, "xyz", head: head)
        world.pass(10.1)
        #expect(try world.body(client) == "xyz<end>" && world.ended(.tokenExpired) == 1)
    }

    @Test("ends without an event where events are not wanted, and such an EventSource is refused by a status")
    func status() throws {
        let world = try TokenWorld { $0.check?.expiry.eventName = nil }
        let client = try world.stream(10)
        world.pass(10.1)
        let body = try world.body(client)
        #expect(!body.contains("event:") && 1_000..<3_000 ~= Int(value("retry", in: body) ?? "") ?? 0 && body.hasSuffix("<end>"))
        #expect(try ReadHead(world.world.answers(world.ask(10))).firstLine == "HTTP/1.1 401 Unauthorized")
    }

    @Test("ends in time also without heartbeats, and with an event of the route's name")
    func withoutHeartbeats() throws {
        let world = try TokenWorld {
            $0.heartbeat.intervalMilliseconds = nil
            $0.check?.expiry.eventName = "login"
        }
        let client = try world.stream(100)
        world.pass(100.1)
        #expect(try world.body(client).hasSuffix("event: login\ndata: {\"expired_for\":0}\n\n<end>"))
    }

    @Test("ends in time also where its client takes nothing; the client gets all of it once it reads")
    func slowClient() throws {
        let world = try TokenWorld()
        let client = try world.stream(10)
        let descriptor = world.world.descriptor(of: client)
        world.world.kernel.rooms[descriptor] = 0
        try world.serverSends("data: late\n\n")
        world.pass(10.1)
        #expect(client.exchange == nil && world.ended(.tokenExpired) == 1)
        world.world.kernel.rooms[descriptor] = nil
        world.world.kernel.report(descriptor, .writable)
        world.world.worker.turn()
        let body = try world.body(client)
        #expect(body.contains("data: late\n\nretry: ") && body.hasSuffix("{\"expired_for\":0}\n\n<end>"), "\(body)")
    }

    @Test("keeps the id that its client brought: the event repeats it until the server's first event", arguments: [false, true])
    func lastEventID(_ hasEvents: Bool) throws {
        let world = try TokenWorld()
        let client = try world.stream(10, hasEvents ? "id: 7\ndata: 1\n\n" : ": nothing yet\n", fields: "\nLast-Event-ID: Zoë-41")
        world.pass(10.1)
        let body = try world.body(client)
        #expect(value("id", in: body) == (hasEvents ? "7" : "ZoÃ«-41") && body.contains("event: token_expired"), "\(body)")
    }

    @Test("ends with a time to come back alone where an event would cost the client an id that is too long to be repeated")
    func longID() throws {
        let world = try TokenWorld()
        let client = try world.stream(10, "", fields: "\nLast-Event-ID: " + String(repeating: "x", count: 256))
        world.pass(10.1)
        let body = try world.body(client)
        #expect(!body.contains("event:") && value("retry", in: body) != nil && body.hasSuffix("<end>"))
    }

    @Test("that its operator or the proxy's end left in an open event is cut at the token's end all the same", arguments: [true, false])
    func others(_ isOperator: Bool) throws {
        let world = try TokenWorld()
        let client = try world.stream(10, "data: half")
        if isOperator {
            try #require(client.exchange).endForOperator()
        } else {
            world.world.proxy.drain(graceMilliseconds: 60_000, streamMilliseconds: 1_000)
        }
        world.pass(10.9)
        #expect(client.exchange != nil)
        world.pass(0.2)
        #expect(client.exchange == nil && world.ended(.tokenExpired) == 1)
    }

    // MARK: The wall clock

    @Test("lives on when the wall clock was set back, and then ends by that clock")
    func setBack() throws {
        let world = try TokenWorld()
        let client = try world.stream(10)
        world.pass(5)
        world.world.kernel.calendarStep = -20_000
        world.pass(24.9)
        #expect(client.exchange != nil)
        world.pass(0.2)
        #expect(client.exchange == nil && world.ended(.tokenExpired) == 1)
    }

    @Test("that ends with the proxy still does so when the wall clock was set back")
    func setBackWhileDraining() throws {
        let world = try TokenWorld()
        let client = try world.stream(10)
        world.world.proxy.drain(graceMilliseconds: 60_000, streamMilliseconds: 30_000)
        world.world.kernel.calendarStep = -1_000_000
        world.pass(31)
        #expect(client.exchange == nil && world.ended(.drained) == 1)
    }

    // MARK: The warning

    @Test("is warned once, up to half of the lead earlier, each stream at a moment of its own")
    func warning() throws {
        let world = try TokenWorld { $0.check?.expiry.warning = ExpiryPolicy.Warning(leadMilliseconds: 10_000) }
        let clients = try (0..<20).map { _ in try world.stream(60) }
        world.pass(44.9)
        #expect(try clients.allSatisfy { try !world.body($0).contains("token_expiring") })
        world.pass(5.2)
        var told: Set<String> = []
        for client in clients {
            let body = try world.body(client)
            let left = try #require(value("data", in: String(body.dropFirst(body.range(of: "token_expiring")))))
            told.insert(left)
            #expect(body.hasSuffix("event: token_expiring\ndata: \(left)\n\n") && !body.contains("retry") && !body.contains("id:"))
        }
        #expect(told.count > 1 && told.isSubset(of: Set((10...15).map { "{\"expires_in\":\($0)}" })), "\(told)")
        world.pass(10)
        #expect(try clients.allSatisfy { try world.body($0).hasSuffix("{\"expired_for\":0}\n\n<end>") })
    }

    @Test("is warned behind the event that is open, and goes on behind the warning")
    func warningWaits() throws {
        let world = try TokenWorld { $0.check?.expiry.warning = ExpiryPolicy.Warning(leadMilliseconds: 10_000, eventName: "renew") }
        let client = try world.stream(60, "data: half")
        world.pass(52)
        #expect(try !world.body(client).contains("renew"))
        try world.serverSends("\n\n")
        try world.serverSends("data: 2\n\n")
        #expect(try world.body(client).hasSuffix("data: half\n\nevent: renew\ndata: {\"expires_in\":8}\n\ndata: 2\n\n"))
        world.pass(8.1)
        #expect(client.exchange == nil)
    }

    @Test("is warned at once where it is opened within the lead, while it is held too, and keeps the id that its client brought")
    func warningWhileHeld() throws {
        let world = try TokenWorld { $0.check?.expiry.warning = ExpiryPolicy.Warning(leadMilliseconds: 10_000) }
        let client = try world.ask(8, fields: "\nLast-Event-ID: 41")
        try world.world.attemptEnds(.connectionRefused)
        world.pass(0.1)
        #expect(try world.body(client) == ":\nid: 41\nevent: token_expiring\ndata: {\"expires_in\":8}\n\n")
    }

    // MARK: Before there is a stream

    @Test("is not joined to its server any more: a held client is told, and no further attempt is made")
    func held() throws {
        let world = try TokenWorld()
        let client = try world.ask(10)
        world.world.kernel.connectFailure = .connectionRefused
        try world.world.attemptEnds(.connectionRefused)
        world.pass(10.1)
        #expect(try world.body(client).hasSuffix("event: token_expired\ndata: {\"expired_for\":0}\n\n<end>"))
        let attempts = world.world.kernel.attempts.count
        world.pass(20)
        #expect(world.world.kernel.attempts.count == attempts && world.ended(.tokenExpired) == 1)
    }

    @Test("is not joined either when only the wall clock says so, at the moment of the join")
    func join() throws {
        let world = try TokenWorld()
        let client = try world.ask(100)
        try world.world.attemptEnds(.connectionRefused)
        _ = try world.world.nextAttempt()
        world.world.kernel.calendarStep = 200_000
        try world.world.serverSends(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        let body = try world.body(client)
        #expect(body.contains("event: token_expired\ndata: {\"expired_for\":10"), "\(body)")
        #expect(body.hasSuffix("<end>") && !body.contains("data: 1"), "\(body)")
    }

    @Test(
        "that its server begins too late never begins: an EventSource is told in an event, and others by a status",
        arguments: [false, true])
    func lateServer(_ isInField: Bool) throws {
        let world = try TokenWorld()
        let client = try world.ask(10, fields: "\nLast-Event-ID: 41", isInField: isInField)
        try world.world.attemptEnds()
        world.pass(12)
        try world.world.serverSends(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        let answer = latin1(world.world.answers(client))
        #expect(answer.hasPrefix(isInField ? "HTTP/1.1 401 " : "HTTP/1.1 200 ") && !answer.contains("data: 1"))
        #expect(isInField || answer.contains("id: 41\nevent: token_expired\ndata: {\"expired_for\":2}\n\n"))
    }

    @Test("is another response: it goes on after the token's end")
    func otherResponse() throws {
        let world = try TokenWorld()
        let client = try world.ask(10)
        try world.world.attemptEnds()
        world.pass(12)
        try world.world.serverSends("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nab")
        world.pass(5)
        try world.world.serverSends("cd")
        #expect(latin1(world.world.answers(client)).hasSuffix("\r\n\r\nabcd"))
    }
}

extension String {
    /// Where the text ends that precedes the first occurrence of another one; all of it without one.
    fileprivate func range(of text: String) -> Int {
        var rest = self[...]
        while !rest.isEmpty, !rest.hasPrefix(text) { rest = rest.dropFirst() }
        return count - rest.count
    }
}
