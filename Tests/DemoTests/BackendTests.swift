// The backend: which clients it accepts, what it sends, and which clients it disconnects.

import Reactor
import Testing

@testable import Demo

/// A backend with its address.
private final class BackendStage {
    let stage: Stage
    let backend: Backend
    let feed = DemoFeed()
    let address: SocketAddress

    init(_ timing: DemoTiming = .hasty) throws {
        let stage = try Stage()
        self.stage = stage
        let backend = Backend(worker: stage.worker, timing: timing, feed: feed, token: "sesame")
        backend.pages = ["/": Array("<!doctype html>".utf8)]
        self.backend = backend
        address = try stage.listen { backend.accept($0) }
    }

    /// The answer to a request, as far as it has come when `isEnough`.
    func ask(_ request: String, until isEnough: (String) -> Bool) throws -> String {
        let client = try stage.connect(to: address)
        client.say(request)
        try stage.turn { isEnough(client.text) || client.isGone }
        client.close()
        return client.text
    }

    func get(_ target: String, _ fields: String = "", until isEnough: (String) -> Bool = { $0.contains("\r\n\r\n") }) throws -> String {
        try ask("GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n", until: isEnough)
    }
}

@Suite struct BackendTests {
    @Test(
        "the stream is refused with 401 and a challenge without the right bearer token",
        arguments: [
            "", "Authorization: Bearer wrong\r\n", "Authorization: Bearer\r\n", "Authorization: Basic sesame\r\n",
            "Authorization: Bearer sesame extra\r\n", "Authorization: Bearer sesame\r\nAuthorization: Bearer sesame\r\n",
        ])
    func refuses(fields: String) throws {
        let answer = try BackendStage().get("/events?access_token=sesame", fields)
        #expect(answer.hasPrefix("HTTP/1.1 401 Unauthorized\r\n"), "\(answer)")
        #expect(answer.contains("WWW-Authenticate: Bearer realm="))
        #expect(answer.contains("Access-Control-Allow-Origin: *"))
    }

    @Test("the stream opens and sends, with the token, or on the open path without one", arguments: ["/events", "/events-open"])
    func letsIn(path: String) throws {
        let fields = path == "/events" ? "Authorization: bearer sesame\r\n" : ""
        let answer = try BackendStage().get(path, fields) { numbers(in: $0).count >= 2 }
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"), "\(answer)")
        // On a busy machine the first events may have come before the client.
        let first = try #require(numbers(in: answer).first)
        #expect(answer.contains("event: hello\ndata: {\"next\":\(first)}\n\n"))
        #expect(answer.contains("retry: 3000\n"))
        #expect(numbers(in: answer).prefix(2) == [first, first + 1])
    }

    @Test("events are numbered without a gap, and a later client continues where the others are")
    func numbering() throws {
        let world = try BackendStage()
        let first = try world.stage.connect(to: world.address)
        first.say("GET /events-open HTTP/1.1\r\nHost: a\r\n\r\n")
        try world.stage.turn { numbers(in: first.text).count >= 4 }
        let late = try world.stage.connect(to: world.address)
        late.say("GET /events-open HTTP/1.1\r\nHost: a\r\n\r\n")
        try world.stage.turn { numbers(in: late.text).count >= 2 && numbers(in: first.text).last == numbers(in: late.text).last }
        // BurstScheduleTests checks when events come; on a busy machine this test cannot.
        let (all, read) = (numbers(in: first.text), numbers(in: late.text))
        let begin = try #require(all.first)
        #expect(all == Array(begin..<(begin + all.count)))
        #expect(read == all.suffix(read.count) && read.count < all.count)
        #expect(late.text.contains("data: {\"next\":\(read[0])}"))
    }

    @Test("HTTP/1.0 gets the stream without chunks")
    func oldClients() throws {
        let world = try BackendStage()
        let answer = try world.ask("GET /events-open HTTP/1.0\r\n\r\n") { numbers(in: $0).count == 1 }
        #expect(!answer.contains("chunked"))
        #expect(answer.contains("\r\n\r\nretry: 3000\n"))
    }

    @Test("the page is served to its own origin only, and may run nothing but itself")
    func page() throws {
        let answer = try BackendStage().get("/")
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.hasSuffix("<!doctype html>"))
        #expect(answer.contains("Content-Security-Policy: default-src 'none';"))
        #expect(answer.contains("Referrer-Policy: no-referrer"))
        #expect(!answer.contains("Access-Control-Allow-Origin"), "it holds the token")
    }

    @Test(
        "what is not served gets a clear answer",
        arguments: [
            ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404"), ("GET /feed HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET /eight/0 HTTP/1.1\r\nHost: a\r\n\r\n", "404"), ("GET /eight/9 HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
            ("GET /eight/01 HTTP/1.1\r\nHost: a\r\n\r\n", "404"), ("GET /eight/+1 HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
            ("GET /feed?page=a-b HTTP/1.1\r\nHost: a\r\n\r\n", "400"), ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "413"), ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("\u{16}\u{03}\u{01}", "400"), ("GET / HTTP/1.1\nHost: a\n\n", "400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 20_000))\r\n\r\n", "431"),
        ])
    func refusals(request: String, status: String) throws {
        let answer = try BackendStage().ask(request) { $0.contains("\r\n\r\n") }
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
    }

    @Test("requests on one connection are answered in turn, in pieces or together, and HEAD has no body")
    func keepAlive() throws {
        let world = try BackendStage()
        let client = try world.stage.connect(to: world.address)
        for piece in ["HEAD / HTTP/1.1\r\nHo", "st: a\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n", "\r\n"] {
            client.say(piece)
            try world.stage.turn(milliseconds: 20)
        }
        try world.stage.turn { client.text.hasSuffix("<!doctype html>") }
        let statuses = client.text.split(separator: "HTTP/1.1 ").map { $0.prefix(3) }
        #expect(statuses == ["200", "404", "200"])
        #expect(client.text.components(separated: "<!doctype html>") == 1)
    }

    @Test("a client that sends request after request without reading is disconnected")
    func flood() throws {
        let world = try BackendStage()
        world.backend.pages["/"] = [UInt8](repeating: 65, count: 100_000)
        let client = try world.stage.connect(to: world.address)
        client.pauseReading()
        let requests = Array(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 500).utf8)
        client.send(requests)
        try world.stage.turn { world.backend.connectionCount == 1 }
        try world.stage.turn { world.backend.connectionCount == 0 }
    }

    @Test("the number of connections is bounded, and a closed one makes room for another")
    func bounds() throws {
        let world = try BackendStage()
        var clients: [Client] = []
        for _ in 0..<Backend.maximumConnections { clients.append(try world.stage.connect(to: world.address)) }
        try world.stage.turn { world.backend.connectionCount == Backend.maximumConnections }
        let tooMany = try world.stage.connect(to: world.address)
        try world.stage.turn { tooMany.isGone }
        clients[0].close()
        try world.stage.turn { world.backend.connectionCount == Backend.maximumConnections - 1 }
        #expect(try world.get("/").hasPrefix("HTTP/1.1 200"))
    }

    @Test("a page that joins the feed gets the reports, and leaves the feed when it disconnects")
    func feed() throws {
        let world = try BackendStage()
        let client = try world.stage.connect(to: world.address)
        client.say("GET /feed?page=mine HTTP/1.1\r\nHost: a\r\n\r\n")
        try world.stage.turn { client.text.contains("text/event-stream") }
        world.feed.report(.cut(idleMilliseconds: 3001), side: .direct, page: pageName("mine"))
        world.feed.report(.heartbeat, side: .through, page: pageName("other"))
        try world.stage.turn { client.text.contains("\n\n") }
        #expect(client.text.contains("data: {\"side\":\"direct\",\"kind\":\"cut\",\"idleMilliseconds\":3001}\n\n"))
        #expect(!client.text.contains("heartbeat"))
        client.close()
        try world.stage.turn { world.feed.readerCount == 0 }
    }
}

extension String {
    /// How often another text occurs in it.
    fileprivate func components(separated text: String) -> Int { split(separator: text, omittingEmptySubsequences: false).count - 1 }
}
