// Compares the lines about single events with what really happened: each reports an event that was sent, with its number, type and id,
// and none is missing. Invariant: a line may be missing only if the log was off for it, or if its event had no client any more.

import Foundation
import ReferenceEventSource

@testable import Reactor

extension Scenario {
    func checkEvents(_ log: LogView) {
        var streams: [String: EventLogSwitches] = [:]
        for opening in log.records where opening["event"] as? String == "stream_open" {
            guard let stream = opening["stream"] as? String, let path = opening["path"] as? String else { continue }
            // The operator switches the events of one route, and reloads those of all.
            let switches = Scenario.isOfLaterRoute(path) ? reloadedEventLogs : eventLogSwitches
            expect(streams.updateValue(switches, forKey: stream) == nil, "\(stream) names two streams")
            if Scenario.isShared(path) { continue }
            checkEvents(of: path, log.events[stream] ?? [], opening, log, switches)
        }
        expect(log.events.keys.allSatisfy { streams[$0] != nil }, "lines of streams that never opened")
        expect(plan.logsEvents || log.events.isEmpty, "lines that nobody asked for")
        for (stream, lines) in log.events {
            guard let switches = streams[stream], !switches.isEmpty else { continue }
            for line in lines {
                let moments = log.moments(of: line)
                expect(
                    moments.contains { switches.mayBeOn(at: $0) },
                    "\(stream): a line about an event at \(moments), when they were switched off")
            }
        }
    }

    private func checkEvents(
        of path: String, _ lines: [[String: Any]], _ opening: [String: Any], _ log: LogView, _ switches: EventLogSwitches
    ) {
        guard let truth = truths[path], let ending = log.ending(of: path) else { return }
        let isCompressed = ending["not_woven_because"] as? String == "compressed"
        let sent = truth.present?.answer?.isStream == true && !isCompressed ? ReferenceEventSource(reading: truth.body).events : []
        let beats = lines.filter { $0["event"] as? String == "stream_heartbeat" }
        let events = lines.filter { $0["event"] as? String == "stream_event" }
        for line in events { checkEvent(line, sent, path) }
        outcome.eventLineCount += lines.count
        guard plan.logsEvents else { return }
        // A client that is gone gets nothing more, and has no lines either.
        let isWhole = ending["side"] as? String != "client" && truth.clientDeed == nil && !plan.pendingIsTight
        let life = Life(opening, ending, isWhole: isWhole, log, switches)
        checkNumbers(events, "events", counted: isCompressed ? 0 : ending["events"] as? Int ?? 0, path, life)
        checkNumbers(beats, "heartbeats", counted: ending["heartbeats"] as? Int ?? 0, path, life)
        if isWhole, !isCompressed { checkAfterSwitch(events, truth, ending, life) }
    }

    private func checkEvent(_ line: [String: Any], _ sent: [ReferenceEventSource.Event], _ path: String) {
        guard let number = line["number"] as? Int, sent.indices.contains(number - 1) else {
            return expect(false, "\(path): a line for event \(line["number"] ?? "none"), and \(sent.count) were sent")
        }
        let event = sent[number - 1]
        let type = line["type"] as? String ?? "message"
        expect(isSame(type, event.type, line["type_truncated"]), "\(path): event \(number) is called \(type), not \(event.type)")
        guard let identifier = line["id"] as? String else { return }
        expect(
            isSame(identifier, event.lastEventID, line["id_truncated"]),
            "\(path): event \(number) has the id \(identifier), not \(event.lastEventID)")
    }

    /// When a stream lived, and whether all events of a part of its life had to be written.
    private struct Life {
        let began: Int64
        let ended: Int64
        let isWhole: Bool
        let log: LogView
        let switches: EventLogSwitches

        init(_ opening: [String: Any], _ ending: [String: Any], isWhole: Bool, _ log: LogView, _ switches: EventLogSwitches) {
            (self.isWhole, self.log, self.switches) = (isWhole, log, switches)
            began = log.moments(of: opening).min() ?? 0
            ended = log.moments(of: ending).max() ?? .max
        }

        /// Where the clock was set, and events were switched too, a moment is not known.
        func isLogged(from first: [String: Any]?, to last: [String: Any]?) -> Bool {
            if switches.isEmpty { return true }
            let start = first.map { log.moments(of: $0).min() ?? began } ?? began
            return switches.isOn(from: start, to: last.map { log.moments(of: $0).max() ?? ended } ?? ended)
        }
    }

    /// The numbers of the lines increase, and none is left out that had to be written.
    private func checkNumbers(_ lines: [[String: Any]], _ kind: String, counted: Int, _ path: String, _ life: Life) {
        var before: (number: Int, line: [String: Any]?) = (0, nil)
        for line in lines {
            let number = line["number"] as? Int ?? 0
            expect(number > before.number, "\(path): a line for number \(number) of the \(kind) after one for \(before.number)")
            let mayMiss = number == before.number + 1 || !life.isLogged(from: before.line, to: line)
            expect(mayMiss, "\(path): lines for number \(before.number) and \(number) of the \(kind), and none between")
            before = (number, line)
        }
        expect(before.number <= counted, "\(path): lines for \(before.number) \(kind) of \(counted)")
        guard life.isWhole, before.number < counted, life.isLogged(from: before.line, to: nil) else { return }
        expect(false, "\(path): lines for \(before.number) of \(counted) \(kind)")
    }

    /// A stream that runs when its events are switched on has a line for each one from the next boundary on.
    private func checkAfterSwitch(_ events: [[String: Any]], _ truth: Truth, _ ending: [String: Any], _ life: Life) {
        // Behind a boundary that the proxy saw as one: it may have read it together with what came at once behind it.
        // A server whose bytes wait for a slow page, or for the pages beside it, is read later.
        if truth.isSlow || truth.version == "2", ending["max_pending_bytes"] as? Int != 0 { return }
        let way = Int64(2 * plan.faults.delayMilliseconds.upperBound) + 4 * TimerWheel.tickMilliseconds
        guard !plan.troubles.clock, let on = life.switches.lastOn(before: life.ended), on > life.began, let arrival = truth.present,
            let rest = arrival.rests.first(where: { $0.from >= on && $0.byteCount > 0 && $0.until ?? .max > $0.from + way }),
            let counted = ending["events"] as? Int
        else { return }
        let known = ReferenceEventSource(reading: Array(truth.body.prefix(rest.byteCount))).events.count
        let missing = Set(known + 1..<max(counted, known) + 1).subtracting(events.compactMap { $0["number"] as? Int })
        expect(missing.isEmpty, "\(truth.path): no lines for events \(missing.sorted()), and they were switched on at \(on)")
        if counted > known { world.count("events of a running stream, switched on") }
    }

    private func isSame(_ written: String, _ bytes: [UInt8], _ isTruncated: Any?) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        return isTruncated as? Bool == true ? text.hasPrefix(written) : text == written
    }
}
