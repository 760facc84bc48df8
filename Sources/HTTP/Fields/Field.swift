// One field line of a parsed head, as offsets into the head's bytes.

/// One field line (RFC 9112 section 5). Its ranges are into the `bytes` of the head it belongs to.
public struct Field: Sendable, Equatable {
    private let nameStart: UInt32
    private let nameEnd: UInt32
    private let valueStart: UInt32
    private let valueEnd: UInt32
    /// The name, if the proxy knows it.
    public let known: FieldName
    /// Whether the field is also meant for the next recipient, see `RequestHead.isForwardable`.
    public internal(set) var isForwardable: Bool

    /// A field at these ranges. Offsets are below 2^32, because no head is larger (`HeadLimits`).
    init(name: Range<Int>, value: Range<Int>, known: FieldName) {
        nameStart = UInt32(name.lowerBound)
        nameEnd = UInt32(name.upperBound)
        valueStart = UInt32(value.lowerBound)
        valueEnd = UInt32(value.upperBound)
        self.known = known
        isForwardable = !FieldNameSet.neverForwarded.contains(known)
    }

    /// The name as it was spelled.
    public var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }

    /// The value without the blanks around it.
    public var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
}
