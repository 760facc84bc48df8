// Bounds of a message head. The numbers come from the configuration. HeadScanner enforces them at once, byte by byte, and the head
// parsers check them again.
//
// Invariant: every limit is at least one, and an offset into an allowed head fits into 32 bits.

/// The largest head that is accepted, and the bounds of its parts.
public struct HeadLimits: Sendable, Equatable {
    /// The most bytes of a whole head: empty lines before it, its first line, its fields and its end.
    public let headBytes: Int
    /// The most field lines in a head.
    public let fieldCount: Int
    /// The most bytes of a request target, as it was sent.
    public let targetBytes: Int

    /// Limits for one kind of head. A value below one counts as one, and a head is never allowed more
    /// than a gibibyte.
    public init(headBytes: Int = 16_384, fieldCount: Int = 100, targetBytes: Int = 8_192) {
        self.headBytes = min(max(headBytes, 1), 1 << 30)
        self.fieldCount = max(fieldCount, 1)
        self.targetBytes = max(targetBytes, 1)
    }
}
