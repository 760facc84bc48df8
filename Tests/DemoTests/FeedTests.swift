// The feed and the tap: what they learn from passing bytes, and which pages get reports.

import Testing

@testable import Demo

@Suite struct FeedTests {
    @Test("the feed has a bounded number of readers, and a reader that leaves makes room for another")
    func bounded() {
        let feed = DemoFeed()
        let readers = (0..<DemoFeed.maximumReaders).map { _ in NotingReader() }
        for reader in readers { #expect(feed.join(reader, page: pageName("p"))) }
        let late = NotingReader()
        #expect(!feed.join(late, page: pageName("p")))
        feed.report(.heartbeat, side: .through, page: pageName("p"))
        #expect(late.texts.isEmpty)
        #expect(readers.allSatisfy { $0.texts.count == 1 })
        feed.leave(readers[3])
        #expect(feed.join(late, page: pageName("p")))
    }

    @Test("a reader that takes nothing is removed, and the others still get the report")
    func leaving() {
        let feed = DemoFeed()
        let readers = (0..<3).map { _ in NotingReader() }
        for reader in readers { #expect(feed.join(reader, page: pageName("p"))) }
        readers[1].isThere = false
        feed.report(.refused(status: 401), side: .direct, page: pageName("p"))
        #expect(feed.readerCount == 2)
        #expect(readers[2].texts == ["data: {\"side\":\"direct\",\"kind\":\"refused\",\"status\":401}\n\n"])
    }

    @Test(
        "the name of a page is up to 16 letters and digits of the parameter page",
        arguments: [
            ("/events?page=ab12", "ab12"), ("/events?access_token=x&page=Z&y", "Z"), ("/events", nil), ("/events?page=", nil),
            ("/events?page=a%20b", nil), ("/events?page=a\"b", nil), ("/events?mypage=a", nil), ("/page=a?", nil),
            ("/?page=0123456789abcdef", "0123456789abcdef"), ("/?page=0123456789abcdef0", nil),
        ] as [(String, String?)])
    func names(target: String, name: String?) {
        #expect(PageName(inTarget: Array(target.utf8)[...])?.bytes == name.map { Array($0.utf8) })
    }
}

@Suite struct StreamTapTests {
    private static let request = "GET /events?access_token=t&page=p HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    private func look(_ tap: inout StreamTap, request: String) {
        Array(request.utf8).withUnsafeBytes { tap.receiveRequest($0) }
    }

    private func look(_ tap: inout StreamTap, response: [UInt8], now: Int64) -> [HopSight] {
        response.withUnsafeBytes { tap.receiveResponse($0, now: now) }
    }

    @Test("comment lines are counted as heartbeats, however their bytes are split, and lines of events are not")
    func splits() {
        let bytes = Array("3\r\n:\n\n\r\n13\r\nid: 1\ndata: a:b\n:\n\n\r\n1\r\n:\r\n1\r\n\n\r\n".utf8)
        for split in 0...bytes.count {
            var tap = StreamTap()
            look(&tap, request: Self.request)
            #expect(look(&tap, response: Array(Self.head.utf8), now: 0).isEmpty)
            var sights = look(&tap, response: Array(bytes[..<split]), now: 1000)
            sights += look(&tap, response: Array(bytes[split...]), now: 1000)
            #expect(sights == [.heartbeat, .heartbeat, .heartbeat], "split at \(split)")
        }
    }

    @Test("the opening comment right behind the head is no heartbeat")
    func opening() {
        var tap = StreamTap()
        look(&tap, request: Self.request)
        #expect(look(&tap, response: Array((Self.head + "3\r\n:\n\n\r\n").utf8), now: 50).isEmpty)
        #expect(look(&tap, response: Array("3\r\n:\n\n\r\n".utf8), now: 1050) == [.heartbeat])
    }

    @Test("a refusal is reported once, and what follows on the connection is not a stream")
    func refused() {
        var tap = StreamTap()
        look(&tap, request: Self.request)
        let answer = Array("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno".utf8)
        #expect(look(&tap, response: answer, now: 0) == [.refused(status: 401)])
        #expect(tap.page == nil)
    }

    @Test(
        "other requests, and streams without a page's name, are not looked at",
        arguments: [
            "GET / HTTP/1.1\r\n", "GET /feed?page=p HTTP/1.1\r\n", "GET /events HTTP/1.1\r\n", "GET /eventsmore?page=p HTTP/1.1\r\n", "\0",
        ])
    func others(request: String) {
        var tap = StreamTap()
        look(&tap, request: request)
        #expect(tap.page == nil)
        #expect(look(&tap, response: Array((Self.head + "3\r\n:\n\n\r\n").utf8), now: 1000).isEmpty)
    }

    @Test(
        "bytes that are no HTTP, and a broken chunk, end the looking and nothing else",
        arguments: ["garbage", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n:\n"])
    func broken(response: String) {
        var tap = StreamTap()
        look(&tap, request: Self.request)
        #expect(look(&tap, response: Array(response.utf8), now: 0).isEmpty)
        #expect(tap.page == nil)
        #expect(look(&tap, response: Array("3\r\n:\n\n\r\n".utf8), now: 1000).isEmpty)
    }
}
