// The log against an array of all blocks: with random blocks, bounds, times, epochs, readers and filters.

import EventStream
import TestSupport
import Testing

@Suite("The log, compared with an array of all blocks")
struct BlockLogPropertyTests {
    @Test("stores, numbers, drops, finds and reads what the array says")
    func sameAsArray() {
        let seed = SeededGenerator.seed(of: "event log")
        var counts = Run.Counts()
        for index in 0..<150 as Range<UInt64> {
            var run = Run(SeededGenerator(seed: seed &+ index))
            for _ in 0..<150 where run.difference == nil { run.step() }
            if let difference = run.difference {
                Issue.record("HEARTWIRE_SEED=\(seed &+ index): \(difference)")
                return
            }
            counts.add(run.counts)
        }
        #expect(
            counts.runs > 500 && counts.gaps > 200 && counts.dropped > 1_000 && counts.found > 50 && counts.remembered > 5, "\(counts)")
    }

    /// One log, its array, and some readers.
    private struct Run {
        struct Counts {
            var (runs, gaps, dropped, found, remembered) = (0, 0, 0, 0, 0)

            mutating func add(_ other: Counts) {
                runs += other.runs
                gaps += other.gaps
                dropped += other.dropped
                found += other.found
                remembered += other.remembered
            }
        }

        struct Reader {
            var cursor: UInt64
            var wanted: [[UInt8]]?
            var filter = TypeFilter([])
            var isBlocked = false
        }

        var counts = Counts()
        var difference: String?
        private var random: SeededGenerator
        private let rules: BlockLog.Rules
        private let log: BlockLog
        private var naive: NaiveLog
        private var readers: [Reader] = []
        private var now: Int64 = 1_000_000
        private let eventLimit = 700
        private let identifiers: Int

        init(_ random: SeededGenerator) {
            self.random = random
            let policy = self.random.pick([IdentifierPolicy.keep, .suffix, .own])
            let manner = self.random.pick([GapManner.event(type: Array("stream_gap".utf8)), .reconnect, .off])
            rules = BlockLog.Rules(
                identifiers: policy, gaps: manner, blockLimit: self.random.pick([1, 3, 20, 1_000]),
                byteLimit: self.random.pick([1, 100, 2_000, 100_000]), ageLimitMilliseconds: self.random.pick([128, 1_000, 100_000]))
            let epoch = self.random.next() >> 16
            log = BlockLog(rules, epoch: Epoch(truncating: epoch))
            naive = NaiveLog(policy, epoch: epoch)
            identifiers = self.random.below(4)
        }

        mutating func step() {
            switch random.below(20) {
            case 0..<9: append()
            case 9: appendGap()
            case 10: addReader()
            case 11..<16: read()
            case 16, 17: trim()
            case 18: look()
            default: random.oneIn(4) ? begin() : wait()
            }
            check()
        }

        private mutating func wait() { now += Int64(random.pick([1, 50, 1_000, 20_000])) }

        private mutating func append() {
            var text = ""
            for _ in 0...random.below(3) { text += randomBlock() }
            let bytes = Array(text.utf8)
            var cutter = BlockCutter(limit: eventLimit)
            for piece in randomSplit(of: bytes, using: &random) {
                var offset = 0
                cutting: while true {
                    switch cutter.next(in: piece.span, from: &offset) {
                    case .more: break cutting
                    case .part: continue
                    case .block where cutter.block.isOversized: appendOversized(cutter)
                    case .block: log.append(cutter, of: piece.span, at: now)
                    }
                }
            }
            for block in naiveBlocks(of: bytes) {
                naive.append(block, at: now)
                guard block.bytes.count > eventLimit else { continue }
                expectedClosings.append(naive.oversize(block))
            }
            if closings != expectedClosings { difference = "closings \(closings), not \(expectedClosings)" }
        }

        private var closings: [[UInt8]] = []
        private var expectedClosings: [[UInt8]] = []

        private mutating func appendOversized(_ cutter: BlockCutter) { closings.append(log.appendOversized(cutter, at: now)) }

        private mutating func randomBlock() -> String {
            var lines: [String] = []
            switch identifiers {
            case 1: lines.append("id: \(naive.next)-\(random.below(1_000_000))")
            case 2 where !random.oneIn(3): lines.append("id: \(random.below(5))")
            case 3 where random.oneIn(2):
                lines.append(
                    random.pick(["id", "id: a", "id: b\nid: c", "id: \(String(repeating: "7", count: 520))", "id: x\0", "id:d~hw1.x"]))
            default: break
            }
            if random.oneIn(3) { lines.append("event: \(random.pick(["a", "b", "message", "c\(random.below(200))"]))") }
            if !random.oneIn(6) { lines.append("data: \(String(repeating: "x", count: random.pick([0, 3, 60, 600, 900])))") }
            if random.oneIn(8) { lines.append("retry: \(random.below(5_000))") }
            if random.oneIn(2) { lines.reverse() }
            if lines.isEmpty { lines.append("unknown") }
            return lines.joined(separator: "\n") + "\n\n"
        }

        private mutating func appendGap() {
            let gap = Gap(random.pick(Gap.Reason.allCases), isCertain: random.oneIn(2), missedCount: random.oneIn(2) ? nil : 7)
            log.append(gap, at: now)
            naive.append(gap, rules.gaps, at: now)
        }

        private mutating func begin() {
            let epoch = random.next() >> 16
            naive.predecessors.append((naive.epoch, naive.next - 1, .owner))
            naive.predecessors = naive.predecessors.suffix(4)
            naive.epoch = epoch
            log.begin(Epoch(truncating: epoch), after: .owner)
        }

        // MARK: Reading

        private mutating func addReader() {
            guard readers.count < 6 else { return }
            var reader = Reader(cursor: naive.next)
            if random.oneIn(2) { reader.cursor = naive.first + UInt64(random.below(Int(naive.next - naive.first) + 1)) }
            if random.oneIn(2) {
                reader.wanted = random.pick([[], ["a"], ["a", "message"], ["c1", "c2", "c70", "c150", "b"]]).map { Array($0.utf8) }
                reader.filter = TypeFilter(Array(reader.wanted!.joined(separator: ",".utf8)))
            }
            readers.append(reader)
        }

        private mutating func read() {
            guard !readers.isEmpty else { return }
            let place = random.below(readers.count)
            readers[place].isBlocked = random.oneIn(3)
            for _ in 0..<random.pick([1, 100]) {
                let before = readers[place].cursor
                var cursor = before
                let reading = readers[place].wanted == nil ? log.read(&cursor) : log.read(&cursor, through: &readers[place].filter)
                readers[place].cursor = cursor
                if let found = wrong(reading, from: before, to: cursor, readers[place].wanted) {
                    difference = found
                    return
                }
                if case .upToDate = reading { return }
            }
        }

        private mutating func wrong(_ reading: BlockLog.Reading, from before: UInt64, to after: UInt64, _ wanted: [[UInt8]]?) -> String? {
            guard before <= after, after <= naive.next else { return "from \(before) to \(after)" }
            switch reading {
            case .upToDate:
                let isRight = after == naive.next && before >= naive.first && left(before, after, wanted)
                return isRight ? nil : "up to date, from \(before) to \(after) of \(naive.first)..<\(naive.next)"
            case .gap(let gap):
                counts.gaps += 1
                if before < naive.first {
                    let isRight = after == naive.first && gap == Gap(.expired, isCertain: true, missedCount: after - before)
                    return isRight ? nil : "expired: \(gap), from \(before) to \(after), not \(naive.first)"
                }
                return naive[after - 1].stop == gap && left(before, after - 1, wanted) ? nil : "\(gap), from \(before) to \(after)"
            case .blocks(let slice):
                counts.runs += 1
                guard before >= naive.first else { return "no gap from \(before), first \(naive.first)" }
                let read = (before..<after).filter { naive.passes($0, wanted) }
                guard read.first.map({ $0..<after }).map({ read.count == $0.count }) ?? false else { return "not consecutive" }
                let isStop = read.contains { naive[$0].stop != nil }
                return !isStop && slice.copied == read.flatMap { naive[$0].bytes! } ? nil : "other bytes from \(before) to \(after)"
            }
        }

        /// Whether all blocks between are such that the reader does not want.
        private func left(_ from: UInt64, _ to: UInt64, _ wanted: [[UInt8]]?) -> Bool {
            (from..<to).allSatisfy { naive[$0].stop == nil && !naive.passes($0, wanted) }
        }

        // MARK: Dropping and finding

        private mutating func trim() {
            let kept = readers.filter { !$0.isBlocked }.map(\.cursor).min() ?? .max
            let before = naive.first
            if random.oneIn(5) {
                let wanted = random.below(5_000)
                let memory = log.memoryByteCount
                let freed = log.discardOldest(memoryByteCount: wanted, keptFrom: kept)
                if freed != memory - log.memoryByteCount { difference = "freed \(freed)" }
                if freed < wanted, log.first < min(kept, log.next) { difference = "freed only \(freed) of \(wanted)" }
                if log.first > max(before, kept) { difference = "dropped what a reader needs" }
                while naive.first < log.first { naive.removeFirst() }
            } else {
                log.trim(at: now, keptFrom: kept)
                while naive.first < min(kept, naive.next) {
                    let held = Int(naive.next - naive.first)
                    let age = now >> 7 - naive[naive.first].moment
                    guard held > rules.blockLimit || naive.heldByteCount > rules.byteLimit || age > rules.ageLimitMilliseconds >> 7 else {
                        break
                    }
                    naive.removeFirst()
                }
            }
            counts.dropped += Int(naive.first - before)
        }

        private mutating func look() {
            let known = (1..<max(2, naive.next)).compactMap { $0 < naive.next ? naive[$0].serverIdentifier : nil }
            var identifier = random.oneIn(5) || known.isEmpty ? Array("\(random.below(5))".utf8) : random.pick(known)
            if random.oneIn(2) { identifier = NaiveLog.trimmed(identifier) }
            let found = log.firstBlock(thatSet: identifier)
            if found != naive.firstBlock(thatSet: identifier) {
                // Of blocks that were dropped some are remembered, while no id came twice.
                let isRemembered = found.map { $0 < naive.first && naive.sets(identifier, at: $0) } ?? false
                if !isRemembered { difference = "found \(identifier) in \(String(describing: found))" }
                counts.remembered += 1
            }
            if found != nil { counts.found += 1 }
            // Ids of this log's and of its predecessors'.
            let sequence = UInt64(random.below(Int(naive.next) + 3))
            let (epoch, last, reason) = random.pick([(naive.epoch, naive.next - 1, Gap.Reason.owner)] + naive.predecessors)
            let resolution = log.resolve(ClientIdentifier(Array("\(random.pick(["", "7~"]))\(positionID(epoch, sequence))".utf8)))
            let expected: Resolution
            if sequence > last {
                guard epoch != naive.epoch else { return }
                expected = .gap(Gap(reason, isCertain: false), at: max(naive.first, last + 1))
            } else if sequence + 1 < naive.first {
                expected = .gap(Gap(.expired, isCertain: true, missedCount: naive.first - sequence - 1), at: naive.first)
            } else {
                expected = .resume(at: sequence + 1)
            }
            if resolution != expected { difference = "\(resolution), not \(expected), for \(sequence) of \(naive.first)..<\(naive.next)" }
        }

        private mutating func check() {
            if log.first != naive.first || log.next != naive.next {
                difference = difference ?? "\(log.first)..<\(log.next), not \(naive.first)..<\(naive.next)"
            } else if log.byteCount != naive.heldByteCount {
                difference = "\(log.byteCount) bytes, not \(naive.heldByteCount)"
            } else if log.first == log.next, log.memoryByteCount > 512 + 32 * Int(naive.next) {
                difference = "an empty log owns \(log.memoryByteCount) bytes"
            }
        }
    }
}
