// The streams that the console knows while somebody watches, on its own thread. Workers name all their streams again and again, in
// slices; a stream that a whole round does not name has gone. Invariant: it holds at most so many rows, and counts the others.

import Telemetry

/// The streams that run.
struct StreamTable {
    /// How many streams are kept.
    static let capacity = 50_000

    struct Row {
        /// The line of its opening.
        var opening: [UInt8]
        var state: StreamState
        /// The round that named it last.
        fileprivate var round: UInt32
    }

    /// What a slice of a worker's streams changes.
    struct Changes {
        /// Streams that were not known.
        var added: [StreamIdentifier] = []
        /// Streams whose numbers have changed.
        var changed: [StreamIdentifier] = []
        /// Streams that are gone, although no line said so.
        var gone: [StreamIdentifier] = []
        /// Whether streams were named without their openings that are not known.
        var lacksOpenings = false
    }

    private(set) var rows: [StreamIdentifier: Row] = [:]
    /// Streams that were named and are not known. Their line may be on its way; only who is named twice is asked for.
    private var unknown: [Int: Set<StreamIdentifier>] = [:]
    private var unknownBefore: [Int: Set<StreamIdentifier>] = [:]
    /// How many streams found no room in this round of each worker.
    private var unshown: [Int: Int] = [:]
    private var round: [Int: UInt32] = [:]

    /// How many streams there are besides those with a row.
    var unshownCount: Int { unshown.values.reduce(0, +) }

    /// Begins a round of a worker, in which all its streams are named.
    mutating func beginRound(of worker: Int) {
        round[worker, default: 0] &+= 1
        unshown[worker] = 0
        unknownBefore[worker] = unknown[worker]
        unknown[worker] = []
    }

    /// Takes the line of an opening or an ending, and returns the stream that has opened.
    mutating func take(line: [UInt8]) -> StreamIdentifier? {
        guard let found = LoggedStream(line) else { return nil }
        guard found.isOpening else {
            rows[found.stream] = nil
            return nil
        }
        guard rows[found.stream] == nil, rows.count < StreamTable.capacity else { return nil }
        let state = StreamState(
            stream: found.stream, events: 0, heartbeats: 0, lastUpstreamByteAt: 0, lastClientByteAt: 0, pendingBytes: 0, isHeld: false)
        rows[found.stream] = Row(opening: line, state: state, round: round[found.stream.worker, default: 0])
        return found.stream
    }

    /// Takes a slice of a round.
    mutating func take(_ part: StreamPart) -> Changes {
        var changes = Changes()
        let current = round[part.worker, default: 0]
        for (index, state) in part.states.enumerated() {
            if let known = rows[state.stream] {
                if known.state != state { changes.changed.append(state.stream) }
                rows[state.stream]?.state = state
                rows[state.stream]?.round = current
            } else if rows.count >= StreamTable.capacity {
                unshown[part.worker, default: 0] += 1
            } else if index < part.openings.count {
                rows[state.stream] = Row(opening: part.openings[index], state: state, round: current)
                changes.added.append(state.stream)
            } else {
                unknown[part.worker, default: []].insert(state.stream)
                if unknownBefore[part.worker]?.contains(state.stream) == true { changes.lacksOpenings = true }
            }
        }
        guard part.isLast else { return changes }
        changes.gone = rows.filter { $0.key.worker == part.worker && $0.value.round != current }.map(\.key)
        for stream in changes.gone { rows[stream] = nil }
        return changes
    }

    /// Forgets everything: nobody watches.
    mutating func removeAll() { self = StreamTable() }
}

/// What a line of the stream log is about.
struct LoggedStream {
    let stream: StreamIdentifier
    let isOpening: Bool

    /// Reads our own line, whose first keys are always the same; nil for any other.
    init?(_ line: [UInt8]) {
        // {"time":"…","event":"stream_open","stream":"w0-000001",…
        let parts = line.prefix(120).split(separator: UInt8(ascii: "\""), maxSplits: 13)
        guard parts.count > 11, String(decoding: parts[5], as: UTF8.self) == "event",
            let stream = StreamIdentifier(logged: String(decoding: parts[11], as: UTF8.self))
        else { return nil }
        self.stream = stream
        isOpening = String(decoding: parts[7], as: UTF8.self) == "stream_open"
    }
}
