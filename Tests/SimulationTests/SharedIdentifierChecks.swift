// What must hold for the ids of the proxy's that pages of shared streams read: each names one event for all of them, and who comes back with
// one gets what follows it.

import Configuration
import ReferenceEventSource

extension SharedStreamsWorld {
    /// Where ids are the proxy's, each has one event in all pages, a log is of one response of the server's, and its places are counted
    /// through. In front of the first event there may be the gap of a page whose stream is its own.
    func checkPlaces() {
        guard plan.history.ids != .keep || !plan.serversSetIDs else { return }
        var events: [KeptStreamsWorld.Place: [UInt8]] = [:]
        var logs: [Substring: (response: Int, offset: Int)] = [:]
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
                    guard let numbers = numbers(of: event) else { continue }
                    expect(events[next, default: event.data] == event.data, "\(place) has the id of another event")
                    events[next] = event.data
                    let log = logs[next.epoch, default: (numbers.response, next.sequence - numbers.event)]
                    logs[next.epoch] = log
                    expect(log.response == numbers.response, "\(place) has an id of another response's log")
                    expect(
                        1...2 ~= log.offset && log.offset == next.sequence - numbers.event,
                        "\(place) has the place \(next.sequence), and another event \(log.offset) places more than its number")
                }
            }
        }
    }
}
