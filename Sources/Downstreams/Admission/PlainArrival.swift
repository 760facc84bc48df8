// The beginning of a connection on a plain address where HTTP/2 may be spoken: its first bytes tell the protocol (RFC 9113 section 3.3).
// Then an object for that protocol takes the connection over, so a served connection carries nothing of this.

import Configuration
import Reactor

/// A connection whose protocol is not known yet.
final class PlainArrival: Link {
    /// No request of HTTP/1 begins with it: the preface is made so that servers of HTTP/1 refuse it.
    private static let prefaceStart = Array("PRI * HTTP/2.0\r\n".utf8)

    /// One read and the bytes before it fit into the scratch buffer.
    private static let readLimit: UInt32 = 16_384

    private let clients: DownstreamWorker
    private let arrival: Arrival
    private let cameAt: Int64
    /// Its first bytes, as long as they could be the beginning of the preface.
    private var first: [UInt8] = []

    init(_ arrival: Arrival, clients: DownstreamWorker) {
        self.clients = clients
        self.arrival = arrival
        cameAt = clients.worker.now
        super.init(worker: clients.worker)
        readLimitBytes = PlainArrival.readLimit
    }

    /// Waits for the first bytes.
    func begin(_ descriptor: Int32) throws(SystemError) {
        try adopt(descriptor)
        wake(atMilliseconds: deadline)
    }

    private var deadline: Int64 {
        min(cameAt + arrival.patience(usual: clients.terms.timeouts.requestHeadMilliseconds), clients.newcomersUntil)
    }

    override func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        end()
    }

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        var received = first
        received.append(contentsOf: bytes)
        let isPreface = received.count >= PlainArrival.prefaceStart.count && received.starts(with: PlainArrival.prefaceStart)
        guard isPreface || !PlainArrival.prefaceStart.starts(with: received) else { return first = received }
        // What comes is given on as if it came now. The headroom around the scratch buffer stays.
        if isPreface || !arrival.security.listener.speaksHTTP1 {
            let connection = HTTP2Connection(arrival, clients: clients)
            handOver(to: connection)
            connection.begin()
            connection.redeliver(received)
        } else {
            let connection = HTTP1Connection(arrival, clients: clients)
            handOver(to: connection)
            connection.begin()
            connection.redeliver(received)
        }
    }

    override func linkReachedEnd() { end() }

    override func linkPeerLeft(isBroken: Bool) { end() }

    override func linkFailed(_ error: SystemError, while operation: LinkOperation) { end(abortively: true) }

    private func end(abortively: Bool = false) {
        if abortively { abort() } else { close() }
        clients.connectionClosed(arrival.client, isCounted: arrival.isCounted, at: arrival.place)
    }

    // MARK: The proxy ends, or needs the place

    var waitsForClientSince: Int64? { cameAt }

    /// The first bytes may still come for as long as new clients may send a request.
    func drain() { wake(atMilliseconds: deadline) }

    /// The grace period is over.
    func endGrace() { end() }
}
