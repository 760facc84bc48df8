// An actor's end of a connection: bytes go out in random pieces, as far as the other end has room, and come in as they arrive, with TLS
// or without. The actor interprets them.

import Reactor
import TestSupport

/// An actor's connection over a socket. A stream of HTTP/2 looks like one too (BrowserStream.swift).
class Wire {
    let socket: SimulatedSocket
    let world: SimulatedWorld
    private let engine: SecureEngine?
    private let ownsSocket: Bool
    /// The bytes to send, as they go over the socket.
    private var waiting: [UInt8] = []
    /// What is to be sent after the handshake.
    private var waitingForHandshake: [UInt8] = []
    /// What came, decrypted, and is unread.
    private var decrypted: [UInt8] = []
    private var whenSent: (() -> Void)?
    private var whenGone: (() -> Void)?
    /// Whether it ends without close_notify: the peer cannot know then whether the data is complete.
    var omitsGoodbye = false
    /// Called when something came, ended or broke.
    var changed: () -> Void = {}
    /// What happens to the request that was sent last, where a whole connection of HTTP/2 may end at any moment.
    weak var truth: Truth?

    /// `header` goes before everything else, TLS included.
    init(_ socket: SimulatedSocket, _ world: SimulatedWorld, securedBy engine: SecureEngine? = nil, behind header: [UInt8] = []) {
        self.socket = socket
        self.world = world
        self.engine = engine
        ownsSocket = true
        socket.changed = { [self] in look() }
        world.wires.append(self)
        waiting = header
        if engine != nil { shakeHands() }
    }

    /// For a part of another connection, which reads the socket.
    init(streamOf connection: Wire, _ world: SimulatedWorld) {
        socket = connection.socket
        self.world = world
        engine = nil
        ownsSocket = false
        world.wires.append(self)
    }

    /// The version of HTTP, as the log names it.
    var version: String { "1.1" }
    /// How late its client gives window back, at most.
    var lateMilliseconds: Int { 0 }
    /// When the client last took bytes, where the moments matter.
    var readTimes: [Int64] { socket.readTimes }
    /// When bytes last came.
    var lastArrivalAt: Int64? { socket.lastArrivalAt }
    /// Whether this end has left.
    var isClosed: Bool { socket.isClosed }
    /// How many milliseconds since that moment the bytes of others kept the network busy, on which those of this one wait.
    func congestion(since moment: Int64) -> Int64 { 0 }

    private func look() {
        if let engine, !engine.isEstablished { shakeHands() }
        pump()
        changed()
    }

    private func shakeHands() {
        guard let engine, !engine.hasFailed else { return }
        decrypted += engine.receive(socket.read(upTo: .max))
        if engine.isEstablished, !waitingForHandshake.isEmpty {
            engine.encrypt(waitingForHandshake)
            waitingForHandshake = []
        }
        waiting += engine.takeOutput()
        pump()
    }

    // MARK: Sending

    /// Sends bytes. When the last of them is sent, `noting` is called at once, to record it, and then `then`.
    func send(_ bytes: [UInt8], noting: @escaping () -> Void = {}, then: @escaping () -> Void = {}) {
        if let engine {
            if engine.isEstablished {
                if world.chance.permille(20) { engine.changeKeys() }
                engine.encrypt(bytes)
                waiting += engine.takeOutput()
            } else {
                waitingForHandshake += bytes
            }
        } else {
            waiting += bytes
        }
        whenGone = noting
        whenSent = then
        pump()
    }

    /// Whether everything has been sent.
    var hasSentAll: Bool { waiting.isEmpty && waitingForHandshake.isEmpty }

    /// More than TLS adds to a few short answers.
    private static let roomForRecords = 512

    /// Sends everything in one piece; false, and nothing is sent, if there is no room for it.
    func sendAtOnce(_ bytes: [UInt8]) -> Bool {
        guard hasSentAll, isUsable, socket.window >= bytes.count + bytes.count / 64 + Wire.roomForRecords else { return false }
        socket.send(protected(bytes))
        return true
    }

    /// Asks for a change of TLS keys, if there is TLS.
    func askForKeys() {
        guard let engine, engine.isEstablished, waiting.count < 65_536 else { return }
        engine.askForKeys()
        waiting += engine.takeOutput()
        pump()
    }

    /// Makes bytes arrive at this moment, before the other end sends again; false, and nothing is sent, if it has sent already.
    func sendUnasked(_ bytes: [UInt8]) -> Bool {
        guard hasSentAll, isUsable, !hasMore, engine?.isInsideRecord != true else { return false }
        guard socket.canSendUnasked(bytes.count + Wire.roomForRecords) else { return false }
        socket.sendUnasked(protected(bytes))
        return true
    }

    /// The bytes as they go over the socket.
    private func protected(_ bytes: [UInt8]) -> [UInt8] {
        guard let engine else { return bytes }
        engine.encrypt(bytes)
        return engine.takeOutput()
    }

    /// Sends bytes unencrypted, bypassing TLS.
    func sendRaw(_ bytes: [UInt8]) {
        waiting += bytes
        pump()
    }

    private func pump() {
        while !waiting.isEmpty, socket.window > 0, isUsable {
            let most = min(socket.window, waiting.count)
            let count = world.chance.permille(500) ? most : world.chance.number(1...min(most, 300))
            socket.send(Array(waiting[..<count]))
            waiting.removeFirst(count)
        }
        guard hasSentAll, let then = whenSent else { return }
        if isUsable { whenGone?() }
        whenGone = nil
        whenSent = nil
        world.after(0, then)
    }

    // MARK: Receiving

    /// Whether TLS protects the connection now.
    var isSecured: Bool { engine?.isEstablished == true }
    /// Whether bytes can still pass in both directions, as far as this end knows.
    var isUsable: Bool { !socket.isClosed && socket.error == nil }
    /// Whether the other end reset the connection, the kernel gave it up, or TLS broke.
    var isBroken: Bool { socket.error != nil || engine?.hasFailed == true }
    /// Whether the other end has ended its sending, and everything was read.
    var hasEnded: Bool { !hasMore && (socket.hasReceivedEnd || engine?.hasReceivedGoodbye == true) }
    /// Whether the end cannot have been forged.
    var endIsAuthentic: Bool { engine?.hasReceivedGoodbye ?? true }
    /// Whether the other end has ended its sending, although not everything was read.
    var isEnding: Bool { socket.hasReceivedEnd }
    /// Whether bytes wait to be read.
    var hasMore: Bool { !socket.incoming.isEmpty || !decrypted.isEmpty }

    /// Takes what came.
    func read(upTo count: Int = .max) -> [UInt8] {
        guard let engine else { return socket.read(upTo: count) }
        if decrypted.isEmpty, engine.isEstablished, !socket.incoming.isEmpty {
            decrypted = engine.receive(socket.read(upTo: count))
            // A change of keys is answered.
            waiting += engine.takeOutput()
            pump()
        }
        let taken = Array(decrypted.prefix(count))
        decrypted.removeFirst(taken.count)
        return taken
    }

    // MARK: Ends

    /// Leaves in the given way.
    func end(_ deed: Deed) {
        guard !socket.isClosed else { return }
        switch deed {
        case .reset: socket.close(abortively: true)
        case .vanished: socket.vanish()
        default:
            sayGoodbye()
            socket.close(abortively: false)
        }
        forget()
    }

    private func sayGoodbye() {
        guard let engine, engine.isEstablished else { return }
        let canSay = waiting.isEmpty && isUsable && !omitsGoodbye
        if canSay { engine.sayGoodbye() }
        let goodbye = engine.takeOutput()
        guard canSay, !goodbye.isEmpty, socket.window >= goodbye.count else {
            omitsGoodbye = true
            return
        }
        socket.send(goodbye)
    }

    /// Makes no more callbacks.
    func forget() {
        changed = {}
        if ownsSocket { socket.changed = {} }
        waiting = []
        waitingForHandshake = []
        whenGone = nil
        whenSent = nil
    }
}
