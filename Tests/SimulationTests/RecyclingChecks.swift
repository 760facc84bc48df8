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
        world.after(Self.leavingMilliseconds) { [self] in
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

    /// Whether an event that is missing may come behind later ones.
    var mayComeLate: Bool { plan.recycling.map { $0.overlaps && !$0.losesNothing } ?? false }

    /// Whether one connection was so late that these events, which happened before the next response began, had not come over it yet. The
    /// next one does not say them, and nobody can tell.
    func areLate(_ events: Range<Int>, of journal: KeptJournal) -> Bool {
        guard let recycling = plan.recycling, mayComeLate else { return false }
        let latest = Int64(recycling.lagMilliseconds) + Self.leavingMilliseconds
        return events.allSatisfy { event in
            let time = journal.times[event]
            return responses.contains { $0.journal === journal && $0.beganAt >= time && $0.beganAt <= time + latest }
        }
    }
}
