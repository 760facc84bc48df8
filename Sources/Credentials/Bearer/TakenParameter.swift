// A query parameter that was taken out of a request's URL, as the client spelled it: the one with its token, or with its last event id. A
// server that redirects knows only the URL without it. A browser would have sent the parameter in the next URL too, like the field that
// the proxy made of it. Invariant: the bytes are only lent, to be written into such a URL, and are wiped when the last copy is released.

import Bytes

/// A query parameter with its name and value, byte for byte as it came.
package struct TakenParameter: Sendable, CustomStringConvertible, CustomReflectable {
    private let piece: Token
    private let name: [UInt8]

    /// The parameter around the value that was found in the query at this place.
    init(around value: Range<Int>, in head: Span<UInt8>, target: Range<Int>, name: [UInt8]) {
        var start = value.lowerBound
        while start > target.lowerBound, head[start - 1] != UInt8(ascii: "?"), head[start - 1] != UInt8(ascii: "&") { start -= 1 }
        piece = Token(copying: head.extracting(start..<value.upperBound))
        self.name = name
    }

    /// Whether this route would take the parameter out of a URL again.
    package func isTaken(by bridge: TokenBridge) -> Bool { bridge.queryNames[..<bridge.usedQueryCount].contains(name) }

    /// Whether this route would take the parameter out of a URL again.
    package func isTaken(by eventID: EventIDParameter) -> Bool { eventID.takesID(from: name) }

    /// The URL or relative reference with the parameter behind its query (RFC 3986 section 3.4); nil where it has one of that name.
    package func added(to reference: [UInt8]) -> [UInt8]? {
        let bytes = reference.span
        let end = firstByte(UInt8(ascii: "#"), in: bytes, bytes.indices)
        let queryStart = firstByte(UInt8(ascii: "?"), in: bytes, 0..<end) + 1
        var start = queryStart
        while start <= end {
            let pieceEnd = firstByte(UInt8(ascii: "&"), in: bytes, start..<end)
            if matchParameter(bytes, start..<pieceEnd, names: [name]) != nil { return nil }
            start = pieceEnd + 1
        }
        var result = Array(reference[..<end])
        result.reserveCapacity(reference.count + piece.count + 1)
        if queryStart > end { result.append(UInt8(ascii: "?")) } else if queryStart < end { result.append(UInt8(ascii: "&")) }
        piece.withBytes { append($0, $0.indices, to: &result) }
        result += reference[end...]
        return result
    }

    /// Always `<parameter>`.
    package var description: String { "<parameter>" }
    /// A mirror without children.
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
