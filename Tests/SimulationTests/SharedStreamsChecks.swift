// What must hold for pages that share streams: each reads all events that it wants, once and in order, or is told of a gap where one is
// missing; nobody reads what was sent for others; a server has one connection for all, as long as somebody reads.

import Configuration
import Foundation
import ReferenceEventSource

@testable import Reactor

/// Where a page is in what it reads.
struct SharedPlace {
    /// An event of a server's by the numbers in it.
    typealias Numbered = (response: Int, event: Int)

    /// What it read last; nil where it begins as somebody new, or where nobody knows what its id means.
    var last: Numbered?
    /// Whether nobody knows it.
    var isUnknown = false
    /// Whether it brought no id.
    var isNew = true
    /// How many of its next events may be what it gets first, where that is the latest event of each type.
    var openingCount = 0
    /// What it was told since then.
    var gaps: [KeptStreamsWorld.Told] = []
    /// The published events that it has read since then.
    var published: Set<Int> = []
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
            if visit.isStolen, isForeign(visit.broughtID, to: page) { place.isUnknown = false }
            // A page whose place is the same as before is told the same again.
            place.gaps.removeAll { $0.idBefore == visit.broughtID }
            var isFirst = true
            var read: Set<Int> = []
            for (position, event) in visit.read.events.enumerated() {
                let type = String(decoding: event.type, as: UTF8.self)
                if type == "stream_gap" {
                    guard var told = try? JSONDecoder().decode(KeptStreamsWorld.Told.self, from: Data(event.data)) else {
                        return expect(false, "\(name): no gap is told by \(String(decoding: event.data, as: UTF8.self))")
                    }
                    expect(plan.tellsByEvent, "\(name): a gap is told by an event, and the route wants none")
                    count("gap: \(told.reason)")
                    told.idBefore = position > 0 ? visit.read.events[position - 1].lastEventID : visit.broughtID
                    // Who is told of a new beginning comes back to it, and not as somebody new. Who has had no id of the server's yet may
                    // be told of blocks whose ids are not kept either, or of a gap that stands in the log.
                    let mayLackPlace = told.idBefore == [] && (told.reason == "expired" || plan.masks)
                    expect(!event.lastEventID.isEmpty || mayLackPlace, "\(name): a gap (\(told.reason)) without a place")
                    // The gap of the one that opened the stream is nobody else's.
                    let isOpeners = place.isNew && visit.broughtID.isEmpty && !told.certain && !plan.masks
                    expect(!isOpeners, "\(name): somebody new is told of a gap (\(told.reason))")
                    place.gaps.append(told)
                    continue
                }
                if let published = published(of: event) {
                    check(published, type, page, name)
                    expect(read.insert(published.number).inserted, "\(name): \(published.text) once more")
                    place.published.insert(published.number)
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
                if plan.masks, let last = place.last, last.response != next.response {
                    checkContinuation(next, behind: last, place, page, index, isFirst: isFirst)
                } else if isFirst, place.last?.response != next.response {
                    place.openingCount = checkBeginning(page, index, position, next.response, place, firstReads)
                } else {
                    check(next, behind: place, page, index, firstReads, isFirst: isFirst, readAt: visit.eventsReadAt[position])
                }
                isFirst = false
                place.last = next
                place.openingCount -= 1
                (place.isUnknown, place.isNew) = (false, false)
                (place.gaps, place.published) = ([], [])
                place.joinedFrom = index + 1
            }
            if visit.response != nil, !visit.isStolen || visit.read.lastEventID != visit.broughtID {
                places[visit.read.lastEventID] = place
            }
        }
    }

    /// One event behind another of the same response.
    private func check(
        _ next: (response: Int, event: Int), behind place: SharedPlace, _ page: KeptPage, _ visit: Int, _ firstReads: [[Int64]],
        isFirst: Bool, readAt: Int64
    ) {
        guard let last = place.last else { return }
        let name = "page \(page.number), visit \(visit): event \(next.event) of response \(next.response) follows \(last.event)"
        guard next.response == last.response else { return expect(false, "\(name) of \(last.response) in the same visit") }
        guard next.event > last.event else { return expect(false, name) }
        let events = responses[next.response].events
        let skipped = last.event + 1..<next.event
        let lost = skipped.filter { manners[page.number].wants(events[$0].type) }
        let published = published(for: page, after: firstReads[last.response][last.event], before: events[next.event].sentAt)
        let missing = lost.count + published.count { !place.published.contains($0.number) }
        let told = place.gaps.filter(\.certain).reduce(0) { $0 + ($1.missed ?? 0) }
        if missing > 0, place.openingCount > 0 { return }
        guard plan.tellsByEvent else {
            // Told by an end, a page comes back behind the gap. Where it is told nothing, it lacks what is not kept.
            let isKept = !plan.forgetsEarly && lost.count < missing + lost.count { events[$0].byteCount <= plan.limits.eventBytes }
            let isAllowed = (plan.gap == .off || isFirst) && !isKept
            return expect(missing == 0 || isAllowed, "\(name), and \(missing) are missing")
        }
        // Of an id that the log has forgotten nobody knows how much is missing behind it.
        if isFirst, place.gaps.contains(where: { !$0.certain }) { return }
        expect(missing <= told, "\(name): \(missing) are missing, and \(told) were said to be")
        // The place of a gap is the server's last id, and what was published behind that is told again with the next one.
        let tellings = plan.history.ids == .keep && plan.serversSetIDs ? place.gaps.count : 1
        let most = skipped.count + publishedAtMost(for: page, by: readAt).count * tellings
        expect(told <= most, "\(name): \(told) were said to be missing, and there were \(most)")
    }

    /// Whether an id that a page brings is only of streams that it may not read, so that it means nothing.
    private func isForeign(_ id: [UInt8], to page: KeptPage) -> Bool {
        let owners = pages.filter { $0.visits.contains { $0.ids.contains(id) } }.map(\.owner)
        return !owners.isEmpty && !owners.contains(page.owner)
    }

    // MARK: Servers

    /// What a server was asked: for a page that is there, with what belongs to its key and with nothing else. Asked to go on, it gets its
    /// own last id.
    func checkRequest(_ head: String, _ id: String?) {
        let isKnown = pages.contains { $0.owner == head && !$0.visits.isEmpty }
        expect(isKnown, "no page's key makes this request: \(head)")
        guard let id else { return }
        count("requests with an id")
        let isOwn = responses.contains { $0.owner == head && id.hasPrefix("s\($0.number).") }
        expect(plan.masks && plan.serversSetIDs && isOwn, "a server is asked for what follows \(id), by \(head)")
    }

    /// A server has one connection for all pages with the same key, while there are any.
    func checkServers() {
        for (key, all) in Dictionary(grouping: responses, by: \.owner) {
            let mine = pages.filter { $0.owner == key }
            let shared = all.filter { !$0.isVetoed && !mayBeAlone($0) && !plan.masksOwnStreams }
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
        guard !response.isVetoed, left < drainsSince, !plan.forgetsStreams, !plan.masksOwnStreams else { return }
        // A page that leaves may be one whose response has ended, and that does not know it yet.
        if plan.gap == .reconnect || plan.lag == .close && plan.forgetsEarly { return }
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
            // Who is busy does not see that its response has ended, and is slow. Two pages with ids of one stream that is not shared take
            // it from each other.
            let isSentBack = plan.gap == .reconnect || plan.lag == .close || pages.contains { $0.visits.contains(where: \.isStolen) }
            let comesBack = page.isBusy || isSentBack && world.now - (visit.endedAt ?? visit.beganAt) < 1_500
            expect(
                comesBack || visit.endedAt == nil && visit.response?.status == 200, "page \(page.number) has no stream: \(visit)")
            expect(comesBack || responses.contains { $0.owner == page.owner && $0.isOpen }, "page \(page.number): its server has no stream")
            expect(
                max(page.longestSilence, page.silence) <= Int64(plan.heartbeatMilliseconds) + toleranceOfSilence,
                "page \(page.number): nothing for \(page.longestSilence) ms, with heartbeats each \(plan.heartbeatMilliseconds)")
        }
    }

    // MARK: Reading

    /// The numbers in an event of a server's; nil in others.
    func numbers(of event: ReferenceEventSource.Event) -> (response: Int, event: Int)? { numbers(of: event.data) }

    func numbers(of data: [UInt8]) -> (response: Int, event: Int)? {
        let numbers = String(decoding: data, as: UTF8.self).split(separator: "\n").first?.split(separator: ".").compactMap { Int($0) }
        guard let numbers, numbers.count == 2, responses.indices.contains(numbers[0]),
            responses[numbers[0]].events.indices.contains(numbers[1])
        else { return nil }
        return (numbers[0], numbers[1])
    }

    func numbers(in visit: KeptPage.Visit) -> [(response: Int, event: Int)] { visit.read.events.compactMap(numbers) }
}
