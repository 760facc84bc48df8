// What must hold for the ids that pages of kept streams read: each names one place, and none is lost over a return.

import ReferenceEventSource

extension KeptStreamsWorld {
    /// An id of the proxy's: the log and the place in it.
    struct Place: Hashable {
        let epoch: Substring
        let sequence: Int

        /// The place in an id, which may stand behind the server's; nil where there is none.
        init?(_ id: [UInt8]) {
            let text = String(decoding: id, as: UTF8.self)
            let parts = text.split(separator: "~").last?.split(separator: ".") ?? []
            guard parts.count == 3, parts[0] == "hw1", let sequence = Int(parts[2], radix: 36) else { return nil }
            (epoch, self.sequence) = (parts[1], sequence)
        }
    }

    /// Where ids are the proxy's, each event and each gap has its own, ids rise within a log, and one of before names the same event for
    /// ever. A log is one page's.
    func checkPlaces() {
        guard !plan.pagesHaveServerIDs else { return }
        var owners: [Substring: Int] = [:]
        for page in pages {
            var events: [Place: [UInt8]] = [:]
            for (index, visit) in page.visits.enumerated() {
                var last = visit.isStolen ? nil : Place(visit.broughtID)
                for event in visit.read.events {
                    let text = String(decoding: event.data.prefix(40), as: UTF8.self)
                    let place = "page \(page.number), visit \(index): \(text)"
                    guard let next = Place(event.lastEventID) else { return expect(false, "\(place) has no id of the proxy's") }
                    expect(owners[next.epoch, default: page.number] == page.number, "\(place) has an id of another page's log")
                    owners[next.epoch] = page.number
                    if let last, last.epoch == next.epoch {
                        expect(last.sequence < next.sequence, "\(place) has the id \(next) behind \(last)")
                    }
                    last = next
                    // The place of a gap that only one reader meets is that of the last block which is missing.
                    guard event.type != Array("stream_gap".utf8) else { continue }
                    expect(events[next, default: event.data] == event.data, "\(place) has the id of another event")
                    events[next] = event.data
                }
            }
        }
    }

    /// Where ids are the server's, an event without an id that follows one with an id has that also over a return: by the standard a page
    /// forgets it, unless it is said again.
    func checkRestoring() {
        guard plan.pagesHaveServerIDs, !plan.isContinuous, plan.tellsByEvent else { return }
        for page in pages {
            var known: Set<Int> = []
            for (index, visit) in page.visits.enumerated() {
                let numbered = visit.read.events.compactMap { event in numbers(of: event).map { (event, $0[0], $0[1]) } }
                for (event, journal, number) in numbered where known.contains(journal) && journals[journal].hasIdentifier(behind: number) {
                    count("events behind a return with an id")
                    expect(
                        !event.lastEventID.isEmpty,
                        "page \(page.number), visit \(index): event \(number) of journal \(journal) has lost the id before it")
                }
                known.formUnion(numbered.map(\.1))
            }
        }
    }
}
