// Compares the lines about single events with what really happened: each reports an event that was sent, with its number, type and id,
// and none is missing. Invariant: a line may be missing only if the log was off for it, or if its event had no client any more.

import Foundation
import ReferenceEventSource

extension Scenario {
    func checkEvents(_ log: LogView) {
        var streams: Set<String> = []
        for opening in log.records where opening["event"] as? String == "stream_open" {
            guard let stream = opening["stream"] as? String, let path = opening["path"] as? String else { continue }
            expect(streams.insert(stream).inserted, "\(stream) names two streams")
            if path.hasPrefix(Returner.path) { continue }
            checkEvents(of: path, log.events[stream] ?? [], log.ending(of: path))
        }
        expect(streams.isSuperset(of: log.events.keys), "lines of streams that never opened")
        expect(plan.logsEvents || log.events.isEmpty, "lines that nobody asked for")
    }

    private func checkEvents(of path: String, _ lines: [[String: Any]], _ ending: [String: Any]?) {
        guard let truth = truths[path], let ending else { return }
        let beats = numbers(lines, "stream_heartbeat")
        let events = numbers(lines, "stream_event")
        let isCompressed = ending["not_woven_because"] as? String == "compressed"
        let sent = truth.present?.answer?.isStream == true && !isCompressed ? ReferenceEventSource(reading: truth.body).events : []
        expect((events.last ?? 0) <= sent.count, "\(path): a line for event \(events.last ?? 0), and \(sent.count) were sent")
        outcome.eventLineCount += lines.count
        for line in lines where line["event"] as? String == "stream_event" {
            guard let number = line["number"] as? Int, sent.indices.contains(number - 1) else { continue }
            let event = sent[number - 1]
            let type = line["type"] as? String ?? "message"
            expect(isSame(type, event.type, line["type_truncated"]), "\(path): event \(number) is called \(type), not \(event.type)")
            if let identifier = line["id"] as? String {
                expect(
                    isSame(identifier, event.lastEventID, line["id_truncated"]),
                    "\(path): event \(number) has the id \(identifier), not \(event.lastEventID)")
            }
        }
        guard plan.logsEvents, !hasSwitchedEventLog else { return }
        // A client that is gone gets nothing more, and has no lines either.
        let isWhole = ending["side"] as? String != "client" && truth.clientDeed == nil && !plan.pendingIsTight
        let counted = (beats: ending["heartbeats"] as? Int ?? 0, events: isCompressed ? 0 : ending["events"] as? Int ?? 0)
        expect(events == Array(1..<(events.count + 1)), "\(path): lines for \(events)")
        expect(beats == Array(1..<(beats.count + 1)), "\(path): lines for heartbeats \(beats)")
        expect(
            isWhole ? events.count == counted.events : events.count <= counted.events,
            "\(path): \(events.count) lines for \(counted.events) events")
        expect(
            isWhole ? beats.count == counted.beats : beats.count <= counted.beats,
            "\(path): \(beats.count) lines for \(counted.beats) heartbeats")
    }

    /// The numbers of the lines of one kind, which must increase.
    private func numbers(_ lines: [[String: Any]], _ kind: String) -> [Int] {
        let numbers = lines.filter { $0["event"] as? String == kind }.compactMap { $0["number"] as? Int }
        expect(zip(numbers, numbers.dropFirst()).allSatisfy(<), "\(kind): numbers \(numbers)")
        return numbers
    }

    private func isSame(_ written: String, _ bytes: [UInt8], _ isTruncated: Any?) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        return isTruncated as? Bool == true ? text.hasPrefix(written) : text == written
    }
}
