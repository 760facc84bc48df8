// An actor's end of a connection: bytes go out as far as the other end has room, in pieces of chance, and come in as they
// arrive; with TLS or without. What they mean is the actor's.

import Reactor

/// An actor's way to talk over a socket.
final class Wire {
    let socket: SimulatedSocket
    private let world: SimulatedWorld
    private var waiting: [UInt8] = []
    private var whenSent: (() -> Void)?
    private var whenGone: (() -> Void)?
    /// Called when something came, ended or broke.
    var changed: () -> Void = {}

    init(_ socket: SimulatedSocket, _ world: SimulatedWorld) {
        self.socket = socket
        self.world = world
        socket.changed = { [self] in look() }
        world.wires.append(self)
    }

    private func look() {
        pump()
        changed()
    }

    // MARK: Sending

    /// Sends bytes. When the last of them is on its way, `noting` is called at once, to write it down, and `then` afterwards.
    func send(_ bytes: [UInt8], noting: @escaping () -> Void = {}, then: @escaping () -> Void = {}) {
        waiting += bytes
        whenGone = noting
        whenSent = then
        pump()
    }

    /// Whether all that was to be sent is on its way.
    var hasSentAll: Bool { waiting.isEmpty }

    /// Sends everything in one piece; false, and nothing is sent, where there is no room for that.
    func sendAtOnce(_ bytes: [UInt8]) -> Bool {
        guard waiting.isEmpty, socket.window >= bytes.count, isUsable else { return false }
        socket.send(bytes)
        return true
    }

    private func pump() {
        while !waiting.isEmpty, socket.window > 0, isUsable {
            let most = min(socket.window, waiting.count)
            let count = world.chance.permille(500) ? most : world.chance.number(1...min(most, 300))
            socket.send(Array(waiting[..<count]))
            waiting.removeFirst(count)
        }
        guard waiting.isEmpty, let then = whenSent else { return }
        if isUsable { whenGone?() }
        whenGone = nil
        whenSent = nil
        world.after(0, then)
    }

    // MARK: Receiving

    /// Whether bytes can still go both ways as far as this end knows.
    var isUsable: Bool { !socket.isClosed && socket.error == nil }
    /// Whether the other end reset the connection, or the kernel gave it up.
    var isBroken: Bool { socket.error != nil }
    /// Whether the other end has ended its sending, and all of it was read.
    var hasEnded: Bool { socket.hasReceivedEnd && socket.incoming.isEmpty }
    /// Whether bytes wait to be read.
    var hasMore: Bool { !socket.incoming.isEmpty }

    /// Takes what came.
    func read(upTo count: Int = .max) -> [UInt8] { socket.read(upTo: count) }

    // MARK: Ends

    /// Goes, in whatever way.
    func end(_ deed: Deed) {
        guard !socket.isClosed else { return }
        switch deed {
        case .reset: socket.close(abortively: true)
        case .vanished: socket.vanish()
        default: socket.close(abortively: false)
        }
        forget()
    }

    /// Tells nobody of anything any more.
    func forget() {
        changed = {}
        socket.changed = {}
        waiting = []
        whenGone = nil
        whenSent = nil
    }
}
