// What a client's id says: the server's id, the proxy's place in a log, or both.
//
// The bytes come from strangers, in a `Last-Event-ID` field or a query parameter. Invariant: what goes on to a server never holds an id of
// the proxy's, also where the log that it names is gone, for a server that expects a number would refuse the request.

import Bytes

/// An id that a client brought.
package struct ClientIdentifier: Sendable, Equatable {
    /// The id as it came.
    package let bytes: [UInt8]
    /// The place in a log that the id names, if it is the proxy's or has the proxy's behind it.
    package let position: Position?
    /// How many bytes at the start are the server's.
    private let serverByteCount: Int

    /// Reads an id, without decoding anything: the caller has done that.
    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let start = Self.ownStart(bytes)
        position = start.flatMap { PositionID.read(bytes.span.extracting($0...)) }
        // Behind a server's id stands the separator.
        serverByteCount = start.map { max(0, $0 - 1) } ?? bytes.count
    }

    /// The server's part, which may go on to it; empty where the id is the proxy's alone. A proxy's part that is damaged is left out too.
    package var server: [UInt8] { Array(bytes[..<serverByteCount]) }

    /// Whether the client brought no id.
    package var isEmpty: Bool { bytes.isEmpty }

    /// Where the proxy's part begins: at the start, or behind the last separator that `hw1.` follows.
    private static func ownStart(_ bytes: [UInt8]) -> Int? {
        if PositionID.begins(bytes.span, at: 0) { return 0 }
        return bytes.indices.last { bytes[$0] == PositionID.separator && PositionID.begins(bytes.span, at: $0 + 1) }.map { $0 + 1 }
    }
}
