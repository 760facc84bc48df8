// One open feed. What its client does not take waits in the connection, up to a bound; what comes above that is dropped, and the viewer
// is told and begins again with everything. Invariant: no more than the bound and one message waits for a viewer.

import Downstreams
import Telemetry

/// One open feed.
final class Viewer {
    /// How many bytes are handed to the connection at once: they pass through its worker's buffer.
    private static let pieceBytes = 32_768
    /// How many rows one message of a snapshot holds.
    static let rowsPerMessage = 60

    /// The one stream that it is about; nil for all.
    let stream: StreamIdentifier?
    private let sink: Sink
    private var lastID: UInt64 = 0
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
        guard !isBehind, sink.waitingCount < ConsoleLimits.waitingBytesPerViewer else {
            droppedMessages += 1
            return
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

    /// Begins, or begins again after messages were dropped: with the facts, and then every stream in pieces.
    func begin(_ facts: [UInt8], _ streams: [StreamIdentifier]) {
        if droppedMessages > 0 {
            var text = FeedText("{\"messages\":")
            text.append(droppedMessages)
            text.append("}")
            write("dropped", text.bytes)
            droppedMessages = 0
        }
        write("hello", facts)
        untold = streams
    }

    /// Goes on with the snapshot until something waits.
    func tellMore(from table: StreamTable, now: Int64) {
        while var streams = untold, !isBehind, hasTakenAll {
            let some = streams.suffix(Viewer.rowsPerMessage)
            streams.removeLast(some.count)
            untold = streams.isEmpty ? nil : streams
            if let text = Viewer.rows(some, of: table, now: now) { write("rows", text) }
            if untold == nil { write("whole", Array("{}".utf8)) }
        }
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
