// The clients' side of one worker: it admits connections, counts them, and holds their terms. It serves no request; its handler
// interprets requests. Invariant: each counted connection is subtracted once.

import Configuration
import HTTP
import HTTP2
import Reactor

/// The part of a configuration that concerns clients' connections.
package final class DownstreamTerms: Sendable {
    let timeouts: Timeouts
    let requestLimits: HeadLimits
    let sessionLimits: SessionLimits
    private static let pseudoFieldCount = 5
    /// No honest client sends so many fields in one block.
    private static let hardMaximumFields = 1_000
    private let trustedProxies: [AddressRange]
    /// How many bytes may wait on one worker.
    package let pendingBytesPerWorker: Int

    /// The terms of a configuration, for one of `workerCount` workers.
    package init(_ configuration: Configuration, workerCount: Int) {
        let limits = configuration.limits
        timeouts = configuration.timeouts
        trustedProxies = configuration.trustedProxies
        pendingBytesPerWorker = limits.pendingBytes / max(workerCount, 1)
        requestLimits = HeadLimits(
            headBytes: limits.requestHeadBytes, fieldCount: limits.requestFields, targetBytes: limits.requestTargetBytes)
        var sessionLimits = SessionLimits()
        sessionLimits.maximumStreams = limits.streamsPerConnection
        sessionLimits.allowsExtendedConnect = true
        // Bodies that wait count in `limits`, `pending`. A smaller window would let some uploads wait for others.
        sessionLimits.connectionWindowBytes = limits.streamsPerConnection * sessionLimits.streamWindowBytes
        // The pseudo-fields come on top, and each field counts 32 bytes more than its name and value (RFC 9113 section 6.5.2).
        let fieldCount = limits.requestFields + DownstreamTerms.pseudoFieldCount
        sessionLimits.fields = DecodedFieldLimits(
            maximumFields: fieldCount, maximumBytes: limits.requestHeadBytes + fieldCount * 32,
            hardMaximumFields: max(DownstreamTerms.hardMaximumFields, fieldCount))
        self.sessionLimits = sessionLimits
    }

    /// Whether a peer's `X-Forwarded-*` fields are believed.
    func trusts(_ peer: SocketAddress) -> Bool {
        guard !trustedProxies.isEmpty else { return false }
        let bytes = peer.bytes
        return trustedProxies.contains { $0.contains(bytes.span) }
    }
}

/// The clients' side of one worker.
package final class DownstreamWorker {
    /// The worker of the connections.
    package let worker: Worker
    /// The terms of requests that begin now.
    package private(set) var terms: DownstreamTerms
    /// The counts that all workers share.
    package private(set) var counts: ConnectionCounts
    /// Makes the receivers of requests. It owns this object.
    package unowned let handler: any RequestHandler
    /// Set when the proxy ends: no connection is kept for another request.
    package private(set) var isDraining = false
    /// While the proxy ends: until when clients without a request may begin one; before that `.max`.
    package private(set) var newcomersUntil = Int64.max
    /// Whether connections that keep the worker waiting are closed when there is no room for another one.
    private let makesRoom: Bool
    private var connectionCount = 0
    /// Buffers that connections of HTTP/2 need within a turn only.
    private var outputBuffers: [[UInt8]] = []
    private var fieldBlock: [UInt8] = []
    private var sharedConnections: UInt32 = 0

    /// The clients' side of a worker. With `makesRoom`, a connection that the limit would exclude takes the place of the one that has
    /// waited longest for its client. Then the counts must be this worker's own: it can close no other worker's connections.
    package init(
        worker: Worker, terms: DownstreamTerms, counts: ConnectionCounts, handler: any RequestHandler, makesRoom: Bool = false
    ) {
        self.makesRoom = makesRoom
        self.worker = worker
        self.terms = terms
        self.counts = counts
        self.handler = handler
    }

    /// Applies other terms and limits to requests and connections that begin from now on.
    package func adopt(_ terms: DownstreamTerms, counts: ConnectionCounts) {
        self.terms = terms
        self.counts = counts
    }

    /// The number of the next connection that several requests share.
    func takeSharedConnectionNumber() -> UInt32 {
        sharedConnections &+= 1
        return sharedConnections
    }

    // MARK: Letting in

    /// Takes a connection from a listening socket.
    package func accept(_ accepted: AcceptedConnection, at place: ListeningPlace) {
        // As if no process listened here: the other holder of the socket does not accept connections.
        guard let security = place.security else { return worker.kernel.close(accepted.descriptor, abortively: true) }
        if makesRoom { makeRoom() }
        var arrival = Arrival(accepted, at: place, security, terms: terms)
        if security.listener.takesProxyProtocol { return awaitHeader(accepted, arrival) }
        arrival.isCounted = counts.countsClients && !arrival.isTrusted
        guard admit(&arrival, accepted.descriptor) else { return }
        serve(arrival, accepted.descriptor)
    }

    /// Closes those connections that have waited longest for their clients, as many as one more connection needs. A connection that came
    /// in this very moment stays: its request may be there and not read yet.
    private func makeRoom() {
        let excess = counts.excessWithOneMore
        guard excess > 0 else { return }
        var waiting: [(since: Int64, connection: any Drainable)] = []
        for endpoint in worker.openEndpoints {
            guard let connection = endpoint as? any Drainable, let since = connection.waitsForClientSince, since < worker.now else {
                continue
            }
            waiting.append((since, connection))
        }
        waiting.sort { $0.since < $1.since }
        for (_, connection) in waiting.prefix(excess) { connection.endGrace() }
    }

    /// Counts a connection, also for its client's address if the arrival says so; false if it was closed, because far too many came.
    private func admit(_ arrival: inout Arrival, _ descriptor: Int32) -> Bool {
        arrival.admission = counts.admit(arrival.client, isTrusted: !arrival.isCounted)
        connectionCount += 1
        handler.connectionOpened(at: arrival.place)
        guard case .shed(let limit) = arrival.admission else { return true }
        shed(descriptor, arrival, limit)
        return false
    }

    private func shed(_ descriptor: Int32, _ arrival: Arrival, _ limit: ConnectionLimit) {
        worker.warn("the limit \(limit.rawValue) is far exceeded; connections are closed without an answer")
        worker.kernel.close(descriptor, abortively: true)
        handler.connectionShed(by: limit)
        connectionClosed(arrival.client, isCounted: arrival.isCounted, at: arrival.place)
    }

    /// Serves a counted connection: at once, or after its TLS handshake.
    private func serve(_ arrival: Arrival, _ descriptor: Int32) {
        if case .shed(let limit) = arrival.admission { return shed(descriptor, arrival, limit) }
        do {
            if let context = arrival.security.context {
                let secured = SecuredArrival(arrival, clients: self)
                try secured.adopt(descriptor, securedBy: context)
                secured.begin()
            } else if arrival.security.listener.speaksHTTP2 {
                try PlainArrival(arrival, clients: self).begin(descriptor)
            } else {
                let connection = HTTP1Connection(arrival, clients: self)
                try connection.adopt(descriptor)
                connection.begin()
            }
        } catch {
            connectionClosed(arrival.client, isCounted: arrival.isCounted, at: arrival.place)
        }
    }

    /// Takes a connection on a listener with the PROXY protocol. A peer that is not a trusted proxy is closed: without a header it
    /// would bypass the proxy, and with one it could claim to be anybody.
    private func awaitHeader(_ accepted: AcceptedConnection, _ arrival: Arrival) {
        guard arrival.isTrusted else {
            worker.warn(
                "connections to \(arrival.security.listener) that come from none of trusted_proxies are closed, "
                    + "because it takes the PROXY protocol")
            handler.connectionFailed(from: accepted.peer, .untrustedProxy)
            return worker.kernel.close(accepted.descriptor, abortively: true)
        }
        var arrival = arrival
        guard admit(&arrival, accepted.descriptor) else { return }
        let proxied = ProxiedArrival(arrival, clients: self)
        do { try proxied.begin(accepted.descriptor) } catch { connectionClosed(accepted.peer, isCounted: false, at: arrival.place) }
    }

    /// The PROXY header has been read: from now on the connection belongs to the named client. X-Forwarded fields are believed if that
    /// client is a trusted proxy; passing through one is not enough.
    func serve(_ descriptor: Int32, of arrival: Arrival, as client: ProxiedClient) {
        var arrival = arrival
        if case .client(let named) = client { arrival.client = named }
        arrival.isKnown = client != .unknown
        arrival.isTrusted = arrival.isKnown && terms.trusts(arrival.client)
        arrival.isCounted = counts.countsClients && !arrival.isTrusted && arrival.isKnown
        if arrival.isCounted {
            let ofClient = counts.count(arrival.client)
            if arrival.admission == .admitted { arrival.admission = ofClient }
        }
        serve(arrival, descriptor)
    }

    /// A connection is closed, for whatever reason.
    func connectionClosed(_ client: SocketAddress, isCounted: Bool, at place: ListeningPlace) {
        counts.leave(client, isCounted: isCounted)
        connectionCount -= 1
        handler.connectionClosed(at: place)
        if isDraining, connectionCount == 0 { handler.clientsDrained() }
    }

    /// Whether no connection is left.
    package var isEmpty: Bool { connectionCount == 0 }

    /// The receivers of all requests that are being served.
    package var receivers: [any RequestReceiver] {
        var found: [any RequestReceiver] = []
        for endpoint in worker.openEndpoints { (endpoint as? ClientConnection)?.visitReceivers { found.append($0) } }
        return found
    }

    /// Visits the receivers of running requests from a place on, at most so many endpoints of the worker. Returns the place to go on
    /// from; nil at the end.
    package func visitReceivers(from place: Int, atMost count: Int, _ body: (any RequestReceiver) -> Void) -> Int? {
        worker.visitEndpoints(from: place, atMost: count) { endpoint in (endpoint as? ClientConnection)?.visitReceivers(body) }
    }

    // MARK: What waits

    /// Whether the limit of waiting bytes is reached: there is no room for another slow client.
    package var isFull: Bool { worker.pendingBytes > terms.pendingBytesPerWorker }

    /// Whether so many bytes wait, including those of refused clients, that no client gets more time.
    package var isFarTooFull: Bool {
        worker.pendingBytes > terms.pendingBytesPerWorker + terms.pendingBytesPerWorker / 8 + Worker.scratchBytes
    }

    // MARK: Buffers of a turn

    /// So many buffers are kept: usually few connections write in one turn.
    private static let keptBuffers = 16
    private static let bufferBytes = 36_864

    /// An empty buffer, which `giveBack` takes again at the end of the turn.
    func takeOutputBuffer() -> [UInt8] {
        if let buffer = outputBuffers.popLast() { return buffer }
        var buffer: [UInt8] = []
        buffer.reserveCapacity(DownstreamWorker.bufferBytes)
        return buffer
    }

    func giveBack(outputBuffer buffer: consuming [UInt8]) {
        if outputBuffers.count < DownstreamWorker.keptBuffers, buffer.capacity <= 2 * DownstreamWorker.bufferBytes {
            outputBuffers.append(buffer)
        }
    }

    /// An empty buffer for one field block.
    func takeFieldBlock() -> [UInt8] {
        var block: [UInt8] = []
        swap(&block, &fieldBlock)
        return block
    }

    func giveBack(fieldBlock block: consuming [UInt8]) {
        guard block.capacity <= DownstreamWorker.bufferBytes else { return }
        fieldBlock = block
        fieldBlock.removeAll(keepingCapacity: true)
    }

    // MARK: The end

    /// From now on no connection is kept for another request. Clients without a request may begin one until that moment.
    package func beginDraining(newcomersUntil moment: Int64) {
        isDraining = true
        newcomersUntil = min(newcomersUntil, moment)
    }

    /// Ends every connection when its exchange is over. The handler is called when no connection is left.
    package func drainConnections() {
        forEachConnection { $0.drain() }
        if connectionCount == 0 { handler.clientsDrained() }
    }

    /// The grace period is over.
    package func endGrace() { forEachConnection { $0.endGrace() } }

    private func forEachConnection(_ body: (any Drainable) -> Void) {
        for endpoint in worker.openEndpoints {
            if let connection = endpoint as? any Drainable { body(connection) }
        }
    }
}

/// A client's connection, in any stage, when the proxy ends or its place is needed.
protocol Drainable {
    /// Since when nothing but its client keeps it open, in monotonic milliseconds; nil while a request is served.
    var waitsForClientSince: Int64? { get }
    /// Accepts no further request; a running exchange may finish.
    func drain()
    /// Ends at once: the grace period is over, or its place is needed.
    func endGrace()
}

extension HTTP1Connection: Drainable {}
extension HTTP2Connection: Drainable {}
extension WaitingArrival: Drainable {}
