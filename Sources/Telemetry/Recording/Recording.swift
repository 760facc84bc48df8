// What a recording of one stream holds: the bytes that a server sent, with their times. conf/README.md describes the format, which is
// text, so that `head` and `less` show it:
//
//     heartwire-recording 1
//     time 2026-11-28T07:12:33.123Z
//     path /events
//     framing chunked
//     content-type text/event-stream
//
//     0 bytes retry: 3000\n\n
//     15002 heartbeat 2
//     31460 bytes id: 7\ndata: hello\n\n
//     60001 end cut_off the server closed the connection before the last chunk
//
// Invariant: a recording is only appended to, line by line, so a file that a crash has cut is readable up to its last whole line. No
// line holds a control character.

import Bytes

/// The beginning of a recording.
package struct RecordingHeader: Sendable, Equatable {
    /// When the response's head came, in milliseconds since 1970-01-01 UTC. A reader does not need it and leaves it at 0.
    package var timeMilliseconds: Int64
    /// The value of `Content-Type`; without control characters.
    package var contentType: [UInt8]
    /// What else a person may want to know, by its key: `stream`, `route`, `upstream`, `server`, `path`, `framing`. Keys are lower-case
    /// letters.
    package var notes: [(key: String, value: [UInt8])]

    /// A header.
    package init(timeMilliseconds: Int64, contentType: [UInt8], notes: [(key: String, value: [UInt8])] = []) {
        self.timeMilliseconds = timeMilliseconds
        self.contentType = contentType
        self.notes = notes
    }

    /// Whether two headers are equal, their times and notes left out: those are for people.
    package static func == (one: RecordingHeader, other: RecordingHeader) -> Bool {
        one.contentType == other.contentType
    }
}

/// How a recorded stream ended.
package enum RecordingEnd: Sendable, Equatable {
    /// The server ended the body in good order.
    case finished
    /// The server closed the connection before the end of the body.
    case cutOff
    /// The server reset the connection.
    case reset
    /// The server had not ended it: the client left, or the proxy ended the stream or the recording. The word says why.
    case open(reason: String)

    /// Its word in a recording.
    package var word: String {
        switch self {
        case .finished: "finished"
        case .cutOff: "cut_off"
        case .reset: "reset"
        case .open(let reason): reason
        }
    }

    /// The end with this word.
    init(word: String) {
        switch word {
        case "finished": self = .finished
        case "cut_off": self = .cutOff
        case "reset": self = .reset
        default: self = .open(reason: word)
        }
    }
}

/// One line of a recording behind its header.
package struct RecordingEntry: Sendable, Equatable {
    /// What happened.
    package enum Kind: Sendable, Equatable {
        /// The server sent these bytes.
        case bytes([UInt8])
        /// The proxy sent a heartbeat of that many bytes to the client. The server had no part in it.
        case heartbeat(byteCount: Int)
        /// The recording lacks that many bytes of the server, because the disk was too slow or took none.
        case lost(byteCount: Int)
        /// Nothing follows.
        case end(RecordingEnd, evidence: [UInt8])
    }

    /// Milliseconds since the response's head came.
    package var milliseconds: Int64
    /// What happened.
    package var kind: Kind

    /// An entry.
    package init(milliseconds: Int64, _ kind: Kind) {
        self.milliseconds = milliseconds
        self.kind = kind
    }
}

/// The first line of a recording, up to its number.
let recordingMark: StaticString = "heartwire-recording "
/// The version that is written, and the only one that is read.
let recordingVersion: UInt64 = 1

// MARK: - Bytes as text

/// Appends bytes as one line of a recording shows them. Letters stand for themselves, also those outside ASCII; `\n`, `\r`, `\t` and
/// `\\` are what they are in C; every other byte is `\xHH`. `readShown` makes the same bytes of it.
func appendShown(_ bytes: Span<UInt8>, to line: inout some LineBytes) {
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        switch byte {
        case UInt8(ascii: "\\"):
            line.append(#"\\"#)
        case UInt8(ascii: "\n"):
            line.append(#"\n"#)
        case UInt8(ascii: "\r"):
            line.append(#"\r"#)
        case UInt8(ascii: "\t"):
            line.append(#"\t"#)
        case 0x20..<0x7F:
            line.append(byte)
        case 0x80...:
            let (length, scalar) = decodeScalar(bytes, at: index)
            let isShown = scalar.map { !isUnsafeToShow($0) } ?? false
            for offset in index..<index + length {
                if isShown { line.append(bytes[offset]) } else { appendHidden(bytes[offset], to: &line) }
            }
            index += length
            continue
        default:
            appendHidden(byte, to: &line)
        }
        index += 1
    }
}

private func appendHidden(_ byte: UInt8, to line: inout some LineBytes) {
    line.append(#"\x"#)
    appendHexadecimal(UInt64(byte), digits: 2, to: &line)
}

/// The bytes that a text of `appendShown` stands for; nil if it is no such text.
func readShown(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var index = text.startIndex
    while index < text.endIndex {
        let byte = text[index]
        index += 1
        guard byte == UInt8(ascii: "\\") else {
            guard byte >= 0x20, byte != 0x7F else { return nil }
            bytes.append(byte)
            continue
        }
        guard index < text.endIndex else { return nil }
        let escape = text[index]
        index += 1
        switch escape {
        case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "n"): bytes.append(UInt8(ascii: "\n"))
        case UInt8(ascii: "r"): bytes.append(UInt8(ascii: "\r"))
        case UInt8(ascii: "t"): bytes.append(UInt8(ascii: "\t"))
        case UInt8(ascii: "x"):
            guard index + 2 <= text.endIndex, let high = hexadecimalValue(text[index]), let low = hexadecimalValue(text[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
            index += 2
        default: return nil
        }
    }
    return bytes
}
