// One end of a connection in the simulated world: bounded buffers, bytes that need time, ends, resets, and peers that vanish. The other
// end may belong to the proxy (through SimulatedKernel) or to an actor of the test. Invariant: bytes arrive at the other end in order,
// or from some point on not at all.

import Reactor

/// One end of a connection.
final class SimulatedSocket {
    enum Phase { case connecting, open, failed }

    let world: SimulatedWorld
    private(set) weak var peer: SimulatedSocket?
    var phase = Phase.connecting
    /// Why the connection is broken.
    private(set) var error: SystemError?
    private(set) var incoming: [UInt8] = []
    private var inFlight = 0
    private let capacity: Int
    private(set) var hasReceivedEnd = false
    private(set) var hasSentEnd = false
    private(set) var isClosed = false
    /// Nothing passes in either direction any more, and neither end gets a report.
    private(set) var isVanished = false
    private var isPeerVanished = false
    private var arrivesNoEarlierThan: Int64 = 0
    private var lastAcknowledgedAt: Int64
    private(set) var unacknowledged = 0
    var patience = Patience(keepAliveSeconds: 0, unacknowledgedMilliseconds: 0) {
        // A peer that vanished before it was probed is found out too.
        didSet { if isPeerVanished { probe() } }
    }
    /// The client at this end, as the log must name it.
    var client: SocketAddress?
    /// Whether it is a UNIX socket, for which the kernel has no TCP facts.
    var isLocal = false
    /// How many connections the proxy had when it accepted this one; nil before that.
    var crowding: Crowding?
    /// What the proxy does with the connection. Only of actors' ends.
    let traffic = Traffic()
    /// When bytes last came.
    private(set) var lastArrivalAt: Int64?
    /// Whether the time of the owner's reads matters.
    var keepsReadTimes = false
    /// When bytes were taken out of the buffer.
    private(set) var readTimes: [Int64] = []
    /// Called when something changed that may concern the owner.
    var changed: () -> Void = {}

    private init(_ world: SimulatedWorld, capacity: Int) {
        self.world = world
        self.capacity = capacity
        lastAcknowledgedAt = world.now
    }

    /// Two ends that belong together.
    static func pair(_ world: SimulatedWorld, capacity: Int) -> (SimulatedSocket, SimulatedSocket) {
        let first = SimulatedSocket(world, capacity: capacity)
        let second = SimulatedSocket(world, capacity: capacity)
        first.peer = second
        second.peer = first
        return (first, second)
    }

    // MARK: Sending

    /// How many bytes the other end would take now.
    var window: Int {
        guard let peer else { return capacity }
        return max(0, peer.capacity - peer.incoming.count - peer.inFlight)
    }

    /// Sends bytes; the caller has checked the window.
    func send(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, !hasSentEnd else { return }
        unacknowledged += bytes.count
        if isVanished || isPeerVanished { return giveUpLater() }
        // An end without an owner was closed.
        guard let peer else { return world.after(world.delay()) { [weak self] in self?.breakDown(.connectionReset) } }
        peer.inFlight += bytes.count
        deliver { receiver in
            receiver.inFlight -= bytes.count
            receiver.take(bytes)
        }
    }

    /// Whether nothing from the other end is on its way here, and the other end can take that many bytes at once.
    func canSendUnasked(_ count: Int) -> Bool {
        guard let peer, !hasSentEnd, !isClosed, error == nil, !isPeerVanished, !peer.isClosed else { return false }
        return inFlight == 0 && incoming.isEmpty && peer.inFlight == 0 && window >= count
    }

    /// Makes bytes arrive at this moment, if `canSendUnasked` allows it, so the other end has them before it sends again.
    func sendUnasked(_ bytes: [UInt8]) { peer?.take(bytes) }

    private func take(_ bytes: [UInt8]) {
        guard !isVanished else { return }
        if isClosed {
            peer?.breakDown(.connectionReset)
            return
        }
        // A reset may have overtaken them, if this end wrote to a closed one; what came before is then lost.
        guard error == nil else { return }
        incoming += bytes
        lastArrivalAt = world.now
        if let peer {
            peer.unacknowledged = max(0, peer.unacknowledged - bytes.count)
            peer.lastAcknowledgedAt = world.now
        }
        changed()
    }

    /// Sends something after everything that is on its way already.
    private func deliver(_ action: @escaping (SimulatedSocket) -> Void) {
        guard let peer else { return }
        let moment = max(arrivesNoEarlierThan, world.now + world.delay())
        arrivesNoEarlierThan = moment
        world.at(moment) { action(peer) }
    }

    func sendEnd() {
        guard !hasSentEnd else { return }
        hasSentEnd = true
        guard !isVanished, !isPeerVanished else { return }
        deliver { receiver in
            guard !receiver.isVanished else { return }
            receiver.hasReceivedEnd = true
            receiver.changed()
        }
    }

    func sendReset() {
        hasSentEnd = true
        guard !isVanished, !isPeerVanished else { return }
        deliver { $0.breakDown(.connectionReset) }
    }

    /// The kernel's timeout for a peer that does not answer at all.
    private func giveUpLater() {
        guard patience.unacknowledgedMilliseconds > 0 else { return }
        world.after(Int64(patience.unacknowledgedMilliseconds)) { [weak self] in self?.breakDown(.timedOut) }
    }

    // MARK: Receiving

    /// Takes bytes out of the buffer.
    func read(upTo count: Int) -> [UInt8] {
        if keepsReadTimes, !incoming.isEmpty { readTimes.append(world.now) }
        guard count < incoming.count else {
            let all = incoming
            incoming = []
            if !all.isEmpty { peer?.changed() }
            return all
        }
        let taken = Array(incoming[..<count])
        incoming.removeFirst(count)
        // The other end may be waiting for room.
        if !taken.isEmpty { peer?.changed() }
        return taken
    }

    /// Breaks the connection; unread bytes are lost.
    func breakDown(_ error: SystemError) {
        guard !isClosed, self.error == nil, !isVanished else { return }
        self.error = error
        incoming = []
        phase = .failed
        changed()
    }

    // MARK: Ends

    func close(abortively: Bool) {
        guard !isClosed else { return }
        isClosed = true
        guard error == nil else { return }
        // Like a real kernel: closing with unread bytes is a reset.
        if abortively || !incoming.isEmpty { sendReset() } else { sendEnd() }
    }

    /// This end vanishes. What the other end sends gets no answer.
    func vanish() {
        isVanished = true
        isClosed = true
        peer?.isPeerVanished = true
        peer?.probe()
    }

    /// The kernel probes a peer that has vanished, and learns that it has.
    private func probe() {
        guard patience.keepAliveSeconds > 0 else { return }
        world.after(Int64(patience.keepAliveSeconds) * 2000) { [weak self] in self?.breakDown(.timedOut) }
    }

    var information: TransportInformation {
        var information = TransportInformation()
        information.state = error != nil ? 7 : hasReceivedEnd ? 8 : 1
        information.unacknowledgedBytes = UInt32(clamping: unacknowledged)
        information.retransmits = unacknowledged > 0 && isPeerVanished ? 3 : 0
        information.sinceLastAcknowledgementMilliseconds = UInt32(clamping: world.now - lastAcknowledgedAt)
        return information
    }
}
