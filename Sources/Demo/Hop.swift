// A simple middlebox, like a load balancer: it passes bytes between a client and one server, and resets both connections after too long
// without a byte. It does not read the bytes; only the demo's tap looks at them. Invariant: connections come in pairs. When one of a
// pair closes, so does the other, and the hop counts them.

import Reactor

/// A middlebox with an idle limit.
final class Hop {
    /// How many connections may pass at once.
    static let maximumConnections = 256

    let worker: Worker
    let side: DemoSide
    let idleLimitMilliseconds: Int64
    let feed: DemoFeed
    /// Where the connections go; until it is set, they are refused.
    var target: SocketAddress?
    private(set) var connectionCount = 0

    init(worker: Worker, side: DemoSide, idleLimitMilliseconds: Int64, feed: DemoFeed) {
        self.worker = worker
        self.side = side
        self.idleLimitMilliseconds = idleLimitMilliseconds
        self.feed = feed
    }

    func accept(_ accepted: AcceptedConnection) {
        guard let target, connectionCount < Hop.maximumConnections else {
            return worker.kernel.close(accepted.descriptor, abortively: true)
        }
        let passage = HopPassage(hop: self)
        connectionCount += 1
        passage.begin(accepted.descriptor, target: target)
    }

    fileprivate func passageEnded() { connectionCount -= 1 }
}

/// One client's way through the hop: two links and the time of the last byte.
private final class HopPassage {
    private static let pendingLimitBytes = 262_144

    private let hop: Hop
    private let client: HopLink
    private let server: HopLink
    private var lastByteAt: Int64
    private var tap = StreamTap()

    init(hop: Hop) {
        self.hop = hop
        client = HopLink(worker: hop.worker)
        server = HopLink(worker: hop.worker)
        lastByteAt = hop.worker.now
    }

    func begin(_ descriptor: Int32, target: SocketAddress) {
        client.passage = self
        server.passage = self
        do {
            try client.adopt(descriptor)
            client.pauseReading()
            try server.connect(to: target)
        } catch {
            return cutBoth()
        }
        client.wake(atMilliseconds: lastByteAt + hop.idleLimitMilliseconds)
    }

    func connected() { client.resumeReading() }

    func received(_ bytes: UnsafeMutableRawBufferPointer, from link: HopLink) {
        lastByteAt = hop.worker.now
        if link === client {
            tap.receiveRequest(UnsafeRawBufferPointer(bytes))
        } else if let page = tap.page {
            let sights = tap.receiveResponse(UnsafeRawBufferPointer(bytes), now: lastByteAt)
            for sight in sights { hop.feed.report(sight, side: side, page: page) }
        }
        let other = other(than: link)
        other.send(UnsafeRawBufferPointer(bytes))
        if other.pendingCount > HopPassage.pendingLimitBytes { link.pauseReading() }
    }

    func drained(_ link: HopLink) { other(than: link).resumeReading() }

    func reachedEnd(_ link: HopLink) {
        if link === client { return server.shutdownWhenDrained() }
        // The server has ended its response; bytes on their way are still delivered.
        server.close()
        client.closeWhenDrained()
        client.wake(atMilliseconds: hop.worker.now + hop.idleLimitMilliseconds)
        release()
    }

    func failed() { cutBoth() }

    func deadlineReached() {
        let deadline = lastByteAt + hop.idleLimitMilliseconds
        guard hop.worker.now >= deadline else { return client.wake(atMilliseconds: deadline) }
        if let page = tap.page {
            hop.feed.report(.cut(idleMilliseconds: hop.worker.now - lastByteAt), side: side, page: page)
        }
        cutBoth()
    }

    /// Two of the page's ways begin at one hop.
    private var side: DemoSide { hop.side == .through && tap.isKept ? .kept : hop.side }

    private func other(than link: HopLink) -> HopLink { link === client ? server : client }

    private func cutBoth() {
        client.abort()
        server.abort()
        release()
    }

    private func release() {
        client.passage = nil
        server.passage = nil
        hop.passageEnded()
    }
}

/// One side of a passage.
private final class HopLink: Link {
    /// The link holds its passage until the passage is over. The link may live longer, to deliver what is left.
    var passage: HopPassage?
    private var isLastChance = false
    private static let lastChanceMilliseconds: Int64 = 10_000

    override func linkConnected() { passage?.connected() }
    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) { passage?.received(bytes, from: self) }
    override func linkReachedEnd() { passage?.reachedEnd(self) }
    override func linkDrained() { passage?.drained(self) }
    override func linkPeerLeft(isBroken: Bool) {
        // A read will report an orderly end. A client that leaves while it waits for its server costs at most the idle limit.
        if isBroken { linkFailed(.connectionReset, while: .reading) }
    }
    override func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        if let passage { passage.failed() } else { abort() }
    }
    override func deadlineReached() {
        if let passage { return passage.deadlineReached() }
        // The link only delivers what is left. The first deadline may be one from before.
        if isLastChance { return abort() }
        isLastChance = true
        wake(atMilliseconds: worker.now + HopLink.lastChanceMilliseconds)
    }
}
