// Replacement values for single fields while a head is copied. The proxy decides which fields, and the values.
//
// Invariant: a value that a field may not hold is never written; its field is left out.

/// Other values for some of a head's fields, or none at all.
public struct FieldEdits: Sendable {
    /// In the order of the fields; nil for those that are left out.
    private var edits: [(fieldIndex: Int, value: [UInt8]?)] = []

    /// Nothing is changed.
    public init() {}

    /// Whether nothing is changed.
    public var isEmpty: Bool { edits.isEmpty }

    /// Whether a field is changed or left out.
    public func names(fieldIndex: Int) -> Bool { edits.contains { $0.fieldIndex == fieldIndex } }

    /// The field index of the edit with that number; `Int.max` behind the last edit.
    func index(at number: Int) -> Int { number < edits.count ? edits[number].fieldIndex : .max }

    /// What the edit with that number writes; nil for nothing.
    func value(at number: Int) -> [UInt8]? { edits[number].value }

    /// Replaces the field's value by this one. Call it in the order of the fields, once for each.
    public mutating func replace(fieldIndex: Int, by value: [UInt8]) {
        add(fieldIndex, value.allSatisfy(isFieldValueByte) ? value : nil)
    }

    /// Leaves the field out. Call it in the order of the fields, once for each.
    public mutating func leaveOut(fieldIndex: Int) { add(fieldIndex, nil) }

    private mutating func add(_ fieldIndex: Int, _ value: [UInt8]?) {
        precondition(edits.last.map { $0.fieldIndex < fieldIndex } ?? true, "fields are named in their order")
        edits.append((fieldIndex, value))
    }
}
