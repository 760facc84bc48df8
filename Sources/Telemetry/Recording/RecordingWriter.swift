// Writes the lines of a recording, each with the recording's file name in front, as `RecordingKeeper` wants them.
// Invariant: a recording has one header first and one end last, its times never go back, and it has at most the bytes that it may have.

import Bytes

/// Makes the lines of one recording.
package struct RecordingWriter {
    /// At most so many bytes of the server stand in one line.
    package static let lineBytes = 4_096

    /// The file's name and a blank.
    private let prefix: [UInt8]
    private let limitBytes: Int
    private var writtenBytes = 0
    private var lostBytes = 0
    /// The lost bytes that the lines made last tell of. Where those lines are lost too, a later line must tell of them.
    private var announcedBytes = 0
    private var latest: Int64 = 0
    /// Whether nothing more is recorded.
    package private(set) var hasEnded = false

    /// The writer of one file.
    /// - Parameters:
    ///   - fileName: from `name(timeMilliseconds:_:)`.
    ///   - limitBytes: how large the file may become. The line about its end comes on top.
    package init(fileName: [UInt8], limitBytes: Int) {
        prefix = fileName + [UInt8(ascii: " ")]
        self.limitBytes = limitBytes
    }

    /// The name of a stream's file. Names sort by the time at which recordings began.
    package static func name(timeMilliseconds: Int64, _ stream: StreamIdentifier) -> [UInt8] {
        var time: [UInt8] = []
        appendTimestamp(timeMilliseconds, to: &time)
        var name = time.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ":") }
        name.append(UInt8(ascii: "-"))
        stream.append(to: &name)
        return name + Array(RecordingKeeper.suffix.utf8)
    }

    /// The lines of the header.
    package mutating func begin(_ header: RecordingHeader) -> [UInt8] {
        var lines: [UInt8] = []
        append(to: &lines) { line in
            line.append(recordingMark)
            appendDecimal(recordingVersion, minimumDigits: 1, to: &line)
        }
        append(to: &lines) { line in
            line.append("time ")
            appendTimestamp(header.timeMilliseconds, to: &line)
        }
        let described = header.notes + [("content-type", header.contentType)]
        for (key, value) in described {
            append(to: &lines) { line in
                line += Array("\(key) ".utf8)
                appendShown(value.span, to: &line)
            }
        }
        append(to: &lines) { _ in }
        return lines
    }

    /// The lines for bytes of the server. Where the file would become too large, the recording ends.
    package mutating func bytes(_ bytes: Span<UInt8>, at milliseconds: Int64) -> [UInt8] {
        var lines: [UInt8] = []
        var start = 0
        announcedBytes = 0
        while start < bytes.count, !hasEnded {
            let end = min(start + Self.lineBytes, bytes.count)
            appendEntry(" bytes ", at: milliseconds, to: &lines) { appendShown(bytes.extracting(start..<end), to: &$0) }
            start = end
        }
        return lines
    }

    /// The line for a heartbeat of that many bytes.
    package mutating func heartbeat(byteCount: Int, at milliseconds: Int64) -> [UInt8] {
        var lines: [UInt8] = []
        announcedBytes = 0
        appendEntry(" heartbeat ", at: milliseconds, to: &lines) { appendDecimal(UInt64(byteCount), minimumDigits: 1, to: &$0) }
        return lines
    }

    /// The line for the end; nothing if the recording has ended before.
    package mutating func end(_ end: RecordingEnd, evidence: String, at milliseconds: Int64) -> [UInt8] {
        guard !hasEnded else { return [] }
        var lines: [UInt8] = []
        announcedBytes = 0
        appendEntry(" end ", at: milliseconds, to: &lines) { line in
            line += Array(end.word.utf8)
            line.append(UInt8(ascii: " "))
            appendShown(Array(evidence.utf8).span, to: &line)
        }
        hasEnded = true
        return lines
    }

    /// The lines made last, with so many bytes of the server, found no room on their way to the file. The next line that does says so.
    package mutating func lose(byteCount: Int) {
        lostBytes += byteCount + announcedBytes
        announcedBytes = 0
    }

    // MARK: Lines

    private mutating func appendEntry(
        _ kind: StaticString, at milliseconds: Int64, to lines: inout [UInt8], _ body: (inout [UInt8]) -> Void
    ) {
        guard !hasEnded else { return }
        latest = max(latest, milliseconds)
        let lost = lostBytes
        if lost > 0 {
            lostBytes = 0
            announcedBytes = lost
            appendEntry(" lost ", at: latest, to: &lines) { appendDecimal(UInt64(lost), minimumDigits: 1, to: &$0) }
            guard !hasEnded else { return }
        }
        let before = lines.count
        let time = UInt64(latest)
        append(to: &lines) { line in
            appendDecimal(time, minimumDigits: 1, to: &line)
            line.append(kind)
            body(&line)
        }
        guard writtenBytes > limitBytes else { return }
        lines.removeLast(lines.count - before)
        hasEnded = true
        append(to: &lines) { line in
            appendDecimal(time, minimumDigits: 1, to: &line)
            line.append(" end recording_full the recording may not be larger")
        }
    }

    /// Appends a line with the file's name in front.
    private mutating func append(to lines: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
        lines += prefix
        let start = lines.count
        body(&lines)
        lines.append(UInt8(ascii: "\n"))
        writtenBytes += lines.count - start
    }
}
