// What is written in the place of single fields while a head is copied. Which fields, and what, is for the proxy to decide.
//
// Invariant: a value that no field may hold is never written; its field is left out.

/// Other values for some of a head's fields, or none at all.
public struct FieldEdits: Sendable {
    /// In the order of the fields; nil for those that are left out.
    private var edits: [(fieldIndex: Int, value: [UInt8]?)] = []

    /// Nothing is changed.
    public init() {}

    /// Whether nothing is changed.
    public var isEmpty: Bool { edits.isEmpty }

    /// Which field the edit of that number is for; `Int.max` behind the last one.
    func index(at number: Int) -> Int { number < edits.count ? edits[number].fieldIndex : .max }

    /// What the edit of that number writes; nil for nothing.
    func value(at number: Int) -> [UInt8]? { edits[number].value }

    /// Writes this value in the place of the field's own. Fields have to be named in their order, each once.
    public mutating func replace(fieldIndex: Int, by value: [UInt8]) {
        add(fieldIndex, value.allSatisfy(isFieldValueByte) ? value : nil)
    }

    /// Leaves the field out. Fields have to be named in their order, each once.
    public mutating func leaveOut(fieldIndex: Int) { add(fieldIndex, nil) }

    private mutating func add(_ fieldIndex: Int, _ value: [UInt8]?) {
        precondition(edits.last.map { $0.fieldIndex < fieldIndex } ?? true, "fields are named in their order")
        edits.append((fieldIndex, value))
    }
}
