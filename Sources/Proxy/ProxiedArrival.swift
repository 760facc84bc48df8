// The beginning of a connection on a listener that takes the PROXY protocol: the proxy in front names its client, before TLS and before
// HTTP. When the header is whole the connection goes to a `DownstreamConnection`, as that client's; so one that is served carries nothing
// of this. Invariant: not a byte behind the header is read here.

import Configuration
import Reactor
import Telemetry

/// A connection whose client is not known yet.
final class ProxiedArrival: Link {
    private let proxy: ProxyWorker
    private let place: ListeningPlace
    private let ofListener: ListenerSecurity
    private let peer: SocketAddress
    private let admission: SharedState.Admission
    private let cameAt: Int64
    private var parser = ProxyHeaderParser()

    init(proxy: ProxyWorker, place: ListeningPlace, security: ListenerSecurity, peer: SocketAddress, admission: SharedState.Admission) {
        self.proxy = proxy
        self.place = place
        ofListener = security
        self.peer = peer
        self.admission = admission
        cameAt = proxy.worker.now
        super.init(worker: proxy.worker)
        readLimitBytes = UInt32(parser.missingCount)
    }

    /// Waits for the header.
    func begin(_ descriptor: Int32) throws(SystemError) {
        try adopt(descriptor)
        wake(atMilliseconds: deadline)
    }

    private var headerMilliseconds: Int64 {
        let usual = Int64(proxy.settings.configuration.timeouts.requestHeadMilliseconds)
        return admission == .admitted ? usual : min(usual, DownstreamConnection.excessMilliseconds)
    }

    private var deadline: Int64 { min(cameAt + headerMilliseconds, proxy.newcomersUntil) }

    override func deadlineReached() {
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        if worker.now >= proxy.newcomersUntil { return end() }
        fail(.requestTimeout, "no whole PROXY header within \(headerMilliseconds) ms")
    }

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        do throws(ProxyHeaderError) {
            guard let client = try parser.receive(bytes.withMemoryRebound(to: UInt8.self) { $0 }.span) else {
                return readLimitBytes = UInt32(parser.missingCount)
            }
            proxy.serve(surrender(), at: place, ofListener, peer: peer, client: client, admission: admission)
        } catch {
            proxy.complain("a trusted proxy sends no usable PROXY header: \(error.reason)")
            fail(.clientProtocolError, error.reason)
        }
    }

    override func linkReachedEnd() {
        // A peer that says nothing at all only looked whether somebody is there.
        guard parser.hasBegun else { return end() }
        fail(.clientProtocolError, "the connection ended in the middle of the PROXY header")
    }

    override func linkFailed(_ error: SystemError, while operation: LinkOperation) { end() }

    private func fail(_ cause: Cause, _ evidence: String) {
        proxy.logFailedConnection(from: peer, Ending(cause: cause, evidence: evidence))
        end()
    }

    /// Closes; nothing can be answered to a client that is not known.
    private func end() {
        abort()
        proxy.connectionClosed(peer, isCounted: false)
    }

    // MARK: The proxy ends

    /// The header may still come for as long as those who have just connected may ask.
    func drain() { wake(atMilliseconds: deadline) }

    /// The grace period is over.
    func endGrace() { end() }
}

extension ProxyWorker {
    /// Takes a connection on a listener that takes the PROXY protocol. Who may not name a client is not listened to: without a header
    /// his would be a second way in, and with one a way to be anybody.
    func awaitHeader(_ accepted: AcceptedConnection, at place: ListeningPlace, _ security: ListenerSecurity) {
        guard isTrusted(accepted.peer) else {
            complain(
                "connections to \(security.listener) that come from none of trusted_proxies are closed, because it takes the PROXY protocol"
            )
            logFailedConnection(
                from: accepted.peer,
                Ending(cause: .clientProtocolError, evidence: "the listener takes the PROXY protocol, from trusted_proxies only"))
            return worker.kernel.close(accepted.descriptor, abortively: true)
        }
        guard let admission = admit(accepted, isCounted: false) else { return }
        let arrival = ProxiedArrival(proxy: self, place: place, security: security, peer: accepted.peer, admission: admission)
        do { try arrival.begin(accepted.descriptor) } catch { connectionClosed(accepted.peer, isCounted: false) }
    }

    /// The header of a connection is read: it is its client's from now on. What the client says in X-Forwarded fields is believed where
    /// the client is a trusted proxy itself; that another one has passed its bytes on makes it none.
    func serve(
        _ descriptor: Int32, at place: ListeningPlace, _ security: ListenerSecurity, peer: SocketAddress, client: ProxiedClient,
        admission: SharedState.Admission
    ) {
        var address = peer
        if case .client(let named) = client { address = named }
        let isTrusted = client != .unknown && isTrusted(address)
        let isCounted = shared.countsClients && !isTrusted && client != .unknown
        var admission = admission
        if isCounted {
            let ofClient = shared.count(address)
            if admission == .admitted { admission = ofClient }
        }
        let connection = DownstreamConnection(
            proxy: self, place: place, security: security, peer: address, isTrusted: isTrusted, isCounted: isCounted,
            hasUnknownClient: client == .unknown)
        begin(connection, descriptor, admission: admission)
    }
}
