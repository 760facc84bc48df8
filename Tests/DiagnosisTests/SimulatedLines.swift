// A simulated log as the lines that the proxy would have written: in the order of time, with the new fields or with the kernel's figures.

import Foundation
import Telemetry

@testable import Diagnosis

struct SimulatedLines {
    private let facts: LogFacts
    private let formatter = ISO8601DateFormatter()

    init(_ facts: LogFacts) {
        self.facts = facts
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
    }

    /// All lines as one text.
    var text: String {
        var lines: [(time: Int64, line: String)] = []
        for (index, stream) in facts.streams.enumerated() {
            lines.append((stream.openedAt, opening(stream, index)))
            if stream.cause != nil { lines.append((stream.openedAt + Int64(stream.duration), ending(stream, index))) }
        }
        for refusal in facts.refusals { lines.append((refusal.time, access(refusal))) }
        lines.sort { $0.time < $1.time }
        return lines.map(\.line).joined(separator: "\n") + "\n"
    }

    private func line(
        _ event: String, at time: Int64, _ shared: Surroundings, client: TableIndex, address: String, _ more: [(String, String)]
    ) -> String {
        var parts = [("time", quoted(formatter.string(from: Date(timeIntervalSince1970: Double(time) / 1_000)))), ("event", quoted(event))]
        if !shared.route.isEmpty { parts.append(("route", quoted(shared.route))) }
        if !shared.upstream.isEmpty { parts.append(("upstream", quoted(shared.upstream))) }
        if !shared.server.isEmpty { parts.append(("server", quoted(shared.server))) }
        parts.append(("client", quoted(address + ":40000")))
        parts.append(("client_forwarded", quoted("2001:db8::\(String(client, radix: 16))")))
        parts.append(("path", quoted(shared.path.isEmpty ? "/events" : shared.path)))
        return "{" + (parts + more).map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    private func quoted(_ text: String) -> String { "\"\(text)\"" }

    private func opening(_ stream: StreamFacts, _ index: Int) -> String {
        var more = [("stream", quoted("w0-\(index)")), ("status", "200"), ("woven", "\(stream.marks.contains(.isWoven))")]
        if stream.marks.contains(.tellsResuming) { more.append(("resumes", "\(stream.marks.contains(.resumes))")) }
        return line(
            "stream_open", at: stream.openedAt, facts.surroundings[Int(stream.surroundings)], client: stream.client,
            address: facts.addresses[Int(stream.address)], more)
    }

    private func ending(_ stream: StreamFacts, _ index: Int) -> String {
        let hasFields = stream.marks.contains(.tellsResuming)
        var more = [("stream", quoted("w0-\(index)")), ("status", "200"), ("woven", "\(stream.marks.contains(.isWoven))")]
        if hasFields { more.append(("resumes", "\(stream.marks.contains(.resumes))")) }
        more += [
            ("cause", quoted(stream.cause!.rawValue)), ("side", quoted(stream.cause!.side.rawValue)), ("evidence", quoted("as simulated")),
        ]
        more += [("duration_ms", "\(stream.duration)"), ("events", "\(stream.events)"), ("heartbeats", "\(stream.heartbeats)")]
        more += [("bytes_from_upstream", "\(stream.events * 40)")]
        func add(_ key: String, _ value: UInt32) { if value != StreamFacts.missing { more.append((key, "\(value)")) } }
        add("longest_client_silence_ms", stream.longestClientSilence)
        add("longest_upstream_silence_ms", stream.longestUpstreamSilence)
        if hasFields {
            add("client_silence_at_end_ms", stream.clientSilenceAtEnd)
            add("upstream_silence_at_end_ms", stream.upstreamSilenceAtEnd)
            add("client_silence_before_last_write_ms", stream.clientSilenceBeforeLastWrite)
            add("heartbeat_ms", stream.heartbeatInterval)
            add("retry_ms", stream.retry)
        }
        if stream.marks.contains(.hasEventID) { more.append(("last_event_id", quoted("\(stream.events)"))) }
        // The kernel counts in steps of 4 ms, and after a last chunk it knows nothing of the silence before.
        func kernel(_ silence: UInt32) -> UInt32 { silence == StreamFacts.missing ? 0 : silence / 4 * 4 }
        more.append(("tcp", "{\"state\":\"close_wait\",\"since_last_sent_ms\":\(kernel(stream.clientSilenceAtEnd))}"))
        let last = stream.cause == .upstreamFinished ? 0 : kernel(stream.upstreamSilenceAtEnd)
        more.append(("upstream_tcp", "{\"state\":\"established\",\"since_last_received_ms\":\(last)}"))
        let shared = facts.surroundings[Int(stream.surroundings)]
        return line(
            "stream_end", at: stream.openedAt + Int64(stream.duration), shared, client: stream.client,
            address: facts.addresses[Int(stream.address)], more)
    }

    private func access(_ refusal: RefusalFacts) -> String {
        var more = [("status", "\(refusal.status)"), ("token", quoted("00ff\(refusal.client)"))]
        if let cause = refusal.cause { more.append(("cause", quoted(cause.rawValue))) }
        return line(
            "access", at: refusal.time, facts.surroundings[Int(refusal.surroundings)], client: refusal.client, address: "10.0.0.9", more)
    }
}
