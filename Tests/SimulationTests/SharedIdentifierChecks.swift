// What must hold for the ids of the proxy's that pages of shared streams read: each names one event for all of them.

import Configuration
import ReferenceEventSource

extension SharedStreamsWorld {
    /// Where ids are the proxy's, each has one event in all pages, each event has one id in its log, a log is of one response of the
    /// server's, and ids rise.
    func checkPlaces() {
        guard plan.history.ids != .keep || !plan.serversSetIDs else { return }
        var logs: [Substring: [Int: [UInt8]]] = [:]
        for page in pages {
            for (index, visit) in page.visits.enumerated() {
                var last = visit.isStolen ? nil : KeptStreamsWorld.Place(visit.broughtID)
                for event in visit.read.events {
                    let text = String(decoding: event.data.prefix(40), as: UTF8.self)
                    let place = "page \(page.number), visit \(index): \(text)"
                    guard let next = KeptStreamsWorld.Place(event.lastEventID) else {
                        return expect(false, "\(place) has no id of the proxy's")
                    }
                    if let last, last.epoch == next.epoch {
                        expect(last.sequence < next.sequence, "\(place) has the id \(next) behind \(last)")
                    }
                    last = next
                    // The place of a gap is that of the last block which is missing.
                    guard event.type != Array("stream_gap".utf8) else { continue }
                    let known = logs[next.epoch, default: [:]].updateValue(event.data, forKey: next.sequence)
                    expect(known == nil || known == event.data, "\(place) has the id of another event")
                }
            }
        }
        for (epoch, events) in logs { checkLog(epoch, events.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }) }
    }

    /// The places of a log are counted through: between two events of the server there are only those that it sent between them, and
    /// published ones. In front of the first one there may be the gap of a page whose stream is its own.
    private func checkLog(_ epoch: Substring, _ events: [(sequence: Int, data: [UInt8])]) {
        var seen: Set<[UInt8]> = []
        var (last, between): (SharedPlace.Numbered?, Int) = (nil, 0)
        var lastSequence = 0
        for (sequence, data) in events {
            let place = "\(String(decoding: data.prefix(40), as: UTF8.self)) in the log \(epoch)"
            expect(seen.insert(data).inserted, "\(place) has two ids")
            guard let next = numbers(of: data) else {
                between += 1
                continue
            }
            let isSame = last == nil || last!.response == next.response
            expect(isSame || plan.masks && last!.response < next.response, "\(place) follows an event of response \(last?.response ?? 0)")
            defer { (last, lastSequence, between) = (next, sequence, 0) }
            // What one response has said at its end may be lost, and a gap has a place too.
            guard isSame, last != nil || !plan.masks else { continue }
            // Each was appended at most once, and between when the server sent one and when it sent the other.
            let event = responses[next.response].events[next.event]
            let start = last.map { responses[$0.response].events[$0.event].sentAt } ?? 0
            let most = publications.count { $0.beganAt <= event.sentAt + 10_000 && ($0.answeredAt ?? .max) >= start }
            let others = sequence - lastSequence - (next.event - (last?.event ?? -1))
            expect(
                between...max(between, most + (last == nil ? 1 : 0)) ~= others,
                "\(place) has the place \(sequence): \(others) others are behind \(lastSequence), at least \(between), at most \(most)")
        }
    }
}
