// The keys of the log that matter here, and the way from a key's bytes to its number: one multiplication and one comparison, because a
// line has forty keys and a log tens of millions of lines.

import Bytes

/// A key whose value is read. Keys of nested objects have numbers of their own.
enum LogKey: UInt8, CaseIterable {
    case time, event, stream, route, upstream, server, client, clientForwarded, tls, host, path, status, token
    case resumes, http, agent, hops, expectedTimeout
    case cause, evidence, duration, events, heartbeats, bytesFromUpstream, longestUpstreamSilence, longestClientSilence
    case upstreamSilenceAtEnd, clientSilenceAtEnd, clientSilenceBeforeLastWrite, lastEventID, lastEventIDWithheld
    case retry, held, woven, heartbeat, midLine, bytes, lines, tcp, upstreamTCP, reload, again, age
    case previousStream, sincePreviousEnd, mostPending, pending, openStreamsOfServer, routes, pendingBytes
    /// Inside of `tcp` and `upstream_tcp`.
    case clientSinceLastSent, upstreamSinceLastReceived

    /// Its name in the log.
    var name: StaticString {
        switch self {
        case .time: "time"
        case .event: "event"
        case .stream: "stream"
        case .route: "route"
        case .upstream: "upstream"
        case .server: "server"
        case .client: "client"
        case .clientForwarded: "client_forwarded"
        case .tls: "tls"
        case .host: "host"
        case .path: "path"
        case .status: "status"
        case .token: "token"
        case .resumes: "resumes"
        case .http: "http"
        case .agent: "agent"
        case .hops: "hops"
        case .expectedTimeout: "expected_timeout_ms"
        case .cause: "cause"
        case .evidence: "evidence"
        case .duration: "duration_ms"
        case .events: "events"
        case .heartbeats: "heartbeats"
        case .bytesFromUpstream: "bytes_from_upstream"
        case .longestUpstreamSilence: "longest_upstream_silence_ms"
        case .longestClientSilence: "longest_client_silence_ms"
        case .upstreamSilenceAtEnd: "upstream_silence_at_end_ms"
        case .clientSilenceAtEnd: "client_silence_at_end_ms"
        case .clientSilenceBeforeLastWrite: "client_silence_before_last_write_ms"
        case .lastEventID: "last_event_id"
        case .lastEventIDWithheld: "last_event_id_withheld"
        case .retry: "retry_ms"
        case .held: "held_ms"
        case .woven: "woven"
        case .heartbeat: "heartbeat_ms"
        case .midLine: "mid_line"
        case .bytes: "bytes"
        case .lines: "lines"
        case .tcp: "tcp"
        case .upstreamTCP: "upstream_tcp"
        case .reload: "reload"
        case .again: "again"
        case .age: "age_ms"
        case .previousStream: "previous_stream"
        case .sincePreviousEnd: "since_previous_end_ms"
        case .mostPending: "max_pending_bytes"
        case .pending: "pending_ms"
        case .openStreamsOfServer: "open_streams_server"
        case .routes: "routes"
        case .pendingBytes: "pending_bytes"
        case .clientSinceLastSent: "since_last_sent_ms"
        case .upstreamSinceLastReceived: "since_last_received_ms"
        }
    }

    /// Whether it is a key of the nested objects only.
    var isNested: Bool { self == .clientSinceLastSent || self == .upstreamSinceLastReceived }
}

/// Finds keys by their bytes. Built once for each reader.
struct LogKeyTable {
    private struct Row {
        var first: UInt64 = 0
        var last: UInt64 = 0
        /// Of no key for an empty row.
        var count = -1
        var key = LogKey.time
    }

    private static let slotBits: UInt64 = 9
    private var rows: [Row]
    private var multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// Looks for a multiplier by which no two keys meet.
    init() {
        rows = []
        while !fill() { multiplier = multiplier &* 0xD134_2543_DE82_EF95 &+ 0x2545_F491_4F6C_DD1D | 1 }
    }

    private mutating func fill() -> Bool {
        rows = Array(repeating: Row(), count: 1 << Int(LogKeyTable.slotBits))
        for key in LogKey.allCases {
            let text = (0..<key.name.utf8CodeUnitCount).map { key.name.utf8Start[$0] }
            // As in a line: eight bytes can be loaded everywhere.
            let padded = text + [UInt8](repeating: 0, count: 8)
            let (first, last) = LogKeyTable.words(padded.span, 0..<text.count)
            let slot = slot(first, last, text.count)
            guard rows[slot].count < 0 else { return false }
            rows[slot] = Row(first: first, last: last, count: text.count, key: key)
        }
        return true
    }

    @inline(__always)
    private static func words(_ bytes: Span<UInt8>, _ range: Range<Int>) -> (first: UInt64, last: UInt64) {
        let first = ByteWord.load(bytes, at: range.lowerBound)
        guard range.count < 8 else { return (first, ByteWord.load(bytes, at: range.upperBound &- 8)) }
        let kept = first & ((1 as UInt64) << UInt64(range.count &* 8) &- 1)
        return (kept, kept)
    }

    @inline(__always)
    private func slot(_ first: UInt64, _ last: UInt64, _ count: Int) -> Int {
        let mixed = (first ^ (last &<< 7 | last &>> 57) &+ UInt64(truncatingIfNeeded: count)) &* multiplier
        return Int(truncatingIfNeeded: mixed &>> (64 &- LogKeyTable.slotBits))
    }

    /// The key with these bytes; nil for one that does not matter. Eight bytes can be loaded from anywhere in the range.
    @inline(__always)
    func key(_ bytes: Span<UInt8>, _ range: Range<Int>) -> LogKey? {
        let (first, last) = LogKeyTable.words(bytes, range)
        let row = rows.span[unchecked: slot(first, last, range.count)]
        guard row.first == first, row.last == last, row.count == range.count else { return nil }
        guard range.count <= 16 || equals(bytes, range, row.key.name) else { return nil }
        return row.key
    }
}
