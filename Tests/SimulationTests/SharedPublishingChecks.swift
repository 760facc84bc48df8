// What must hold for events that are published into shared streams: each page for which one is meant reads it once, at one place between
// its server's events, or is told of a gap there; nobody else reads it; and who publishes is told how many have it.

import ReferenceEventSource

@testable import Reactor

extension SharedStreamsWorld {
    /// What was published with these data; nil for other events.
    func published(of event: ReferenceEventSource.Event) -> Published? {
        let text = String(decoding: event.data, as: UTF8.self)
        guard text.hasPrefix("p."), let number = Int(text.dropFirst(2)), publications.indices.contains(number) else { return nil }
        return publications[number]
    }

    /// The published events that a page has to read that was there at one moment, in front of what the server sent after another one.
    func published(for page: KeptPage, after start: Int64, before end: Int64) -> [Published] {
        let manner = manners[page.number]
        return publications.filter {
            $0.isMeant(for: manner, plan) && manner.wants($0.type) && $0.beganAt > start && ($0.answeredAt ?? .max) < end
        }
    }

    /// The published events that may be in a page's stream by then.
    func publishedAtMost(for page: KeptPage, by moment: Int64) -> [Published] {
        publications.filter { $0.isMeant(for: manners[page.number], plan) && $0.beganAt <= moment }
    }

    /// Whether a page may read that event.
    func check(_ published: Published, _ type: String, _ page: KeptPage, _ name: String) {
        let manner = manners[page.number]
        count("published events")
        expect(published.isMeant(for: manner, plan), "\(name): \(published.text), which is not for it")
        expect(published.type == type && manner.wants(type), "\(name): \(published.text) with the type \(type)")
    }

    /// What those who publish were told, and what pages have read that stay to the end.
    func checkPublishing() {
        for published in publications where published.fault == .none { checkAnswers(published) }
        for page in pages { checkRest(page) }
    }

    /// The numbers in an answer are those of streams and pages that were there at some moment of the request.
    private func checkAnswers(_ published: Published) {
        guard let answer = published.answers.first, let answeredAt = published.answeredAt else { return }
        expect(published.answers.allSatisfy { $0 == answer }, "\(published.text) is answered with \(published.answers)")
        let meant = pages.filter { published.isMeant(for: manners[$0.number], plan) }
        // A stream may be kept that nobody reads any more, and the proxy may hear late that a page is gone.
        let (owners, lateMilliseconds) = (Set(meant.map(\.owner)), Int64(3_000))
        let mostStreams = responses.count { owners.contains($0.owner) && $0.beganAt <= answeredAt }
        var mostClients = meant.flatMap(\.visits).count { visit in
            let isHere = visit.deed == .vanished || (visit.endedAt ?? .max) > published.beganAt - lateMilliseconds
            return visit.beganAt <= answeredAt && isHere
        }
        // That a page has left is not heard either where its browser vanishes a moment later.
        if plan.speaksHTTP2 { mostClients += meant.count }
        var (leastClients, streams): (Int, Set<Int>) = (0, [])
        for visit in meant.flatMap(\.visits) {
            let isHere = (momentOfStream(visit) ?? .max) < published.beganAt
            guard isHere, let last = numbers(in: visit).last else { continue }
            guard responses[last.response].events[last.event].sentAt > answeredAt else { continue }
            leastClients += 1
            streams.insert(last.response)
        }
        count("answers to publishing that are judged")
        // Of one stream, which goes on in the server's next response, pages may have read different ones.
        if plan.masks { streams = Set(streams.prefix(1)) }
        let clientsAreRight = leastClients...max(leastClients, mostClients) ~= answer.clients
        let streamsAreRight = streams.count...max(streams.count, mostStreams) ~= answer.streams
        expect(
            clientsAreRight && streamsAreRight,
            "\(published.text) is said to be in \(answer.streams) streams for \(answer.clients) pages: at least \(streams.count) for "
                + "\(leastClients), at most \(mostStreams) for \(mostClients)")
    }

    /// When a page is known to read a stream; nil where it never did.
    func momentOfStream(_ visit: KeptPage.Visit) -> Int64? {
        let first = zip(visit.read.events, visit.eventsReadAt).first { numbers(of: $0.0) != nil }
        // The head of a page that is held while its server says 503, or drops before it has said anything, comes before.
        let isHeld = first.flatMap { numbers(of: $0.0) }.map { responses[$0.response].beganAt > visit.headReadAt ?? .max } ?? false
        guard plan.shareOfRefusals > 0 || isHeld else { return visit.response?.status == 200 ? visit.headReadAt : nil }
        return first?.1
    }

    /// When the server sent the last event that a page has read which is behind; `.max` for one that reads at once.
    private func momentOfBacklog(_ visit: KeptPage.Visit) -> Int64 {
        let last = visit.read.events.lastIndex { numbers(of: $0) != nil }
        guard let last, let number = numbers(of: visit.read.events[last]) else { return .max }
        let sentAt = responses[number.response].events[number.event].sentAt
        return visit.eventsReadAt[last] > sentAt + 1_000 ? sentAt : .max
    }

    /// A page that stays until the proxy ends has read all that was published for it.
    private func checkRest(_ page: KeptPage) {
        guard let visit = page.visits.last, !page.isBusy, (visit.endedAt ?? .max) >= drainsSince else { return }
        guard let start = momentOfStream(visit) else { return }
        if visit.read.events.contains(where: { $0.type == Array("stream_gap".utf8) }) { return }
        if !plan.tellsByEvent, plan.forgetsEarly { return }
        let read = Set(visit.read.events.compactMap { published(of: $0)?.number })
        for published in published(for: page, after: start, before: min(drainsSince - 2_000, momentOfBacklog(visit))) {
            count("published events for pages that stay")
            expect(read.contains(published.number), "page \(page.number) was there since \(start), and has not read \(published.text)")
        }
    }
}
