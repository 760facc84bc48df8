// The beginning of a connection on a listener with the PROXY protocol: the proxy in front names its client before TLS and before HTTP.
// When the header is complete, another object takes the connection over, so a served connection carries nothing of this. Invariant: no
// byte behind the header is read here.

import Configuration
import Reactor

/// A connection whose client is not known yet.
final class ProxiedArrival: Link {
    private let clients: DownstreamWorker
    private let arrival: Arrival
    private let cameAt: Int64
    private var parser = ProxyHeaderParser()

    init(_ arrival: Arrival, clients: DownstreamWorker) {
        self.clients = clients
        self.arrival = arrival
        cameAt = clients.worker.now
        super.init(worker: clients.worker)
        readLimitBytes = UInt32(parser.missingCount)
    }

    /// Waits for the header.
    func begin(_ descriptor: Int32) throws(SystemError) {
        try adopt(descriptor)
        wake(atMilliseconds: deadline)
    }

    private var headerMilliseconds: Int64 { arrival.patience(usual: clients.terms.timeouts.requestHeadMilliseconds) }

    private var deadline: Int64 { min(cameAt + headerMilliseconds, clients.newcomersUntil) }

    override func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        if worker.now >= clients.newcomersUntil { return end() }
        fail(.proxyHeaderTimeout(milliseconds: headerMilliseconds))
    }

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        do throws(ProxyHeaderError) {
            guard let client = try parser.receive(bytes.withMemoryRebound(to: UInt8.self) { $0 }.span) else {
                return readLimitBytes = UInt32(parser.missingCount)
            }
            clients.serve(surrender(), of: arrival, as: client)
        } catch {
            worker.warn("a trusted proxy sends no usable PROXY header: \(error.reason)")
            fail(.proxyHeaderBroken(error))
        }
    }

    override func linkReachedEnd() {
        // A peer that sends nothing was only checking whether the port is open.
        guard parser.hasBegun else { return end() }
        fail(.proxyHeaderCutOff)
    }

    override func linkFailed(_ error: SystemError, while operation: LinkOperation) { end() }

    private func fail(_ departure: ClientDeparture) {
        clients.handler.connectionFailed(from: arrival.client, departure)
        end()
    }

    /// Closes; an unknown client cannot be answered.
    private func end() {
        abort()
        clients.connectionClosed(arrival.client, isCounted: false, at: arrival.place)
    }

    // MARK: The proxy ends, or needs the place

    var waitsForClientSince: Int64? { cameAt }

    /// The header may still come for as long as new clients may send a request.
    func drain() { wake(atMilliseconds: deadline) }

    /// The grace period is over.
    func endGrace() { end() }
}
