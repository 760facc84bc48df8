// What `heartwire diagnose` says of the latest lines, while somebody watches. It runs on the console's thread and reads at most so many
// lines. Invariant: every stream counts once, whether its opening is still among the lines or only in the table.

import Diagnosis
import Telemetry

/// The lines that are kept for the diagnosis.
struct LiveDiagnosis {
    /// How many lines are kept.
    static let capacity = 10_000

    private var lines: [[UInt8]] = []
    private var hasNews = false

    /// Keeps more lines.
    mutating func take(_ more: [[UInt8]]) {
        guard !more.isEmpty else { return }
        lines += more
        // Not with every line: that would move all others each time.
        if lines.count > 2 * LiveDiagnosis.capacity { lines.removeFirst(lines.count - LiveDiagnosis.capacity) }
        hasNews = true
    }

    /// The report on the lines and on the streams that run, as JSON; nil if nothing has come since the last one.
    mutating func report(with table: StreamTable) -> [UInt8]? {
        guard hasNews else { return nil }
        hasNews = false
        let latest = lines.suffix(LiveDiagnosis.capacity)
        var opened: Set<StreamIdentifier> = []
        for line in latest {
            if let found = LoggedStream(line), found.isOpening { opened.insert(found.stream) }
        }
        var reader = LogReader(mostStreams: StreamTable.capacity)
        reader.beginFile("now")
        for (stream, row) in table.rows where !opened.contains(stream) { reader.read(row.opening.span) }
        for line in latest { reader.read(line.span) }
        reader.endFile()
        return Report(reader.finish()).json
    }
}
