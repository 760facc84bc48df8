// What must hold for the beginning of what a page reads of a shared stream: somebody new gets first what the route says (`share`), who is
// told of a gap only what comes. Nobody knows when exactly a page joined: behind all that others had read before it asked, and before all
// that the server sent after its head came.

import Configuration
import ReferenceEventSource

extension SharedStreamsWorld {
    /// Checks what a page reads first of a response, from the event at that position of its visit on. Returns how many of these may stand
    /// apart from one another: those of an opening, and the first one that comes.
    func checkBeginning(
        _ page: KeptPage, _ index: Int, _ position: Int, _ number: Int, _ place: SharedPlace, _ firstReads: [[Int64]]
    ) -> Int {
        let visit = page.visits[index]
        let name = "page \(page.number), visit \(index): response \(number)"
        if let last = place.last {
            // A stream of its own may be younger than the one that others share.
            let hadOwn = plan.shareOfVetoes + plan.shareOfRefusals > 0
            expect(last.response < number || hadOwn, "\(name) follows \(last.response)")
            let isTold = place.gaps.contains { !$0.certain }
            expect(isTold || !plan.tellsByEvent, "\(name) follows \(last.response), and no gap is told")
        } else if visit.isStolen, !place.isUnknown, plan.tellsByEvent {
            expect(place.gaps.contains { !$0.certain }, "\(name) follows another's id, and no gap is told")
        }
        // Where gaps are told by an end, nobody knows whether there was one. Told otherwise, a page begins with what comes, also where it
        // had read nothing yet.
        let isLate = place.isNew && place.gaps.allSatisfy(\.certain)
        let openingCount = (isLate || place.isUnknown) && plan.share == .latest ? SharedPlan.types.count + 1 : 0
        guard !place.isUnknown else { return openingCount }
        var events: [Int] = []
        for event in visit.read.events[position...] where published(of: event) == nil {
            guard let next = numbers(of: event), next.response == number else { break }
            events.append(next.event)
            if events.count == 40 { break }
        }
        let response = responses[number]
        let asked = page.visits[min(place.joinedFrom, index)].beganAt
        let earliest = (firstReads[number].lastIndex { $0 < asked } ?? -1) + 1
        // The head of a page that is held while its server says 503 comes before it joins.
        let joined = plan.shareOfRefusals > 0 ? visit.eventsReadAt[position] : visit.headReadAt ?? .max
        let latest = response.events.firstIndex { $0.sentAt > joined } ?? response.events.count
        let ways = isLate && !plan.tellsByEvent && !visit.broughtID.isEmpty ? [true, false] : [isLate]
        count(isLate ? "begins as somebody new" : "begins behind a gap")
        // Whose response broke behind a published event, the first of the latest ones, goes on there.
        if plan.share == .latest, !place.published.isEmpty, !visit.broughtID.isEmpty { return openingCount }
        // What is kept of a stream whose server has dropped is of more than one response, with the gaps between them.
        if plan.masks { return openingCount }
        // Where pages are not told of all gaps, they may lack anything that is not kept.
        if !plan.tellsByEvent, plan.forgetsEarly { return openingCount }
        let beginning = Beginning(
            response: response, manner: manners[page.number], plan: plan, joinedBy: joined,
            published: publishedAtMost(for: page, by: joined),
            missing: place.gaps.reversed().prefix(while: \.certain).reduce(0) { $0 + ($1.missed ?? 0) })
        let isRight = (earliest...max(earliest, latest)).contains { place in
            ways.contains { beginning.allows(events, joinedAt: place, isLate: $0) }
        }
        expect(isRight, "\(name) begins with \(events.prefix(12)), and it joined between \(earliest) and \(latest)")
        if let start = momentOfStream(visit), plan.shareOfRefusals == 0 {
            let published = published(for: page, after: start, before: response.events[events[0]].sentAt)
            let lost = published.count { !place.published.contains($0.number) }
            expect(lost <= max(0, beginning.missing), "\(name): \(lost) of \(published.map(\.text)) are missing in front of \(events[0])")
        }
        return openingCount
    }
}

/// What a page may read first.
private struct Beginning {
    let response: SharedResponse
    let manner: SharedPageManner
    let plan: SharedPlan
    /// The page has joined by then.
    let joinedBy: Int64
    /// The published events that may stand in front of it.
    let published: [Published]
    /// How many blocks of this response it was told are missing in front of its first event.
    let missing: Int

    /// Whether these are the first events, up to a gap, of a page that joined in front of an event.
    func allows(_ events: [Int], joinedAt place: Int, isLate: Bool) -> Bool {
        guard isLate else { return follows(events, from: place) }
        switch plan.share {
        case .live: return follows(events, from: place)
        case .replay(let count):
            let start = start(ofLast: count, before: place)
            let last = max(self.start(ofLast: max(0, count - published.count), before: place), firstKept(before: place))
            return (start...last).contains { follows(events, from: $0) }
        case .latest:
            let all = SharedPlan.types.compactMap { type in
                (0..<place).last { response.events[$0].type == type && !isLarge($0) }
            }.sorted().filter(isWanted)
            // A published event may be the latest of its type.
            let replaced = all.filter { event in published.contains { $0.type == response.events[event].type } }
            let lost = all.prefix { $0 < firstKept(before: place) }.count
            return (0..<1 << replaced.count).contains { choice in
                let rest = all.filter { event in replaced.firstIndex(of: event).map { choice >> $0 & 1 == 0 } ?? true }
                return (0...lost).contains { opens(events, with: rest.dropFirst($0), before: place) }
            }
        }
    }

    /// Whether these events are those of an opening, and then what comes.
    private func opens(_ events: [Int], with opening: ArraySlice<Int>, before place: Int) -> Bool {
        if events.count <= opening.count { return missing == 0 && opening.starts(with: events) }
        return events.starts(with: opening) && (missing == 0 || opening.isEmpty)
            && follows(Array(events[opening.count...]), from: place)
    }

    /// Whether these events follow one another, behind the place and what is missing there.
    private func follows(_ events: [Int], from place: Int) -> Bool {
        guard let first = events.first, first >= place, lacks(place..<first, atMost: missing),
            missing <= first - place + published.count
        else { return false }
        return zip(events, events.dropFirst()).allSatisfy { $0 < $1 && lacks($0 + 1..<$1, atMost: 0) }
    }

    /// Whether a page that reads none of these may miss at most so many.
    private func lacks(_ range: Range<Int>, atMost most: Int) -> Bool {
        range.filter { isWanted($0) && (plan.tellsByEvent || !isLarge($0)) }.count <= most
    }

    private func isWanted(_ event: Int) -> Bool { manner.wants(response.events[event].type) }

    /// Whether an event is above the limit, so that it is not kept.
    private func isLarge(_ event: Int) -> Bool { response.events[event].byteCount > plan.limits.eventBytes }

    /// Where somebody begins who gets the last so many events that are kept.
    private func start(ofLast count: Int, before place: Int) -> Int {
        var (start, left) = (place, count)
        while start > 0, left > 0 {
            start -= 1
            if !isLarge(start) { left -= 1 }
        }
        return start
    }

    /// The first event that no bound of the history can have taken.
    private func firstKept(before place: Int) -> Int {
        // A limit over all streams may take any.
        if plan.limits.historyBytes < Limits().historyBytes { return place }
        // An id of the proxy's may stand in each, and ages are measured in steps.
        let (mostIDBytes, tolerance) = (64, Int64(300))
        var (first, bytes) = (place, published.count * 2 * mostIDBytes)
        while first > 0 {
            let event = response.events[first - 1]
            bytes += event.byteCount + mostIDBytes
            let isOld = event.sentAt < joinedBy - Int64(plan.history.ageMilliseconds) + tolerance
            if place - first + published.count >= plan.history.events || bytes > plan.history.bytes || isOld { break }
            first -= 1
        }
        return first
    }
}
