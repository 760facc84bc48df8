// What a log knows of a block that it holds, in 24 bytes.

/// One entry of a log's index.
struct StoredBlock {
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// The block is an event of the server's.
        static let hasData = Flags(rawValue: 1)
        /// The server set an id with this block, and the id stands in the stored bytes.
        static let setsIdentifier = Flags(rawValue: 2)
        /// There is no block to send here: a gap stands in its place. At most an `id` line is stored.
        static let isHole = Flags(rawValue: 4)
    }

    /// How long a moment is, as a shift of milliseconds: 128 ms. So a moment of 32 bits lasts for 17 years.
    static let momentShift: Int64 = 7

    /// The number of the segment, counted by its log.
    fileprivate(set) var segment: UInt32 = 0
    fileprivate(set) var offset: UInt32 = 0
    fileprivate(set) var byteCount: UInt32 = 0
    /// When the block was appended, in moments.
    var moment: UInt32 = 0
    /// Where the server's id begins in the block.
    var identifierStart: UInt32 = 0
    /// The length of the server's id; `longIdentifier` where it does not fit, and goes on to the end of its line.
    var identifierByteCount: UInt16 = 0
    var typeSlot: UInt8 = 0
    var flags: Flags = []

    static let longIdentifier = UInt16.max

    static func moment(_ milliseconds: Int64) -> UInt32 { UInt32(truncatingIfNeeded: milliseconds >> momentShift) }
}

/// The blocks of a log: their bytes in segments, and the index to them. Blocks are numbered without a gap.
struct BlockStore {
    private struct HeldSegment {
        var segment: Segment?
        /// The number behind its last block.
        var end: UInt64
    }

    /// Segments grow with the log: an idle one owns none, one with a few events a small one.
    private static let segmentByteCounts = [1_024, 4_096, 16_384]

    private var entries = Ring(filler: StoredBlock())
    private var segments = Ring(filler: HeldSegment(segment: nil, end: 0))
    /// The number of the first segment that is held.
    private var firstSegment: UInt32 = 0
    /// The number of the first block that is held. Where none is held, the number of the next one.
    private(set) var first: UInt64 = 1
    /// How many bytes all held blocks have.
    private(set) var byteCount = 0
    private var segmentByteCount = 0

    /// The number that the next block gets.
    var next: UInt64 { first &+ UInt64(entries.count) }

    var count: Int { entries.count }

    /// How much memory the blocks and the index own, rest of segments included.
    var memoryByteCount: Int { segmentByteCount + entries.capacity * MemoryLayout<StoredBlock>.stride }

    subscript(sequence: UInt64) -> StoredBlock {
        @inline(__always) get { entries[Int(truncatingIfNeeded: sequence &- first)] }
    }

    /// Appends a block and returns the memory for its bytes, all of which the caller writes at once.
    @inline(__always)
    mutating func append(_ block: StoredBlock, byteCount added: Int) -> UnsafeMutablePointer<UInt8>? {
        var block = block
        guard added > 0 else {
            entries.append(block)
            return nil
        }
        let sequence = next
        let segment = segmentWithRoom(for: added)
        block.segment = firstSegment &+ UInt32(truncatingIfNeeded: segments.count &- 1)
        block.offset = UInt32(truncatingIfNeeded: segment.count)
        block.byteCount = UInt32(truncatingIfNeeded: added)
        entries.append(block)
        byteCount &+= added
        segments[segments.count &- 1].end = sequence &+ 1
        return segment.take(added)
    }

    @inline(__always)
    private mutating func segmentWithRoom(for added: Int) -> Segment {
        if !segments.isEmpty, let last = segments[segments.count &- 1].segment, last.capacity &- last.count >= added { return last }
        let segment = Segment(capacity: max(added, Self.segmentByteCounts[min(segments.count, Self.segmentByteCounts.count - 1)]))
        segments.append(HeldSegment(segment: segment, end: next))
        segmentByteCount += segment.capacity
        return segment
    }

    /// Drops the oldest block, and segments without blocks.
    mutating func removeFirst() {
        byteCount -= Int(entries.removeFirst().byteCount)
        first += 1
        while !segments.isEmpty, segments[0].end <= first {
            segmentByteCount -= segments.removeFirst().segment?.capacity ?? 0
            firstSegment &+= 1
        }
    }

    /// The bytes of a block; valid until the store changes.
    @inline(__always)
    func bytes(of sequence: UInt64) -> UnsafeBufferPointer<UInt8> {
        let block = self[sequence]
        guard block.byteCount > 0, let segment = segment(of: block).segment else { return UnsafeBufferPointer(start: nil, count: 0) }
        return segment.bytes(Int(block.offset)..<Int(block.offset &+ block.byteCount)).assumingMemoryBound(to: UInt8.self)
    }

    /// The bytes of the server's id that a block set; valid until the store changes.
    func identifier(of sequence: UInt64) -> UnsafeBufferPointer<UInt8> {
        let block = self[sequence]
        let rest = bytes(of: sequence).dropFirst(Int(block.identifierStart))
        if block.identifierByteCount != StoredBlock.longIdentifier {
            return UnsafeBufferPointer(rebasing: rest.prefix(Int(block.identifierByteCount)))
        }
        return UnsafeBufferPointer(rebasing: rest.prefix { $0 != 0x0A })
    }

    /// The blocks from one number up to another that stand one behind the other in memory, and the number behind the last of them. At
    /// least one: all up to `limit` must have bytes.
    func run(from sequence: UInt64, to limit: UInt64) -> (slice: Slice, end: UInt64)? {
        let block = self[sequence]
        let held = segment(of: block)
        guard let segment = held.segment else { return nil }
        let end = min(limit, held.end)
        let last = self[end &- 1]
        return (Slice(segment, Int(block.offset)..<Int(last.offset &+ last.byteCount)), end)
    }

    @inline(__always)
    private func segment(of block: StoredBlock) -> HeldSegment { segments[Int(block.segment &- firstSegment)] }
}
