// Two overlapping responses of a broadcasting server, at every moment, speed and lag of either.

import EventStream
import TestSupport
import Testing

@Suite("Overlapping responses of a broadcasting server")
struct OverlapPropertyTests {
    @Test("distinct blocks go on exactly once; if not, the seam was not met, and the old one had not said what came before the new one")
    func distinct() { run("overlaps of distinct blocks", isDistinct: true) }

    @Test("equal blocks go on exactly once where both responses are up to date at the switch")
    func equal() { run("overlaps of equal blocks", isDistinct: false) }

    private func run(_ name: StaticString, isDistinct: Bool) {
        let seed = SeededGenerator.seed(of: name)
        var counts: [String: Int] = [:]
        for index in 0..<4_000 as Range<UInt64> {
            var world = World(SeededGenerator(seed: seed &+ index), isDistinct: isDistinct)
            world.live()
            if let difference = world.difference {
                Issue.record("HEARTWIRE_SEED=\(seed &+ index): \(difference)")
                return
            }
            for outcome in world.outcomes { counts[outcome, default: 0] += 1 }
        }
        let expected = isDistinct ? ["met", "quiet", "apart", "ahead", "behind", "lost", "replayed"] : ["met", "quiet", "level"]
        for outcome in expected where counts[outcome, default: 0] < 40 { Issue.record("\(outcome) in \(counts)") }
    }

    enum Identifiers { case none, unique, perResponse, loose }
    enum Replay: CaseIterable { case none, exact, inclusive, everything }

    /// A server's response on its way: what it has sent, how much of that has come, and what the reader has of it.
    struct Response {
        var sent: [UInt8] = []
        var cameCount = 0
        var count = 0

        mutating func take(_ count: Int) -> [UInt8] {
            defer { cameCount = min(sent.count, cameCount + count) }
            return Array(sent[cameCount..<min(sent.count, cameCount + count)])
        }
    }

    struct World {
        var difference: String?
        var outcomes: [String] = []
        private var random: SeededGenerator
        private let isDistinct: Bool
        private let identifiers: Identifiers
        private let replay: Replay
        private var said: [String] = []
        private var old: Response? = Response()
        private var new: Response?
        private let log: BlockLog
        private var alignment: OverlapAlignment
        private var oldCutter = BlockCutter(limit: 1_000)
        private var newCutter = BlockCutter(limit: 1_000)
        private var passed: [String] = []
        private var greetingCount = 0

        init(_ random: SeededGenerator, isDistinct: Bool) {
            self.random = random
            self.isDistinct = isDistinct
            identifiers = self.random.pick([.none, .unique, isDistinct ? .perResponse : .loose])
            replay = identifiers == .unique ? self.random.pick(Replay.allCases) : .none
            log = BlockLog(
                BlockLog.Rules(identifiers: self.random.pick([.keep, .suffix, .own]), gaps: .off), epoch: Epoch(truncating: 9))
            alignment = OverlapAlignment(greetings: [], blockLimit: 1_000)
        }

        private func block(_ number: Int, in response: Response) -> String {
            let lines =
                switch identifiers {
                case .none: ""
                case .unique: "id: \(number)\n"
                case .perResponse: "id: \(response.count)\n"
                case .loose: number % 3 == 0 ? "" : "id: \(number % 4)\n"
                }
            return "\(lines)data: \(said[number])\n\n"
        }

        private mutating func send(_ number: Int, on response: inout Response) {
            response.sent += Array(block(number, in: response).utf8)
            response.count += 1
        }

        private mutating func broadcast() {
            said.append(isDistinct ? "\(said.count)" : random.pick(["a", "b"]))
            if var response = old { send(said.count - 1, on: &response); old = response }
            if var response = new { send(said.count - 1, on: &response); new = response }
        }

        private mutating func read(all: Bool) {
            guard var response = old else { return }
            let piece = response.take(all ? .max / 2 : random.below(30))
            old = response
            cutOld(piece)
        }

        /// Whether the second request is sent, whether the switch was.
        private var isAsked = false
        private var isSwitched = false

        private mutating func readNew(all: Bool) {
            guard var response = new else { return }
            let piece = response.take(all ? .max / 2 : random.below(30))
            new = response
            if isSwitched { cutNew(piece) } else { alignment.newSaid(piece.span) }
        }

        private mutating func cutOld(_ piece: [UInt8]) {
            var offset = 0
            while case .block = oldCutter.next(in: piece.span, from: &offset) {
                if isAsked { alignment.oldSaid(oldCutter, of: piece.span) }
                pass(oldCutter, of: piece)
            }
        }

        private mutating func cutNew(_ piece: [UInt8]) {
            var offset = 0
            while case .block = newCutter.next(in: piece.span, from: &offset) {
                if !alignment.drops(newCutter, of: piece.span, in: log) { pass(newCutter, of: piece) }
            }
        }

        private mutating func pass(_ cutter: BlockCutter, of piece: [UInt8]) {
            let lines = String(decoding: cutter.bytes(in: piece.span), as: UTF8.self).split(separator: "\n")
            passed.append(String(lines.last { $0.hasPrefix("data: ") }!.dropFirst(6)))
            log.append(cutter, of: piece.span, at: 0)
        }

        /// The server begins its second response: with greetings, and with what it says again.
        private mutating func accept() {
            var response = Response()
            for number in 0..<(random.oneIn(2) ? 0 : random.below(3)) {
                response.sent += Array("\(identifiers == .unique ? "id: hello\(number)\n" : "")data: hello \(number)\n\n".utf8)
                greetingCount += 1
            }
            let asked = Int(String(decoding: askedIdentifier, as: UTF8.self)) ?? -1
            let first =
                switch replay {
                case .none: said.count
                case .exact: asked + 1
                case .inclusive: max(0, asked)
                case .everything: 0
                }
            if first <= asked { outcomes.append("replayed") }
            for number in first..<said.count { send(number, on: &response) }
            registered = first
            new = response
        }

        private var askedIdentifier: [UInt8] = []
        private var registered = 0

        private mutating func step() {
            switch random.below(6) {
            case 0: broadcast()
            case 1, 2: read(all: false)
            case 3, 4: readNew(all: false)
            default: if isAsked, new == nil { accept() }
            }
        }

        mutating func live() {
            // Blocks of each kind that there will be have been said before.
            if !isDistinct { for letter in ["a", "b", "a", "b"] { said.append(letter); sendAgain() } }
            for _ in 0..<random.below(12) { broadcast() }
            read(all: random.oneIn(2))
            isAsked = true
            askedIdentifier = log.lastServerIdentifier
            for _ in 0..<random.below(40) { step() }
            if new == nil { accept() }
            for _ in 0..<random.below(40) { step() }
            if !isDistinct || random.oneIn(3) {
                read(all: true)
                readNew(all: true)
                outcomes.append("level")
            }
            switchOver()
            for _ in 0..<20 { step() }
            broadcast()
            readNew(all: true)
            judge()
        }

        private mutating func sendAgain() {
            if var response = old { send(said.count - 1, on: &response); old = response }
        }

        private var seam = OverlapAlignment.Seam.quiet
        private var oldCount = 0

        private mutating func switchOver() {
            oldCount = passed.count
            old = nil
            isSwitched = true
            let (held, seam) = alignment.switchOver(in: log)
            self.seam = seam
            outcomes.append("\(seam)")
            // How the held bytes go on does not matter.
            for piece in randomSplit(of: held, using: &random) { cutNew(piece) }
            outcomes.append(passed.count > oldCount ? "behind" : "ahead")
        }

        private mutating func judge() {
            let found = passed.filter { !$0.hasPrefix("hello") }
            let hellos = passed.count - found.count
            if hellos != greetingCount { difference = "\(hellos) greetings of \(greetingCount)" }
            guard found != said else { return }
            // What the old response had not said when the new one began is in neither.
            if oldCount < registered, seam != .met, found == Array(said[..<oldCount] + said[registered...]) {
                outcomes.append("lost")
                return
            }
            difference = "\(identifiers), \(replay), \(seam), \(oldCount) said, from \(registered): \(found), not \(said)"
        }
    }
}
