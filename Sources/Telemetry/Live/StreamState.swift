// One stream as it stands now, in numbers. Texts go with it only where somebody asks for them.

/// What changes of a stream while it runs. Moments are monotonic milliseconds.
package struct StreamState: Sendable, Equatable {
    /// The stream.
    package var stream: StreamIdentifier
    /// Events that were passed on.
    package var events: UInt64
    /// Heartbeats that were sent.
    package var heartbeats: UInt32
    /// When the last byte came from the server; 0 for none.
    package var lastUpstreamByteAt: Int64
    /// When the last byte went to the client; 0 for none.
    package var lastClientByteAt: Int64
    /// Bytes that wait for the client.
    package var pendingBytes: Int
    /// Whether the client is held, because no server serves it.
    package var isHeld: Bool

    /// A stream's numbers.
    package init(
        stream: StreamIdentifier, events: UInt64, heartbeats: UInt32, lastUpstreamByteAt: Int64, lastClientByteAt: Int64,
        pendingBytes: Int, isHeld: Bool
    ) {
        self.stream = stream
        self.events = events
        self.heartbeats = heartbeats
        self.lastUpstreamByteAt = lastUpstreamByteAt
        self.lastClientByteAt = lastClientByteAt
        self.pendingBytes = pendingBytes
        self.isHeld = isHeld
    }
}

/// Some of a worker's streams.
package struct StreamPart: Sendable {
    /// The worker's number.
    package var worker: Int
    /// Their numbers.
    package var states: [StreamState] = []
    /// Their openings as the stream log writes them, where they were asked for: as many as there are states, or none.
    package var openings: [[UInt8]] = []
    /// The worker's monotonic milliseconds.
    package var now: Int64
    /// Whether all streams of the worker have been named.
    package var isLast = false

    /// No streams yet.
    package init(worker: Int, now: Int64) {
        self.worker = worker
        self.now = now
    }
}
