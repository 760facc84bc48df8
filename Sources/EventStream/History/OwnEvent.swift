// An event that does not come from a server, as it is appended to logs.
//
//     event: notice
//     data: back in
//     data: five minutes
//
// Invariant: whatever the text is, it is the data of one event, and nothing else.

import Bytes

/// An event that the operator publishes, encoded once for all logs.
package struct OwnEvent: Sendable {
    let type: [UInt8]
    /// Its lines, the blank one included, without an id.
    let bytes: [UInt8]

    /// How many bytes it has without an id.
    package var byteCount: Int { bytes.count }

    /// An event.
    ///
    /// - Parameters:
    ///   - type: its type, without CR, LF and NUL; empty for `message`.
    ///   - data: its data. CR, LF and CR LF end a line; one at the end begins no other line.
    package init(type: [UInt8], data: [UInt8]) {
        precondition(!type.contains { $0 == lineFeed || $0 == carriageReturn || $0 == 0 }, "a type is a part of one line")
        self.type = type
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count + type.count + 32)
        if !type.isEmpty { bytes += Array("event: ".utf8) + type + [lineFeed] }
        var start = 0
        repeat {
            let end = data[start...].firstIndex { $0 == lineFeed || $0 == carriageReturn } ?? data.count
            bytes += Array("data: ".utf8) + data[start..<end] + [lineFeed]
            let isPair = end + 1 < data.count && data[end] == carriageReturn && data[end + 1] == lineFeed
            start = end + (isPair ? 2 : 1)
        } while start < data.count
        self.bytes = bytes + [lineFeed]
    }
}
