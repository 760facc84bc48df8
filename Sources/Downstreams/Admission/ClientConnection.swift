// What connections of every protocol have in common: where they came from, the terms that hold for them, and the facts that exchanges ask
// for. Invariant: a connection is subtracted from the counts once, when it is closed.

import Configuration
import Reactor

/// A connection from a client. Subclasses speak a protocol.
package class ClientConnection: Link {
    let clients: DownstreamWorker
    private let place: ListeningPlace
    private var listenerState: ListenerSecurity
    /// The terms of the configuration with which the current or last request began.
    private(set) final var terms: DownstreamTerms
    /// The client's address.
    final let peer: SocketAddress
    /// Whether the client's `X-Forwarded-*` fields are believed.
    private(set) final var isTrusted: Bool
    /// Whether it is counted for its client's address.
    private let isCounted: Bool
    /// A trusted proxy passes on the bytes of a client that it could not name: they are not the proxy's own.
    private let hasUnknownClient: Bool
    /// The limit that the connection exceeds; nil for none.
    final let exceededLimit: ConnectionLimit?

    init(_ arrival: Arrival, clients: DownstreamWorker) {
        self.clients = clients
        place = arrival.place
        listenerState = arrival.security
        terms = arrival.terms
        peer = arrival.client
        isTrusted = arrival.isTrusted
        isCounted = arrival.isCounted
        hasUnknownClient = !arrival.isKnown
        exceededLimit = arrival.admission.limit
        super.init(worker: clients.worker)
    }

    /// Applies a reload, between two requests.
    final func takeNoticeOfReload() {
        guard terms !== clients.terms else { return }
        terms = clients.terms
        listenerState = place.security ?? listenerState
        isTrusted = !hasUnknownClient && terms.trusts(peer)
    }

    /// Subtracts the connection from the counts.
    final func leave() { clients.connectionClosed(peer, isCounted: isCounted, at: place) }

    /// How long a request's head may take, in milliseconds.
    final func requestHeadMilliseconds(of timeouts: Timeouts) -> Int64 {
        let usual = Int64(timeouts.requestHeadMilliseconds)
        return exceededLimit == nil ? usual : min(usual, Arrival.excessMilliseconds)
    }

    /// Whether requests come over HTTP/2.
    var speaksHTTP2: Bool { false }

    /// Visits the receivers of running requests.
    func visitReceivers(_ body: (any RequestReceiver) -> Void) {}

    // MARK: Facts

    /// For `Strict-Transport-Security`; nil for no such field.
    final var strictTransportSecuritySeconds: Int? { isSecured ? listenerState.listener.strictTransportSecuritySeconds : nil }

    final var facts: ClientFacts {
        let listener = listenerState.listener
        let asksForCertificates = (listener.tls?.clientCertificates ?? .off) != .off
        let subjectField = listener.tls?.clientSubjectField
        return ClientFacts(
            redirectPort: listener.redirectPort, certificateIsOver: asksForCertificates && peerCertificateIsOver, isTrusted: isTrusted,
            isSecured: isSecured, speaksHTTP2: speaksHTTP2, subjectField: subjectField, subject: subjectField == nil ? nil : peerSubject,
            publishKeys: listener.publishKeys)
    }

    /// Whether the client has acknowledged something recently. The kernel gives up a client that does not answer, and also one that
    /// answers but takes nothing.
    final func acknowledgedLately(within stallMilliseconds: Int) -> Bool {
        guard let view = transportInformation else { return false }
        return view.sinceLastAcknowledgementMilliseconds < UInt32(clamping: stallMilliseconds) / 2
    }

    /// Why a client is no longer waited for that took nothing for `client_stall`. Only the kernel knows whether it still exists.
    final func stallDeparture(waitingBytes: Int, since: Int64, stallMilliseconds stall: Int) -> ClientDeparture {
        if let view = transportInformation, view.retransmits > 0, view.sinceLastAcknowledgementMilliseconds >= UInt32(clamping: stall / 2) {
            return .vanished(
                unacknowledgedMilliseconds: view.sinceLastAcknowledgementMilliseconds, retransmits: view.retransmits)
        }
        return .stalled(waitingBytes: waitingBytes, milliseconds: worker.now - since)
    }

    /// How the client's connection ended in good order.
    final var goodbye: ClientDeparture.Goodbye { !isSecured ? .plain : endIsAuthentic ? .authentic : .unauthenticated }
}
