// What a log knows of a block that it holds, in 24 bytes.

/// One entry of a log's index.
struct StoredBlock: RingElement {
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
    var segment: UInt32 = 0
    var offset: UInt32 = 0
    var byteCount: UInt32 = 0
    /// When the block was appended, in moments.
    var moment: UInt32 = 0
    /// Where the server's id begins in the block.
    var identifierStart: UInt32 = 0
    /// The length of the server's id; `longIdentifier` where it does not fit, and goes on to the end of its line.
    var identifierByteCount: UInt16 = 0
    var typeSlot: UInt8 = 0
    var flags: Flags = []

    static var filler: StoredBlock { StoredBlock() }

    static let longIdentifier = UInt16.max

    static func moment(_ milliseconds: Int64) -> UInt32 { UInt32(truncatingIfNeeded: milliseconds >> momentShift) }
}
