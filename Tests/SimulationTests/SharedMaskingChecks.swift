// What must hold for what pages read of a shared stream whose server has dropped: it goes on in the server's next response, behind a gap.

import Configuration

extension SharedStreamsWorld {
    /// An event of another response than the one before. Where the page has stayed, it has read all that came to the proxy.
    func checkContinuation(
        _ next: SharedPlace.Numbered, behind last: SharedPlace.Numbered, _ place: SharedPlace, _ page: KeptPage, _ visit: Int,
        isFirst: Bool
    ) {
        let name =
            "page \(page.number), visit \(visit): event \(next.event) of response \(next.response) follows \(last.event) of "
            + "\(last.response)"
        count(isFirst ? "returns behind a dropped response" : "events behind a dropped response")
        // A stream of its own may be younger than the one that others share.
        expect(last.response < next.response || isFirst && plan.masksOwnStreams, name)
        // What somebody new gets first may be of several responses.
        if place.openingCount > 0 { return }
        guard plan.tellsByEvent else {
            // Who has come back since then knows.
            let knows = isFirst || visit > 0 && responses[next.response].beganAt <= page.visits[visit].beganAt + 500
            return expect(knows || plan.gap == .off, "\(name), and the response goes on")
        }
        expect(!place.gaps.isEmpty, "\(name), and no gap is told")
        guard !isFirst else { return }
        // A gap that the history does not hold any more is one of the blocks that are said to be missing.
        let told = place.gaps.filter(\.certain).reduce(0) { $0 + ($1.missed ?? 0) }
        let manner = manners[page.number]
        let old = responses[last.response]
        let rest = old.isWhole ? old.events[(last.event + 1)...].count { manner.wants($0.type) } : 0
        let skipped = responses[next.response].events[..<next.event].count { manner.wants($0.type) }
        expect(rest + skipped <= told, "\(name): \(rest) and \(skipped) are missing, and \(told) were said to be")
    }
}
