// The memory of a log: blocks one behind the other, each written once and never changed.
//
// A segment is freed with its last reference: the log's, and those of slices that are being sent. So a log may drop blocks at any time. A
// slice may be read on any thread, because only bytes behind it are still written.

/// A piece of memory for blocks.
final class Segment: @unchecked Sendable {
    /// How many bytes fit.
    let capacity: Int
    private let memory: UnsafeMutableRawPointer
    /// How many bytes are written. Only the log that writes may look.
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        memory = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { memory.deallocate() }

    /// Room for a block behind the others. The caller writes all of it before anybody reads.
    @inline(__always)
    func take(_ byteCount: Int) -> UnsafeMutablePointer<UInt8> {
        precondition(byteCount <= capacity &- count, "a block that does not fit into its segment")
        defer { count &+= byteCount }
        return (memory + count).assumingMemoryBound(to: UInt8.self)
    }

    /// The written bytes in the range.
    @inline(__always)
    func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory + range.lowerBound, count: range.count)
    }
}

/// Whole blocks of a log, one behind the other, as readers get them.
package struct Slice: Sendable {
    private let segment: Segment
    private let range: Range<Int>

    init(_ segment: Segment, _ range: Range<Int>) {
        self.segment = segment
        self.range = range
    }

    /// How many bytes there are.
    package var byteCount: Int { range.count }

    /// The bytes, which never change, as long as the slice lives.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withExtendedLifetime(segment) { body(segment.bytes(range)) }
    }

    /// A copy of the bytes.
    package var copied: [UInt8] { withBytes { Array($0) } }
}
