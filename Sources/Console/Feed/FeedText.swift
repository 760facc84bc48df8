// The console's messages as an event stream: JSON in one `data` line each. The lines of the logs are JSON already and go in as they are.
// Invariant: no message holds a line end, so none can end its event early.

import Telemetry

/// One message under construction.
struct FeedText {
    private(set) var bytes: [UInt8]

    /// Begins the data of a message.
    init(_ text: StaticString) {
        bytes = []
        append(text)
    }

    mutating func append(_ text: StaticString) { text.withUTF8Buffer { bytes.append(contentsOf: $0) } }

    mutating func append(_ number: some BinaryInteger) { bytes.append(contentsOf: String(number).utf8) }

    /// A line of a log without its line end.
    mutating func append(line: [UInt8]) { bytes.append(contentsOf: line.last == UInt8(ascii: "\n") ? line.dropLast() : line[...]) }

    /// A string of our own or of the configuration, in quotes.
    mutating func append(quoted text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20, 0x7F: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// An identity as the logs write it, in quotes.
    mutating func append(_ stream: StreamIdentifier) { append(quoted: stream.logged) }

    /// The numbers of a stream, behind something: events, heartbeats, the moments of the last byte on both sides, waiting bytes, held.
    mutating func append(numbersOf state: StreamState) {
        for number in [Int64(clamping: state.events), Int64(state.heartbeats), state.lastUpstreamByteAt, state.lastClientByteAt] {
            append(",")
            append(number)
        }
        append(",")
        append(state.pendingBytes)
        append(state.isHeld ? ",1" : ",0")
    }

    /// The whole event.
    static func event(_ name: StaticString, id: UInt64, data: [UInt8]) -> [UInt8] {
        var event: [UInt8] = []
        event.reserveCapacity(data.count + 64)
        event += "event: \(name)\nid: \(id)\ndata: ".utf8
        event += data
        event += [0x0A, 0x0A]
        return event
    }
}

extension StreamIdentifier {
    /// As the logs write it: `w0-000042`.
    package var logged: String {
        let digits = String(number)
        return "w\(worker)-" + String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits
    }
}
