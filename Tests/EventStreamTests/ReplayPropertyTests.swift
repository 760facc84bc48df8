// Replays told from news, against a list of all blocks: servers of every kind drop, begin again, and answer in every way.

import EventStream
import TestSupport
import Testing

@Suite("Replays of a server that was asked again, compared with a list of all blocks")
struct ReplayPropertyTests {
    @Test("loses nothing that is new, and says nothing twice that the log holds and ids tell apart")
    func promises() {
        let seed = SeededGenerator.seed(of: "replays")
        var counts = Run.Counts()
        for index in 0..<4_000 as Range<UInt64> {
            var run = Run(SeededGenerator(seed: seed &+ index))
            run.serve()
            if let difference = run.difference {
                Issue.record("HEARTWIRE_SEED=\(seed &+ index): \(difference)")
                return
            }
            counts.dropped += run.counts.dropped
            counts.passed += run.counts.passed
            counts.exact += run.counts.exact
        }
        #expect(counts.dropped > 2_000 && counts.passed > 2_000 && counts.exact > 500, "\(counts)")
    }

    /// The rule the simple way: all blocks that the log has ever had, and from which one on it holds them.
    struct NaiveFilter {
        let log: [NaiveBlock]
        let held: Range<Int>
        let greetings: [[UInt8]]
        var isGreeted = false
        var isOver = false
        var last = -1

        mutating func drops(_ block: NaiveBlock) -> Bool {
            if block.hasData, !isGreeted {
                if greetings.contains(block.type.isEmpty ? Array("message".utf8) : block.type) { return true }
                isGreeted = true
            }
            let ids = log.compactMap { $0.identifier?.isEmpty == false ? $0.identifier : nil }
            guard !isOver, let identifier = block.identifier, !identifier.isEmpty else { return false }
            isOver = true
            guard Set(ids).count == ids.count else { return false }
            func content(_ block: NaiveBlock) -> [UInt8] { withoutIdentifiers(block.bytes) }
            if let place = log.firstIndex(where: { $0.identifier == identifier }), place > last, held.contains(place),
                content(log[place]) == content(block)
            {
                last = place
                isOver = identifier == log.last { $0.identifier != nil }?.identifier
                return true
            }
            let newest = log.last { $0.identifier != nil }?.identifier
            isOver = block.hasData || block.retryMilliseconds != nil || newest != identifier
            return !isOver
        }
    }

    private struct Run {
        struct Counts { var (dropped, passed, exact) = (0, 0, 0) }

        enum Manner: CaseIterable { case none, exact, inclusive, window, everything, restarted, restartedAlike }

        var counts = Counts()
        var difference: String?
        private var random: SeededGenerator
        private let hasIdentifiers: Bool
        private let areLoose: Bool

        init(_ random: SeededGenerator) {
            self.random = random
            hasIdentifiers = !self.random.oneIn(6)
            areLoose = self.random.oneIn(4)
        }

        /// The block with this number of the server's in one of its lives. No two events say the same.
        private mutating func block(_ number: Int, life: Int) -> String {
            var lines = ["data: \(life)-\(number)"]
            let id = areLoose && random.oneIn(4) ? random.pick(["id: 3", "id", "x: y"]) : "id: \(number)"
            if hasIdentifiers { lines.append(id) }
            if random.oneIn(4) { lines.append("event: \(random.pick(["a", "hello"]))") }
            if random.oneIn(8) { lines[0] = "retry: \(number)" }
            if random.oneIn(2) { lines.reverse() }
            return lines.joined(separator: "\n") + "\n\n"
        }

        mutating func serve() {
            let count = random.below(12)
            let stream = (1..<count + 1).map { block($0, life: 1) }
            let log = BlockLog(
                BlockLog.Rules(
                    identifiers: random.pick([.keep, .suffix, .own]), gaps: .off, blockLimit: random.pick([1, 3, 100])),
                epoch: Epoch(truncating: 7))
            log.append(stream.joined())
            log.trim(at: 0)
            let blocks = naiveBlocks(of: Array(stream.joined().utf8))
            let held = Int(log.first) - 1..<Int(log.next) - 1
            let manner = random.pick(Manner.allCases)
            var replay: ArraySlice<String> = []
            var news = (count + 1..<count + 4).map { block($0, life: 1) }
            switch manner {
            case .none, .exact: break
            case .inclusive: replay = stream.suffix(1)
            case .window: replay = stream.suffix(random.below(count + 1))
            case .everything: replay = stream[...]
            case .restarted: news = (1..<2 + random.below(2 * count + 1)).map { block($0, life: 2) }
            case .restartedAlike:
                // Its first events are those of its last life.
                replay = stream.prefix(random.below(count + 1))
                news = (replay.count + 1..<replay.count + 4).map { block($0, life: 2) }
            }
            var greetings: [String] = []
            if random.oneIn(4) { greetings.append("event: hello\ndata: g\n\n") }
            if random.oneIn(8) { greetings.append("retry: 7\n\n") }
            var answer = greetings.joined() + (replay + news).joined()
            if random.oneIn(3) { answer = answer.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n") }
            compare(answer, blocks, held, log, random.oneIn(2) ? ["hello"] : [])
            check(answer, blocks, held, manner, replay: replay.count)
        }

        private var drops: [Bool] = []
        private var hasGreetings = false

        private mutating func compare(_ answer: String, _ blocks: [NaiveBlock], _ held: Range<Int>, _ log: BlockLog, _ greetings: [String])
        {
            hasGreetings = !greetings.isEmpty
            let found = Answer(randomSplit(of: Array(answer.utf8), using: &random), greetings: greetings, in: log)
            var naive = NaiveFilter(log: blocks, held: held, greetings: greetings.map { Array($0.utf8) })
            // An emptied id stands between, so it does not count.
            let numbers = blocks.compactMap { block in block.identifier.map { Int(String(decoding: $0, as: UTF8.self)) ?? .min } }
            naive.isOver = zip(numbers, numbers.dropFirst()).contains { $0 >= $1 && $1 > .min }
            naive.isGreeted = greetings.isEmpty
            var all = blocks
            let expected = naiveBlocks(of: Array(answer.utf8)).map { block in
                let isDropped = naive.drops(block)
                if !isDropped { all.append(block) }
                return isDropped
            }
            drops = found.drops
            if drops != expected { difference = "dropped \(drops), not \(expected)" }
        }

        /// The promises themselves, without the rule.
        private mutating func check(_ answer: String, _ blocks: [NaiveBlock], _ held: Range<Int>, _ manner: Manner, replay: Int) {
            let said = naiveBlocks(of: Array(answer.utf8))
            let known = Set(blocks.map(\.bytes).map(withoutIdentifiers))
            for (block, isDropped) in zip(said, drops) {
                counts.dropped += isDropped ? 1 : 0
                counts.passed += isDropped ? 0 : 1
                let isGreeting = hasGreetings && block.type == Array("hello".utf8)
                if isDropped, !isGreeting, block.hasData, !known.contains(withoutIdentifiers(block.bytes)) {
                    difference = "lost \(String(decoding: block.bytes, as: UTF8.self))"
                }
            }
            let isReplay = manner != .restarted && manner != .restartedAlike
            guard isReplay, hasIdentifiers, !areLoose, replay <= held.count else { return }
            counts.exact += 1
            for (block, isDropped) in zip(said, drops) where !isDropped && known.contains(withoutIdentifiers(block.bytes)) {
                guard block.identifier != nil else { continue }
                difference = "twice \(String(decoding: block.bytes, as: UTF8.self))"
            }
        }
    }
}
