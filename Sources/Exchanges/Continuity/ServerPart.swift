// One response of a server as a part of a kept stream: a connection, and what cuts its bytes into blocks. The feed that asked for the
// response decides what becomes of its end.

import EventStream
import HTTP
import Reactor
import Upstreams

/// What most responses never need, outside of them.
private final class PartRarities {
    /// See `ServerPart.recognition`.
    var recognition: ServerPart.Recognition?
    /// See `ServerPart.overlap`.
    var overlap: Overlap?
}

/// One response of a server, for one kept stream.
final class ServerPart {
    /// How blocks are found that the stream has already.
    indirect enum Recognition {
        /// The server was asked to go on, and may say again what it has said.
        case replays(ReplayFilter)
        /// The response before was read beside this one.
        case aligned(Overlap)
    }

    let connection: UpstreamConnection
    /// Finds the blocks.
    var cutter: BlockCutter
    /// Whether parts of a block that is larger than the limit have come, and not yet its end.
    var isInsideLargeBlock = false
    /// Whether the response is the next one of two, and is not read yet.
    var isHeld = false
    /// Whether the server was asked for what follows an id. The old one of two responses may bring the first id later.
    var isBehindIdentifier = false
    private var rarities: PartRarities?
    unowned let feed: StreamFeed

    init(_ connection: UpstreamConnection, of feed: StreamFeed, eventLimit: Int) {
        self.connection = connection
        self.feed = feed
        cutter = BlockCutter(limit: eventLimit)
    }

    /// Finds what the stream has already, where the server was asked again; nil from the first new block on.
    var recognition: Recognition? {
        get { rarities?.recognition }
        set {
            let overlap = rarities?.overlap
            setRarities(newValue, overlap)
        }
    }

    /// What it has in common with the next response, which was asked for; nil where none was.
    var overlap: Overlap? {
        get { rarities?.overlap }
        set { setRarities(recognition, newValue) }
    }

    private func setRarities(_ recognition: Recognition?, _ overlap: Overlap?) {
        guard recognition != nil || overlap != nil else { return rarities = nil }
        let rarities = rarities ?? PartRarities()
        (rarities.recognition, rarities.overlap) = (recognition, overlap)
        self.rarities = rarities
    }

    /// The name of the server.
    var serverName: String { connection.server.name }

    /// Whether the block that the cutter has just found is one that the stream has, or a greeting.
    func dropsBlock(of piece: Span<UInt8>, _ log: BlockLog) -> Bool {
        switch recognition {
        case .replays(var replays):
            let isDropped = replays.drops(cutter, of: piece, in: log)
            recognition = replays.isOver ? nil : .replays(replays)
            return isDropped
        case .aligned(let overlap):
            // What the server says again by then is another event that looks the same.
            guard connection.worker.now < overlap.beganAt + Overlap.memoryMilliseconds else {
                recognition = nil
                return false
            }
            let isDropped = overlap.alignment.drops(cutter, of: piece, in: log)
            if overlap.alignment.isOver { recognition = nil }
            return isDropped
        case nil: return false
        }
    }

    /// A block goes to the log, and to the alignment with the next response.
    @inline(__always)
    func note(blockOf piece: Span<UInt8>) { if let overlap { note(blockOf: piece, overlap) } }

    private func note(blockOf piece: Span<UInt8>, _ overlap: Overlap) {
        overlap.alignment.oldSaid(cutter, of: piece)
        overlap.oldSaidAt = connection.worker.now
    }

    /// Lets the connection go. It reports nothing more.
    func leave() { connection.detach() }
}

extension ServerPart: ResponseReceiver {
    var responseLimits: HeadLimits { feed.responseLimits }
    var handshakeMilliseconds: Int64 { feed.handshakeMilliseconds }
    var silenceLimitMilliseconds: Int64? { feed.silenceLimitMilliseconds }

    func serverConnected() { feed.reached(self) }
    func serverNotReached(_ seen: SeenFailure) { feed.notReached(self, seen) }
    // Nobody would see it: the client's response has begun.
    func receiveInterim(_ head: ResponseHead) {}
    func receiveHead(_ head: ResponseHead, framing: BodyFraming) { feed.answered(self, head, framing) }
    func receiveFromTunnel(_ bytes: UnsafeRawBufferPointer) { preconditionFailure("a kept stream is no tunnel") }
    func serverEndedTunnel() { preconditionFailure("a kept stream is no tunnel") }
    func serverDrained() {}

    func receiveBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        // A reader may leave while it is served, and the last one may take the stream and its feed with it.
        let feed = self.feed
        if isHeld { feed.hold(payload, of: self) } else { feed.stream.receive(payload, of: self) }
        if isLast { feed.ended(self, .whole(isCloseDelimited: connection.isCloseDelimited)) }
    }

    func serverFailed(_ seen: SeenFailure) { feed.failed(self, seen) }
}
