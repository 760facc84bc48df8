// What an exchange needs only until its response begins, so that an idle stream does not carry it.

import Configuration
import HTTP
import Upstreams

/// A request that has not got its response yet.
final class PendingRequest {
    /// The head for the server; kept because it may have to be sent again.
    private var head: [UInt8]
    /// Where the chosen server's name must be inserted as Host; nil if the client's Host is there.
    private var hostOffset: Int?
    /// What is not decided yet, so that there is no head; nil from the decision on.
    var decision: PausedDecision?
    /// The decision with which it was sent, where a server may refuse the proxy's token.
    var sentDecision: PausedDecision?
    /// How the body is delimited for the server.
    var framing = BodyFraming.none
    var search = ServerSearch()
    var waiting = Waiting()
    /// Whether the client is held: it has the beginning of the proxy's own response, and no server serves it yet.
    var isHeld = false
    /// The half-open probe that this request makes for all waiting clients; nil for none.
    var probe: HalfOpenProbe?
    /// Monotonic milliseconds: when the current attempt to connect began.
    var connectStartedAt: Int64 = 0
    /// Monotonic milliseconds: when the head was last sent.
    var sentAt: Int64 = 0
    /// When the proxy itself answers `Expect: 100-continue`; `.max` for never.
    var continueDeadline = Int64.max
    /// The last server that could not be reached, for the log.
    var failedServer: String?
    /// Whether it was sent once more because a server broke HTTP's rules or TLS.
    var wasSentOnceMore = false
    /// How URLs in the response's head must be changed.
    var redirects: RedirectTerms?
    /// The value of the Upgrade field; empty for none.
    var offeredProtocols: [UInt8] = []
    /// The ticket with which it was opened, to be renewed; nil without one.
    var ticket: OpenedTicket?
    /// The values of `Set-Cookie` that a service has for the client. The response's head carries them, also that of the proxy's own answer.
    var serviceCookies: [[UInt8]] = []
    /// Where the route keeps streams: whose stream it is; nil elsewhere.
    var keeping: KeepingRequest?
    /// Whether the route keeps streams, and whose stream it is was not to be known.
    var lacksStreamIdentity = false
    /// The request's origin, if the route allows its pages.
    var allowedOrigin: AllowedOrigin?

    init(head: [UInt8], hostOffset: Int?) {
        self.head = head
        self.hostOffset = hostOffset
    }

    /// The decision has passed: the request has its head.
    func decided(head: [UInt8], hostOffset: Int?) {
        self.head = head
        self.hostOffset = hostOffset
        decision = nil
    }

    /// The request as it can be sent again when the stream that it opened is lost.
    func repeatable(pathHash: Int, to group: ServerGroup, outageAnswers: OutageAnswers) -> StreamRequest {
        StreamRequest(head, hostOffset: hostOffset, pathHash: pathHash, to: group, outageAnswers: outageAnswers)
    }

    /// The head as it is sent to this server.
    func head(for server: ServerState) -> [UInt8] {
        guard let hostOffset else { return head }
        var head = self.head
        head.insert(contentsOf: HeadWriter.fieldLine("Host", server.server.authority), at: hostOffset)
        return head
    }
}
