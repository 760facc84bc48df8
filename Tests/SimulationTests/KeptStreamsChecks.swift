// What must hold for pages whose streams are kept: each event once and in order, a gap event where one is missing, never another's event.

import Configuration
import Foundation
import ReferenceEventSource

@testable import Reactor

extension KeptStreamsWorld {
    /// A gap as a page was told of it.
    private struct Told: Decodable {
        var reason: String
        var certain: Bool
        var missed: Int?
    }

    /// What a page read over all its visits.
    func check(_ page: KeptPage) {
        var last: (response: Int, event: Int)?
        var gaps: [Told] = []
        for (index, visit) in page.visits.enumerated() {
            if let response = visit.response {
                expect(
                    response.status == 200 || response.status == 502 || response.status == 503, "page \(page.number): \(response.status)")
            }
            for event in visit.read.events {
                let text = String(decoding: event.data, as: UTF8.self)
                if event.type == Array("stream_gap".utf8) {
                    guard let told = try? JSONDecoder().decode(Told.self, from: Data(event.data)) else {
                        return expect(false, "page \(page.number): no gap is told by \(text)")
                    }
                    count("gap: \(told.reason)")
                    gaps.append(told)
                    continue
                }
                let numbers = text.split(separator: "\n")[0].split(separator: ".").compactMap { Int($0) }
                guard numbers.count == 2, numbers[0] < responses.count else { return expect(false, "page \(page.number): \(text)") }
                let next = (response: numbers[0], event: numbers[1])
                check(page, index, next, after: last, gaps)
                last = next
                gaps = []
            }
        }
    }

    /// One event behind another.
    private func check(
        _ page: KeptPage, _ visit: Int, _ next: (response: Int, event: Int), after last: (response: Int, event: Int)?, _ gaps: [Told]
    ) {
        let place = "page \(page.number), visit \(visit)"
        count("events")
        expect(responses[next.response].owner == page.owner, "\(place): \(next) is another's")
        let certain = gaps.filter(\.certain).reduce(0) { $0 + ($1.missed ?? 0) }
        guard let last else {
            // A page may leave before its first event, and come back with the place that it was given.
            return expect(next.event == certain || !gaps.isEmpty || visit > 0, "\(place): begins with \(next)")
        }
        if next.response == last.response {
            expect(next.event == last.event + 1 + certain, "\(place): \(next) follows \(last), and \(certain) were said to be missing")
            return
        }
        expect(next.response > last.response, "\(place): \(next) follows \(last)")
        // What was missing of the response before is told before the gap between the two.
        let missing = gaps.reversed().prefix { $0.certain }.reduce(0) { $0 + ($1.missed ?? 0) }
        expect(next.event == missing, "\(place): another response begins with \(next), and \(missing) were said to be missing")
        expect(gaps.contains { !$0.certain }, "\(place): \(next) follows \(last), and no gap is told")
        checkPatience(page, visit, with: responses[last.response], place)
    }

    /// The proxy has left a server's stream only if its page was away for long enough.
    private func checkPatience(_ page: KeptPage, _ visit: Int, with response: KeptResponse, _ place: String) {
        guard response.endedAt == nil else { return }
        // By an id of the server the proxy cannot tell a second page from one that it has not missed yet.
        if serverIDs == .unique, history.ids == .keep, cameBackUnnoticed(page, visit) || hasShortHistory { return }
        guard let left = response.leftAt else { return expect(false, "\(place): its stream of before is still open") }
        // A page that left before its answer may not have been seen.
        let before = page.visits.filter { $0.beganAt <= left - 500 && $0.response != nil }
        let isThere = before.contains { ($0.endedAt ?? .max) > left }
        expect(!isThere, "\(place): the stream of before was left at \(left), and the page was there")
        // A page that has just come may not have reached the proxy.
        guard let since = before.compactMap(\.endedAt).filter({ $0 <= left }).max().map({ left - $0 }) else { return }
        expect(since >= Int64(history.awayMilliseconds) - 200, "\(place): the stream of before was left after \(since) ms")
    }

    /// Whether an id of the server's may be forgotten while its stream is kept: then it is like one that nobody knows.
    private var hasShortHistory: Bool {
        let usual = HistoryPolicy()
        return history.events < usual.events || history.bytes < usual.bytes || history.ageMilliseconds < usual.ageMilliseconds
    }

    /// Whether the page may have come back before the proxy saw that it was gone.
    private func cameBackUnnoticed(_ page: KeptPage, _ visit: Int) -> Bool {
        (0..<visit).contains { index in
            let ended = page.visits[index].endedAt ?? 0
            return page.visits[index].deed == .vanished || page.visits[index + 1].beganAt - ended < 500
        }
    }

    /// When all is calm, every page reads what its server says.
    func checkContentment() {
        for page in pages {
            guard let visit = page.visits.last else { return expect(false, "page \(page.number) never came") }
            let recent = responses.last { $0.owner == page.owner && $0.leftAt == nil && $0.endedAt == nil }
            expect(recent != nil, "page \(page.number): its server has no stream")
            expect(visit.endedAt == nil && visit.response?.status == 200, "page \(page.number) has no stream: \(visit)")
            expect(
                page.longestSilence <= Int64(heartbeatMilliseconds) + 1_500,
                "page \(page.number): nothing for \(page.longestSilence) ms, with heartbeats each \(heartbeatMilliseconds)")
        }
    }

    /// The log has one end for each opening, and each stream that goes on names one that ended.
    func checkLog(_ bytes: [UInt8]) {
        var open: Set<String> = []
        var known: Set<String> = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let record = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any],
                let event = record["event"] as? String, let stream = record["stream"] as? String
            else { continue }
            switch event {
            case "stream_open":
                expect(open.insert(stream).inserted, "\(stream) opens twice")
                known.insert(stream)
                if let from = record["resumed_from"] as? String {
                    count("resumed")
                    expect(known.contains(from) && from != stream, "\(stream) goes on from \(from), which never was")
                }
            case "stream_end":
                expect(open.remove(stream) != nil, "\(stream) ends without an opening")
                count("cause: \(record["cause"] as? String ?? "none")")
            default: continue
            }
        }
        expect(open.isEmpty, "\(open.count) streams have no end")
    }

    /// Everything that is known of a run, for somebody who investigates one.
    var story: String {
        let told = responses.map { response in
            "response \(response.number) of \(response.owner): from \(response.beganAt), \(response.eventCount) events, "
                + "ended at \(response.endedAt ?? 0), left at \(response.leftAt ?? 0)"
        }
        let visits = pages.flatMap { page in
            page.visits.enumerated().map { index, visit in
                let events = visit.read.events.map { String(decoding: $0.data.prefix(60), as: UTF8.self) }
                return "page \(page.number), visit \(index): \(visit.beganAt) to \(visit.endedAt ?? 0), \(visit.deed), brought "
                    + "\(String(decoding: visit.broughtID, as: UTF8.self)): \(events.prefix(2)) ... \(events.suffix(2))"
            }
        }
        return (told + visits + [logText]).joined(separator: "\n")
    }
}
