// The log by examples: what is stored, what readers read, what is dropped.

@testable import EventStream
import Testing

private let epoch = Epoch(truncating: 0x0001_0203_0405)

private func makeLog(
    _ identifiers: IdentifierPolicy = .keep, gaps: GapManner = .event(type: Array("stream_gap".utf8)), blocks: Int = 1_000,
    bytes: Int = 1 << 20, age: Int64 = 300_000
) -> BlockLog {
    BlockLog(
        BlockLog.Rules(identifiers: identifiers, gaps: gaps, blockLimit: blocks, byteLimit: bytes, ageLimitMilliseconds: age),
        epoch: epoch)
}

@Suite("The log of a stream")
struct BlockLogTests {
    // MARK: Ids

    @Test("gives blocks of a server without ids the places behind them as ids")
    func ownIdentifiers() {
        for policy in [IdentifierPolicy.keep, .suffix, .own] {
            let log = makeLog(policy)
            log.append("event: tick\ndata: a\n\nretry: 5\n\n")
            #expect(log.readAll() == ["id: hw1.AAECAwQF.1\nevent: tick\ndata: a\n\nid: hw1.AAECAwQF.2\nretry: 5\n\n"])
            #expect(log.hasOwnIdentifiers)
        }
    }

    @Test("keeps a server's blocks as they come from its first id on")
    func kept() {
        let log = makeLog(.keep)
        log.append("data: a\n\ndata: b\nid:7\n\ndata: c\n\nid\n\ndata: d\n\n")
        #expect(
            log.readAll().joined() == "id: hw1.AAECAwQF.1\ndata: a\n\ndata: b\nid:7\n\ndata: c\n\nid\n\ndata: d\n\n")
        #expect(!log.hasOwnIdentifiers && log.lastServerIdentifier.isEmpty)
    }

    @Test("replaces empty ids of a server that has set none: they would take the proxy's away again")
    func emptyIdentifiers() {
        let log = makeLog(.keep)
        log.append("id:\ndata: a\n\ndata: b\nid\nid\n\n")
        #expect(log.readAll().joined() == "id: hw1.AAECAwQF.1\ndata: a\n\nid: hw1.AAECAwQF.2\ndata: b\n\n")
    }

    @Test(
        "goes on behind the id that the server was asked for, until its first block says otherwise",
        arguments: [IdentifierPolicy.keep, .suffix, .own])
    func askedFor(_ policy: IdentifierPolicy) {
        func log(behind text: String) -> BlockLog {
            let log = BlockLog(BlockLog.Rules(identifiers: policy, gaps: .off), epoch: epoch, after: Array("9".utf8))
            log.append(text)
            return log
        }
        #expect(log(behind: ": a comment\n\ndata: not a whole block").lastServerIdentifier == Array("9".utf8))
        for text in ["data: a\n\n", "retry: 5\n\n", "id\n\n"] { #expect(log(behind: text).lastServerIdentifier.isEmpty) }
        // Nobody has been given it, so no block carries it on; and a lower one says nothing of how the server counts.
        #expect(log(behind: "data: a\n\n").readAll() == ["id: hw1.AAECAwQF.1\ndata: a\n\n"])
        let later = log(behind: "id: 7\ndata: a\n\n")
        #expect(later.lastServerIdentifier == Array("7".utf8) && later.firstBlock(thatSet: Array("7".utf8)) == (policy == .own ? nil : 1))
        #expect(later.areIdentifiersUnique && !later.hasEmptiedIdentifier)
    }

    @Test("puts the place behind the server's id, and keeps that id for blocks without one, as a browser does")
    func suffixed() {
        let log = makeLog(.suffix)
        log.append("data: a\n\nid: 6\nid: 7\ndata: b\n\ndata: c\n\nid\ndata: d\n\n")
        #expect(
            log.readAll().joined() == """
                id: hw1.AAECAwQF.1\ndata: a\n\nid: 7~hw1.AAECAwQF.2\ndata: b\n\nid: 7~hw1.AAECAwQF.3\ndata: c\n\n\
                id: hw1.AAECAwQF.4\ndata: d\n\n
                """)
    }

    @Test("puts nothing behind a server's id of more than 512 bytes")
    func longSuffixed() {
        for (count, isSuffixed) in [(512, true), (513, false)] {
            let log = makeLog(.suffix)
            let id = String(repeating: "7", count: count)
            log.append("id: \(id)\ndata: a\n\ndata: b\n\n")
            let read = log.readAll().joined()
            #expect(read.contains("~hw1") == isSuffixed && log.hasOwnIdentifiers == isSuffixed)
            #expect(isSuffixed || read == "id: \(id)\ndata: a\n\ndata: b\n\n")
            #expect(log.firstBlock(thatSet: Array(id.utf8)) == 1)
        }
    }

    @Test("takes the server's ids out where ids are the proxy's, and knows the last one for the server")
    func own() {
        let log = makeLog(.own)
        log.append("data: a\nid: 6\nevent: x\n\nid: 7\n\n")
        #expect(log.readAll().joined() == "id: hw1.AAECAwQF.1\ndata: a\nevent: x\n\nid: hw1.AAECAwQF.2\n\n")
        #expect(log.lastServerIdentifier == Array("7".utf8))
    }

    @Test("sets a place without an event: behind a head, and instead of a heartbeat")
    func places() {
        let log = makeLog(.suffix)
        var bytes: [UInt8] = []
        #expect(log.appendPlace(log.next, to: &bytes))
        log.append("id: 7\ndata: a\n\ndata: b\n\n")
        #expect(log.appendPlace(log.next, to: &bytes) && log.appendPlace(2, to: &bytes))
        #expect(String(decoding: bytes, as: UTF8.self) == "id: hw1.AAECAwQF.0\n\nid: 7~hw1.AAECAwQF.2\n\nid: hw1.AAECAwQF.1\n\n")
        let kept = makeLog(.keep)
        kept.append("id: 7\ndata: a\n\n")
        #expect(!kept.appendPlace(kept.next, to: &bytes))
    }

    @Test("goes on under another epoch with the same numbers")
    func epochs() {
        let log = makeLog(.own)
        log.append("data: a\n\n")
        log.begin(Epoch(truncating: 0xFFFF_FFFF_FFFF), after: .owner)
        log.append("data: b\n\n")
        #expect(log.readAll().joined() == "id: hw1.AAECAwQF.1\ndata: a\n\nid: hw1.________.2\ndata: b\n\n")
    }

    // MARK: Readers

    @Test("gives a reader all blocks at once that stand one behind the other, and later ones when they come")
    func runs() {
        let log = makeLog(.own)
        var cursor: UInt64 = 1
        #expect(log.readAll(&cursor).isEmpty)
        for _ in 0..<4 { log.append("data: 12345\n\n") }
        #expect(log.readAll(&cursor).count == 1 && cursor == 5)
        log.append("data: b\n\n")
        #expect(log.readAll(&cursor) == ["id: hw1.AAECAwQF.5\ndata: b\n\n"])
    }

    @Test("keeps a slice's bytes while it is sent, whatever the log drops")
    func slices() {
        let log = makeLog(.own, blocks: 1)
        log.append("data: a\n\n")
        var cursor: UInt64 = 1
        guard case .blocks(let slice) = log.read(&cursor) else {
            Issue.record("nothing read")
            return
        }
        for _ in 0..<1_000 {
            log.append("data: b\n\n")
            log.trim(at: 0)
        }
        #expect(String(decoding: slice.copied, as: UTF8.self) == "id: hw1.AAECAwQF.1\ndata: a\n\n")
    }

    @Test("passes what a filter wants, blocks without data and gaps, and moves the reader behind the rest")
    func filters() {
        let log = makeLog(.own)
        log.append("event: a\ndata: 1\n\nevent: b\ndata: 2\n\ndata: 3\n\nevent: b\nretry: 5\n\nevent: a\ndata: 4\n\n")
        log.append(Gap(.upstream, isCertain: false), at: 0)
        var filter = TypeFilter(Array("b,message".utf8))
        var cursor: UInt64 = 1
        var read: [String] = []
        while case .blocks(let slice) = log.read(&cursor, through: &filter) { read.append(String(decoding: slice.copied, as: UTF8.self)) }
        #expect(read.count == 2 && read[0].contains("data: 2") && read[0].contains("data: 3") && read[0].contains("retry"))
        #expect(read[1].contains("stream_gap") && cursor == 7)
    }

    @Test("begins with the last events, or with the last one of each type")
    func lateReaders() {
        let log = makeLog(.own)
        log.append("event: a\ndata: 1\n\ndata: 2\n\nevent: a\ndata: 3\n\nretry: 4\n\nevent: message\ndata: 5\n\nevent: b\ndata: 6\n\n")
        #expect([0, 1, 2, 3, 9].map { log.start(ofLastEvents: $0) } == [7, 6, 5, 3, 1])
        #expect(log.lastOfEachType == [3, 5, 6])
        #expect(log.block(3).map { String(decoding: $0.copied, as: UTF8.self) } == "id: hw1.AAECAwQF.3\nevent: a\ndata: 3\n\n")
        for number in 0..<200 { log.append("event: \(number)\ndata: x\n\nevent: \(number)\ndata: y\n\n") }
        #expect(log.lastOfEachType.count == 203)
    }

    @Test("knows whether a client gets anything from a place on, and another id with it")
    func more() {
        let prices = TypeFilter(Array("price".utf8))
        let own = makeLog(.own)
        own.append("event: price\ndata: 1\n\nevent: trade\ndata: 2\n\n")
        #expect(own.hasMore(from: 1, through: prices) && own.hasMore(from: 2, through: nil))
        #expect(own.replacesIdentifier(from: 1, through: prices))
        #expect(!own.hasMore(from: 2, through: prices) && !own.hasMore(from: 3, through: nil))
        for (gaps, isTold) in [(GapManner.event(type: [0x67]), true), (.reconnect, false), (.off, false)] {
            let log = makeLog(.own, gaps: gaps, blocks: 1)
            log.append("event: trade\ndata: 1\n\nevent: trade\ndata: 2\n\n")
            log.trim(at: 0)
            #expect(log.hasMore(from: 1, through: prices) == isTold)
        }
        let kept = makeLog(.keep)
        kept.append("id: 1\nevent: trade\ndata: 1\n\nevent: price\ndata: 2\n\n")
        #expect(kept.replacesIdentifier(from: 1, through: nil) && !kept.replacesIdentifier(from: 1, through: prices))
    }

    // MARK: Bounds

    @Test("drops the oldest blocks beyond each bound, and tells a reader who needs them how many are missing")
    func bounds() {
        for log in [makeLog(.own, blocks: 2), makeLog(.own, bytes: 70), makeLog(.own, age: 1_000)] {
            for number in 0..<5 { log.append("data: \(number)\n\n", at: Int64(number) * 500) }
            log.trim(at: 2_000)
            let missed = Int(log.first) - 1
            #expect((2...3).contains(missed))
            #expect(log.readAll().first == "expired true \(missed)")
        }
    }

    @Test("drops nothing for a clock that is a little behind, and knows ages of weeks")
    func ages() {
        let log = makeLog(.own, age: 60 * 86_400_000)
        log.append("data: a\n\n", at: 1_000_000)
        for now in [999_000, 1_000_000, 1_000_000 + 59 * 86_400_000] as [Int64] { log.trim(at: now) }
        #expect(log.first == 1)
        log.trim(at: 1_000_000 + 61 * 86_400_000)
        #expect(log.first == 2)
    }

    @Test("never drops what a reader needs who takes what comes: a history of 3 and a burst of 10")
    func keptForReaders() {
        let log = makeLog(.own, blocks: 3)
        for number in 0..<10 { log.append("data: \(number)\n\n") }
        log.trim(at: 1_000_000, keptFrom: 2)
        #expect(log.first == 2)
        log.trim(at: 0)
        #expect(log.first == 8)
    }

    @Test("owns nothing without blocks, little with a few, and not more than its segments with many")
    func memory() {
        let log = makeLog(.own, blocks: 1_000)
        #expect(log.memoryByteCount == 0)
        log.append("data: a\n\n")
        #expect(log.memoryByteCount < 1_200)
        for _ in 0..<5_000 {
            log.append("id: a\ndata: \(String(repeating: "x", count: 200))\n\n")
            log.trim(at: 0)
        }
        #expect(log.byteCount > 200_000 && log.memoryByteCount < log.byteCount + 90_000)
        #expect(log.discardOldest(memoryByteCount: 50_000) >= 50_000)
        log.trim(at: 10_000_000)
        #expect(log.first == log.next && log.memoryByteCount == 0)
    }

    @Test("finds the first block that set an id, not the last")
    func firstBlock() {
        let log = makeLog(.keep, blocks: 4)
        log.append("id: 5\ndata: a\n\nid: 6\ndata: b\n\nid: 5\ndata: c\n\ndata: d\n\n")
        #expect(log.firstBlock(thatSet: Array("5".utf8)) == 1)
        log.append("data: e\n\n")
        log.trim(at: 0)
        #expect(log.firstBlock(thatSet: Array("5".utf8)) == 3)
        #expect(log.firstBlock(thatSet: Array("6".utf8)) == 2)
        #expect(log.firstBlock(thatSet: Array("7".utf8)) == nil && log.firstBlock(thatSet: []) == nil)
    }

    // MARK: Gaps

    @Test("tells of a gap of the server's side at its place, to all readers")
    func gaps() {
        let log = makeLog(.own)
        log.append("data: a\n\n")
        log.append(Gap(.upstream, isCertain: false), at: 0)
        log.append("data: b\n\n")
        #expect(
            log.readAll().joined() == """
                id: hw1.AAECAwQF.1\ndata: a\n\n\
                id: hw1.AAECAwQF.2\nevent: stream_gap\ndata: {"reason":"upstream","certain":false,"missed":null}\n\n\
                id: hw1.AAECAwQF.3\ndata: b\n\n
                """)
        let kept = makeLog(.keep)
        kept.append("id: 7\ndata: a\n\n")
        kept.append(Gap(.expired, isCertain: true, missedCount: 15), at: 0)
        #expect(
            kept.readAll(from: 2)
                == ["event: stream_gap\ndata: {\"reason\":\"expired\",\"certain\":true,\"missed\":15}\n\n"])
    }

    @Test("stops readers at a gap where responses end there, and says nothing where gaps are not told")
    func gapManners() {
        let reconnect = makeLog(.own, gaps: .reconnect)
        let off = makeLog(.own, gaps: .off)
        for log in [reconnect, off] {
            log.append("data: a\n\n")
            log.append(Gap(.away, isCertain: false), at: 0)
            log.append("data: b\n\n")
            #expect(log.gapEvent(Gap(.away, isCertain: false), before: 2) == nil)
        }
        #expect(
            reconnect.readAll() == [
                "id: hw1.AAECAwQF.1\ndata: a\n\n", "away false -", "id: hw1.AAECAwQF.3\ndata: b\n\n",
            ])
        #expect(off.readAll() == ["id: hw1.AAECAwQF.1\ndata: a\n\nid: hw1.AAECAwQF.2\ndata: b\n\n"])
    }

    @Test("tells one reader of a gap with the place behind it, so that its next reconnect is exact")
    func gapOfOneReader() {
        let log = makeLog(.own, blocks: 1)
        log.append("data: a\n\ndata: b\n\n")
        log.trim(at: 0)
        var cursor: UInt64 = 1
        guard case .gap(let gap) = log.read(&cursor) else {
            Issue.record("no gap")
            return
        }
        #expect(
            log.gapEvent(gap, before: cursor).map { String(decoding: $0, as: UTF8.self) }
                == "id: hw1.AAECAwQF.1\nevent: stream_gap\ndata: {\"reason\":\"expired\",\"certain\":true,\"missed\":1}\n\n")
    }

    @Test("tells who begins with what comes of a gap with the server's last id, where ids are the server's")
    func gapBeforeWhatComes() {
        let log = makeLog(.keep)
        log.append("id: 7\ndata: a\n\n")
        log.append("id: 8\ndata: b\n\n")
        let told = "event: stream_gap\ndata: {\"reason\":\"unknown\",\"certain\":false,\"missed\":null}\n\n"
        func event(before cursor: UInt64) -> String? {
            log.gapEvent(Gap(.unknown, isCertain: false), before: cursor).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(event(before: 3) == "id: 8\n\(told)")
        #expect(event(before: 2) == told)
        log.append("id\ndata: c\n\n")
        #expect(event(before: 4) == told)
    }

    @Test("keeps the place of a block above the limit, and its id, for those who come back")
    func oversized() {
        for (policy, line) in [(IdentifierPolicy.keep, "id: 8\n"), (.suffix, "id: 8~hw1.AAECAwQF.2\n"), (.own, "id: hw1.AAECAwQF.2\n")] {
            let log = makeLog(policy)
            log.append("id: 7\ndata: a\n\n", limit: 100)
            var cutter = BlockCutter(limit: 100)
            let piece = Array("data: \(String(repeating: "x", count: 200))\nid: 8\n\n".utf8)
            var offset = 0
            while cutter.next(in: piece.span, from: &offset) != .block {}
            #expect(String(decoding: log.appendOversized(cutter, at: 0), as: UTF8.self) == "\(line)\n")
            log.append("data: b\n\n", limit: 100)
            let read = log.readAll()
            #expect(read.count == 3 && read[1] == "oversize true 1")
            #expect(
                log.gapEvent(Gap(.oversize, isCertain: true, missedCount: 1), before: 3).map { String(decoding: $0, as: UTF8.self) }
                    == "\(line)event: stream_gap\ndata: {\"reason\":\"oversize\",\"certain\":true,\"missed\":1}\n\n")
            #expect(log.firstBlock(thatSet: Array("8".utf8)) == (policy == .own ? nil : 2))
        }
    }
}
