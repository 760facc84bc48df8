// Two overlapping responses of one server, by examples.

import EventStream
import Testing

/// The blocks of a text, as the callers of the cores get them.
func withBlocks(of text: [UInt8], limit: Int = 1 << 20, _ body: (BlockCutter, Span<UInt8>) -> Void) {
    var cutter = BlockCutter(limit: limit)
    var offset = 0
    while true {
        switch cutter.next(in: text.span, from: &offset) {
        case .more: return
        case .part: continue
        case .block: body(cutter, text.span)
        }
    }
}

@Suite("Overlapping responses")
struct OverlapAlignmentTests {
    /// What goes on of `new`, which has said `held` of it at the switch, while `old` was said since the new request.
    private func join(
        before: String = "", old: String, held: String, later: String = "", greetings: [String] = [],
        policy: IdentifierPolicy = .keep, marks: Int = 4_096, limit: Int = 1 << 20
    ) -> (passed: String, seam: OverlapAlignment.Seam, isOver: Bool) {
        let log = BlockLog(BlockLog.Rules(identifiers: policy, gaps: .off), epoch: Epoch(truncating: 5))
        log.append(before, limit: limit)
        var alignment = OverlapAlignment(greetings: greetings.map { Array($0.utf8) }, blockLimit: limit, markLimit: marks)
        withBlocks(of: Array(old.utf8), limit: limit) { cutter, piece in
            if cutter.block.isOversized { _ = log.appendOversized(cutter, at: 0) } else { log.append(cutter, of: piece, at: 0) }
            alignment.oldSaid(cutter, of: piece)
        }
        for piece in [Array(held.utf8)] { alignment.newSaid(piece.span) }
        let expected = alignment.seam(in: log)
        let (bytes, seam) = alignment.switchOver(in: log)
        #expect(seam == expected && bytes == Array(held.utf8))
        var passed: [UInt8] = []
        withBlocks(of: bytes + Array(later.utf8), limit: limit) { cutter, piece in
            if alignment.drops(cutter, of: piece, in: log) { return }
            passed += cutter.block.isOversized ? Array("(large)".utf8) : cutter.bytes(in: piece)
            if cutter.block.isOversized { _ = log.appendOversized(cutter, at: 0) } else { log.append(cutter, of: piece, at: 0) }
        }
        return (String(decoding: passed, as: UTF8.self), seam, alignment.isOver)
    }

    private func data(_ letters: String) -> String { letters.map { "data: \($0)\n\n" }.joined() }

    private static let cases: [(old: String, held: String, later: String, passed: String, seam: OverlapAlignment.Seam)] = [
        // Level.
        ("abcd", "cd", "ef", "ef", .met), ("abcd", "abcd", "e", "e", .met), ("abcd", "Gcd", "ef", "Gef", .met),
        // The new one is ahead.
        ("ab", "abcd", "e", "cde", .met), ("ab", "GHbc", "d", "GHcd", .met),
        // The old one is ahead.
        ("abcd", "ab", "cdef", "ef", .met), ("abcd", "Gb", "cde", "Ge", .met), ("abcd", "b", "c", "", .met),
        // The new one has said nothing yet.
        ("abcd", "", "cdef", "ef", .quiet), ("abcd", "", "ef", "ef", .quiet), ("abcd", "G", "cde", "Ge", .apart),
        ("", "", "ab", "ab", .quiet),
        ("ab", "", "Gbc", "Gc", .quiet),
        // Nothing fits.
        ("ab", "cd", "e", "cde", .apart), ("", "ab", "c", "abc", .apart),
        // Equal blocks: level, as far as can be told.
        ("ttt", "tt", "t", "t", .met), ("tut", "ut", "ut", "ut", .met), ("tt", "ttt", "t", "tt", .met), ("tt", "", "t", "t", .quiet),
        // What stands further on is dropped only if it can be nothing else.
        ("abpc", "ab", "cd", "d", .met), ("abctdt", "ab", "t", "t", .met), ("abtctd", "ab", "tc", "", .met),
        ("apbc", "pab", "cd", "pad", .met),
    ]

    @Test("passes each block of two responses once", arguments: cases)
    func joins(old: String, held: String, later: String, passed: String, seam: OverlapAlignment.Seam) {
        let found = join(old: data(old), held: data(held), later: data(later))
        #expect(found.passed == data(passed) && found.seam == seam)
    }

    private func numbered(_ letters: String, from first: Int) -> String {
        letters.enumerated().map { "id: \($1 == "G" ? "hello" : "\(first + $0)")\ndata: \($1)\n\n" }.joined()
    }

    @Test("goes by ids where they are unique: equal events are different ones, and replays of before are known")
    func unique() {
        for policy in [IdentifierPolicy.keep, .suffix, .own] {
            let before = numbered("tttt", from: 1)
            for (held, later, passed) in [
                ("tt", "tt", numbered("tt", from: 7)), ("", "tttt", numbered("tt", from: 7)), ("tttt", "", numbered("tt", from: 7)),
            ] {
                let found = join(
                    before: before, old: numbered("tt", from: 5), held: numbered(held, from: 5),
                    later: numbered(later, from: 5 + held.count), policy: policy)
                #expect(found.passed == passed && found.isOver)
            }
            // The server says all, or the last one again, behind a greeting with an unknown id.
            for first in [1, 4] {
                let found = join(
                    before: before, old: numbered("t", from: 5),
                    held: numbered("G", from: 0) + numbered(String("tttttt".dropFirst(first - 1)), from: first), policy: policy)
                #expect(found.passed == numbered("G", from: 0) + numbered("t", from: 6) && found.seam == .met && found.isOver)
            }
        }
    }

    @Test("goes by contents where each response counts its own ids")
    func countedByEach() {
        for policy in [IdentifierPolicy.keep, .suffix, .own] {
            for (held, later, passed) in [("cd", "ef", 3), ("c", "def", 3), ("cdef", "", 3), ("", "bcdef", 4)] {
                let found = join(
                    before: numbered("xyzab", from: 1), old: numbered("cd", from: 6), held: numbered(held, from: 1),
                    later: numbered(later, from: held.count + 1), policy: policy)
                #expect(found.passed == numbered("ef", from: passed) || held.isEmpty && found.passed.hasSuffix(numbered("ef", from: 4)))
            }
            // Once more, when the log knows ids twice.
            let found = join(
                before: numbered("xyz", from: 1) + numbered("ab", from: 1), old: numbered("cd", from: 3), held: numbered("Gcd", from: 1),
                later: numbered("ef", from: 4), policy: policy)
            #expect(found.passed == numbered("G", from: 1) + numbered("ef", from: 4))
        }
    }

    @Test("drops greetings of the types that are named, also behind the switch")
    func greetings() {
        let greeting = "event: hello\ndata: 1\n\n"
        #expect(join(old: data("ab"), held: greeting + data("bc"), greetings: ["hello"]) == (data("c"), .met, false))
        #expect(join(old: data("ab"), held: greeting, later: data("bc"), greetings: ["hello"]) == (data("c"), .quiet, false))
        #expect(
            join(old: data("ab"), held: "", later: greeting + data("bc") + greeting, greetings: ["hello"]).passed == data("c") + greeting)
    }

    @Test("does not take an event for the old one's if the log says that such events come again")
    func repeating() {
        #expect(join(before: data("r"), old: data("xr"), held: "", later: data("r")).passed == data("r"))
        #expect(join(before: data("q"), old: data("xr"), held: "", later: data("r")).passed.isEmpty)
    }

    @Test("gives up after 64 events that the old one has not said")
    func patience() {
        let many = (0..<64).map { "data: s\($0)\n\n" }.joined()
        #expect(join(old: data("ab"), held: "", later: String(many.dropLast(11)) + data("ab")).passed.hasSuffix("s62\n\n"))
        let found = join(old: data("ab"), held: "", later: many + data("ab"))
        #expect(found.passed == many + data("ab") && found.isOver)
        // Held ones may be more.
        #expect(join(old: data("ab"), held: many + data("b"), later: data("c")).passed == many + data("c"))
    }

    @Test("knows a bounded number of the old one's blocks, and holds a bounded number of bytes")
    func bounds() {
        #expect(join(old: data("abcd"), held: data("bcd"), later: data("e"), marks: 2).passed == data("be"))
        #expect(join(old: data("abcd"), held: "", later: data("bcde"), marks: 2).passed == data("be"))
        var alignment = OverlapAlignment(greetings: [], blockLimit: 100, heldLimit: 10)
        let piece = Array("12345".utf8)
        alignment.newSaid(piece.span)
        #expect(!alignment.isFull)
        alignment.newSaid(piece.span)
        #expect(alignment.isFull)
    }

    @Test("knows blocks above the limit by what they say and by their ids")
    func oversized() {
        let large = "data: \(String(repeating: "x", count: 60))\n"
        let other = "data: \(String(repeating: "x", count: 59))y\n"
        func found(_ old: String, _ held: String) -> String { join(old: old, held: held, limit: 50).passed }
        #expect(found("id: 1\n\(large)\n", "id: 1\n\(large)\n" + data("a")) == data("a"))
        #expect(found("id: 1\n\(large)\n", "id: 2\n\(large)\n" + data("a")) == "(large)" + data("a"))
        #expect(found("\(large)\n", "\(large)\n" + data("a")) == data("a"))
        #expect(found("\(large)\n", "\(other)\n" + data("a")) == "(large)" + data("a"))
        #expect(found(data("a") + "\(large)\n" + data("b"), data("a") + "\(large)\n" + data("b")) == "")
        #expect(found(data("a") + "\(large)\n" + data("b"), data("a") + "\(other)\n" + data("b")) == data("a") + "(large)")
    }
    @Test("knows a block above the limit again, however it is split")
    func oversizedInPieces() {
        let text = Array(": a comment\r\nevent: a\r\ndata: \(String(repeating: "x", count: 90))\r\nid: 1\r\ndata: b\r\n\r\n".utf8)
        for split in 1..<text.count {
            let log = BlockLog(BlockLog.Rules(identifiers: .keep, gaps: .off), epoch: Epoch(truncating: 5))
            var alignment = OverlapAlignment(greetings: [], blockLimit: 50)
            var cutter = BlockCutter(limit: 50)
            for piece in [Array(text[..<split]), Array(text[split...])] {
                var offset = 0
                cutting: while true {
                    switch cutter.next(in: piece.span, from: &offset) {
                    case .more: break cutting
                    case .part: continue
                    case .block:
                        _ = log.appendOversized(cutter, at: 0)
                        alignment.oldSaid(cutter, of: piece.span)
                    }
                }
            }
            alignment.newSaid(text.span)
            let (held, seam) = alignment.switchOver(in: log)
            #expect(seam == .met, "split at \(split)")
            withBlocks(of: held, limit: 50) { cutter, piece in
                let isDropped = alignment.drops(cutter, of: piece, in: log)
                #expect(isDropped, "split at \(split)")
            }
        }
    }
}
