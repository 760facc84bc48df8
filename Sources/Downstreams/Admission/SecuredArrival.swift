// The beginning of a connection on a TLS listener: the handshake. After that an object for the negotiated protocol takes the connection
// over, so a served connection carries nothing of this.

import Configuration
import Reactor

/// A connection whose TLS handshake is in progress.
final class SecuredArrival: Link {
    private let clients: DownstreamWorker
    private let arrival: Arrival
    private let cameAt: Int64

    init(_ arrival: Arrival, clients: DownstreamWorker) {
        self.clients = clients
        self.arrival = arrival
        cameAt = clients.worker.now
        super.init(worker: clients.worker)
    }

    /// Waits for the handshake.
    func begin() { wake(atMilliseconds: deadline) }

    private var handshakeMilliseconds: Int64 { arrival.patience(usual: clients.terms.timeouts.handshakeMilliseconds) }

    private var deadline: Int64 { min(cameAt + handshakeMilliseconds, clients.newcomersUntil) }

    override func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        if worker.now >= clients.newcomersUntil { return end() }
        fail(.handshakeTimeout(milliseconds: handshakeMilliseconds))
    }

    override func linkConnected() {
        if let security { clients.handler.handshakeSucceeded(version: security.version, isResumed: security.isResumed) }
        // A client that chooses nothing speaks HTTP/1.1; where that is not spoken, it is told so by an HTTP/2 connection's GOAWAY.
        if applicationProtocol == "h2" || !arrival.security.listener.speaksHTTP1 {
            let connection = HTTP2Connection(arrival, clients: clients)
            handOver(to: connection)
            connection.begin()
        } else {
            becomeHTTP1Connection().begin()
        }
    }

    override func linkFoundPlainText() { becomeHTTP1Connection().answer(.plainText) }

    private func becomeHTTP1Connection() -> HTTP1Connection {
        let connection = HTTP1Connection(arrival, clients: clients)
        handOver(to: connection)
        return connection
    }

    override func linkSecurityFailed(_ failure: TLSFailure) { fail(.tlsFailed(failure)) }

    override func linkReachedEnd() { end() }

    override func linkPeerLeft(isBroken: Bool) { end() }

    override func linkFailed(_ error: SystemError, while operation: LinkOperation) { end(abortively: true) }

    /// Nobody can be answered without a handshake; the handler hears of the failure.
    private func fail(_ departure: ClientDeparture) {
        clients.handler.connectionFailed(from: arrival.client, departure)
        end()
    }

    private func end(abortively: Bool = false) {
        if abortively { abort() } else { close() }
        clients.connectionClosed(arrival.client, isCounted: arrival.isCounted, at: arrival.place)
    }

    // MARK: The proxy ends, or needs the place

    var waitsForClientSince: Int64? { cameAt }

    /// The handshake may still finish for as long as new clients may send a request.
    func drain() { wake(atMilliseconds: deadline) }

    /// The grace period is over.
    func endGrace() { end() }
}
