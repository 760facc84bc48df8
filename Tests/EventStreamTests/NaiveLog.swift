// A log the simple way: an array of all blocks, of which nothing is ever dropped, for comparison.

import EventStream

extension BlockLog {
    /// Appends the blocks of this text.
    func append(_ text: String, at now: Int64 = 0, limit: Int = 1 << 20) {
        var cutter = BlockCutter(limit: limit)
        let piece = Array(text.utf8)
        var offset = 0
        while true {
            switch cutter.next(in: piece.span, from: &offset) {
            case .more: return
            case .part: continue
            case .block where cutter.block.isOversized: _ = appendOversized(cutter, at: now)
            case .block: append(cutter, of: piece.span, at: now)
            }
        }
    }

    /// All that a reader reads from there on, gaps included.
    func readAll(_ cursor: inout UInt64) -> [String] {
        var found: [String] = []
        while true {
            switch read(&cursor) {
            case .upToDate: return found
            case .blocks(let slice): found.append(String(decoding: slice.copied, as: UTF8.self))
            case .gap(let gap): found.append("\(gap.reason) \(gap.isCertain) \(gap.missedCount.map(String.init) ?? "-")")
            }
        }
    }

    func readAll(from start: UInt64 = 1) -> [String] {
        var cursor = start
        return readAll(&cursor)
    }
}

func positionID(_ epoch: UInt64, _ sequence: UInt64) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    let places = (0..<8).reversed().map { digits[Int(epoch >> UInt64(6 * $0) & 63)] }
    return "hw1.\(String(places)).\(String(sequence, radix: 36))"
}

/// All blocks that a log ever had, as they must be stored.
struct NaiveLog {
    struct Stored {
        /// What goes out. Nil where a gap stands that is no event.
        var bytes: [UInt8]?
        var stop: Gap?
        var serverIdentifier: [UInt8]?
        var type: [UInt8]?
        var moment: Int64
    }

    let policy: IdentifierPolicy
    var epoch: UInt64
    /// The epochs of before, with the last number of each.
    var predecessors: [(epoch: UInt64, last: UInt64, reason: Gap.Reason)] = []
    var blocks: [Stored] = []
    var first: UInt64 = 1
    private var last: [UInt8] = []
    private var isServers = false

    init(_ policy: IdentifierPolicy, epoch: UInt64) {
        self.policy = policy
        self.epoch = epoch
    }

    var next: UInt64 { UInt64(blocks.count) + 1 }

    subscript(sequence: UInt64) -> Stored { blocks[Int(sequence) - 1] }

    /// The id lines of blocks above the limit.
    private var holes: [UInt64: [UInt8]] = [:]

    /// How many bytes the held blocks have.
    private(set) var heldByteCount = 0

    /// Drops the oldest block.
    mutating func removeFirst() {
        heldByteCount -= (self[first].bytes ?? holes[first] ?? []).count
        first += 1
    }

    /// Makes the last block one above the limit, of which only its id line is kept. Returns what ends it.
    mutating func oversize(_ block: NaiveBlock) -> [UInt8] {
        let stored = blocks[blocks.count - 1]
        let line = holeLine(stored, block)
        blocks[blocks.count - 1].stop = Gap(.oversize, isCertain: true, missedCount: 1)
        blocks[blocks.count - 1].bytes = nil
        blocks[blocks.count - 1].type = nil
        holes[next - 1] = line
        heldByteCount += line.count - stored.bytes!.count
        return line + [10]
    }

    /// What is kept of a block above the limit: its id line, as it goes out.
    private func holeLine(_ stored: Stored, _ block: NaiveBlock) -> [UInt8] {
        let bytes = stored.bytes!
        if bytes == block.bytes { return block.identifier.map { Array("id: ".utf8) + $0 + [10] } ?? [] }
        return Array(bytes[...bytes.firstIndex(of: 10)!])
    }

    /// The line for the next block, nil where the block keeps its own.
    private func line() -> [UInt8]? {
        let own = positionID(epoch, next)
        switch policy {
        case .own: return Array("id: \(own)\n".utf8)
        case .keep: return isServers ? nil : Array("id: \(own)\n".utf8)
        case .suffix:
            if last.count > 512 { return nil }
            return Array("id: ".utf8) + last + Array((last.isEmpty ? "\(own)\n" : "~\(own)\n").utf8)
        }
    }

    mutating func append(_ block: NaiveBlock, at now: Int64) {
        if let identifier = block.identifier {
            last = identifier
            isServers = isServers || !identifier.isEmpty
        }
        let line = line()
        let bytes = line.map { $0 + withoutEffectiveIdentifiers(block.bytes) } ?? block.bytes
        let isStored = line == nil || policy == .suffix && !last.isEmpty
        blocks.append(
            Stored(
                bytes: bytes, serverIdentifier: isStored && block.identifier?.isEmpty == false ? block.identifier : nil,
                type: block.hasData ? block.type.isEmpty ? Array("message".utf8) : block.type : nil, moment: now >> 7))
        heldByteCount += bytes.count
    }

    mutating func append(_ gap: Gap, _ manner: GapManner, at now: Int64) {
        switch manner {
        case .off: break
        case .reconnect: blocks.append(Stored(stop: gap, moment: now >> 7))
        case .event(let type):
            let missed = gap.missedCount.map { "\($0)" } ?? "null"
            let event =
                "event: \(String(decoding: type, as: UTF8.self))\n"
                + "data: {\"reason\":\"\(gap.reason.rawValue)\",\"certain\":\(gap.isCertain),\"missed\":\(missed)}\n\n"
            let bytes = (line() ?? []) + Array(event.utf8)
            blocks.append(Stored(bytes: bytes, moment: now >> 7))
            heldByteCount += bytes.count
        }
    }

    private func withoutEffectiveIdentifiers(_ bytes: [UInt8]) -> [UInt8] {
        bytes.split(separator: 10, omittingEmptySubsequences: false).dropLast()
            .filter { !($0.elementsEqual("id".utf8) || $0.starts(with: "id:".utf8)) || $0.contains(0) }
            .flatMap { $0 + [10] }
    }

    /// The first held block that set this id, apart from blanks at its ends, which no field can bring back.
    func firstBlock(thatSet identifier: [UInt8]) -> UInt64? {
        NaiveLog.trimmed(identifier).isEmpty ? nil : (first..<next).first { sets(identifier, at: $0) }
    }

    func sets(_ identifier: [UInt8], at sequence: UInt64) -> Bool {
        self[sequence].serverIdentifier.map(NaiveLog.trimmed) == NaiveLog.trimmed(identifier)
    }

    static func trimmed(_ identifier: [UInt8]) -> [UInt8] {
        let isBlank = { (byte: UInt8) in byte == 32 || byte == 9 }
        return Array(identifier.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }

    /// What a reader reads, block by block: bytes, or a gap that is no event.
    func passes(_ sequence: UInt64, _ wanted: [[UInt8]]?) -> Bool {
        guard let wanted, let type = self[sequence].type else { return true }
        return wanted.contains(type)
    }
}
