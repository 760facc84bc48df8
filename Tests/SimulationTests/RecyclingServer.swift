// What a server does that broadcasts: an event happens once, and goes to each connection of its user, which has a lag of its own.

import TestSupport

extension KeptStreamsWorld {
    /// Events happen from now on, whether somebody listens or not.
    func beginEvents(of journal: KeptJournal) {
        world.after(Int64(world.chance.number(0...world.chance.pick([20, 1_000, 4_000])))) { [self] in
            for _ in 0..<world.chance.pick([1, 1, 1, 3, 12]) { addEvent(to: journal) }
            broadcast(journal)
            beginEvents(of: journal)
        }
    }

    /// All that has happened by now goes to all who listen.
    func broadcast(_ journal: KeptJournal) { for listener in journal.listeners { listener.hears(journal.events.count) } }
}

extension KeptServerConnection {
    /// All events up to that one go out when the connection's lag is over, the last one sometimes in two parts.
    func hears(_ end: Int) {
        guard let response else { return }
        home.world.after(response.lag) { [self] in
            guard self.response === response, wire.isUsable else { return }
            say(response, end)
        }
    }

    private func say(_ response: KeptResponse, _ end: Int) {
        guard response.next < end else { return }
        let new = response.journal.events[response.next..<end]
        response.next = end
        let last = new.last ?? []
        // A comment that stands in front of the data is not a part of the event yet.
        let first = last.firstRange(of: Array("data:".utf8))?.upperBound ?? last.count - 1
        let cut = home.world.chance.permille(250) ? home.world.chance.number(first...(last.count - 1)) : last.count
        send((response.rest + new.dropLast().joined() + last[..<cut])[...])
        response.rest = Array(last[cut...])
        guard cut < last.count else { return }
        home.world.after(Int64(home.world.chance.number(1...400))) { [self] in
            guard self.response === response, wire.isUsable, response.next == end else { return }
            send(response.rest[...])
            response.rest = []
        }
    }

    /// Some responses end by themselves where the world has such trouble.
    func mayEnd(_ response: KeptResponse) {
        home.world.after(Int64(home.world.chance.number(0...3_000))) { [self] in
            guard self.response === response, wire.isUsable, !home.isCalm else { return }
            guard home.world.chance.permille(plan.shareOfEnds / 10) else { return mayEnd(response) }
            end(response, inOrder: home.world.chance.permille(500))
        }
    }
}
