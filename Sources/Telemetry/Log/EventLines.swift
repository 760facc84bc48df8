// The lines about single events and heartbeats of one worker. They are made in one block of memory that is allocated once, and go to
// the writer together. The caller knows the events, and above all guarantees that no text holds a secret. Invariant: a line holds
// nothing of an event's data, and at most `textLimit` bytes of type and id; making a line allocates nothing.

/// One event that was passed on (`"event":"stream_event"`).
package struct EventRecord: Sendable {
    /// The stream.
    package var stream: StreamIdentifier
    /// The event's number in the stream, counted from 1.
    package var number: UInt64
    /// Its bytes as they came from the server, without the blank line that ends it (`bytes`).
    package var byteCount: UInt64
    /// The time since the previous event (`since_previous_ms`); nil for the first.
    package var sincePreviousMilliseconds: Int64?
    /// How many bytes of the stream wait in the proxy for its client, after the event was passed on (`pending_bytes`).
    package var pendingBytes: Int

    /// A record.
    package init(stream: StreamIdentifier, number: UInt64, byteCount: UInt64, sincePreviousMilliseconds: Int64?, pendingBytes: Int) {
        self.stream = stream
        self.number = number
        self.byteCount = byteCount
        self.sincePreviousMilliseconds = sincePreviousMilliseconds
        self.pendingBytes = pendingBytes
    }
}

/// One heartbeat that was sent (`"event":"stream_heartbeat"`).
package struct HeartbeatRecord: Sendable {
    /// The stream.
    package var stream: StreamIdentifier
    /// The heartbeat's number in the stream, counted from 1.
    package var number: UInt64
    /// Its bytes (`bytes`).
    package var byteCount: Int
    /// For how long nothing had been sent to the client (`silence_ms`).
    package var silenceMilliseconds: Int64
    /// How many bytes of the stream wait in the proxy for its client (`pending_bytes`).
    package var pendingBytes: Int

    /// A record.
    package init(stream: StreamIdentifier, number: UInt64, byteCount: Int, silenceMilliseconds: Int64, pendingBytes: Int) {
        self.stream = stream
        self.number = number
        self.byteCount = byteCount
        self.silenceMilliseconds = silenceMilliseconds
        self.pendingBytes = pendingBytes
    }
}

/// How much is known of a text that the server chose.
package enum ServerText: Sendable, Equatable {
    /// There is none.
    case absent
    /// It is whole.
    case whole
    /// It is the beginning of a longer one.
    case beginning
    /// It must not be written.
    case withheld
}

/// Makes lines and hands them to a writer. To be used by one thread.
package final class EventLines {
    /// How many bytes of a type or an id are written.
    package static let textLimit = 128

    private static let capacityBytes = 16_384
    /// Two texts, each byte escaped to six, and less than four hundred bytes around them.
    private static let longestLineBytes = 2_048

    /// Where the lines go.
    package let writer: LogWriter
    private let memory: UnsafeMutableBufferPointer<UInt8>
    private var lines: FixedBytes
    private var count = 0
    private var droppedCount: UInt64 = 0
    private var timestamps = TimestampCache()

    /// Takes the memory for its lines.
    package init(writer: LogWriter) {
        self.writer = writer
        memory = .allocate(capacity: EventLines.capacityBytes)
        lines = FixedBytes(memory)
    }

    deinit { memory.deallocate() }

    /// Adds a line for an event. Keys in order: time, event (`stream_event`), stream, number, type, type_truncated and type_withheld (only
    /// when true), id, id_truncated and id_withheld (only when true), bytes, since_previous_ms, pending_bytes.
    package func add(
        _ event: EventRecord, timeMilliseconds: Int64, type: Span<UInt8>, _ typeIs: ServerText, identifier: Span<UInt8>,
        _ identifierIs: ServerText
    ) {
        var line = begin("stream_event", event.stream, event.number, timeMilliseconds)
        EventLines.add(type, typeIs, ("type", "type_truncated", "type_withheld"), to: &line)
        EventLines.add(identifier, identifierIs, ("id", "id_truncated", "id_withheld"), to: &line)
        line.number("bytes", event.byteCount)
        if let milliseconds = event.sincePreviousMilliseconds { line.number("since_previous_ms", milliseconds) }
        line.number("pending_bytes", Int64(event.pendingBytes))
        end(line)
    }

    /// Adds a line for a heartbeat. Keys in order: time, event (`stream_heartbeat`), stream, number, bytes, silence_ms, pending_bytes.
    package func add(_ heartbeat: HeartbeatRecord, timeMilliseconds: Int64) {
        var line = begin("stream_heartbeat", heartbeat.stream, heartbeat.number, timeMilliseconds)
        line.number("bytes", Int64(heartbeat.byteCount))
        line.number("silence_ms", heartbeat.silenceMilliseconds)
        line.number("pending_bytes", Int64(heartbeat.pendingBytes))
        end(line)
    }

    /// Passes all lines so far to the writer.
    package func flush() {
        guard count > 0 else { return }
        if !writer.submit(lines.bytes, count: count) { droppedCount &+= UInt64(count) }
        lines.removeAll()
        count = 0
    }

    /// Returns how many lines were dropped, because the queue was full, since this was asked last.
    package func takeDroppedCount() -> UInt64 {
        defer { droppedCount = 0 }
        return droppedCount
    }

    private func begin(
        _ event: StaticString, _ stream: StreamIdentifier, _ number: UInt64, _ timeMilliseconds: Int64
    ) -> JSONLine<FixedBytes> {
        if lines.room < EventLines.longestLineBytes { flush() }
        var line = JSONLine(appendingTo: lines)
        line.timestamp("time", timeMilliseconds, &timestamps)
        line.constant("event", event)
        line.stream("stream", stream)
        line.number("number", number)
        return line
    }

    private func end(_ line: consuming JSONLine<FixedBytes>) {
        lines = line.finish()
        count += 1
    }

    private static func add(
        _ text: Span<UInt8>, _ what: ServerText, _ keys: (text: StaticString, truncated: StaticString, withheld: StaticString),
        to line: inout JSONLine<FixedBytes>
    ) {
        switch what {
        case .absent: return
        case .withheld: line.boolean(keys.withheld, true)
        case .whole, .beginning:
            let shown = shownCount(text)
            line.string(keys.text, text.extracting(0..<shown))
            if what == .beginning || shown < text.count { line.boolean(keys.truncated, true) }
        }
    }

    /// How many bytes of a text are written: the limit splits no UTF-8 character.
    private static func shownCount(_ text: Span<UInt8>) -> Int {
        guard text.count > textLimit else { return text.count }
        var count = textLimit
        while count > textLimit - 3, text[count] & 0xC0 == 0x80 { count -= 1 }
        return count
    }
}
