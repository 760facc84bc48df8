// Where a head ends, its limits, and that no bytes and no split make the scanner trap.

import HTTP
import TestSupport
import Testing

@Suite struct HeadScannerTests {
    private func scanEverySplit(_ text: String, _ kind: HeadKind = .request, _ limits: HeadLimits) -> Outcome<Int> {
        scanInEverySplit(Array(text.utf8), kind, limits: limits)
    }

    @Test("a head ends at its empty line, and what follows belongs to the next")
    func pipelining() throws {
        let first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
        let bytes = Array((first + "GET /2 HTTP/1.1\r\nHost: b\r\n\r\n").utf8)
        #expect(scanInEverySplit(bytes, .request) == .accepted(first.utf8.count))
        var scanner = HeadScanner(kind: .request, limits: HeadLimits())
        var targets: [String] = []
        var start = 0
        while let count = try scanner.receive(bytes.span.extracting(start..<bytes.count)), count > 0 {
            #expect(scanner.receivedBytes == count)
            #expect(try scanner.receive(bytes.span) == 0)
            let head = try RequestHead.parse(bytes.span.extracting(start..<start + count), limits: HeadLimits())
            targets.append(head.text(head.target))
            start += count
            scanner.reset()
            #expect(!scanner.hasBegun && scanner.receivedBytes == 0)
        }
        #expect(targets == ["/1", "/2"] && start == bytes.count)
    }

    @Test("an incomplete head is waited for, and it begins with its first line")
    func incompleteHeads() throws {
        let text = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
        for count in 0..<text.utf8.count {
            let bytes = Array(text.utf8.prefix(count))
            #expect(scanInEverySplit(bytes, .request) == .incomplete)
            var scanner = HeadScanner(kind: .request, limits: HeadLimits())
            #expect(try scanner.receive(bytes.span) == nil)
            #expect(scanner.hasBegun == (count > 2))
            #expect(scanner.receivedBytes == count)
        }
    }

    @Test("after an error every further call fails with it")
    func errorsStay() {
        var scanner = HeadScanner(kind: .request, limits: HeadLimits())
        #expect(throws: HTTPError.bareLineFeed) { try scanner.receive([0x0A].span) }
        #expect(throws: HTTPError.bareLineFeed) { try scanner.receive(Array("GET".utf8).span) }
        #expect(throws: HTTPError.bareLineFeed) { try scanner.receive([UInt8]().span) }
    }

    @Test("a head may have exactly as many bytes as its limit")
    func headBytes() throws {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "y", count: 100) + "\r\n\r\n"
        let count = text.utf8.count
        #expect(scanEverySplit(text, .request, HeadLimits(headBytes: count)) == .accepted(count))
        for limit in 1..<count {
            #expect(scan(Array(text.utf8), .request, cuts: [], limits: HeadLimits(headBytes: limit)) == .refused(.headTooLarge))
            #expect(throws: HTTPError.headTooLarge) {
                try RequestHead.parse(Array(text.utf8).span, limits: HeadLimits(headBytes: limit))
            }
        }
        #expect(scanEverySplit(text, .request, HeadLimits(headBytes: count - 1)) == .refused(.headTooLarge))
        // It is refused with the byte that reaches the limit, without waiting for another one.
        #expect(scanEverySplit(String(text.prefix(60)), .request, HeadLimits(headBytes: 60)) == .refused(.headTooLarge))
        #expect(HTTPError.headTooLarge.status == 431)
    }

    @Test("a head may have exactly as many fields as its limit, and one more is refused as it begins")
    func fieldCount() throws {
        let three = "GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\n"
        #expect(scanEverySplit(three + "\r\n", .request, HeadLimits(fieldCount: 3)) == .accepted(three.utf8.count + 2))
        #expect(scanEverySplit(three + "D", .request, HeadLimits(fieldCount: 3)) == .refused(.tooManyFields))
        #expect(throws: HTTPError.tooManyFields) {
            try RequestHead.parse(Array((three + "D: d\r\n\r\n").utf8).span, limits: HeadLimits(fieldCount: 3))
        }
        #expect(scanEverySplit("HTTP/1.1 200 OK\r\nA: a\r\nB", .response, HeadLimits(fieldCount: 1)) == .refused(.tooManyFields))
        #expect(HTTPError.tooManyFields.status == 431)
    }

    @Test("a target may have exactly as many bytes as its limit, and one more is refused at once")
    func targetBytes() throws {
        let target = "/" + String(repeating: "x", count: 19)
        let head = try request("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n", limits: HeadLimits(targetBytes: 20))
        #expect(head.text(head.target) == target)
        #expect(scanEverySplit("GET \(target)x", .request, HeadLimits(targetBytes: 20)) == .refused(.targetTooLong))
        #expect(throws: HTTPError.targetTooLong) {
            try RequestHead.parse(Array("GET \(target)x HTTP/1.1\r\nHost: a\r\n\r\n".utf8).span, limits: HeadLimits(targetBytes: 20))
        }
        #expect(HTTPError.targetTooLong.status == 414)
    }

    @Test("limits below one count as one, and none lets an offset pass 32 bits")
    func limitsAreClamped() {
        #expect(HeadLimits(headBytes: -5, fieldCount: 0, targetBytes: Int.min) == HeadLimits(headBytes: 1, fieldCount: 1, targetBytes: 1))
        #expect(HeadLimits(headBytes: Int.max).headBytes < Int(UInt32.max))
        let limits = HeadLimits()
        #expect(limits.headBytes == 16_384 && limits.fieldCount == 100 && limits.targetBytes == 8_192)
    }

    @Test("the parser refuses less and more than one whole head")
    func wholeHeads() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        for count in 0..<text.utf8.count {
            #expect(throws: HTTPError.truncatedHead) { try RequestHead.parse(Array(text.utf8.prefix(count)).span, limits: HeadLimits()) }
        }
        #expect(throws: HTTPError.truncatedHead) { try RequestHead.parse(Array((text + "G").utf8).span, limits: HeadLimits()) }
        #expect(throws: HTTPError.truncatedHead) { try ResponseHead.parse([UInt8]().span, limits: HeadLimits()) }
    }

    @Test("random bytes trap nothing, and give the same answer in random pieces")
    func randomBytes() {
        var random = SeededGenerator("random heads")
        let pieces = [
            "GET ", "/", " HTTP/1.1", " HTTP/1.0", "\r\n", "\r\n\r\n", "Host: a", "Connection: ", "close", ",", "upgrade", ": ", " ", "\t",
            "x",
            "Content-Length: 5", "Transfer-Encoding: chunked", "\u{00}", "\"", "\\", "http://b", "*", "OPTIONS ", "HTTP/1.1 200 OK",
            "[::1]", ":80",
            "Expect: 100-continue", "Upgrade: websocket", "é", "\n", "\r", ";", "=", "Accept: text/event-stream",
        ].map { Array($0.utf8) }
        var accepted = 0
        for _ in 0..<4000 {
            var bytes = Array((Bool.random(using: &random) ? "GET / HTTP/1.1\r\nHost: a\r\n" : "").utf8)
            for _ in 0..<Int.random(in: 0..<12, using: &random) {
                bytes += pieces.randomElement(using: &random)!
                if Int.random(in: 0..<4, using: &random) == 0 { bytes += Array("\r\n".utf8) }
            }
            if Bool.random(using: &random) { bytes += Array("\r\n\r\n".utf8) }
            for kind in [HeadKind.request, .response] {
                let limits = HeadLimits(
                    headBytes: Int.random(in: 1..<200, using: &random), fieldCount: Int.random(in: 1..<5, using: &random))
                let whole = scan(bytes, kind, cuts: [], limits: limits)
                let cuts = (0..<3).map { _ in Int.random(in: 0...bytes.count, using: &random) }.sorted()
                #expect(scan(bytes, kind, cuts: cuts, limits: limits) == whole)
                guard case .accepted(let count) = whole else { continue }
                let head = bytes.span.extracting(0..<count)
                if kind == .request, let parsed = try? RequestHead.parse(head, limits: limits) {
                    accepted += 1
                    checkForwarding(parsed)
                }
                if kind == .response { _ = try? ResponseHead.parse(head, limits: limits) }
            }
        }
        #expect(accepted > 100)
    }

    /// What is written from an accepted head is accepted too, and means the same.
    private func checkForwarding(_ head: RequestHead) {
        var writer = HeadWriter()
        writer.requestLine(of: head)
        if !head.authority.isEmpty { writer.field("Host", head.authority, of: head) }
        writer.copyForwardableFields(of: head)
        writer.end()
        guard !head.authority.isEmpty else { return }
        do {
            let again = try RequestHead.parse(writer.bytes.span, limits: HeadLimits())
            #expect(again.text(again.target) == head.text(head.target))
            #expect(again.text(again.authority) == head.text(head.authority))
            #expect(again.framing == .none && again.upgradeProtocol == nil)
            #expect(again.forwardedNames == head.forwardedNames)
        } catch {
            Issue.record("an accepted head was refused when written again: \(error)")
        }
    }

    @Test(
        "the quick look at a whole head takes none that the scanner would refuse, and ends it where the scanner does",
        arguments: [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX:\ta\tb\t\r\n\r\nbody", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \u{01}\r\n\r\n", "\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r",
            "HTTP/1.1 200 OK\r\n\r\n", "GET / HTTP/1.1\r\n\r\nHost: a\r\n\r\n", "\r\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ])
    func quickLook(_ text: String) {
        let bytes = Array(text.utf8)
        for headBytes in [16_384, 60, 40, 30] {
            let limits = HeadLimits(headBytes: headBytes, fieldCount: 2, targetBytes: 10)
            guard let end = HeadScanner.endOfWholeHead(bytes.span, limits: limits) else { continue }
            guard (try? RequestHead.parse(Array(bytes[..<end]).span, limits: limits)) != nil else { continue }
            var scanner = HeadScanner(kind: .request, limits: limits)
            #expect((try? scanner.receive(bytes.span)) == end)
        }
    }
}
