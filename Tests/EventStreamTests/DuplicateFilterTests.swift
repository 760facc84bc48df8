// Equal events of several servers, by examples and against a list.

import EventStream
import TestSupport
import Testing

@Suite("Equal events of several servers")
struct DuplicateFilterTests {
    private func drops(_ filter: inout DuplicateFilter, _ text: String, from source: Int, at now: Int64 = 0, limit: Int = 1 << 20) -> Bool {
        var dropped: Bool?
        withBlocks(of: Array("\(text)\n\n".utf8), limit: limit) { cutter, piece in
            dropped = filter.drops(cutter, of: piece, from: source, at: now)
        }
        return dropped!
    }

    @Test("drops an id of another source, and neither its own nor blocks without one")
    func identifiers() {
        var filter = DuplicateFilter(.identifier, withinMilliseconds: 100)
        for (text, source, isDropped) in [
            ("id: 1\ndata: a", 0, false), ("id: 1\ndata: b", 1, true), ("id: 1\ndata: a", 0, false), ("data: a", 1, false),
            ("id: 2", 1, false), ("id: 2\ndata: x", 0, true), ("id\ndata: a", 0, false), ("id:\ndata: a", 1, false),
        ] { #expect(drops(&filter, text, from: source) == isDropped, "\(text) of \(source)") }
    }

    @Test("drops the same type and data of another source, however they are written, and no blocks without data")
    func data() {
        for (first, second, isDropped) in [
            ("data: a", "id: 7\ndata:a\nretry: 5", true), ("event: message\ndata: a", "data: a", true), ("data", "data:", true),
            ("data: a\ndata: b", "data: a\nevent: message\ndata: b", true), ("data: ab", "data: a\ndata: b", false),
            ("data: a\ndata", "data: a", false), ("event: x\ndata: a", "data: a", false), ("event: x\ndata: a", "event: y\ndata: a", false),
            ("data:  a", "data: a", false), ("retry: 5", "retry: 5", false), ("id: 1", "id: 1", false),
        ] {
            var filter = DuplicateFilter(.data, withinMilliseconds: 100)
            #expect(!drops(&filter, first, from: 0))
            #expect(drops(&filter, second, from: 1) == isDropped, "\(first), \(second)")
        }
    }

    @Test("knows blocks above the limit by their ids, and not by their data")
    func oversized() {
        for (mark, isDropped) in [(DuplicateFilter.Mark.identifier, true), (.data, false)] {
            var filter = DuplicateFilter(mark, withinMilliseconds: 100)
            let large = "id: 1\ndata: \(String(repeating: "x", count: 99))"
            #expect(!drops(&filter, large, from: 0, limit: 50))
            #expect(drops(&filter, large, from: 1, limit: 50) == isDropped)
        }
    }

    @Test("drops what a list of all events drops, within the time and among the last ones")
    func sameAsList() {
        var random = SeededGenerator("duplicates")
        var droppedCount = 0
        for _ in 0..<300 {
            let (time, limit) = (Int64(random.pick([1, 10, 1_000])), random.pick([1, 5, 10_000]))
            var filter = DuplicateFilter(.identifier, withinMilliseconds: time, limit: limit)
            var passed: [(id: Int, source: Int, time: Int64)] = []
            var now: Int64 = 0
            for _ in 0..<60 {
                now += Int64(random.pick([0, 0, 1, 5]))
                let (id, source) = (random.below(6), random.below(3))
                let last = passed.suffix(limit).last { $0.id == id && $0.time > now - time }
                let expected = last != nil && last?.source != source
                #expect(drops(&filter, "id: \(id)", from: source, at: now) == expected)
                droppedCount += expected ? 1 : 0
                if !expected { passed.append((id, source, now)) }
            }
        }
        #expect(droppedCount > 1_000)
    }
}
