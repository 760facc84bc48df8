// The blocks that a log holds, in memory: bytes in segments, and an index of 24 bytes for each block.
//
// A block never crosses from one segment into the next, so readers get it in one piece. Invariants: blocks stand in the order of their
// numbers; a segment goes with its last block.

/// The blocks of a log: their bytes in segments, and the index to them. Blocks are numbered without a gap.
struct BlockStore {
    private struct HeldSegment: RingElement {
        static var filler: HeldSegment { HeldSegment(segment: nil, end: 0) }
        var segment: Segment?
        /// The number behind its last block, once another segment has been opened.
        var end: UInt64
    }

    /// Segments grow with the log: an idle one owns none, one with a few events a small one.
    private static let segmentByteCounts = [1_024, 4_096, 16_384]

    private var entries = Ring<StoredBlock>()
    private var segments = Ring<HeldSegment>()
    /// The number of the first segment that is held.
    private var firstSegment: UInt32 = 0
    private var shortSegmentByteCount: UInt32 = 0
    /// The number of the first block that is held. Where none is held, the number of the next one.
    private(set) var first: UInt64 = 1
    /// How many bytes all held blocks have.
    private(set) var byteCount = 0
    /// How many bytes all held segments have: no log may hold more than 32 bits can tell.
    private var segmentByteCount: Int {
        get { Int(shortSegmentByteCount) }
        set { shortSegmentByteCount = UInt32(clamping: newValue) }
    }
    /// The last segment, where there is one.
    private var openSegment: Segment?

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
        let segment = segmentWithRoom(for: added)
        block.segment = firstSegment &+ UInt32(truncatingIfNeeded: segments.count &- 1)
        block.offset = UInt32(truncatingIfNeeded: segment.count)
        block.byteCount = UInt32(truncatingIfNeeded: added)
        entries.append(block)
        byteCount &+= added
        return segment.take(added)
    }

    @inline(__always)
    private mutating func segmentWithRoom(for added: Int) -> Segment {
        if let openSegment, openSegment.capacity &- openSegment.count >= added { return openSegment }
        return addSegment(for: added)
    }

    private mutating func addSegment(for added: Int) -> Segment {
        if !segments.isEmpty { segments[segments.count - 1].end = next }
        let segment = Segment(capacity: max(added, Self.segmentByteCounts[min(segments.count, Self.segmentByteCounts.count - 1)]))
        segments.append(HeldSegment(segment: segment, end: 0))
        openSegment = segment
        segmentByteCount += segment.capacity
        return segment
    }

    /// Drops the oldest block, and segments without blocks.
    mutating func removeFirst() {
        byteCount -= Int(entries.removeFirst().byteCount)
        first += 1
        while segments.count > 1, segments[0].end <= first { removeFirstSegment() }
        if entries.isEmpty, !segments.isEmpty {
            removeFirstSegment()
            openSegment = nil
        }
    }

    /// Gives back the room for blocks that are no more. Only while it holds none.
    mutating func giveBackRoom() {
        precondition(entries.isEmpty)
        entries = Ring()
    }

    private mutating func removeFirstSegment() {
        segmentByteCount -= segments.removeFirst().segment?.capacity ?? 0
        firstSegment &+= 1
    }

    /// The bytes of a block; valid until the store changes.
    @inline(__always)
    func bytes(of sequence: UInt64) -> UnsafeBufferPointer<UInt8> {
        let block = self[sequence]
        guard block.byteCount > 0, let segment = segments[Int(block.segment &- firstSegment)].segment else {
            return UnsafeBufferPointer(start: nil, count: 0)
        }
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
        let place = Int(block.segment &- firstSegment)
        guard let segment = segments[place].segment else { return nil }
        let end = place == segments.count &- 1 ? limit : min(limit, segments[place].end)
        let last = self[end &- 1]
        return (Slice(segment, Int(block.offset)..<Int(last.offset &+ last.byteCount)), end)
    }
}
