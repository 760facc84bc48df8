// Replays told from news, by examples: what servers say when they are asked again.

import EventStream
import Testing

/// A log with its server's first response, and what passes of the second one.
struct Answer {
    var passed: [[UInt8]] = []
    /// In the order in which they came: what was dropped and what passed.
    var drops: [Bool] = []
    var filter: ReplayFilter

    init(_ pieces: [[UInt8]], greetings: [String] = [], in log: BlockLog, limit: Int = 1 << 20) {
        filter = ReplayFilter(greetings: greetings.map { Array($0.utf8) })
        var cutter = BlockCutter(limit: limit)
        for piece in pieces {
            var offset = 0
            cutting: while true {
                switch cutter.next(in: piece.span, from: &offset) {
                case .more: break cutting
                case .part: continue
                case .block:
                    let isDropped = filter.drops(cutter, of: piece.span, in: log)
                    drops.append(isDropped)
                    guard !isDropped else { continue }
                    passed.append(cutter.bytes(in: piece.span))
                    if cutter.block.isOversized {
                        _ = log.appendOversized(cutter, at: 0)
                    } else {
                        log.append(cutter, of: piece.span, at: 0)
                    }
                }
            }
        }
    }
}

@Suite("Replays of a server that was asked again")
struct ReplayFilterTests {
    private static let policies = [IdentifierPolicy.keep, .suffix, .own]

    private func makeLog(_ policy: IdentifierPolicy = .keep, blocks: Int = 1_000, _ text: String, limit: Int = 1 << 20) -> BlockLog {
        let log = BlockLog(
            BlockLog.Rules(identifiers: policy, gaps: .event(type: Array("stream_gap".utf8)), blockLimit: blocks),
            epoch: Epoch(truncating: 0x1_2345))
        log.append(text, limit: limit)
        log.trim(at: 0)
        return log
    }

    /// What passes of the answer, the same for each policy and split.
    private func expect(
        _ answer: String, after before: String, passes expected: String, greetings: [String] = [], isOver: Bool = true, blocks: Int = 1_000,
        limit: Int = 1 << 20, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for policy in Self.policies {
            for pieces in splits(of: Array(answer.utf8)) {
                let log = makeLog(policy, blocks: blocks, before, limit: limit)
                let found = Answer(pieces, greetings: greetings, in: log, limit: limit)
                let passed = String(decoding: found.passed.joined(), as: UTF8.self)
                guard passed != expected || found.filter.isOver != isOver else { continue }
                Issue.record("\(policy), \(pieces.count) pieces: \(passed), over: \(found.filter.isOver)", sourceLocation: sourceLocation)
                return
            }
        }
    }

    private static let before = "retry: 9\n\nid: 1\ndata: a\n\nevent: x\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n"

    @Test("passes what follows, however much of the log the server says again")
    func replays() {
        let new = "id: 4\ndata: d\n\nid: 5\ndata: e\n\n"
        for replay in [
            "", "id: 3\ndata: c\n\n", "event: x\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n",
            "id: 1\ndata: a\n\nevent: x\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n", "id: 1\ndata: a\n\nid: 3\ndata: c\n\n",
        ] {
            expect(replay + new, after: Self.before, passes: new)
            expect(replay, after: Self.before, passes: "", isOver: !replay.isEmpty)
        }
    }

    @Test("compares blocks and not bytes: other line ends, comments and places of the id are the same")
    func normalised() {
        expect(
            "\u{FEFF}: hello\r\nevent: x\r\n: inside\r\ndata: b\r\nid: 2\r\n\r\ndata: c\r\nid: 7\r\nid:3\r\n\r\nid: 4\r\n\r\n",
            after: Self.before, passes: "id: 4\n\n")
        expect("id: 1\ndata: a\nid: 2\ndata: b\n\nid: 3\n\n", after: "data: a\ndata: b\nid: 2\n\n", passes: "id: 3\n\n")
    }

    @Test("passes events of a server that counts from 1 again, from the first one that says anything else")
    func countsFromOne() {
        let answer = "id: 1\ndata: A\n\nid: 2\nevent: x\ndata: B\n\nid: 3\ndata: c\n\n"
        expect(answer, after: Self.before, passes: answer)
        let later = "id: 2\nevent: x\ndata: B\n\nid: 3\ndata: c\n\n"
        expect("id: 1\ndata: a\n\n" + later, after: Self.before, passes: later)
        for other in ["event: y\ndata: b", "event: x\ndata: b\nretry: 1", "event: x\ndata: b\nfoo: 1", "event: x\ndata:b", "retry: 1"] {
            expect("id: 2\n\(other)\n\n", after: Self.before, passes: "id: 2\n\(other)\n\n")
        }
    }

    @Test("takes a replay for one only in the order of the log, and up to its newest id")
    func order() {
        // Ids that name states: what comes behind the newest one has happened since.
        expect("id: on\ndata: 1\n\n", after: "id: on\ndata: 1\n\nid: off\ndata: 0\n\n", passes: "", isOver: false)
        expect(
            "id: off\ndata: 0\n\nid: on\ndata: 1\n\n", after: "id: on\ndata: 1\n\nid: off\ndata: 0\n\n", passes: "id: on\ndata: 1\n\n")
        expect(
            "event: x\nid: 2\ndata: b\n\nid: 1\ndata: a\n\nid: 3\ndata: c\n\n", after: Self.before,
            passes: "id: 1\ndata: a\n\nid: 3\ndata: c\n\n")
        expect("id: 1\ndata: a\n\nid: 1\ndata: a\n\n", after: Self.before, passes: "id: 1\ndata: a\n\n")
    }

    @Test("passes blocks without an id, and those that empty it, and goes on to recognise others")
    func withoutIdentifier() {
        expect(
            "retry: 5\n\nevent: x\nid: 2\ndata: b\n\ndata: c\n\nid\n\nid: 3\ndata: c\n\nid: 4\ndata: d\n\n", after: Self.before,
            passes: "retry: 5\n\ndata: c\n\nid\n\nid: 4\ndata: d\n\n")
        expect("data: a\n\n", after: "data: a\n\n", passes: "data: a\n\n", isOver: false)
    }

    @Test("passes all where ids came twice or the server counted backwards, and where a known block is no longer held")
    func doubtful() {
        for before in [
            "id: 1\ndata: a\n\nid: 1\ndata: a\n\n", "id: 7\ndata: a\n\nid: 1\ndata: a\n\n", "id: 1\ndata: a\n\nid: 2\n\nid: 3\n\n",
        ] {
            expect("id: 1\ndata: a\n\n", after: before, passes: "id: 1\ndata: a\n\n", blocks: 2)
        }
    }

    @Test("drops an id alone that is the newest one, which changes nothing, and no other")
    func restored() {
        expect("id: 3\n\nid: 3\ndata: c\n\nid: 4\ndata: d\n\n", after: Self.before, passes: "id: 4\ndata: d\n\n")
        expect("id: 3\n\n", after: Self.before, passes: "", isOver: false)
        for block in ["id: 2\n\n", "id: 3\nretry: 5\n\n", "id: 3\ndata\n\n"] { expect(block, after: Self.before, passes: block) }
    }

    @Test("drops leading greetings, whatever their ids, up to the first other event")
    func greetings() {
        let greeting = "event: hello\ndata: 1\n\n"
        let other = "id: 4\ndata: d\n\n"
        expect(
            greeting + "retry: 1\n\n" + greeting + "id: 3\ndata: c\n\n" + greeting + other, after: Self.before,
            passes: "retry: 1\n\n" + greeting + other, greetings: ["hello"])
        expect("id: 99\n" + greeting + "id: 3\ndata: c\n\n" + other, after: Self.before, passes: other, greetings: ["x", "hello"])
        expect("data: 1\n\nevent: message\ndata: 1\n\n" + greeting, after: "", passes: greeting, greetings: ["message"], isOver: false)
        expect(
            "id: 4\nevent: hello\n\n" + greeting, after: Self.before, passes: "id: 4\nevent: hello\n\n", greetings: ["hello"], isOver: false
        )
        expect(greeting, after: Self.before, passes: greeting, greetings: ["hell"], isOver: false)
    }

    @Test("knows blocks above the limit by their id alone")
    func oversized() {
        let large = String(repeating: "x", count: 60)
        let before = "id: 1\ndata: \(large)\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n"
        // Their bytes are kept nowhere, so those that pass are empty here.
        for policy in Self.policies {
            for (answer, drops) in [
                ("id: 1\ndata: \(large)\n\nid: 2\ndata: b\n\n", [true, true]),
                ("id: 2\ndata: \(large)\n\nid: 3\ndata: c\n\n", [false, false]),
                ("id: 1\ndata: b\n\nid: 2\ndata: b\n\n", [false, false]), ("id: 9\ndata: \(large)\n\nid: 2\ndata: b\n\n", [false, false]),
                ("event: hello\ndata: \(large)\n\nid: 2\ndata: b\n\n", [true, true]),
            ] {
                for pieces in splits(of: Array(answer.utf8)) {
                    let log = makeLog(policy, before, limit: 50)
                    #expect(Answer(pieces, greetings: ["hello"], in: log, limit: 50).drops == drops, "\(policy): \(answer)")
                }
            }
        }
    }
}
