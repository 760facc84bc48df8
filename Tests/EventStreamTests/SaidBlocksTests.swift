// What one of several servers has said is known again, and what another one has said is not.

import EventStream
import Testing

@Suite("Replays of one of several servers")
struct SaidBlocksTests {
    /// Which blocks of the second text are dropped, after the server has said the first one, and others are in the log.
    private func drops(_ said: String, others: String = "", then text: String, greetings: [String] = []) -> [Bool] {
        let log = BlockLog(BlockLog.Rules(identifiers: .own, gaps: .off), epoch: Epoch(truncating: 1))
        log.append(others)
        var memory = SaidBlocks()
        each(said) { memory.note($0, of: $1) }
        var filter = ReplayFilter(greetings: greetings.map { Array($0.utf8) }, said: memory)
        var drops: [Bool] = []
        each(text) { drops.append(!filter.isOver && filter.drops($0, of: $1, in: log)) }
        return drops
    }

    private func each(_ text: String, _ body: (BlockCutter, Span<UInt8>) -> Void) {
        var cutter = BlockCutter(limit: 1 << 20)
        let bytes = Array(text.utf8)
        var offset = 0
        while case .block = cutter.next(in: bytes.span, from: &offset) { body(cutter, bytes.span) }
    }

    @Test("drops what the server has said under the same ids, in its order, until something new comes")
    func replays() {
        let said = "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n"
        #expect(drops(said, then: "id: 3\ndata: c\n\nid: 4\ndata: d\n\n") == [true, false])
        #expect(drops(said, then: said + "id: 4\ndata: d\n\n") == [true, true, true, false])
        #expect(drops(said, then: "id: 4\ndata: d\n\nid: 3\ndata: c\n\nid: 2\ndata: b\n\n") == [false, true, false])
        #expect(drops(said, then: "id: 3\n\nid: 4\ndata: d\n\n") == [true, false])
    }

    @Test("drops nothing that only another server has said")
    func others() {
        let log = "id: 10\ndata: refresh\n\nid: 11\ndata: refresh\n\n"
        #expect(drops("id: 10\ndata: refresh\n\n", others: log, then: "id: 11\ndata: refresh\n\n") == [false])
    }

    @Test("drops nothing of a server that uses ids twice, or that counts from 1 again and says something else")
    func uncertain() {
        #expect(drops("id: 0\ndata: a\n\nid: 0\ndata: a\n\n", then: "id: 0\ndata: a\n\n") == [false])
        #expect(drops("id: 1\ndata: a\n\nid: 2\ndata: b\n\n", then: "id: 1\ndata: x\n\nid: 2\ndata: b\n\n") == [false, false])
        #expect(drops("data: a\n\n", then: "data: a\n\n") == [false])
    }

    @Test("drops greetings, and knows no more than 256 blocks")
    func bounds() {
        #expect(drops("id: 1\ndata: a\n\n", then: "event: hi\ndata: 0\n\nid: 1\ndata: a\n\n", greetings: ["hi"]) == [true, true])
        let many = (1...300).map { "id: \($0)\ndata: a\n\n" }.joined()
        let dropped = drops(many, then: many)
        #expect(dropped == (1...300).map { $0 > 44 })
    }
}
