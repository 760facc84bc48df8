// The fields of one block, decoded. What they mean is not looked at here.
//
// Invariant: nothing is stored beyond the limits, however far the block's octets expand (the "HPACK bomb"): each field is counted before
// it is copied out of a table.

/// How much one field block may hold, decoded. A field counts as its name, its value and 32 bytes (RFC 9113 section 6.5.2), each part of
/// a divided `cookie` as one field.
package struct DecodedFieldLimits: Sendable, Equatable {
    /// The most fields that are stored.
    package let maximumFields: Int
    /// The most bytes that all stored fields count.
    package let maximumBytes: Int
    /// The most fields of any block. One more ends the connection.
    package let hardMaximumFields: Int

    /// Limits. A block over one of the first two is decoded to its end, and its request answered with 431.
    package init(maximumFields: Int = 128, maximumBytes: Int = 65_536, hardMaximumFields: Int = 1_000) {
        precondition(maximumFields > 0 && maximumBytes > 0 && hardMaximumFields >= maximumFields)
        self.maximumFields = maximumFields
        self.maximumBytes = maximumBytes
        self.hardMaximumFields = hardMaximumFields
    }
}

/// A field, as ranges into `DecodedFields.bytes`.
package struct DecodedField: Sendable, Equatable {
    private let start: UInt32
    private let nameCount: UInt32
    private let valueCount: UInt32
    /// Whether the field may never be compressed with a table, here and by whatever sends it on over HTTP/2 (RFC 7541 section 7.1.3).
    package let isNeverIndexed: Bool

    init(start: Int, nameCount: Int, valueCount: Int, isNeverIndexed: Bool) {
        self.start = UInt32(start)
        self.nameCount = UInt32(nameCount)
        self.valueCount = UInt32(valueCount)
        self.isNeverIndexed = isNeverIndexed
    }

    /// The name as it was sent.
    package var name: Range<Int> { Int(start)..<Int(start + nameCount) }
    /// The value as it was sent.
    package var value: Range<Int> { Int(start + nameCount)..<Int(start + nameCount + valueCount) }
}

/// The fields of one block. One value is used for each block after the other.
package struct DecodedFields: Sendable {
    private static let keptBytes = 4_096
    private static let keptFields = 64

    /// Names and values, one behind the other.
    package internal(set) var bytes: [UInt8] = []
    /// The fields in their order; those that exceed the limits are left out.
    package private(set) var fields: [DecodedField] = []
    /// Whether a limit was exceeded. What follows then is decoded, so that the table stays right, but is not stored.
    package private(set) var isTooLarge = false
    private var seenFields = 0
    private var countedBytes = 0

    /// No fields.
    package init() {}

    /// Forgets the fields. Memory is kept for the next block unless it is large.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptBytes)
        fields.removeAll(keepingCapacity: fields.capacity <= Self.keptFields)
        isTooLarge = false
        seenFields = 0
        countedBytes = 0
    }

    /// Counts a field of these lengths. False if it may not be stored.
    mutating func admit(nameCount: Int, valueCount: Int, _ limits: DecodedFieldLimits) throws(HPACKError) -> Bool {
        seenFields += 1
        guard seenFields <= limits.hardMaximumFields else { throw .tooManyFields }
        let size = nameCount + valueCount + DynamicTable.entryOverheadBytes
        if isTooLarge || seenFields > limits.maximumFields || size > limits.maximumBytes - countedBytes {
            isTooLarge = true
            return false
        }
        countedBytes += size
        return true
    }

    /// Adds the field whose name and value were appended to `bytes` from `start`, if the limits allow it. Else these bytes are removed.
    mutating func addAppended(
        from start: Int, nameCount: Int, isNeverIndexed: Bool, _ limits: DecodedFieldLimits
    ) throws(HPACKError) {
        let valueCount = bytes.count - start - nameCount
        guard try admit(nameCount: nameCount, valueCount: valueCount, limits) else { return bytes.removeLast(bytes.count - start) }
        add(DecodedField(start: start, nameCount: nameCount, valueCount: valueCount, isNeverIndexed: isNeverIndexed))
    }

    /// Adds a field whose bytes were admitted and appended.
    mutating func add(_ field: DecodedField) { fields.append(field) }
}
