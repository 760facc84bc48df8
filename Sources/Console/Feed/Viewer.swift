// One open feed. What its client does not take waits in the connection, up to a bound; what comes above that is dropped, and the viewer
// is told and begins again with everything. Invariant: no more than the bound and one message waits for a viewer. The snapshot is no
// part of that: it is made piece by piece, each when the client has taken what was before, so a snapshot alone never exceeds the bound.

import Downstreams
import Telemetry

/// One open feed.
final class Viewer {
    /// How many bytes are handed to the connection at once: they pass through its worker's buffer.
    private static let pieceBytes = 32_768
    /// How many rows one message of a snapshot holds.
    static let rowsPerMessage = 60
    /// How many of the latest lines one message of a snapshot holds.
    private static let linesPerMessage = 60

    private enum Item {
        /// Lines of the snapshot.
        case lines(ArraySlice<[UInt8]>)
        /// Another message of the snapshot.
        case fact(StaticString, [UInt8])
        /// A message that came before the snapshot was told.
        case later(StaticString, [UInt8])
    }

    /// The one stream that it is about; nil for all.
    let stream: StreamIdentifier?
    private let sink: Sink
    private var lastID: UInt64 = 0
    /// What is to be told first, in this order.
    private var items: [Item] = []
    /// How many bytes of `items` are no part of the snapshot.
    private var queuedBytes = 0
    /// The streams that are still to be told of the snapshot.
    private var untold: [StreamIdentifier]?
    private var droppedMessages = 0

    init(_ sink: Sink, of stream: StreamIdentifier?) {
        self.sink = sink
        self.stream = stream
    }

    /// Whether messages were dropped, so that it has to begin again.
    var isBehind: Bool { droppedMessages > 0 }

    /// Whether nothing waits for it.
    var hasTakenAll: Bool { sink.waitingCount == 0 }

    /// Sends a message, or drops it.
    func send(_ name: StaticString, _ data: [UInt8]) {
        guard !isBehind, sink.waitingCount + queuedBytes < ConsoleLimits.waitingBytesPerViewer else {
            droppedMessages += 1
            return
        }
        guard items.isEmpty else {
            queuedBytes += data.count
            return items.append(.later(name, data))
        }
        write(name, data)
    }

    private func write(_ name: StaticString, _ data: [UInt8]) {
        lastID += 1
        write(FeedText.event(name, id: lastID, data: data))
    }

    private func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Viewer.pieceBytes)
            sink.send(own: Array(piece))
            rest = rest.dropFirst(piece.count)
        }
    }

    /// Begins, or begins again after messages were dropped: with the facts, and then, in pieces, the latest lines, what else is known, and
    /// every stream.
    func begin(_ facts: [UInt8], lines: [[UInt8]], _ others: [(StaticString, [UInt8])], _ streams: [StreamIdentifier]) {
        if droppedMessages > 0 {
            var text = FeedText("{\"messages\":")
            text.append(droppedMessages)
            text.append("}")
            write("dropped", text.bytes)
            droppedMessages = 0
        }
        write("hello", facts)
        items = stride(from: 0, to: lines.count, by: Viewer.linesPerMessage).map {
            .lines(lines[$0..<min($0 + Viewer.linesPerMessage, lines.count)])
        }
        items += others.map { .fact($0, $1) }
        queuedBytes = 0
        untold = streams
    }

    /// Goes on with the snapshot until something waits.
    func tellMore(from table: StreamTable, now: Int64) {
        while !items.isEmpty, !isBehind, hasTakenAll {
            switch items.removeFirst() {
            case .lines(let some): write("lines", Viewer.lines(some, missed: 0))
            case .fact(let name, let data): write(name, data)
            case .later(let name, let data):
                queuedBytes -= data.count
                write(name, data)
            }
        }
        while var streams = untold, items.isEmpty, !isBehind, hasTakenAll {
            let some = streams.suffix(Viewer.rowsPerMessage)
            streams.removeLast(some.count)
            untold = streams.isEmpty ? nil : streams
            if let text = Viewer.rows(some, of: table, now: now) { write("rows", text) }
            if untold == nil { write("whole", Array("{}".utf8)) }
        }
    }

    /// The message about lines of the logs, and how many before them were missed.
    static func lines(_ lines: some Sequence<[UInt8]>, missed: UInt64) -> [UInt8] {
        var text = FeedText("{\"missed\":")
        text.append(missed)
        text.append(",\"lines\":[")
        var isFirst = true
        for line in lines {
            if !isFirst { text.append(",") }
            isFirst = false
            text.append(line: line)
        }
        text.append("]}")
        return text.bytes
    }

    /// The message about rows that the viewer does not know; nil where none of them is there any more.
    static func rows(_ streams: some Sequence<StreamIdentifier>, of table: StreamTable, now: Int64) -> [UInt8]? {
        var text = FeedText("{\"now\":")
        text.append(now)
        text.append(",\"rows\":[")
        var isFirst = true
        for stream in streams {
            guard let row = table.rows[stream] else { continue }
            text.append(isFirst ? "[" : ",[")
            isFirst = false
            text.append(line: row.opening)
            text.append(numbersOf: row.state)
            text.append("]")
        }
        text.append("]}")
        return isFirst ? nil : text.bytes
    }
}
