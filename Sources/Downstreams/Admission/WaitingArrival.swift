// What the beginnings of a connection have in common: each waits for something from its client, for so long, and then another object takes
// the connection over, or it ends. Invariant: a beginning that ends is subtracted from the counts once.

import Configuration
import Reactor

/// A connection that waits for its client before it is served.
class WaitingArrival: Link {
    final let clients: DownstreamWorker
    final let arrival: Arrival
    private let cameAt: Int64

    init(_ arrival: Arrival, clients: DownstreamWorker) {
        self.clients = clients
        self.arrival = arrival
        cameAt = clients.worker.now
        super.init(worker: clients.worker)
    }

    /// How long its client may take, in milliseconds.
    var patienceMilliseconds: Int64 { arrival.patience(usual: clients.terms.timeouts.requestHeadMilliseconds) }

    /// Its client took too long.
    func overdue() { end() }

    /// When its client is overdue, in monotonic milliseconds.
    final var deadline: Int64 { min(cameAt + patienceMilliseconds, clients.newcomersUntil) }

    override final func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        if worker.now >= clients.newcomersUntil { end() } else { overdue() }
    }

    override func linkReachedEnd() { end() }

    override final func linkPeerLeft(isBroken: Bool) { end() }

    override final func linkFailed(_ error: SystemError, while operation: LinkOperation) { end(abortively: true) }

    /// Nobody can be answered here; the handler hears of the failure.
    final func fail(_ departure: ClientDeparture) {
        clients.handler.connectionFailed(from: arrival.client, departure)
        end()
    }

    func end(abortively: Bool = false) {
        if abortively { abort() } else { close() }
        clients.connectionClosed(arrival.client, isCounted: arrival.isCounted, at: arrival.place)
    }

    /// Hands the connection over to HTTP/1.
    final func becomeHTTP1Connection() -> HTTP1Connection {
        let connection = HTTP1Connection(arrival, clients: clients)
        handOver(to: connection)
        return connection
    }

    /// Hands the connection over to HTTP/2.
    final func becomeHTTP2Connection() -> HTTP2Connection {
        let connection = HTTP2Connection(arrival, clients: clients)
        handOver(to: connection)
        return connection
    }

    // MARK: The proxy ends, or needs the place

    final var waitsForClientSince: Int64? { cameAt }

    /// The client may still go on for as long as new clients may send a request.
    final func drain() { wake(atMilliseconds: deadline) }

    /// The grace period is over.
    final func endGrace() { end() }
}
