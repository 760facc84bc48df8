// Joins two responses of one server that are read at the same time for a while, so that each block goes on once.
//
//     old   ... a  b  c  d |            goes on to the log as it comes; what it says is noted from the new request on
//     new        G  c  d   | e  f ...   held until the switch; then G and e pass, c and d are dropped
//                          ^ the switch
//
// At the switch both are aligned: the longest part of the new one that equals the end of what the old one said (then the old one is level
// or behind), or that stands in it and is the end of the new one (then the old one is ahead, and the rest of it is expected from the new
// one, also long after the switch). What stands before that part is a greeting and passes. Where ids are unique, the log says of each block
// whether it has it. Where nothing fits, all of the new one passes.
//
// Invariants: of distinct blocks that a server says on both connections, each goes on once, for every moment of the switch, speed and lag,
// unless the old one has not said what came before the new one began: then the seam is not `met`. Of equal blocks this holds where both
// are up to date at the switch, and the log has such blocks from before the overlap. Otherwise never silently less comes before never
// twice. Blocks are compared by hashes of 64 bits that nobody outside of this process can foresee.

import Bytes

/// What two overlapping responses of one server have in common. It is made when the second request is sent, and needed until `isOver`.
package struct OverlapAlignment {
    /// How sure it is that nothing is lost between both responses.
    package enum Seam: Sendable, Equatable {
        /// Both have said the same blocks, so nothing is missing between them.
        case met
        /// The new one has said no event so far, greetings that are dropped apart. Nothing is missing if the old one is up to date.
        case quiet
        /// The new one has said events that the old one has not said: they greet or are new, or the old one is behind and what it has not
        /// said yet is lost by a switch.
        case apart
    }

    /// What the old one said, and the new one has not said again at the switch.
    private enum Expectation {
        /// It may come from any block on, or not at all.
        case anywhere
        /// It comes from this block on.
        case from(Int)
        case over
    }

    private struct Findings {
        /// Of each held block, whether it is dropped.
        var drops: [Bool] = []
        var recognition: BlockRecognition
        var expectation = Expectation.anywhere
        var areContentsCompared = false
        var seam = Seam.quiet
    }

    /// How many events may pass behind the switch before nothing is dropped any more. They are greetings, and states that some servers send
    /// at the start.
    private static let mostGreetings = 64

    private var greetings: LeadingGreetings
    private let blockLimit: Int
    private let heldLimit: Int
    private let markLimit: Int
    private let said: SaidBlocks?
    private var held: [UInt8] = []
    private var oldMarks = Ring<BlockMark>()
    // From the switch on.
    private var heldDrops: ArraySlice<Bool> = []
    private var recognition: BlockRecognition?
    private var expectation = Expectation.anywhere
    private var areContentsCompared = false
    private var greetingCount = 0

    /// An alignment with a response that is about to be asked for.
    ///
    /// - Parameters:
    ///   - greetings: types of leading events that are dropped (bytes of the type; `message` for events without one).
    ///   - blockLimit: how many normalised bytes a block may have, as for `BlockCutter`.
    ///   - heldLimit: how many bytes of the new response may be held until `isFull`.
    ///   - markLimit: how many of the old response's last blocks are known, 16 bytes each. If the new one says others again, they pass.
    ///   - said: what the server has said so far, where the log has blocks of others too; nil where the log is the server's alone.
    package init(
        greetings: [[UInt8]], blockLimit: Int, heldLimit: Int = 256 << 10, markLimit: Int = 4_096, said: SaidBlocks? = nil
    ) {
        self.greetings = LeadingGreetings(greetings)
        self.blockLimit = blockLimit
        self.heldLimit = heldLimit
        self.markLimit = markLimit
        self.said = said
    }

    // MARK: Before the switch

    /// The old response has said the block that the cutter has just found in the piece. To be called for each from the new request on.
    ///
    package mutating func oldSaid(_ cutter: BlockCutter, of piece: Span<UInt8>) {
        if oldMarks.count == markLimit { oldMarks.removeFirst() }
        oldMarks.append(BlockMark(cutter, of: piece))
    }

    /// The new response has said this, which is held.
    package mutating func newSaid(_ piece: Span<UInt8>) { piece.withUnsafeBufferPointer { held.append(contentsOf: $0) } }

    /// Whether so much is held that it is time to switch. At most one piece more than the limit is ever held.
    package var isFull: Bool { held.count >= heldLimit }

    /// What the seam would be if the switch came now. While it is `apart`, it is better to wait a little. The cost grows with what is held.
    package func seam(in log: BlockLog) -> Seam { findings(in: log).seam }

    // MARK: The switch

    /// The switch: nothing that the old response says counts any more. Returns what is held of the new one. It goes to a new cutter, and
    /// what comes later behind it; of each block `drops` is asked before it is appended.
    package mutating func switchOver(in log: BlockLog) -> (held: [UInt8], seam: Seam) {
        let found = findings(in: log)
        heldDrops = found.drops[...]
        recognition = found.recognition
        expectation = found.expectation
        areContentsCompared = found.areContentsCompared
        let bytes = held
        held = []
        return (bytes, found.seam)
    }

    private func findings(in log: BlockLog) -> Findings {
        var found = Findings(recognition: BlockRecognition(in: log, said: said, isPatient: true))
        var marks: [BlockMark] = []
        var greetings = greetings
        var cutter = BlockCutter(limit: blockLimit)
        var offset = 0
        cutting: while true {
            switch cutter.next(in: held.span, from: &offset) {
            case .more: break cutting
            case .part: continue
            case .block:
                marks.append(BlockMark(cutter, of: held.span))
                let isGreeting = greetings.drops(cutter, of: held.span)
                let isReplay = !found.recognition.isOver && found.recognition.recognises(cutter, of: held.span, in: log)
                found.drops.append(isGreeting || isReplay)
                guard cutter.block.hasData, !isGreeting, found.seam != .met else { continue }
                found.seam = isReplay ? .met : .apart
            }
        }
        align(marks, &found, in: log)
        return found
    }

    private func align(_ marks: [BlockMark], _ found: inout Findings, in log: BlockLog) {
        let old = (0..<oldMarks.count).map { oldMarks[$0] }
        var alignment = SequenceAlignment(marks.map(\.whole), with: old.map(\.whole))
        // Ids that begin again with each response are the same by accident at most.
        let isByContent = found.recognition.hasFoundOther || alignment.common.isEmpty && !log.areIdentifiersUnique
        if isByContent { alignment = SequenceAlignment(marks.map(\.content), with: old.map(\.content)) }
        found.areContentsCompared = isByContent
        if alignment.common.isEmpty {
            if old.isEmpty { found.expectation = .over }
            return
        }
        for place in alignment.common { found.drops[place] = true }
        found.expectation = alignment.next < old.count ? .from(alignment.next) : .over
        found.seam = .met
    }

    // MARK: Behind the switch

    /// Whether nothing is dropped any more, so that the alignment can go. It may go at any time before: then blocks that the old response
    /// was ahead with pass.
    package var isOver: Bool {
        guard heldDrops.isEmpty, greetings.areOver, case .over = expectation else { return false }
        return recognition?.isOver ?? false
    }

    /// Whether the block of the new response that the cutter has just found in the piece is dropped. Call it once for each whole block from
    /// the switch on, the held ones too, before it is appended.
    package mutating func drops(_ cutter: BlockCutter, of piece: Span<UInt8>, in log: BlockLog) -> Bool {
        let isGreeting = greetings.drops(cutter, of: piece)
        if let isDropped = heldDrops.popFirst() { return isDropped }
        if isGreeting { return true }
        let isReplay = recognition?.isOver == false && recognition?.recognises(cutter, of: piece, in: log) ?? false
        if recognition?.hasFoundOther == true, case .anywhere = expectation { areContentsCompared = true }
        let isExpected = expects(cutter, of: piece, isReplay, in: log)
        if !isReplay, !isExpected, cutter.block.hasData { greetingPasses() }
        return isReplay || isExpected
    }

    private mutating func greetingPasses() {
        greetingCount += 1
        guard greetingCount >= Self.mostGreetings else { return }
        expectation = .over
        recognition?.giveUp()
    }

    /// Whether the old one has said the block, and moves the expectation behind it.
    private mutating func expects(_ cutter: BlockCutter, of piece: Span<UInt8>, _ isReplay: Bool, in log: BlockLog) -> Bool {
        let mark = BlockMark(cutter, of: piece)
        let place: Int?
        switch expectation {
        case .over: return false
        case .from(let next):
            // A block that stands further on is known only if no other block could be meant.
            place = next < oldMarks.count && isSame(oldMarks[next], mark) ? next : onlyPlace(of: mark, from: next)
        case .anywhere:
            place = onlyPlace(of: mark, from: 0).flatMap { isReplay || !log.holdsTwice(cutter, of: piece) ? $0 : nil }
        }
        if let place { expectation = .from(place + 1) }
        if case .from(oldMarks.count) = expectation { expectation = .over }
        return place != nil
    }

    private func isSame(_ left: BlockMark, _ right: BlockMark) -> Bool {
        left.whole != BlockMark.none && (areContentsCompared ? left.content == right.content : left.whole == right.whole)
    }

    private func onlyPlace(of mark: BlockMark, from start: Int) -> Int? {
        let places = (start..<oldMarks.count).filter { isSame(oldMarks[$0], mark) }
        return places.count == 1 ? places[0] : nil
    }
}

extension BlockLog {
    /// Whether the log holds two blocks or more that say what the cutter's block says, whatever their ids. So it is of a kind that comes
    /// again, and the next one need not be the same.
    func holdsTwice(_ cutter: BlockCutter, of piece: Span<UInt8>) -> Bool {
        var rest = first..<next
        for _ in 0..<2 {
            guard let found = rest.first(where: { holds(cutter, of: piece, as: $0) }) else { return false }
            rest = found + 1..<next
        }
        return true
    }
}
