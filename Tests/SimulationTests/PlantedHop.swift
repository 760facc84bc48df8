// A hop with a limit of its own, in some worlds: between the clients and the proxy, or between the proxy and its servers. It cuts what has
// been silent for too long, or what is too old. So `diagnose` has something to find, and the world knows what.

import Reactor
import ReferenceEventSource
import TestSupport

/// A hop and its limit.
struct PlantedHop: CustomStringConvertible {
    enum Side { case client, upstream }

    let side: Side
    /// Whether it counts the time since the last byte, and not the time since the request.
    let isIdle: Bool
    let milliseconds: Int
    /// Whether its cuts are resets.
    let resets: Bool
    /// How late its timer may be.
    private static let lateness = 0...5
    /// Before this no stream begins before its server has answered. `diagnose` leaves those that do out.
    static let promptMilliseconds: Int64 = 300

    /// The hop of a world; most have none.
    init?(ofWorld seed: UInt64) {
        var chance = Chance(seed: seed &+ 12_012)
        guard chance.permille(60) else { return nil }
        side = chance.permille(500) ? .client : .upstream
        isIdle = chance.permille(500)
        milliseconds = 1_000 * chance.number(2...8)
        resets = chance.permille(300)
    }

    /// Heartbeats keep the client's side busy: a hop there counts silences only where they come less often than it cuts. And servers make
    /// pauses as long as three heartbeats: those that say all at once, and nothing then, cannot tell an age from a silence.
    var leastHeartbeatMilliseconds: Int {
        guard isIdle else { return side == .upstream ? 2_000 : 0 }
        return side == .client ? 15_000 : 0
    }

    var description: String { "\(side) \(isIdle ? "idle" : "absolute") \(milliseconds) ms" }

    /// What the side behind the hop did, as the proxy sees it.
    var deed: Deed {
        if resets { return .reset }
        return side == .client ? .left : .cutOff
    }

    /// Its timer for one connection.
    final class Timer {
        private let world: SimulatedWorld
        private let hop: PlantedHop
        private let cut: () -> Void
        private var since: Int64
        private var isOver = false

        /// The request passed the hop at that moment. `cut` is called at the limit.
        init(_ world: SimulatedWorld, _ hop: PlantedHop, since: Int64, cut: @escaping () -> Void) {
            (self.world, self.hop, self.since, self.cut) = (world, hop, since, cut)
            wait()
        }

        /// Bytes of the answer pass the hop.
        func bytesPass() { if hop.isIdle { since = world.now } }

        /// The answer is over.
        func stop() { isOver = true }

        private func wait() {
            let late = Int64(world.chance.number(PlantedHop.lateness))
            world.at(since + Int64(hop.milliseconds) + late) { [self] in
                guard !isOver else { return }
                if world.now < since + Int64(hop.milliseconds) { return wait() }
                isOver = true
                cut()
            }
        }
    }
}

/// An EventSource that never leaves by itself and always asks for the same path, so that the log shows how its client comes back. The
/// world's hop may be before it.
final class Watcher {
    static let path = "\(Returner.path)watcher/"

    private let world: SimulatedWorld
    private let truth: Truth
    private let hop: PlantedHop?
    private let connect: () -> Wire
    private var wire: Wire?
    private var timer: PlantedHop.Timer?
    private var reader = ResponseReader()
    private var isDone = false
    private var isPrompt = false
    /// How many of its streams the hop has cut, of those that were answered at once.
    private(set) var cutCount = 0

    init(_ world: SimulatedWorld, _ truth: Truth, behind hop: PlantedHop?, connect: @escaping () -> Wire) {
        (self.world, self.truth, self.hop, self.connect) = (world, truth, hop, connect)
    }

    func begin() {
        guard !isDone else { return }
        let wire = connect()
        self.wire = wire
        reader = ResponseReader()
        truth.askedAt = truth.askedAt ?? world.now
        truth.lastAskedAt = world.now
        isPrompt = false
        let resuming = truth.lastEventID.isEmpty ? "" : "Last-Event-ID: \(String(decoding: truth.lastEventID, as: UTF8.self))\r\n"
        wire.changed = { [unowned self] in look() }
        wire.send(Array("GET \(truth.path) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\(resuming)\r\n".utf8))
        timer = hop.map { hop in PlantedHop.Timer(world, hop, since: world.now) { [unowned self] in cut(hop) } }
    }

    private func look() {
        guard let wire else { return }
        let bytes = wire.read()
        if !bytes.isEmpty { timer?.bytesPass() }
        if reader.responses.isEmpty { isPrompt = world.now < truth.lastAskedAt! + PlantedHop.promptMilliseconds }
        reader.receive(bytes)
        if wire.isBroken || wire.hasEnded || reader.completeCount > 0 { comeBack(after: .left) }
    }

    private func cut(_ hop: PlantedHop) {
        world.count("a hop cuts: \(hop.isIdle ? "idle" : "absolute"), client")
        if isPrompt, reader.responses.first?.isEventStream == true { cutCount += 1 }
        comeBack(after: hop.deed)
    }

    private func comeBack(after deed: Deed) {
        timer?.stop()
        wire?.end(deed)
        wire = nil
        if let response = reader.responses.first, response.isEventStream, response["content-encoding"] == nil {
            truth.lastEventID = ReferenceEventSource(reading: response.body, after: truth.lastEventID).lastEventID
        }
        world.after(Int64(world.chance.number(1_000...3_000))) { [self] in begin() }
    }

    /// It does not come back any more.
    func retire() { isDone = true }
}

extension ServerConnection {
    /// The hop in front of the server watches the stream that begins now.
    func watch(_ arrival: Arrival, _ truth: Truth, _ hop: PlantedHop) -> PlantedHop.Timer {
        let isPrompt = world.now < (truth.lastAskedAt ?? truth.askedAt ?? 0) + PlantedHop.promptMilliseconds
        return PlantedHop.Timer(world, hop, since: arrival.cameAt) { [unowned self] in
            guard isBusy(with: arrival) else { return }
            world.count("a hop cuts: \(hop.isIdle ? "idle" : "absolute"), upstream")
            if isPrompt { server.cutCount += 1 }
            end(hop.deed)
        }
    }
}
