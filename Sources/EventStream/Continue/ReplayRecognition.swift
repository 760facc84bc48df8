// Recognises by the server's ids which blocks of a new response the log has already.
//
// What counts as the same block: its id, and equal bytes apart from the lines of ids, in the order of the log, until the newest id of the
// log has come. So a server that began to count its ids from 1 again loses nothing, though all its ids are known. Of blocks that the log
// has dropped, no bytes are known, so they end the recognition. Blocks without an id end nothing. One case cannot be told from a replay:
// a server that counts from 1 again and says the same under the same id.

/// Follows one response of a server whose earlier blocks are in a log.
struct ReplayRecognition {
    /// What has ended the recognition was a block with an id that the log has, and it is another block: ids begin again with each response.
    private(set) var hasFoundOther = false
    private(set) var isOver = false
    /// Whether blocks of unknown ids may stand before the first known one.
    private let isPatient: Bool
    /// The newest block that can come again; nil where that is not known.
    private let newest: UInt64?
    /// Blocks from this number on are no earlier response's.
    private let end: UInt64
    /// The newest block that came again so far; 0 where none did.
    private var last: UInt64 = 0

    /// A recognition whose response begins now. The log has what earlier ones have said.
    init(in log: BlockLog, isPatient: Bool) {
        self.isPatient = isPatient
        newest = log.onlyBlock(thatSet: log.lastServerIdentifier)
        end = log.next
    }

    /// Nothing comes again any more.
    mutating func giveUp() { isOver = true }

    /// Whether the cutter's block is one that the log has. To be asked for each block once, and only until `isOver`.
    mutating func recognises(_ cutter: BlockCutter, of piece: Span<UInt8>, in log: BlockLog) -> Bool {
        guard log.areIdentifiersUnique else {
            isOver = true
            return false
        }
        guard let identifier = cutter.identifier(in: piece), !identifier.isEmpty else { return false }
        let known = log.onlyBlock(thatSet: identifier).flatMap { $0 < end ? $0 : nil }
        if let known, last < known, log.holds(cutter, of: piece, as: known) {
            last = known
            isOver = known == newest
            return true
        }
        // Some servers begin with the id that they were asked for, alone, so that a client has it again. It changes nothing.
        if !cutter.block.hasData, cutter.block.retryMilliseconds == nil, identifier == log.lastServerIdentifier { return true }
        hasFoundOther = known != nil
        isOver = known != nil || last > 0 || !isPatient
        return false
    }
}

extension BlockLog {
    /// Whether the held block with this number is the one that the cutter has found, apart from the lines of ids. Of blocks above the limit
    /// no bytes are held.
    func holds(_ cutter: BlockCutter, of piece: Span<UInt8>, as sequence: UInt64) -> Bool {
        guard sequence >= first, sequence < next else { return false }
        guard !store[sequence].flags.contains(.isHole) else { return cutter.block.isOversized }
        guard !cutter.block.isOversized else { return false }
        let content = cutter.withBlockBytes(of: piece) { Self.withoutIdentifierLines($0) }
        return Self.withoutIdentifierLines(store.bytes(of: sequence)) == content
    }
}
