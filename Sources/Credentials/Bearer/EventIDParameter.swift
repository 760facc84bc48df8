// The query parameter in which a page names the last event that it has seen (WHATWG HTML 9.2.2). Only a browser's own reconnect sends
// `Last-Event-ID`. A page that opens a new EventSource, because its token has changed, cannot send that field. Invariant: an id that is
// returned is UTF-8 and can stand in a field.

import Bytes

/// Takes last event ids out of request targets.
package struct EventIDParameter: Sendable {
    /// How long an id can be, in bytes.
    package static let mostBytes = 4_096

    /// The names of ids come first, then those of ignored parameters, and then the filter's.
    private let names: [[UInt8]]
    private let idCount: Int
    /// The place of the filter's name; behind all names where there is none.
    private let filterIndex: Int

    /// The parameters of these names. Those in `ignoring` are taken out too, and hold no id. `filter` is one whose value is wanted.
    package init(names: [String], ignoring: [String] = [], filter: String? = nil) {
        self.names = (names + ignoring + [filter].compactMap(\.self)).map { Array($0.utf8) }
        idCount = names.count
        filterIndex = names.count + ignoring.count
    }

    /// What the parameter holds.
    package enum Content: Sendable, Equatable {
        /// Nothing: no event has been seen.
        case nothing
        /// An id that can be sent.
        case id([UInt8])
        /// An id that no field can hold, or that no event stream can have had.
        case unfit
    }

    /// What was taken out of a target.
    package struct Taken: Sendable {
        /// The target without the parameters.
        package let target: [UInt8]
        /// What the parameter with an id holds.
        package let content: Content
        /// The parameter with an id; nil where only others were taken out.
        package let parameter: TakenParameter?
        /// The value of the filter's parameter, decoded; nil without one.
        package let filter: [UInt8]?
    }

    /// Whether this takes ids out of the parameter of that name.
    func takesID(from name: [UInt8]) -> Bool { names[..<idCount].contains(name) }

    /// Takes the parameters out of the target; nil if there is nothing to take. Of several ones with an id the last counts: many
    /// replacements for EventSource add theirs behind the one that a page has written.
    package func taken(from head: Span<UInt8>, target: Range<Int>) -> Taken? {
        var start = firstByte(UInt8(ascii: "?"), in: head, target) + 1
        var hasHits = false
        var last: (nameIndex: Int, value: Range<Int>)?
        var filter: [UInt8]?
        while start <= target.upperBound {
            let end = firstByte(UInt8(ascii: "&"), in: head, start..<target.upperBound)
            if let hit = matchParameter(head, start..<end, names: names) {
                hasHits = true
                if hit.nameIndex < idCount { last = hit }
                if hit.nameIndex == filterIndex { filter = formDecoded(head, hit.value) }
            }
            start = end + 1
        }
        guard hasHits else { return nil }
        return Taken(
            target: targetWithout(names, head, target), content: last.map { Self.content(of: head, $0.value) } ?? .nothing,
            parameter: last.map { TakenParameter(around: $0.value, in: head, target: target, name: names[$0.nameIndex]) },
            filter: filter)
    }

    private static func content(of head: Span<UInt8>, _ value: Range<Int>) -> Content {
        var id = formDecoded(head, value)
        // A field has no blanks at its ends, and browsers cut them off too.
        while let last = id.last, isBlank(last) { id.removeLast() }
        id = Array(id.drop(while: isBlank))
        if id.isEmpty { return .nothing }
        // An id with NUL is ignored, and one with a line end cannot be (WHATWG HTML 9.2.6).
        let canStand = id.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }
        guard id.count <= mostBytes, canStand, String(validating: id, as: UTF8.self) != nil else { return .unfit }
        return .id(id)
    }
}
