// A server with random habits that is down from time to time: refusing, silent, answering errors, or closing whatever is asked. What it
// answers is in ServerConnection.swift.

import Reactor
import TestSupport

/// One server of the upstream.
final class SimulatedServer {
    /// Its current state.
    enum State: Equatable {
        case serving
        /// No listener.
        case refusing
        /// No answer at all, not even a refusal.
        case silent
        /// Every request gets this status.
        case failing(Int)
        /// Connections are accepted, and closed when a request comes.
        case closing
    }

    /// What happens to its open connections when it goes down.
    enum Parting: CaseIterable { case kept, reset, closed, vanished }

    /// How it answers, in thousandths.
    struct Habits {
        /// Answers that are no event stream, or that cannot be read.
        var oddity = 0
        /// Answers that take seconds.
        var slowness = 0
        /// Bytes without a request, after a whole answer.
        var babble = 0
        /// Heads and chunks that are not HTTP.
        var nonsense = 0
        /// Handshakes and records that are not TLS, and missing close_notify, if there is TLS.
        var insecurity = 0
        /// Connections whose certificate is for another name.
        var impostors = 0
        /// Requests on a reused connection, which is closed at the moment when they come.
        var partings = 0
        /// Ordinary answers that end early.
        var breaks = 60
        var heartbeatMilliseconds = 0
    }

    let address: SocketAddress
    let world: SimulatedWorld
    private let kernel: SimulatedKernel
    let truths: (String) -> Truth?
    private(set) var habits: Habits
    private(set) var state = State.serving
    /// Whether it ever left connection attempts unanswered.
    private(set) var wasSilent = false
    /// How many of the next requests get no answer.
    var hangCount = 0
    /// When it last came back.
    private(set) var cameBackAt: Int64?
    /// What happened to all connections that were open at a moment, with or without a request on them.
    private(set) var partings: [(deed: Deed, at: Int64)] = []
    /// When it broke TLS handshakes, and how.
    private(set) var spoiltHandshakes: [(kind: HandshakeTrouble, at: Int64)] = []
    private let contexts: SecureContexts?
    /// The hop in front of it.
    let hop: PlantedHop?
    /// How many streams the hop has cut.
    var cutCount = 0
    private var connections: [ServerConnection] = []

    /// What it does to a handshake.
    enum HandshakeTrouble: CaseIterable {
        /// It has a certificate for another name.
        case impostor
        case nonsense
        /// It sends nothing at all.
        case mute
        case hangsUp
    }

    init(
        _ address: SocketAddress, _ world: SimulatedWorld, _ kernel: SimulatedKernel, habits: Habits, contexts: SecureContexts?,
        behind hop: PlantedHop?, truths: @escaping (String) -> Truth?
    ) {
        self.contexts = contexts
        self.hop = hop
        self.address = address
        self.world = world
        self.kernel = kernel
        self.habits = habits
        self.truths = truths
        open()
    }

    private func open() { kernel.addresses[address] = .actor { [unowned self] in accept($0) } }

    private func accept(_ socket: SimulatedSocket) {
        connections.removeAll { !$0.wire.isUsable }
        guard let contexts else { return connections.append(ServerConnection(Wire(socket, world), self)) }
        if world.chance.permille(habits.impostors) { return acceptAsImpostor(socket, contexts) }
        guard world.chance.permille(habits.insecurity) else {
            return connections.append(ServerConnection(Wire(socket, world, securedBy: SecureEngine(contexts, .server)), self))
        }
        let trouble = world.chance.pick(HandshakeTrouble.allCases)
        if trouble == .impostor { return acceptAsImpostor(socket, contexts) }
        noteSpoilt(trouble)
        let wire = Wire(socket, world)
        wire.changed = { [unowned wire, self] in
            if wire.isBroken || wire.hasEnded { return wire.end(.left) }
            guard !wire.read().isEmpty else { return }
            if trouble == .nonsense {
                wire.sendRaw(world.chance.permille(500) ? Array("HTTP/1.0 400 No\r\n\r\n".utf8) : Text.noise(&world.chance))
            }
            if trouble == .hangsUp { wire.end(world.chance.permille(500) ? .left : .reset) }
        }
    }

    /// A process cannot vanish from a UNIX socket: its kernel closes it.
    var whenVanishing: Deed { address.isUnix ? .reset : .vanished }

    /// Where no proof is required, an impostor serves like any other server.
    private func acceptAsImpostor(_ socket: SimulatedSocket, _ contexts: SecureContexts) {
        noteSpoilt(.impostor)
        let wire = Wire(socket, world, securedBy: SecureEngine(contexts, .impostor))
        connections.append(ServerConnection(wire, self, isImpostor: true))
    }

    private func noteSpoilt(_ trouble: HandshakeTrouble) {
        spoiltHandshakes.append((trouble, world.now))
        world.count("server's handshake: \(trouble)")
    }

    // MARK: States

    /// Goes down, or comes back.
    func become(_ state: State, _ parting: Parting = .kept) {
        self.state = state
        switch state {
        case .refusing: kernel.addresses[address] = .refused
        case .silent:
            wasSilent = true
            kernel.addresses[address] = .silent
        case .serving, .failing, .closing: open()
        }
        guard state != .serving else {
            cameBackAt = world.now
            return
        }
        world.count("outage: \(state)")
        let deed: Deed
        switch parting {
        case .kept: return
        case .reset: deed = .reset
        case .closed: deed = .cutOff
        case .vanished: deed = whenVanishing
        }
        partings.append((deed, world.now))
        for connection in connections { connection.part(deed) }
        connections = []
    }

    /// From now on it only serves.
    func behave() {
        hangCount = 0
        habits = Habits(breaks: 0, heartbeatMilliseconds: habits.heartbeatMilliseconds)
        if state != .serving { become(.serving) }
    }
}
