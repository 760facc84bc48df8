// Those who press upon the proxy's limits: they connect again and again, and say nothing, or ask for much and take nothing of it.

import Reactor

/// One of the crowd.
final class Hog {
    enum Manner: CaseIterable { case silent, greedy }

    private let world: SimulatedWorld
    private let manner: Manner
    private let connect: () -> Wire
    private let request: () -> Truth
    private var wire: Wire?
    private var truth: Truth?
    private var isDone = false

    /// `request` makes up what a greedy one asks for next.
    init(_ world: SimulatedWorld, manner: Manner, connect: @escaping () -> Wire, request: @escaping () -> Truth) {
        self.world = world
        self.manner = manner
        self.connect = connect
        self.request = request
    }

    func begin() {
        guard !isDone else { return }
        world.count("crowd: \(manner)")
        let wire = connect()
        self.wire = wire
        wire.changed = { [unowned self] in look() }
        guard manner == .greedy else { return }
        let truth = request()
        truth.askedAt = world.now
        self.truth = truth
        wire.send(Array("GET \(truth.path) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".utf8))
    }

    private func look() {
        // An end is seen although nothing is read.
        guard let wire, wire.isBroken || wire.socket.hasReceivedEnd else { return }
        leave()
        world.after(Int64(world.chance.number(50...2_000))) { [self] in begin() }
    }

    private func leave() {
        truth?.clientDeed = truth?.clientDeed ?? .left
        wire?.end(.left)
        wire = nil
    }

    /// The pressure ends.
    func stop() {
        isDone = true
        leave()
    }
}
