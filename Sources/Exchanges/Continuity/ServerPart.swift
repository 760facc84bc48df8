// One response of a server as a part of a kept stream: a connection, and what cuts its bytes into blocks. The feed that asked for the
// response decides what becomes of its end.

import EventStream
import HTTP
import Reactor
import Upstreams

/// One response of a server, for one kept stream.
final class ServerPart {
    let connection: UpstreamConnection
    /// Finds the blocks.
    var cutter: BlockCutter
    /// Whether parts of a block that is larger than the limit have come, and not yet its end.
    var isInsideLargeBlock = false
    /// Finds what the server says again, where it was asked again; nil from the first new block on.
    var replays: ReplayFilter?
    private unowned let feed: StreamFeed

    init(_ connection: UpstreamConnection, of feed: StreamFeed, eventLimit: Int) {
        self.connection = connection
        self.feed = feed
        cutter = BlockCutter(limit: eventLimit)
    }

    /// The name of the server.
    var serverName: String { connection.server.name }

    /// Whether the block that the cutter has just found is one that the stream has, or a greeting.
    func dropsBlock(of piece: Span<UInt8>, _ log: BlockLog) -> Bool {
        guard var replays else { return false }
        let isDropped = replays.drops(cutter, of: piece, in: log)
        self.replays = replays.isOver ? nil : replays
        return isDropped
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
        feed.stream.receive(payload, of: self)
        if isLast { feed.ended(self, .whole(isCloseDelimited: connection.isCloseDelimited)) }
    }

    func serverFailed(_ seen: SeenFailure) { feed.failed(self, seen) }
}
