// Tells what a server says again, after its connection dropped and it was asked again, from what is new.
//
// Servers answer the new request in many ways: with what follows the id that they were asked for, with that event too, with all that they
// have, or with what comes next. Each block that the filter drops is one that the log has already. Invariants: a block of an id that the
// log does not know is never dropped; one of a known id only if it is the same block. So a server that began to count its ids from 1 again
// loses nothing, though all its ids are known. Where no answer is certain, the block passes: never silently less comes before never twice.
//
// What counts as the same: equal bytes, apart from the lines of ids, in the order of the log, until the newest id of the log has come. Of
// blocks that the log has dropped, no bytes are known, so they end the recognition. Blocks without an id pass and end nothing. One case
// cannot be told from a replay: a server that counts from 1 again and says the same under the same id.

/// Decides which blocks of a server's new response are dropped, because the log has them. It is needed until `isOver`.
package struct ReplayFilter {
    private static let message = Array("message".utf8)

    private enum Recognition {
        case notBegun
        /// The newest block that came again has the number `last`, and `newest` is the last one that can. Blocks from `end` on are no
        /// earlier response's.
        case replaying(last: UInt64, newest: UInt64?, end: UInt64)
        case over
    }

    private let greetings: [[UInt8]]
    private var isGreeted: Bool
    private var recognition = Recognition.notBegun

    /// A filter for one response.
    ///
    /// - Parameter greetings: types of leading events that are dropped (bytes of the type; `message` for events without one).
    package init(greetings: [[UInt8]]) {
        self.greetings = greetings
        isGreeted = greetings.isEmpty
    }

    /// Whether nothing is dropped any more, so that the filter can go.
    package var isOver: Bool { if case .over = recognition { isGreeted } else { false } }

    /// Whether the block that the cutter has just found in the piece is dropped. Call it once for each whole block, before it is appended.
    ///
    /// Of a block above the limit only the id can be compared, and whether the known one was above the limit too.
    package mutating func drops(_ cutter: BlockCutter, of piece: Span<UInt8>, in log: BlockLog) -> Bool {
        if !isGreeted, cutter.block.hasData {
            let type = cutter.type(in: piece)
            if greetings.contains(type.isEmpty ? Self.message : type) { return true }
            isGreeted = true
        }
        if case .over = recognition { return false }
        guard log.areIdentifiersUnique else {
            recognition = .over
            return false
        }
        guard let identifier = cutter.identifier(in: piece), !identifier.isEmpty else { return false }
        return isReplay(of: identifier, cutter, piece, log)
    }

    private mutating func isReplay(of identifier: [UInt8], _ cutter: BlockCutter, _ piece: Span<UInt8>, _ log: BlockLog) -> Bool {
        if case .notBegun = recognition {
            recognition = .replaying(last: 0, newest: log.onlyBlock(thatSet: log.lastServerIdentifier), end: log.next)
        }
        guard case .replaying(let last, let newest, let end) = recognition else { return false }
        if let known = log.onlyBlock(thatSet: identifier), last < known, known < end, log.holds(cutter, of: piece, as: known) {
            recognition = known == newest ? .over : .replaying(last: known, newest: newest, end: end)
            return true
        }
        // Some servers begin with the id that they were asked for, alone, so that a client has it again. It changes nothing.
        if !cutter.block.hasData, cutter.block.retryMilliseconds == nil, identifier == log.lastServerIdentifier { return true }
        recognition = .over
        return false
    }
}

extension BlockLog {
    /// Whether the held block with this number is the one that the cutter has found, apart from the lines of ids.
    func holds(_ cutter: BlockCutter, of piece: Span<UInt8>, as sequence: UInt64) -> Bool {
        guard sequence >= first, sequence < next else { return false }
        guard !store[sequence].flags.contains(.isHole) else { return cutter.block.isOversized }
        guard !cutter.block.isOversized else { return false }
        let held = Self.withoutIdentifierLines(store.bytes(of: sequence))
        return cutter.withBlockBytes(of: piece) { Self.withoutIdentifierLines($0) } == held
    }
}
