// Reads a recording as its bytes come, in any pieces. Invariant: it never traps, whatever the bytes are, and it keeps at most one line.

import Bytes

/// Why bytes are not a recording.
package enum RecordingError: Error, Sendable, Equatable {
    /// The first line is not that of a recording.
    case noRecording
    /// The first line names a version that this program does not know.
    case unknownVersion
    /// The header lacks `content-type`, or has one that cannot be.
    case incompleteHeader
    /// The line with this number is longer than any that is written.
    case lineTooLong(Int)
    /// The line with this number is none that is written.
    case malformedLine(Int)
    /// The line with this number has an earlier time than the line before.
    case timeGoesBack(Int)
    /// The line with this number follows the end.
    case lineAfterEnd(Int)

    /// One sentence for the operator.
    package var message: String {
        switch self {
        case .noRecording: "it is no recording of Heartwire"
        case .unknownVersion: "it was recorded by a version of Heartwire that this one does not know"
        case .incompleteHeader: "its header is not complete"
        case .lineTooLong(let line): "line \(line) is too long"
        case .malformedLine(let line): "line \(line) cannot be read"
        case .timeGoesBack(let line): "line \(line) is earlier than the line before"
        case .lineAfterEnd(let line): "line \(line) follows the end"
        }
    }
}

/// Reads a recording piece by piece.
package struct RecordingReader {
    /// No line that is written is longer: each byte of the server becomes at most four, and a header's value is shorter.
    private static let longestLine = 65_536

    private var line: [UInt8] = []
    private var lineNumber = 0
    private var contentType: [UInt8]?
    private var notes: [(key: String, value: [UInt8])] = []
    private var latest: Int64 = 0

    /// The header, when it has been read.
    package private(set) var header: RecordingHeader?
    /// Whether the line about the end has been read.
    package private(set) var hasEnded = false
    /// Whether bytes of a line have been read whose end has not: what a crash leaves. For tests.
    package var isInLine: Bool { !line.isEmpty }

    /// A reader at the beginning of a recording.
    package init() {}

    /// Reads more bytes, and calls `take` for each entry whose line is complete.
    ///
    /// - Throws: `RecordingError` at the first line that no recording has. Nothing may be read after that.
    package mutating func read(_ bytes: Span<UInt8>, _ take: (RecordingEntry) -> Void) throws(RecordingError) {
        for index in bytes.indices {
            let byte = bytes[index]
            guard byte == UInt8(ascii: "\n") else {
                guard line.count < Self.longestLine else { throw .lineTooLong(lineNumber + 1) }
                line.append(byte)
                // The first line is checked as it comes: a file of another kind need not have any line end.
                if lineNumber == 0 { try checkBeginning() }
                continue
            }
            lineNumber += 1
            try readLine(take)
            line.removeAll(keepingCapacity: true)
        }
    }

    private func checkBeginning() throws(RecordingError) {
        let mark = recordingMark.withUTF8Buffer { Array($0) }
        if line.count <= mark.count, line[line.count - 1] != mark[line.count - 1] { throw .noRecording }
    }

    private mutating func readLine(_ take: (RecordingEntry) -> Void) throws(RecordingError) {
        if lineNumber == 1 {
            guard let version = Self.number(line.dropFirst(recordingMark.utf8CodeUnitCount)) else { throw .noRecording }
            if version != recordingVersion { throw .unknownVersion }
        } else if header == nil {
            try readHeader()
        } else {
            if hasEnded { throw .lineAfterEnd(lineNumber) }
            let entry = try readEntry()
            if entry.milliseconds < latest { throw .timeGoesBack(lineNumber) }
            latest = entry.milliseconds
            if case .end = entry.kind { hasEnded = true }
            take(entry)
        }
    }

    private mutating func readHeader() throws(RecordingError) {
        guard !line.isEmpty else {
            guard let contentType else { throw .incompleteHeader }
            header = RecordingHeader(timeMilliseconds: 0, contentType: contentType, notes: notes)
            return
        }
        let (word, rest) = Self.split(line[...])
        guard let rest, let value = readShown(rest), notes.count < 32 else { throw .malformedLine(lineNumber) }
        let key = String(decoding: word, as: UTF8.self)
        switch key {
        case "content-type":
            // It becomes a field of a response (RFC 9110 section 5.5).
            guard !value.isEmpty, value.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { throw .incompleteHeader }
            contentType = value
        default:
            notes.append((key, value))
        }
    }

    private func readEntry() throws(RecordingError) -> RecordingEntry {
        let (time, afterTime) = Self.split(line[...])
        guard let milliseconds = Self.number(time), milliseconds <= UInt64(Int64.max), let afterTime else {
            throw .malformedLine(lineNumber)
        }
        let (word, rest) = Self.split(afterTime)
        let kind: RecordingEntry.Kind?
        switch String(decoding: word, as: UTF8.self) {
        case "bytes": kind = rest.flatMap(readShown).map { .bytes($0) }
        case "heartbeat": kind = Self.count(rest).map { .heartbeat(byteCount: $0) }
        case "lost": kind = Self.count(rest).map { .lost(byteCount: $0) }
        case "end":
            let (reason, evidence) = Self.split(rest ?? [])
            let isWord = !reason.isEmpty && reason.allSatisfy { isLetter($0) || $0 == UInt8(ascii: "_") }
            let end = RecordingEnd(word: String(decoding: reason, as: UTF8.self))
            kind = isWord ? readShown(evidence ?? []).map { .end(end, evidence: $0) } : nil
        default: kind = nil
        }
        guard let kind else { throw .malformedLine(lineNumber) }
        return RecordingEntry(milliseconds: Int64(milliseconds), kind)
    }

    /// The text up to the first blank, and what follows that blank; nil without one.
    private static func split(_ text: ArraySlice<UInt8>) -> (ArraySlice<UInt8>, ArraySlice<UInt8>?) {
        guard let blank = text.firstIndex(of: UInt8(ascii: " ")) else { return (text, nil) }
        return (text[..<blank], text[(blank + 1)...])
    }

    private static func number(_ text: ArraySlice<UInt8>) -> UInt64? {
        guard (1...19).contains(text.count), text.allSatisfy(isDigit) else { return nil }
        return UInt64(String(decoding: text, as: UTF8.self))
    }

    private static func count(_ text: ArraySlice<UInt8>?) -> Int? { text.flatMap(number).flatMap { Int(exactly: $0) } }
}
