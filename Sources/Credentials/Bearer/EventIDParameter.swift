// The query parameter in which a page names the last event that it has seen (WHATWG HTML 9.2.2). Only a browser's own reconnect sends
// `Last-Event-ID`. A page that opens a new EventSource, because its token has changed, cannot send that field. Invariant: an id that is
// returned is UTF-8 and can stand in a field.

import Bytes

/// Takes last event ids out of request targets.
package struct EventIDParameter: Sendable {
    /// How long an id can be, in bytes.
    package static let mostBytes = 4_096

    let name: [UInt8]

    /// The parameter of this name.
    package init(name: String) { self.name = Array(name.utf8) }

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
        /// The target without the parameter.
        package let target: [UInt8]
        /// What the parameter holds.
        package let content: Content
        /// The parameter itself.
        package let parameter: TakenParameter
    }

    /// Takes the parameter out of the target; nil if there is none. Of several ones the first counts, as in `URLSearchParams.get`.
    package func taken(from head: Span<UInt8>, target: Range<Int>) -> Taken? {
        var start = firstByte(UInt8(ascii: "?"), in: head, target) + 1
        while start <= target.upperBound {
            let end = firstByte(UInt8(ascii: "&"), in: head, start..<target.upperBound)
            if let hit = matchParameter(head, start..<end, names: [name]) {
                return Taken(
                    target: targetWithout([name], head, target), content: Self.content(of: head, hit.value),
                    parameter: TakenParameter(around: hit.value, in: head, target: target, name: name))
            }
            start = end + 1
        }
        return nil
    }

    /// A value is encoded as in a form: `+` is a blank, and a percent sign without two digits stands for itself (WHATWG URL section 5.1).
    private static func content(of head: Span<UInt8>, _ value: Range<Int>) -> Content {
        var id: [UInt8] = []
        var index = value.lowerBound
        while index < value.upperBound {
            guard id.count <= mostBytes else { return .unfit }
            if let decoded = percentEscape(head, at: index, end: value.upperBound) {
                id.append(decoded)
                index += 3
            } else {
                id.append(head[index] == UInt8(ascii: "+") ? UInt8(ascii: " ") : head[index])
                index += 1
            }
        }
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
