// Compares what the log's lines say of a stream with what really happened: silences at its end, bytes that waited, times to come back, who
// asked and through what, the stream before, and how many are open. Invariant: where the truth is not known exactly, the reason stands
// beside the check.

import Configuration
import Foundation

@testable import Reactor

extension Scenario {
    func checkFields(_ log: LogView) {
        checkOpenStreams(log)
        checkPreviousStreams(log)
        let openings = Dictionary(grouping: log.records.filter { $0["event"] as? String == "stream_open" }) { $0["path"] as? String ?? "" }
        for (path, opened) in openings where !Scenario.isShared(path) {
            guard let truth = truths[path], let opening = opened.first, let ending = log.ending(of: path) else { continue }
            outcome.fieldCount += 1
            for line in [opening, ending] { checkRequester(line, truth) }
            checkHeartbeat(opening, ending, truth)
            // Where time leaps, a moment of the log may be any moment of the leap.
            guard !world.leapt(between: truth.askedAt ?? 0, and: log.moments(of: ending).max() ?? 0) else { continue }
            checkUpstreamSilence(ending, truth, log)
            // TLS writes messages of its own, which are no bytes of a stream; and streams of HTTP/2 share what the kernel saw.
            guard !plan.isSecuredDownstream, truth.version != "2", let traffic = truth.socket?.traffic else { continue }
            checkWaits(opening, ending, truth, traffic, log)
            if ending["max_pending_bytes"] as? Int == 0 { checkClientSilences(opening, ending, truth, traffic, log) }
        }
    }

    private func number(_ record: [String: Any], _ key: String) -> Int64? { (record[key] as? NSNumber)?.int64Value }

    // MARK: Who asked

    private func checkRequester(_ line: [String: Any], _ truth: Truth) {
        expect(line["resumes"] as? Bool == !truth.lastEventID.isEmpty, "\(truth.path): resumes is \(line["resumes"] ?? "missing")")
        expect(line["http"] as? String == truth.version, "\(truth.path): http is \(line["http"] ?? "missing")")
        expect(line["agent"] as? String == truth.agent, "\(truth.path): agent is \(line["agent"] ?? "missing")")
        expect(line["hops"] as? [String] ?? [] == truth.hops, "\(truth.path): hops are \(line["hops"] ?? "missing")")
        expect(line["via_count"] as? Int ?? 0 == truth.hops.count, "\(truth.path): via_count is \(line["via_count"] ?? "missing")")
    }

    private func checkHeartbeat(_ opening: [String: Any], _ ending: [String: Any], _ truth: Truth) {
        for line in [opening, ending] {
            let expected = line["woven"] as? Bool == true ? plan.heartbeatMilliseconds : nil
            expect(line["heartbeat_ms"] as? Int == expected, "\(truth.path): heartbeat_ms is \(line["heartbeat_ms"] ?? "missing")")
        }
    }

    /// A client that read a whole response knows when to come back; so must the log. Called with what an EventSource read.
    func checkRetry(_ ending: [String: Any]?, _ truth: Truth, read: UInt64?) {
        guard let ending else { return }
        let said = (ending["retry_ms"] as? NSNumber)?.uint64Value
        expect(said == read, "\(truth.path): retry_ms is \(said.map(String.init) ?? "missing"), and its client read \(read ?? 0)")
    }

    // MARK: Silences

    /// The last byte of the body came between the moment when the server sent it and the longest time that it could travel.
    private func checkUpstreamSilence(_ ending: [String: Any], _ truth: Truth, _ log: LogView) {
        let isServed = ending["open_streams_server"] != nil
        expect(
            isServed == (ending["upstream_silence_at_end_ms"] != nil),
            "\(truth.path): served \(isServed), silence \(ending["upstream_silence_at_end_ms"] ?? "missing")")
        guard let silence = number(ending, "upstream_silence_at_end_ms"), let arrival = truth.present else { return }
        // A slow client makes the proxy read later. A body that was cut off was not sent completely, or not received.
        guard ending["max_pending_bytes"] as? Int == 0, !arrival.isTruncated, let goneAt = arrival.lastGoneAt,
            "\(arrival.server)" == ending["server"] as? String
        else { return }
        let travel = Int64(plan.faults.delayMilliseconds.upperBound)
        let isWhole = ["upstream_finished", "upstream_cut_off"].contains(ending["cause"] as? String)
        let holds = log.moments(of: ending).contains { moment in
            moment - silence <= goneAt + travel && (!isWhole || moment - silence >= goneAt)
        }
        expect(
            holds,
            "\(truth.path): \(silence) ms of silence at the end \(log.moments(of: ending)), and the last byte was sent at \(goneAt)")
    }

    /// The last moment at which the kernel took bytes from the proxy, and the one before it.
    private func checkClientSilences(
        _ opening: [String: Any], _ ending: [String: Any], _ truth: Truth, _ traffic: Traffic, _ log: LogView
    ) {
        guard let silence = number(ending, "client_silence_at_end_ms"), let before = number(ending, "client_silence_before_last_write_ms")
        else { return expect(false, "\(truth.path): no silences of the client") }
        // Bytes that a broken connection did not take count as sent.
        let isBroken = ending["errno"] != nil
        let holds = log.moments(of: ending).contains { moment in
            let last = moment - silence
            let written = traffic.writtenAt.filter { $0 <= moment }
            // What ends the stream is written in the moment of its end and does not count.
            let isLast = last == written.last || (written.last == moment && last == written.dropLast().last)
            guard isLast || (isBroken && silence == 0) else { return false }
            if isBroken && silence == 0 { return true }
            let opened = log.moments(of: opening).filter { $0 <= last }.max() ?? last
            let previous = written.last { $0 < last && $0 >= opened }
            return before == (previous.map { last - $0 } ?? 0)
        }
        expect(
            holds,
            """
            \(truth.path): silence at the end \(log.moments(of: ending)) is \(silence) ms and before the last write \(before) ms, and the \
            last writes were at \(traffic.writtenAt.suffix(4))
            """
        )
    }

    // MARK: Bytes that wait

    private func checkWaits(_ opening: [String: Any], _ ending: [String: Any], _ truth: Truth, _ traffic: Traffic, _ log: LogView) {
        guard let waited = number(ending, "pending_ms"), let most = number(ending, "max_pending_bytes") else {
            return expect(false, "\(truth.path): nothing about waiting bytes")
        }
        // Where the clock leapt, the time of a line stands for several moments.
        let spans = log.moments(of: ending).flatMap { end in log.moments(of: opening).filter { $0 <= end }.map { $0...end } }
        let holds = spans.contains { span in
            let end = span.upperBound
            let waits = traffic.waits.filter { span.contains($0.from) }
            // Bytes that begin to wait in the last moment may be those that end the stream. Bytes that are taken in the turn that offered
            // them first do not count as waiting.
            let certain = waits.filter { $0.from < end && $0.until != $0.from }
            let time = waits.reduce(0) { $0 + min($1.until ?? end, end) - $1.from }
            return waited == time && (most > 0 || certain.isEmpty) && (most == 0 || !waits.isEmpty)
                // Bytes that end the stream may join those that wait.
                && most >= certain.filter { ($0.until ?? .max) <= end }.map { Int64($0.mostBytes) }.max() ?? 0
        }
        expect(
            holds,
            "\(truth.path): at most \(most) bytes waited for \(waited) ms in all until \(log.moments(of: ending)), not \(traffic.waits)")
    }

    // MARK: Other streams

    /// The log's lines stand in the order in which streams opened and ended.
    private func checkOpenStreams(_ log: LogView) {
        var open: [String: [String: Any]] = [:]
        let ends = Dictionary(
            log.records.filter { $0["event"] as? String == "stream_end" }.map { ($0["stream"] as? String ?? "", $0) },
            uniquingKeysWith: { first, _ in first })
        for record in log.records {
            let stream = record["stream"] as? String ?? ""
            switch record["event"] as? String {
            case "stream_open": open[stream] = record
            case "stream_end":
                open[stream] = nil
                let ofRoute = open.values.count { $0["route"] as? String == record["route"] as? String }
                expect(
                    record["open_streams"] as? Int == ofRoute,
                    "\(stream): \(record["open_streams"] ?? "missing") others of its route are said to be open, and \(ofRoute) are")
                guard let count = record["open_streams_server"] as? Int else { continue }
                let served = open.keys.compactMap { ends[$0] }.filter { $0["server"] as? String == record["server"] as? String }
                // When a held stream got its server is not in the log.
                let certain = served.filter { $0["held_ms"] == nil }.count
                expect(
                    certain...max(served.count, certain) ~= count,
                    "\(stream): \(count) others of its server are said to be open, and between \(certain) and \(served.count) are")
            default: break
            }
        }
    }

    private typealias EndedStream = (stream: String, moments: [Int64])

    /// Takes out the last stream that ended. Of several that ended in one millisecond any may be the last: the named one is taken.
    private static func takeLast(from ended: inout [EndedStream], named: String?) -> EndedStream? {
        guard let last = ended.last else { return nil }
        return ended.remove(at: ended.lastIndex { $0.stream == named && $0.moments == last.moments } ?? ended.count - 1)
    }

    /// Each stream of a client that comes again names the last one that ended before, once.
    private func checkPreviousStreams(_ log: LogView) {
        var ended: [String: [EndedStream]] = [:]
        for record in log.records {
            guard let path = record["path"] as? String, let event = record["event"] as? String, let stream = record["stream"] as? String
            else { continue }
            guard Scenario.isShared(path) else {
                expect(record["previous_stream"] == nil, "\(path): follows \(record["previous_stream"] ?? ""), and each path is asked once")
                continue
            }
            // Clients without a token that share an address may be one client to the proxy; elsewhere each has an address of its own.
            if record["token"] == nil, path.hasPrefix(Member.path) || path.hasPrefix(Guest.path) { continue }
            // A client is known by its token, where it has one.
            let client = "\(record["token"] ?? record["client"] ?? "") \(path)"
            if event == "stream_end" { ended[client, default: []].append((stream, log.moments(of: record))) }
            guard event == "stream_open" else { continue }
            let previous = Scenario.takeLast(from: &ended[client, default: []], named: record["previous_stream"] as? String)
            // In a leap of time an end may be forgotten.
            if record["previous_stream"] == nil, world.leapt(between: previous?.moments.min() ?? 0, and: log.moments(of: record).max() ?? 0)
            {
                continue
            }
            expect(
                record["previous_stream"] as? String == previous?.stream,
                "\(path): follows \(record["previous_stream"] ?? "none"), and the last was \(previous?.stream ?? "none")")
            guard let previous, let since = number(record, "since_previous_end_ms") else { continue }
            outcome.returnCount += 1
            let holds = log.moments(of: record).contains { moment in previous.moments.contains { moment - $0 == since } }
            expect(holds, "\(path): \(since) ms since \(previous.stream) ended at \(previous.moments)")
        }
    }
}
