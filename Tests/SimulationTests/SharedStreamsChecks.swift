// What must hold for pages that share streams: each reads all events that it wants, once and in order, or is told of a gap where one is
// missing; nobody reads what was sent for others; a server has one connection for all, as long as somebody reads.

import Configuration
import Foundation
import ReferenceEventSource

@testable import Reactor

/// Where a page is in what it reads.
private struct SharedPlace {
    /// An event of a server's by the numbers in it.
    typealias Numbered = (response: Int, event: Int)

    /// What it read last; nil where it begins as somebody new, or where nobody knows what its id means.
    var last: Numbered?
    /// Whether nobody knows it.
    var isUnknown = false
    /// Whether it brought no id.
    var isNew = true
    /// What it was told since then.
    var gaps: [KeptStreamsWorld.Told] = []
    /// The first visit in which it may have joined the stream that it reads.
    var joinedFrom = 0
}

extension SharedStreamsWorld {
    /// What all pages read over all their visits.
    func checkPages() {
        let firstReads = firstReads()
        for page in pages { check(page, firstReads) }
        for response in responses where response.isVetoed {
            let visits = pages.reduce(0) {
                $0 + $1.visits.filter { visit in numbers(in: visit).contains { $0.response == response.number } }.count
            }
            expect(visits <= 1, "response \(response.number) is for one client, and stands in \(visits) visits")
        }
    }

    /// When each event was first read by any page, by the numbers of responses.
    private func firstReads() -> [[Int64]] {
        var moments = responses.map { Array(repeating: Int64.max, count: $0.events.count) }
        for visit in pages.flatMap(\.visits) {
            for (event, moment) in zip(visit.read.events, visit.eventsReadAt) {
                guard let (response, number) = numbers(of: event) else { continue }
                moments[response][number] = min(moments[response][number], moment)
            }
        }
        return moments
    }

    private func check(_ page: KeptPage, _ firstReads: [[Int64]]) {
        let manner = manners[page.number]
        var place: SharedPlace
        // What the page's ids mean to it.
        var places: [[UInt8]: SharedPlace] = [:]
        for (index, visit) in page.visits.enumerated() {
            let name = "page \(page.number), visit \(index)"
            if let response = visit.response {
                expect([200, 404, 502, 503].contains(response.status), "\(name): \(response.status)")
            }
            count("visits over HTTP/\(visit.version)")
            let isNew = visit.broughtID.isEmpty
            let known = isNew || visit.isStolen ? nil : places[visit.broughtID]
            place = known ?? SharedPlace(isUnknown: !isNew, isNew: isNew, joinedFrom: index)
            // A page whose place is the same as before is told the same again.
            place.gaps.removeAll { $0.idBefore == visit.broughtID }
            var isFirst = true
            for (position, event) in visit.read.events.enumerated() {
                let type = String(decoding: event.type, as: UTF8.self)
                if type == "stream_gap" {
                    guard var told = try? JSONDecoder().decode(KeptStreamsWorld.Told.self, from: Data(event.data)) else {
                        return expect(false, "\(name): no gap is told by \(String(decoding: event.data, as: UTF8.self))")
                    }
                    expect(plan.tellsByEvent, "\(name): a gap is told by an event, and the route wants none")
                    count("gap: \(told.reason)")
                    // Who is told of a new beginning comes back to it, and not as somebody new.
                    expect(!event.lastEventID.isEmpty, "\(name): a gap (\(told.reason)) without a place")
                    // The gap of the one that opened the stream is nobody else's.
                    let isOpeners = place.isNew && visit.broughtID.isEmpty && !told.certain
                    expect(!isOpeners, "\(name): somebody new is told of a gap (\(told.reason))")
                    told.idBefore = position > 0 ? visit.read.events[position - 1].lastEventID : visit.broughtID
                    place.gaps.append(told)
                    continue
                }
                guard let next = numbers(of: event) else {
                    return expect(false, "\(name): \(String(decoding: event.data.prefix(60), as: UTF8.self))")
                }
                count("events")
                let response = responses[next.response]
                expect(response.owner == page.owner, "\(name): event \(next.event) of response \(next.response) is another's")
                expect(response.events[next.event].type == type, "\(name): event \(next.event) has the type \(type)")
                expect(manner.wants(type), "\(name): an event of the type \(type), which it does not want")
                if isFirst, place.last?.response != next.response {
                    checkBeginning(page, index, position, next.response, place, firstReads)
                } else {
                    check(next, behind: place, page, index, isFirst: isFirst)
                }
                isFirst = false
                place.last = next
                (place.isUnknown, place.isNew) = (false, false)
                place.gaps = []
                place.joinedFrom = index + 1
            }
            if visit.response != nil, !visit.isStolen || visit.read.lastEventID != visit.broughtID {
                places[visit.read.lastEventID] = place
            }
        }
    }

    /// One event behind another of the same response.
    private func check(_ next: (response: Int, event: Int), behind place: SharedPlace, _ page: KeptPage, _ visit: Int, isFirst: Bool) {
        guard let last = place.last else { return }
        let name = "page \(page.number), visit \(visit): event \(next.event) of response \(next.response) follows \(last.event)"
        guard next.response == last.response else { return expect(false, "\(name) of \(last.response) in the same visit") }
        guard next.event > last.event else { return expect(false, name) }
        let skipped = last.event + 1..<next.event
        let missing = skipped.filter { manners[page.number].wants(responses[next.response].events[$0].type) }.count
        let told = place.gaps.filter(\.certain).reduce(0) { $0 + ($1.missed ?? 0) }
        guard plan.tellsByEvent else {
            // Told by an end, a page comes back behind the gap.
            let isAllowed = plan.gap == .off || isFirst
            return expect(missing == 0 || isAllowed || isLatestOpening(page, visit, next), "\(name), and \(missing) are missing")
        }
        if missing > 0, isLatestOpening(page, visit, next) { return }
        // Of an id that the log has forgotten nobody knows how much is missing behind it.
        if isFirst, place.gaps.contains(where: { !$0.certain }) { return }
        expect(missing <= told, "\(name): \(missing) are missing, and \(told) were said to be")
        expect(told <= skipped.count + mostOthers(in: next.response), "\(name): \(told) were said to be missing")
    }

    /// How many blocks of the log a response may have that are no events of it.
    private func mostOthers(in response: Int) -> Int { 1 }

    /// Whether an event may belong to what a page gets first, where that is the latest event of each type.
    private func isLatestOpening(_ page: KeptPage, _ visit: Int, _ next: (response: Int, event: Int)) -> Bool {
        guard plan.share == .latest else { return false }
        return numbers(in: page.visits[visit]).prefix(SharedPlan.types.count + 1).contains { $0 == next }
    }

    // MARK: Beginnings

    /// What a page reads first of a response.
    private func checkBeginning(
        _ page: KeptPage, _ index: Int, _ position: Int, _ number: Int, _ place: SharedPlace, _ firstReads: [[Int64]]
    ) {
        let visit = page.visits[index]
        let name = "page \(page.number), visit \(index): response \(number)"
        if let last = place.last {
            expect(last.response < number, "\(name) follows \(last.response)")
            let isTold = place.gaps.contains { !$0.certain }
            expect(isTold || !plan.tellsByEvent, "\(name) follows \(last.response), and no gap is told")
        }
        guard !place.isUnknown else { return }
        var events: [Int] = []
        for event in visit.read.events[position...] {
            guard let next = numbers(of: event), next.response == number else { break }
            events.append(next.event)
            if events.count == 40 { break }
        }
        let response = responses[number]
        // When it may have joined: behind all that anybody had read by then, and before all that the server sent later.
        let from = min(place.joinedFrom, index)
        let asked = page.visits[from].beganAt
        let earliest = (firstReads[number].lastIndex { $0 < asked } ?? -1) + 1
        // The head of a page that is held while its server says 503 comes before it joins.
        let headRead = plan.shareOfRefusals > 0 ? visit.eventsReadAt[position] : visit.headReadAt ?? .max
        let latest = response.events.firstIndex { $0.sentAt > headRead } ?? response.events.count
        // Who is told of a gap begins with what comes, also where it had read nothing yet. Told by an end, nobody knows of one.
        let isLate = place.isNew && place.gaps.allSatisfy(\.certain)
        let ways = isLate && !plan.tellsByEvent && !visit.broughtID.isEmpty ? [true, false] : [isLate]
        count(isLate ? "begins as somebody new" : "begins behind a gap")
        // Events may be missing in front of it, or among them.
        if place.gaps.contains(where: { $0.certain }) || plan.gap == .off { return }
        // The latest event of a type may be one that is not kept.
        if isLate, plan.share == .latest, plan.limits.eventBytes < Limits().eventBytes { return }
        let isRight = (earliest...max(earliest, latest)).contains { place in
            ways.contains { begins(events, at: place, of: response, manners[page.number], isLate: $0) }
        }
        expect(isRight, "\(name) begins with \(events.prefix(12)), and it joined between \(earliest) and \(latest)")
    }

    /// Whether that is what a page reads which joined in front of that event.
    private func begins(_ events: [Int], at place: Int, of response: SharedResponse, _ manner: SharedPageManner, isLate: Bool) -> Bool {
        let wanted = { (number: Int) in manner.wants(response.events[number].type) }
        let live = (place..<response.events.count).lazy.filter(wanted).prefix(40)
        var openings: [[Int]] = [[]]
        if isLate {
            switch plan.share {
            case .live: break
            case .replay(let count):
                // Events above the limit are none of them, as nothing is kept of these.
                let most = plan.limits.eventBytes < Limits().eventBytes ? 2 * count + 10 : count
                openings = (count...most).map { (max(0, place - $0)..<place).filter(wanted) }
            case .latest:
                openings = [
                    SharedPlan.types.compactMap { type in (0..<place).last { response.events[$0].type == type } }.sorted().filter(wanted)
                ]
            }
        }
        return openings.contains { opening in
            // Not all of it may be kept.
            let mayLack = plan.forgetsEarly || plan.limits.eventBytes < Limits().eventBytes
            return (0...(mayLack ? opening.count : 0)).contains { (opening[$0...] + live).starts(with: events) }
        }
    }

    // MARK: Servers

    /// What a server was asked: for a page that is there, with what belongs to its key and with nothing else.
    func checkRequest(_ head: String) {
        let isKnown = pages.contains { $0.owner == head && !$0.visits.isEmpty }
        expect(isKnown, "no page's key makes this request: \(head)")
    }

    /// A server has one connection for all pages with the same key, while there are any.
    func checkServers() {
        for (key, all) in Dictionary(grouping: responses, by: \.owner) {
            let mine = pages.filter { $0.owner == key }
            let shared = all.filter { !$0.isVetoed && !mayBeAlone($0) }
            for (old, new) in zip(shared, shared.dropFirst()) {
                let end = min(old.endedAt ?? old.leftAt ?? .max, new.endedAt ?? new.leftAt ?? .max)
                expect(end - new.beganAt <= 1_500, "responses \(old.number) and \(new.number) of one key: \(end), and \(new.beganAt)")
            }
            for response in all where response.endedAt == nil { checkLeaving(response, mine) }
        }
    }

    /// Whether a response may be one page's: pages that waited for an answer that was not for all ask for themselves.
    private func mayBeAlone(_ response: SharedResponse) -> Bool {
        notForAll.contains { $0.owner == response.owner && $0.at <= response.beganAt && response.beganAt - $0.at < 2_000 }
    }

    private func checkLeaving(_ response: SharedResponse, _ mine: [KeptPage]) {
        let (left, away) = (response.leftAt ?? .max, Int64(plan.history.awayMilliseconds))
        let visits = mine.flatMap(\.visits).filter { ($0.endedAt ?? .max) >= response.beganAt && $0.beganAt < left }
        // Who vanishes is missed late.
        if !visits.contains(where: { $0.deed == .vanished }), left > drainsSince {
            let last = visits.map { $0.endedAt ?? .max }.max() ?? response.beganAt
            let end = response.isVetoed ? 0 : away
            expect(
                last > drainsSince || min(left, drainsSince) <= last + end + 2_500,
                "response \(response.number) was open until \(left), and nobody was there since \(last)")
        }
        guard !response.isVetoed, left < drainsSince else { return }
        // A page that has just come may not have reached the proxy, and a busy one does not see yet that the proxy has ended its response.
        let readers = visits.filter { $0.beganAt < left - 500 && !$0.isEndedByProxy }.filter { visit in
            numbers(in: visit).contains { $0.response == response.number }
        }
        // Who leaves before the answer comes has nothing that could be kept.
        guard let last = readers.map({ $0.endedAt ?? .max }).max() else { return }
        expect(left >= last + away - 200, "response \(response.number) was left at \(left), and read until \(last)")
    }

    /// When all is calm, every page reads what its server says.
    func checkContentment() {
        for page in pages {
            guard let visit = page.visits.last else { return expect(false, "page \(page.number) never came") }
            let comesBack = plan.gap == .reconnect && world.now - (visit.endedAt ?? visit.beganAt) < 1_500
            expect(
                comesBack || page.isBusy || visit.endedAt == nil && visit.response?.status == 200,
                "page \(page.number) has no stream: \(visit)")
            expect(comesBack || responses.contains { $0.owner == page.owner && $0.isOpen }, "page \(page.number): its server has no stream")
            expect(
                max(page.longestSilence, page.silence) <= Int64(plan.heartbeatMilliseconds) + 1_500,
                "page \(page.number): nothing for \(page.longestSilence) ms, with heartbeats each \(plan.heartbeatMilliseconds)")
        }
    }

    // MARK: Reading

    /// The numbers in an event of a server's; nil in others.
    func numbers(of event: ReferenceEventSource.Event) -> (response: Int, event: Int)? {
        let numbers = String(decoding: event.data, as: UTF8.self).split(separator: "\n").first?.split(separator: ".").compactMap { Int($0) }
        guard let numbers, numbers.count == 2, responses.indices.contains(numbers[0]),
            responses[numbers[0]].events.indices.contains(numbers[1])
        else { return nil }
        return (numbers[0], numbers[1])
    }

    private func numbers(in visit: KeptPage.Visit) -> [(response: Int, event: Int)] { visit.read.events.compactMap(numbers) }
}
