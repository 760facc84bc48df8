// Clients that exceed the proxy's limits: they connect again and again and send nothing, or ask for much and read nothing; and clients
// that come to the wrong port.

import Reactor
import TestSupport

/// One of the crowd.
final class Hog {
    enum Manner: CaseIterable {
        case silent, greedy
        /// It goes on sending, whatever the answer is.
        case ahead
        /// It asks for changes of TLS keys again and again and reads no answer. Without TLS, and when it comes again, it is greedy.
        case rekeying
    }

    private let world: SimulatedWorld
    private var manner: Manner
    private let connect: () -> Wire
    private let request: () -> Truth
    private var wire: Wire?
    private var truth: Truth?
    private var isDone = false

    /// `request` makes the next request of a greedy one.
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
        guard manner != .silent else { return }
        let truth = request()
        truth.askedAt = world.now
        (truth.version, wire.truth) = (wire.version, truth)
        self.truth = truth
        wire.send(Array("GET \(truth.path) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".utf8)) { [self] in
            if manner == .ahead { wire.send([UInt8](repeating: 0x78, count: 200_000)) }
            if manner == .rekeying { askForKeys(of: wire) }
        }
    }

    /// How many changes of keys at a time, and how often.
    private static let keysAtOnce = 100
    private static let keysTimes = 50

    private func askForKeys(of wire: Wire, times: Int = Hog.keysTimes) {
        manner = .greedy
        guard times > 0, !isDone, wire.isUsable, wire.isSecured else { return }
        truth?.clientDeed = .brokeTLS
        for _ in 0..<Hog.keysAtOnce { wire.askForKeys() }
        world.after(Int64(world.chance.number(1...30))) { [self] in askForKeys(of: wire, times: times - 1) }
    }

    private func look() {
        // It notices an end although it reads nothing.
        guard let wire, wire.isBroken || wire.isEnding else { return }
        leave()
        world.after(Int64(world.chance.number(50...2_000))) { [self] in begin() }
    }

    private func leave() {
        truth?.clientDeed = truth?.clientDeed ?? .left
        truth?.hasLeft = true
        wire?.end(.left)
        wire = nil
    }

    /// The crowd goes away.
    func stop() {
        isDone = true
        leave()
    }
}

/// A stranger to the clients that wait for a server: the same server can never serve its requests, even when the server is up. It comes
/// and leaves all the time.
final class Pesterer {
    static let path = "/hopeless/"

    private let world: SimulatedWorld
    private let connect: () -> Wire
    private let request: () -> Truth
    private(set) var askedAt: [Int64] = []
    private var isDone = false

    /// `request` makes its next request.
    init(_ world: SimulatedWorld, connect: @escaping () -> Wire, request: @escaping () -> Truth) {
        self.world = world
        self.connect = connect
        self.request = request
    }

    func begin() {
        guard !isDone else { return }
        let truth = request()
        let wire = connect()
        truth.askedAt = world.now
        askedAt.append(world.now)
        wire.changed = { [unowned wire] in _ = wire.read() }
        wire.send(Array("GET \(truth.path) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".utf8))
        world.after(Int64(world.chance.number(400...800))) {
            truth.clientDeed = .left
            wire.end(.left)
        }
        world.after(Int64(world.chance.number(10...50))) { [self] in begin() }
    }

    func stop() { isDone = true }
}

/// A client that comes to a TLS port and does not speak TLS, or stops in the middle.
final class Stranger {
    enum Manner: CaseIterable { case plainText, noise, silent, partOfHello, leavesAfterHello }

    private let world: SimulatedWorld
    private let wire: Wire

    /// `hello` is the beginning of an honest client's handshake.
    init(_ world: SimulatedWorld, manner: Manner, wire: Wire, hello: [UInt8]) {
        self.world = world
        self.wire = wire
        world.count("stranger: \(manner)")
        wire.changed = { [unowned wire] in
            _ = wire.read()
            if wire.isBroken || wire.isEnding { wire.end(.left) }
        }
        switch manner {
        case .plainText: wire.sendRaw(Array("GET /stranger HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        case .noise: wire.sendRaw(Text.noise(&world.chance))
        case .silent: return
        case .partOfHello: wire.sendRaw(Array(hello.prefix(world.chance.number(1...(hello.count - 1)))))
        case .leavesAfterHello: wire.sendRaw(hello)
        }
        guard manner == .leavesAfterHello || world.chance.permille(300) else { return }
        let deed = world.chance.pick([Deed.left, .reset, .vanished])
        world.after(Int64(world.chance.number(0...500))) { wire.end(deed) }
    }
}
