// The types of a log's events, as numbers, so that a filter asks one bit for each event.

import Bytes

/// Numbers for the first types that a log meets. 0 is `message`.
struct TypeTable {
    /// The number of each type that found no place in the table.
    static let unlisted: UInt8 = 64
    static let message = Array("message".utf8)

    /// Types 1 and up.
    private(set) var names: [[UInt8]] = []
    private var last: UInt8 = 0

    /// The number of a type, which is entered if it is new.
    @inline(__always)
    mutating func slot(of type: UnsafeBufferPointer<UInt8>) -> UInt8 {
        if type.isEmpty { return 0 }
        if last > 0, isSame(names[Int(last) &- 1], type) { return last }
        return search(type)
    }

    private mutating func search(_ type: UnsafeBufferPointer<UInt8>) -> UInt8 {
        if isSame(Self.message, type) { return 0 }
        if let place = names.firstIndex(where: { isSame($0, type) }) {
            last = UInt8(place + 1)
            return last
        }
        guard names.count < Int(Self.unlisted) - 1 else { return Self.unlisted }
        names.append(Array(type))
        last = UInt8(names.count)
        return last
    }
}

/// The types that one reader wants. Blocks without data and gaps always pass.
package struct TypeFilter: Sendable {
    private let wanted: [[UInt8]]
    /// A bit for each type of the log's table that is wanted, as far as `knownCount` types.
    private var mask: UInt64
    private var knownCount = 0

    /// A filter from a list like `message,price`: types divided by commas, `message` for events without a type. An empty list wants no
    /// event. The caller has decoded the parameter.
    package init(_ list: [UInt8]) {
        wanted = list.split(separator: UInt8(ascii: ",")).map(Array.init)
        mask = wanted.contains(TypeTable.message) ? 1 : 0
    }

    /// Whether an event of that type of the table is wanted; nil where the block itself has to be asked.
    @inline(__always)
    mutating func wants(_ slot: UInt8, of table: TypeTable) -> Bool? {
        guard slot < TypeTable.unlisted else { return nil }
        if knownCount < table.names.count { learn(table) }
        return mask >> UInt64(slot) & 1 == 1
    }

    private mutating func learn(_ table: TypeTable) {
        for place in knownCount..<table.names.count where wanted.contains(table.names[place]) { mask |= 1 << UInt64(place + 1) }
        knownCount = table.names.count
    }

    /// Whether an event of that type is wanted.
    func wants(_ type: UnsafeBufferPointer<UInt8>) -> Bool { wanted.contains { isSame($0, type) } }
}
