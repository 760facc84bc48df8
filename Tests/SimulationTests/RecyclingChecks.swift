// What must hold where a server's response is replaced by the next one: two connections only for the time of an overlap, and each event
// once.

@testable import Reactor

extension KeptPlan {
    /// Whether a page reads each event once in one response, and is told of no gap. Only ids that are unique tell what is said again.
    var readsAllOnce: Bool {
        guard let recycling, recycling.losesNothing else { return false }
        switch replay {
        case .none: return true
        case .exact, .inclusive: return serverIDs == .none || serverIDs == .unique && !forgetsEarly
        case .everything: return serverIDs == .unique && !forgetsEarly
        }
    }
}

extension KeptStreamsWorld {
    /// How long a connection may be on its way to its end, and an overlap may last, with the time in which a slow page catches up.
    private static let leavingMilliseconds: Int64 = 1_000
    private static let overlapMilliseconds: Int64 = 20_000

    /// A response has begun: of those that are there no more than one may remain, and that not for long.
    func watchReplacement(by response: KeptResponse) {
        guard let recycling = plan.recycling, let page = pages.first(where: { $0.owner == response.journal.owner }) else { return }
        let older = responses.filter { $0 !== response && $0.journal === response.journal && $0.isOpen }
        guard !older.isEmpty else { return }
        count("responses beside another one")
        // With `break` the old one was left first, and only bytes are on their way.
        let way = 3 * Int64(world.faults.delayMilliseconds.upperBound) + 20
        world.after(recycling.overlaps ? Self.leavingMilliseconds : way) { [self] in
            // A page that has come twice may have two streams for a while.
            guard page.visits.count == 1 else { return }
            let openCount = older.count(where: \.isOpen)
            expect(openCount <= (recycling.overlaps ? 1 : 0), "response \(response.number) stands beside \(openCount) others")
        }
        world.after(Self.overlapMilliseconds) { [self] in
            guard page.visits.count == 1 else { return }
            let rest = older.filter(\.isOpen).map(\.number)
            expect(rest.isEmpty || !response.isOpen, "responses \(rest) stand beside response \(response.number) for too long")
        }
    }

    /// Whether what a server says again goes to the log once more, all of it or a part. Where a page has missed one, it may read the other.
    var repeatsItself: Bool {
        switch plan.replay {
        case .none: false
        case .exact: plan.serverIDs == .loose
        case .inclusive, .everything: plan.serverIDs == .loose || plan.recycling != nil && plan.forgetsEarly
        }
    }

    /// Whether an event that is missing may come behind later ones.
    var mayComeLate: Bool { plan.recycling.map { $0.overlaps && $0.isLate } ?? false }

    /// Whether the proxy has just left the response for the next one, which it has not got yet.
    func isBeingReplaced(_ response: KeptResponse) -> Bool {
        guard let recycling = plan.recycling, !recycling.overlaps, let left = response.leftAt else { return false }
        return left > world.now - Self.leavingMilliseconds
    }

    /// Whether one connection was so late that these events had not come over it before it was left, and the next one began behind them.
    /// Nobody can tell, unless the server is asked for what follows an id.
    func areLate(_ events: Range<Int>, of journal: KeptJournal) -> Bool {
        guard let recycling = plan.recycling else { return false }
        let mine = responses.filter { $0.journal === journal }
        return events.allSatisfy { event in
            let time = journal.times[event]
            return mine.contains { old in
                // A server that ends its response says nothing more, also of what is on its way.
                guard let left = old.endedAt ?? (recycling.isLate ? old.leftAt : nil), left <= time + old.lag + Self.leavingMilliseconds
                else { return false }
                return mine.contains { new in
                    !new.goesOn && new.number > old.number && new.beganAt >= time && new.beganAt <= left && !speaks(new, before: left)
                }
            }
        }
    }

    /// Whether what a response begins with came well before that moment, so that it was seen that the old one had not said it.
    private func speaks(_ response: KeptResponse, before moment: Int64) -> Bool {
        let times = response.journal.times
        return times.indices.contains(response.first) && times[response.first] + response.lag + 1_200 < moment
    }
}
