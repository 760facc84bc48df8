// The log of one stream: its blocks with their places, written once for all readers.
//
//     sequence   1  2  3 | 4  5  6  7  8 | 9
//                dropped |     held      | next
//                        first           ^ a reader that is up to date
//
// A reader is a number: that of the block that it reads next. Nothing is copied or counted for a reader. The caller sends what readers
// read, says when time has passed, and which blocks some reader still needs. Invariants: numbers are gapless and never used again; a block
// does not change once it is appended; a reader reads each held block once, in order, or a gap in its place; a log without blocks owns no
// segment, at most some hashes of ids.

import Bytes

/// A bounded history of one stream's blocks.
package final class BlockLog {
    /// What holds for all blocks of a log. All logs of a route have one object.
    package final class Rules: Sendable {
        /// What becomes of the server's ids.
        package let identifiers: IdentifierPolicy
        /// How clients are told of gaps.
        package let gaps: GapManner
        /// How many blocks are kept: 1 to 4,194,304.
        package let blockLimit: Int
        /// How many bytes of blocks are kept.
        package let byteLimit: Int
        /// How old a kept block may be, in milliseconds. Ages are measured in steps of 128 ms.
        package let ageLimitMilliseconds: Int64

        /// Rules with the product's limits, where none are given.
        package init(
            identifiers: IdentifierPolicy, gaps: GapManner, blockLimit: Int = 1_000, byteLimit: Int = 256 << 10,
            ageLimitMilliseconds: Int64 = 300_000
        ) {
            self.identifiers = identifiers
            self.gaps = gaps
            self.blockLimit = blockLimit
            self.byteLimit = byteLimit
            self.ageLimitMilliseconds = ageLimitMilliseconds
        }
    }

    /// A number of a block at which reading stops, because a gap stands there that is no event.
    struct Stop {
        var sequence: UInt64
        var gap: Gap
    }

    /// A log that this one goes on from: what both share, and what clients are told who have read more of the old one.
    struct Predecessor {
        var epoch: Epoch
        var lastSequence: UInt64
        var reason: Gap.Reason
    }

    /// What most logs never have, outside of them: there is a log for each idle client.
    private final class LogRarities {
        var stops: [Stop] = []
        var predecessors: [Predecessor] = []

        /// The first stop from that place on.
        func stop(from cursor: UInt64) -> Stop? {
            var (low, high) = (0, stops.count)
            while low < high {
                let middle = (low + high) / 2
                if stops[middle].sequence < cursor { low = middle + 1 } else { high = middle }
            }
            return low < stops.count ? stops[low] : nil
        }
    }

    /// How many predecessors are remembered. Ids of older ones are unknown.
    static let mostPredecessors = 4

    /// The log's rules.
    package let rules: Rules
    /// The epoch of the ids that are given out now.
    package private(set) var epoch: Epoch
    private var rarities: LogRarities?
    private(set) var store = BlockStore()
    private var index = IdentifierIndex()
    /// Whether a server's id was found twice, so that the first block with an id has to be searched.
    private(set) var hasRepeatedIdentifier = false
    private var rule: IdentifierRule
    private(set) var types = TypeTable()

    /// A log without blocks. `identifier` is the one behind which the server was asked to go on; empty for none.
    package init(_ rules: Rules, epoch: Epoch, after identifier: [UInt8] = []) {
        precondition(rules.blockLimit > 0 && rules.blockLimit <= IdentifierIndex.mostBlocks, "the limit of a log's blocks")
        self.rules = rules
        self.epoch = epoch
        rule = IdentifierRule(rules.identifiers, after: identifier)
    }

    /// Whether there may be stops: asked for each block that a reader reads.
    var mayHaveStops: Bool { @inline(__always) get { rarities != nil } }

    /// The first stop from that place on, if there is one.
    func firstStop(from cursor: UInt64) -> Stop? { rarities?.stop(from: cursor) }

    var predecessors: [Predecessor] { rarities?.predecessors ?? [] }

    /// Made when they are needed.
    private var neededRarities: LogRarities {
        if rarities == nil { rarities = LogRarities() }
        return rarities!
    }

    /// The number of the oldest block that is held; `next` where none is.
    package var first: UInt64 { store.first }

    /// The number that the next block will have: where a reader stands that is up to date.
    package var next: UInt64 { store.next }

    /// How many bytes the held blocks have.
    package var byteCount: Int { store.byteCount }

    /// How much memory the log owns, in bytes, for a limit over all logs.
    package var memoryByteCount: Int { store.memoryByteCount + index.memoryByteCount }

    /// The server's last id as of the last whole block, for its `Last-Event-ID`: before its first block, the id that it was asked for.
    /// Empty where there is none. Of a log of several servers it is the last one of any.
    package var lastServerIdentifier: [UInt8] { rule.lastIdentifier }

    /// Whether the server has emptied its id, so that clients who have its ids may have none again.
    package var hasEmptiedIdentifier: Bool { !hasOwnIdentifiers && rule.hasEmptiedIdentifier }

    /// Whether the server has used each of its ids once so far, as far as the log remembers them.
    var areIdentifiersUnique: Bool { !hasRepeatedIdentifier && !rule.countsBackwards }

    /// Whether the ids that clients have now are the proxy's, alone or behind the server's.
    package var hasOwnIdentifiers: Bool { rule.line != .asItCame }

    // MARK: Appending

    /// Appends the block that the cutter has just found in the piece. Returns its number.
    ///
    /// - Parameter now: the time in milliseconds; it never goes back.
    @discardableResult
    package func append(_ cutter: BlockCutter, of piece: Span<UInt8>, at now: Int64) -> UInt64 {
        precondition(!cutter.block.isOversized, "a block above the limit has no bytes to keep")
        return cutter.withBlockBytes(of: piece) { append(cutter.block, $0, at: now) }
    }

    /// Appends a block above the limit, which has been handed on in parts. Only its place and its id are kept. Returns what ends the block
    /// for those readers who have its parts: an `id` line, where there is one, and the blank line.
    package func appendOversized(_ cutter: BlockCutter, at now: Int64) -> [UInt8] {
        let identifier = cutter.identifier(in: Span())
        var line: [UInt8] = []
        let effect: Block.IdentifierEffect = identifier.map { $0.isEmpty ? .emptied : .set } ?? .none
        (identifier ?? []).withUnsafeBufferPointer { rule.note(effect, $0) }
        if rule.line == .asItCame {
            if let identifier { line = Array("id: ".utf8) + identifier + [lineFeed] }
        } else {
            appendOwnLine(next, to: &line)
        }
        neededRarities.stops.append(Stop(sequence: next, gap: Gap(.oversize, isCertain: true, missedCount: 1)))
        let sequence = next
        store(line, flags: .isHole, at: now, serverIdentifier: rule.line == .own || effect != .set ? nil : 4..<4 + identifier!.count)
        if effect == .set { identifier!.withUnsafeBufferPointer { index($0, of: sequence) } }
        return line + [lineFeed]
    }

    /// Appends a gap of the server's side, which all readers meet at its place, later ones too. Where clients are not told of gaps, nothing
    /// is appended.
    package func append(_ gap: Gap, at now: Int64) {
        switch rules.gaps {
        case .off: return
        case .reconnect:
            neededRarities.stops.append(Stop(sequence: next, gap: gap))
            store([], flags: .isHole, at: now)
        case .event(let type):
            var bytes: [UInt8] = []
            if hasOwnIdentifiers { appendOwnLine(next, to: &bytes) }
            gap.append(type: type, to: &bytes)
            store(bytes, flags: [], at: now)
        }
    }

    /// Appends an event that no server has sent, with an id of the proxy's where clients have such ids.
    package func append(_ event: OwnEvent, at now: Int64) {
        var line: [UInt8] = []
        if hasOwnIdentifiers { appendOwnLine(next, to: &line) }
        let slot = event.type.withUnsafeBufferPointer { types.slot(of: $0) }
        store(line + event.bytes, flags: .hasData, typeSlot: slot, at: now)
    }

    /// A block as it is stored: with its id line, and without the lines that this line replaces.
    @inline(__always)
    private func append(_ block: Block, _ bytes: UnsafeBufferPointer<UInt8>, at now: Int64) -> UInt64 {
        let sequence = store.next
        let effect = block.identifierEffect
        rule.note(effect, UnsafeBufferPointer(rebasing: bytes[block.identifier]))
        var stored = StoredBlock()
        stored.moment = StoredBlock.moment(now)
        stored.typeSlot = types.slot(of: UnsafeBufferPointer(rebasing: bytes[block.type]))
        if block.hasData { stored.flags.insert(.hasData) }
        switch rule.line {
        case .asItCame:
            if effect == .set { note(block.identifier, in: &stored) }
            store.append(stored, byteCount: bytes.count)?.update(from: bytes.baseAddress!, count: bytes.count)
        case .own:
            withOwnLine(sequence, original: nil) { line in
                store(stored, line, block, bytes)
            }
        case .suffixed:
            if effect == .set { note(4..<4 + rule.lastIdentifier.count, in: &stored) }
            withOwnLine(sequence, original: rule.lastIdentifier) { line in
                store(stored, line, block, bytes)
            }
        }
        if effect == .set { index(UnsafeBufferPointer(rebasing: bytes[block.identifier]), of: sequence) }
        return sequence
    }

    /// Writes the proxy's line and the block's others.
    @inline(__always)
    private func store(_ stored: StoredBlock, _ line: UnsafeBufferPointer<UInt8>, _ block: Block, _ bytes: UnsafeBufferPointer<UInt8>) {
        if block.identifierLineCount > 1 {
            // The last of them is known. For the others, which no sane server sends, the block is read again.
            let rest = Self.withoutIdentifierLines(bytes)
            let memory = store.append(stored, byteCount: line.count + rest.count)!
            memory.update(from: line.baseAddress!, count: line.count)
            for place in rest.indices { memory[line.count + place] = rest[place] }
            return
        }
        let removed = block.identifierLine
        let memory = store.append(stored, byteCount: line.count &+ bytes.count &- removed.count)!
        memory.update(from: line.baseAddress!, count: line.count)
        (memory + line.count).update(from: bytes.baseAddress!, count: removed.lowerBound)
        (memory + line.count + removed.lowerBound)
            .update(from: bytes.baseAddress! + removed.upperBound, count: bytes.count &- removed.upperBound)
    }

    /// These lines without those that set or empty an id.
    static func withoutIdentifierLines(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var kept: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: lineFeed) {
            let line = rest.startIndex..<end
            let isIdentifier = if !line.isEmpty, case .identifier = FieldLine.read(bytes.span, line) { true } else { false }
            if !isIdentifier { kept += bytes[line.lowerBound...end] }
            rest = bytes[(end + 1)...]
        }
        return kept
    }

    /// Stores bytes of the log itself.
    private func store(
        _ bytes: [UInt8], flags: StoredBlock.Flags, typeSlot: UInt8 = 0, at now: Int64, serverIdentifier: Range<Int>? = nil
    ) {
        var stored = StoredBlock()
        stored.moment = StoredBlock.moment(now)
        stored.flags = flags
        stored.typeSlot = typeSlot
        if let serverIdentifier { note(serverIdentifier, in: &stored) }
        bytes.withUnsafeBufferPointer { bytes in
            _ = store.append(stored, byteCount: bytes.count).map { $0.update(from: bytes.baseAddress!, count: bytes.count) }
        }
    }

    @inline(__always)
    private func note(_ identifier: Range<Int>, in stored: inout StoredBlock) {
        stored.flags.insert(.setsIdentifier)
        stored.identifierStart = UInt32(truncatingIfNeeded: identifier.lowerBound)
        stored.identifierByteCount = UInt16(exactly: identifier.count) ?? StoredBlock.longIdentifier
    }

    // MARK: The proxy's id lines

    /// `id: ORIGINAL~hw1.E.s` and LF, for the place behind a block.
    @inline(__always)
    private func withOwnLine(_ sequence: UInt64, original: [UInt8]?, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        let room = PositionID.longestByteCount + IdentifierRule.longestSuffixedByteCount + 6
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: room) { memory in
            let start = memory.baseAddress!
            var count = 4
            for (place, byte) in [UInt8(ascii: "i"), UInt8(ascii: "d"), UInt8(ascii: ":"), space].enumerated() { memory[place] = byte }
            if let original {
                original.withUnsafeBufferPointer { (start + count).update(from: $0.baseAddress!, count: $0.count) }
                count += original.count + 1
                memory[count - 1] = PositionID.separator
            }
            count += PositionID.write(Position(epoch, sequence), to: start + count)
            memory[count] = lineFeed
            body(UnsafeBufferPointer(start: start, count: count + 1))
        }
    }

    /// The line of the proxy's id for the place behind a block, with the server's last id before it where ids are suffixed.
    func appendOwnLine(_ sequence: UInt64, to bytes: inout [UInt8]) {
        let original = rule.line == .suffixed && sequence &+ 1 >= next ? rule.lastIdentifier : nil
        withOwnLine(sequence, original: original) { bytes.append(contentsOf: $0) }
    }

    // MARK: The index of the server's ids

    @inline(__always)
    private func index(_ identifier: UnsafeBufferPointer<UInt8>, of sequence: UInt64) {
        guard !hasRepeatedIdentifier else { return }
        let identifier = asBroughtBack(identifier)
        let hash = IdentifierIndex.hash(identifier)
        if index.find(hash, before: sequence, where: { isIdentifier(of: $0, identifier) }) != nil {
            hasRepeatedIdentifier = true
            index = IdentifierIndex()
        } else {
            let remembered = UInt64(rules.blockLimit)
            index.insert(hash, sequence, forgettingBefore: first > remembered ? first - remembered : 0)
        }
    }

    /// Whether the block with this number, whose id has the same hash, set that id, as a client brings it back. Of a block that was
    /// dropped, or that was stored with the proxy's id, the hash has to do.
    @inline(__always)
    private func isIdentifier(of number: UInt64, _ identifier: UnsafeBufferPointer<UInt8>) -> Bool {
        number < first || !store[number].flags.contains(.setsIdentifier) || isSame(asBroughtBack(store.identifier(of: number)), identifier)
    }

    /// The one block that set exactly this id of the server's, where ids are unique and as far as is known: one that is held, or one that
    /// was dropped not long ago; nil if there is none.
    func onlyBlock(thatSet identifier: [UInt8]) -> UInt64? {
        guard !identifier.isEmpty else { return nil }
        return identifier.withUnsafeBufferPointer { identifier in
            let identifier = asBroughtBack(identifier)
            return index.find(IdentifierIndex.hash(identifier), before: next, where: { isIdentifier(of: $0, identifier) })
        }
    }

    /// The first block with exactly this id of the server's, as `onlyBlock`, also where ids are not unique. Nil where all ids are the
    /// proxy's, as no client has one of the server's.
    package func firstBlock(thatSet identifier: [UInt8]) -> UInt64? {
        guard rules.identifiers != .own, !identifier.isEmpty else { return nil }
        guard hasRepeatedIdentifier else { return onlyBlock(thatSet: identifier) }
        return identifier.withUnsafeBufferPointer { identifier in
            let identifier = asBroughtBack(identifier)
            return (first..<next).first {
                store[$0].flags.contains(.setsIdentifier) && isSame(asBroughtBack(store.identifier(of: $0)), identifier)
            }
        }
    }

    /// Whether a block that set an id may not be the first that did: the server uses ids more than once, and not all blocks are held.
    var areIdentifiersDoubtful: Bool { first > 1 && (hasRepeatedIdentifier || rule.countsBackwards) }

    // MARK: Trimming

    /// Drops the oldest blocks as far as the rules want it.
    ///
    /// - Parameters:
    ///   - now: the time in milliseconds.
    ///   - keptFrom: the least number that a reader reads next who takes what comes, so whose socket is not blocked. No block from there on
    ///     is dropped: such a reader loses nothing to a bound.
    package func trim(at now: Int64, keptFrom: UInt64 = .max) {
        let moment = StoredBlock.moment(now)
        let longest = Int32(clamping: rules.ageLimitMilliseconds >> StoredBlock.momentShift)
        while store.count > 0, first < keptFrom {
            guard
                store.count > rules.blockLimit || store.byteCount > rules.byteLimit
                    // A clock that is read on another worker may be a little behind.
                    || Int32(bitPattern: moment &- store[first].moment) > longest
            else { break }
            removeFirst()
        }
    }

    /// Drops the oldest blocks until so much memory is free, for a limit over all logs, and at last what is known of dropped ones. Returns
    /// how much became free, in bytes.
    package func discardOldest(memoryByteCount wanted: Int, keptFrom: UInt64 = .max) -> Int {
        let before = memoryByteCount
        while store.count > 0, first < keptFrom, before - memoryByteCount < wanted { removeFirst() }
        if store.count == 0, before - memoryByteCount < wanted {
            index = IdentifierIndex()
            store.giveBackRoom()
        }
        return before - memoryByteCount
    }

    private func removeFirst() {
        store.removeFirst()
        guard let rarities else { return }
        while let stop = rarities.stops.first, stop.sequence < first { rarities.stops.removeFirst() }
    }

    // MARK: Epochs

    /// Goes on under another epoch with the same blocks and the next number, where it cannot be proved that another writer has not gone on
    /// under the old one. Ids of the old epoch name the same blocks up to here; behind them is a gap for this reason.
    package func begin(_ epoch: Epoch, after reason: Gap.Reason) {
        let rarities = neededRarities
        rarities.predecessors.append(Predecessor(epoch: self.epoch, lastSequence: next - 1, reason: reason))
        if rarities.predecessors.count > Self.mostPredecessors { rarities.predecessors.removeFirst() }
        self.epoch = epoch
    }
}
