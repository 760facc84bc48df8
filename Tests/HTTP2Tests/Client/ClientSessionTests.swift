// The client's side of a connection: what it sends, what it understands, how it counts windows.

import HTTP
import HTTP2
import Testing

@Suite("The client's side of HTTP/2")
struct ClientSessionTests {
    static let head = Wire.headers(1, [0x88], ends: false)
    private static let ping = Wire.ping()

    @Test("begins with the preface, with SETTINGS that allow no push, and with its windows")
    func beginning() {
        var limits = SessionLimits()
        limits.streamWindowBytes = 100_000
        limits.connectionWindowBytes = 200_000
        var session = ClientSession(limits: limits, now: 0)
        let sent = session.takeControl()
        #expect(sent.starts(with: Wire.preface))
        #expect(
            Wire.words(Array(sent.dropFirst(Wire.preface.count))) == ["SETTINGS 2=0 6=65536 4=100000", "WINDOW_UPDATE +134465"])
    }

    @Test("a request is what a server understands, without fields of a connection and with its own Host")
    func request() throws {
        var client = ClientSession(limits: SessionLimits(), now: 0)
        var request = OutgoingRequest(isSecured: true, authority: "example.com", path: "/events?a=1")
        request.fields = [
            ("Accept", "text/event-stream"), ("Connection", "keep-alive"), ("TE", "gzip"), ("X-Mine", "  padded\t"), ("Host", "other:8443"),
            ("Upgrade", "h2c"), ("Cookie", "a=b"),
        ]
        #expect(client.open(request) == 1 && client.open(OutgoingRequest(isSecured: true, authority: "a", path: "/")) == 3)
        let server = Harness()
        #expect(server.receive(client.takeControl()))
        let first = "accept=text/event-stream, x-mine=padded, cookie=a=b"
        #expect(
            server.outcome.events.filter { $0 != "window all" } == [
                "request 1 [:method=GET, :scheme=https, :authority=other:8443, :path=/events?a=1, \(first)] end",
                "request 3 [:method=GET, :scheme=https, :authority=a, :path=/] end",
            ])
    }

    @Test("a response is understood in every split: interim heads, padding, trailers, and PING is answered")
    func response() {
        let early = Wire.headers(1, [0x08, 3] + Array("103".utf8), ends: false)
        let body = Wire.padded(1, Array("data: a\n".utf8), 5) + Self.ping + Wire.data(1, Array("\n".utf8), ends: false)
        let seen = seenInEverySplit(early + Self.head + body + Wire.headers(1, Wire.trailer))
        #expect(seen.events == ["head 1 200 []", "data 1 data: a\n\n", "trailers 1"])
        #expect(seen.control == ["SETTINGS ack", "PING ack 3132333435363738"])
    }

    @Test("the dynamic table lasts over the heads of a connection, and a block may come in CONTINUATION frames")
    func table() {
        // content-type with incremental indexing, then the same by its index in the dynamic table.
        let type = [0x5F, 17] + Array("text/event-stream".utf8)
        let first = Wire.frame(1, stream: 1, [0x88]) + Wire.frame(9, flags: 4, stream: 1, type)
        let second = Wire.headers(3, [0x88, 0xBE], ends: true)
        let seen = seenInEverySplit(first + Wire.data(1, ends: true) + second, streams: 2)
        #expect(
            seen.events == [
                "head 1 200 [content-type=text/event-stream]", "data 1  end", "head 3 200 [content-type=text/event-stream] end",
            ])
    }

    @Test("a response ends with END_STREAM, RST_STREAM or GOAWAY below it, and later frames for it are passed over")
    func ends() {
        let late = Wire.data(1, Array("x".utf8)) + Wire.headers(1, [0x88]) + Wire.reset(1) + Wire.windowUpdate(1, 5)
        #expect(seenInEverySplit(Wire.headers(1, [0x89]) + late).events == ["head 1 204 [] end"])
        #expect(seenInEverySplit(Self.head + Wire.reset(1, .internalError) + late).events == ["head 1 200 []", "reset 1 INTERNAL_ERROR"])
        #expect(seenInEverySplit(Wire.goAway(.enhanceYourCalm) + late).events == ["goaway 0 ENHANCE_YOUR_CALM"])
        let below = Wire.frame(7, stream: 0, Wire.number(1) + Wire.number(0))
        let seen = seenInEverySplit(below + Wire.headers(1, [0x88]) + Wire.headers(3, [0x88]), streams: 2)
        #expect(seen.events == ["goaway 1 NO_ERROR", "head 1 200 [] end"])
    }

    @Test("a cancelled stream is reset once, and nothing more is told of it")
    func cancelled() {
        let harness = ClientHarness()
        harness.receive(Wire.settings() + Self.head)
        _ = harness.control()
        harness.session.cancel(1)
        harness.session.cancel(1)
        #expect(harness.control() == ["RST_STREAM 1 CANCEL"] && harness.session.openCount == 0)
        harness.receive(Wire.data(1, [1, 2, 3], ends: true) + Wire.reset(1))
        #expect(harness.events == ["head 1 200 []"])
    }

    @Test("a stream that is cancelled within a DATA frame leaves the connection's window whole")
    func cancelledInside() {
        let harness = ClientHarness(streams: 2)
        harness.receive(Wire.settings() + Self.head + Wire.headers(3, [0x88], ends: false))
        _ = harness.control()
        let frame = Wire.data(1, [UInt8](repeating: 65, count: 16_000))
        var returned = 0
        for _ in 0..<70 {
            harness.receive(Array(frame[..<9_000]))
            harness.session.cancel(1)
            harness.receive(Array(frame[9_000...]))
            for word in harness.control() where word.hasPrefix("WINDOW_UPDATE +") { returned += Int(word.dropFirst(15))! }
        }
        // Half of the window may wait.
        #expect(returned > 70 * 16_000 - (1 << 19) - 16_000)
        #expect(harness.events.last?.hasPrefix("error") == false)
    }

    @Test("windows are given back in halves, to the stream and to the connection, and a long body passes")
    func windows() {
        let harness = ClientHarness()
        harness.receive(Wire.settings() + Self.head)
        _ = harness.control()
        var (stream, connection) = (65_535, 1 << 20)
        for _ in 0..<1_000 {
            stream -= 10_000
            connection -= 10_000
            #expect(stream >= 0 && connection >= 0)
            guard harness.receive(Wire.padded(1, [UInt8](repeating: 66, count: 9_900), 99)) else { break }
            for frame in harness.control() {
                let words = frame.split(separator: " ")
                #expect(words[0] == "WINDOW_UPDATE")
                if words.count == 3 { stream += Int(words[2].dropFirst())! } else { connection += Int(words[1].dropFirst())! }
            }
        }
        #expect(harness.events.allSatisfy { !$0.hasPrefix("error") } && stream > 20_000 && connection > 500_000)
    }

    @Test("as many streams are opened as the server takes, and none after GOAWAY")
    func hindrances() {
        let harness = ClientHarness(streams: 3)
        #expect(harness.session.hindrance == nil)
        harness.receive(Wire.settings([(3, 3)]))
        #expect(harness.session.hindrance.map { "\($0)" } == "the server takes no more streams on one connection at once")
        harness.receive(Wire.headers(1, [0x88]))
        #expect(harness.session.hindrance == nil)
        harness.receive(Wire.frame(7, stream: 0, Wire.number(3) + Wire.number(0)))
        #expect(harness.session.hindrance.map { "\($0)" } == "the server said GOAWAY" && harness.session.openCount == 1)
    }
}
