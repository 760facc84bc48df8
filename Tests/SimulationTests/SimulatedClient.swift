// A client that sends one request after another on one connection, reads at its own pace, and may leave at any moment.

import Reactor
import TestSupport

final class SimulatedClient {
    let truths: [Truth]
    private(set) var reader: ResponseReader
    private let world: SimulatedWorld
    private let wire: Wire
    private let isSlow: Bool
    private let requests: [[UInt8]]
    private let sendsAllAtOnce: Bool
    private var asked = 0
    private var isReading = false

    /// Sends a request for each of `truths`; the request has the same index.
    init(_ world: SimulatedWorld, _ wire: Wire, truths: [Truth], requests: [[UInt8]], isSlow: Bool, sendsAllAtOnce: Bool) {
        self.world = world
        self.wire = wire
        self.truths = truths
        self.requests = requests
        self.isSlow = isSlow
        self.sendsAllAtOnce = sendsAllAtOnce
        reader = ResponseReader { $0 < truths.count && truths[$0].path.contains("head") }
        wire.changed = { [unowned self] in look() }
        wire.socket.keepsReadTimes = isSlow
        for truth in truths { (truth.wire, truth.version) = (wire, truth.version == "1.0" ? "1.0" : wire.version) }
        wire.truth = truths.last
        if sendsAllAtOnce {
            asked = requests.count
            for truth in truths { truth.askedAt = world.now }
            wire.send(Array(requests.joined()))
        } else {
            askNext()
        }
    }

    /// Whether it has read everything that will ever come.
    var isDone: Bool { wire.isClosed }
    /// How many connections the proxy had when it accepted this client.
    var crowding: Crowding? { wire.socket.crowding }

    private func askNext() {
        guard asked < requests.count else { return }
        asked += 1
        truths[asked - 1].askedAt = world.now
        wire.send(requests[asked - 1])
    }

    private func look() {
        guard !isReading else { return }
        isReading = true
        world.after(isSlow ? Int64(world.chance.number(0...700)) : 0) { [self] in
            isReading = false
            read()
        }
    }

    private func read() {
        guard !wire.isClosed else { return }
        reader.receive(wire.read(upTo: isSlow ? world.chance.number(1...3000) : .max))
        if let truth = truths.prefix(reader.responses.count).last { truth.heardAt = truth.heardAt ?? world.now }
        if wire.isBroken { return wire.end(.left) }
        if wire.hasMore { return look() }
        if wire.hasEnded {
            if wire.endIsAuthentic { reader.ended() }
            return wire.end(.left)
        }
        if !sendsAllAtOnce, asked < requests.count, reader.completeCount == asked { askNext() }
    }

    /// Leaves in the given way; everything in progress records that.
    func leave(_ deed: Deed) {
        guard !wire.isClosed else { return }
        for truth in truths where truth.clientDeed == nil { truth.clientDeed = deed }
        world.count("client \(deed.rawValue)")
        wire.omitsGoodbye = world.chance.permille(200)
        guard deed == .brokeTLS else { return wire.end(deed) }
        wire.sendRaw(Text.spoiltRecord(&world.chance, isWhole: true))
    }

    /// Whether it can corrupt the TLS of its connection.
    var isSecured: Bool { wire.isSecured && wire.hasSentAll }
}
