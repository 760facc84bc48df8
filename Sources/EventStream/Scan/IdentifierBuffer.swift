// The last event id, from an `id` line until its dispatch.
//
// An id has three stages: growing while its line is read, pending when the line has ended, committed when a blank line dispatches it
// (WHATWG HTML 9.2.6). All three follow one another in one array. So a stream without ids owns no storage, and a stream with ids owns
// one block:
//
//     storage:  committed | pending | growing
//
// The scanner checks what an id contains. Invariant: each stage holds at most `limit` bytes.

struct IdentifierBuffer: Sendable {
    /// How many bytes of an id are kept.
    static let limit = 256

    /// Room for a growing and a committed id of the proxy's or for one UUID. An idle stream has no more, and one with long ids allocates
    /// twice.
    private static let firstCapacity = 40

    private var storage: [UInt8] = []
    private var committedCount: UInt16 = 0
    private var pendingCount: UInt16 = 0
    /// Whether an id's line has ended since the last blank line.
    private(set) var hasPending = false
    /// True without a pending id, or with an empty one, which resets the last event id.
    var isPendingEmpty: Bool { pendingCount == 0 }
    private var isCommittedTruncated = false
    private var isPendingTruncated = false
    private var isGrowingTruncated = false

    init() {}

    /// The committed id; a copy.
    var committed: [UInt8] { Array(storage[..<Int(committedCount)]) }

    /// Appends the committed id.
    func appendCommitted(to bytes: inout [UInt8]) { bytes.append(contentsOf: storage[..<Int(committedCount)]) }

    /// Whether the committed id was longer than the part that is kept.
    var isTruncated: Bool { isCommittedTruncated }

    private var growingStart: Int { Int(committedCount) &+ Int(pendingCount) }

    /// One more byte of the id on the line that is being read.
    mutating func grow(_ byte: UInt8) {
        if storage.count &- growingStart >= Self.limit {
            isGrowingTruncated = true
            return
        }
        if storage.isEmpty {
            storage.reserveCapacity(Self.firstCapacity)
        }
        storage.append(byte)
    }

    /// The line is no valid id: its bytes are dropped.
    mutating func discardGrowing() {
        storage.removeLast(storage.count &- growingStart)
        isGrowingTruncated = false
    }

    /// The id's line has ended. It replaces an earlier id of the same event.
    mutating func endLine() {
        let start = Int(committedCount)
        storage.removeSubrange(start..<growingStart)
        pendingCount = UInt16(truncatingIfNeeded: storage.count &- start)
        isPendingTruncated = isGrowingTruncated
        isGrowingTruncated = false
        hasPending = true
    }

    /// A blank line dispatches: a pending id becomes the last event id; without one, the last id stays.
    mutating func commit() {
        guard hasPending else { return }
        storage.removeSubrange(0..<Int(committedCount))
        committedCount = pendingCount
        isCommittedTruncated = isPendingTruncated
        pendingCount = 0
        isPendingTruncated = false
        hasPending = false
    }
}
