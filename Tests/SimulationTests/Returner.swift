// A client that asks for the same path again and again, so that the log can say which of its streams came before. Two of them share each
// path, and may share an address; only their User-Agents differ then. Invariant: it has at most one stream at a time.

import Reactor
import TestSupport

final class Returner {
    static let path = "/again/"

    private let world: SimulatedWorld
    private let request: [UInt8]
    private let connect: () -> Wire
    private let asked: () -> Void
    private var wire: Wire?
    private var visit = 0
    private var isDone = false

    init(_ world: SimulatedWorld, path: String, agent: String, connect: @escaping () -> Wire, asked: @escaping () -> Void) {
        self.world = world
        self.connect = connect
        self.asked = asked
        request = Array("GET \(path) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nUser-Agent: \(agent)\r\n\r\n".utf8)
    }

    func begin() {
        guard !isDone else { return }
        visit += 1
        let (visit, wire) = (visit, connect())
        self.wire = wire
        asked()
        wire.changed = { [unowned self] in look() }
        wire.send(request)
        world.after(Int64(world.chance.number(500...6_000))) { [self] in
            if visit == self.visit { leave(world.chance.pick([.left, .reset])) }
        }
    }

    private func look() {
        guard let wire else { return }
        _ = wire.read()
        if wire.isBroken || wire.hasEnded { leave(.left) }
    }

    private func leave(_ deed: Deed) {
        guard let wire else { return }
        wire.end(deed)
        self.wire = nil
        visit += 1
        world.after(Int64(world.chance.number(50...3_000))) { [self] in begin() }
    }

    /// It does not come back any more.
    func retire() { isDone = true }
}
