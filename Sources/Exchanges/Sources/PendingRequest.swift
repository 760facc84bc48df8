// What an exchange needs only until its response begins, so that an idle stream does not carry it.

import Configuration
import HTTP
import Upstreams

/// A request that has not got its response yet.
final class PendingRequest {
    /// For the server; kept because it may have to be sent again.
    private let head: [UInt8]
    /// Where the chosen server's name has to be put into the head as Host; nil where the client's stands.
    private let hostOffset: Int?
    var search = ServerSearch()
    var waiting = Waiting()
    /// Whether the client has the beginning of a response of the proxy's own, and no server has taken over yet.
    var isHeld = false
    /// What it tries failed servers as, for all who wait for them; nil while it does not.
    var probe: HalfOpenProbe?
    /// Monotonic milliseconds: when the present attempt to connect began.
    var connectStartedAt: Int64 = 0
    /// Monotonic milliseconds: when the head was sent last.
    var sentAt: Int64 = 0
    /// When the proxy answers `Expect: 100-continue` in the server's place; `.max` when it does not.
    var continueDeadline = Int64.max
    /// The server that could not be reached last, for the log.
    var failedServer: String?
    /// Whether it was sent once more because a server could not be understood.
    var wasSentOnceMore = false
    /// What URLs in the response's head have to be told.
    var redirects: RedirectTerms?
    /// The value of the Upgrade field; empty where no upgrade is asked for.
    var offeredProtocols: [UInt8] = []
    /// The request's origin, where the route allows its pages.
    var allowedOrigin: [UInt8]?

    init(head: [UInt8], hostOffset: Int?) {
        self.head = head
        self.hostOffset = hostOffset
    }

    /// The head as it is sent to this server.
    func head(for server: ServerState) -> [UInt8] {
        guard let hostOffset else { return head }
        var head = self.head
        head.insert(contentsOf: HeadWriter.fieldLine("Host", server.server.authority), at: hostOffset)
        return head
    }
}
