// An exchange's way to a server: which connection is taken or opened, what happens when that fails, and when the request
// is sent again. The search itself is ServerSearch's, the choice of a server ServerGroup's.
// Invariant: nothing here happens once a byte of a response has come.

import Configuration
import Downstreams
import HTTP
import Reactor
import Telemetry
import Upstreams

/// What an exchange needs only until its response begins, so that an idle stream does not carry it.
final class PendingRequest {
    /// For the upstream; kept because it may have to be sent again.
    private let head: [UInt8]
    /// Where the chosen server's name has to be put into the head as Host; nil where the client's stands.
    private let hostOffset: Int?
    var search = ServerSearch()
    var waiting = Waiting()
    /// What it tries failed servers as, for all who wait for them; nil while it does not.
    var probe: HalfOpenProbe?
    /// Monotonic milliseconds: when the present attempt to connect began.
    var connectStartedAt: Int64 = 0
    /// Monotonic milliseconds: when the head was sent last.
    var sentAt: Int64 = 0
    /// When the proxy answers `Expect: 100-continue` in the upstream's place; `.max` when it does not.
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
        head.insert(contentsOf: Array("Host: \(server.server.authority)\r\n".utf8), at: hostOffset)
        return head
    }
}

extension Exchange {
    /// The servers that the route leads to.
    var group: ServerGroup { generation.groups[route!.route.upstreamIndex] }

    /// Takes or opens a connection to the next server that may be tried; without one the request is refused.
    func connect() {
        guard let request else { return }
        while account.attempts < ServerSearch.attemptLimit {
            guard let candidate = request.search.next(in: group, now: now) else { break }
            account.attempts += 1
            let server = group.servers[candidate.server]
            if flags.contains(.isRepeatable), !request.search.wantsFresh, let idle = group.takeIdle(candidate.server) {
                account.attempts -= 1
                flags.insert(.usedReusedConnection)
                upstream = idle
                idle.reuse(for: self)
                reachedServer()
                return sendRequest()
            }
            flags.remove(.usedReusedConnection)
            guard let address = candidate.address else {
                request.search.failed(.nameNotResolved, server: candidate.server, in: group, now: now)
                continue
            }
            let connection = UpstreamConnection(worker: proxy.worker, group: group, server: server)
            do {
                request.connectStartedAt = now
                try connection.connect(to: address, for: self)
                upstream = connection
                return
            } catch {
                // Without a descriptor left no server is to blame, and none can be reached.
                if error.meansExhausted { return refuse(.exhausted(error)) }
                // A UNIX socket tells at once.
                request.failedServer = server.name
                let seen = SeenFailure(connecting: error, withinMilliseconds: group.upstream.connectTimeoutMilliseconds)
                request.search.failed(seen, server: candidate.server, in: group, now: now)
            }
        }
        refuse(Refusal(request.search.lastFailure, closes: false))
    }

    /// The attempt that this exchange made for others is over: they need not wait for it any longer.
    func endProbe() {
        request?.probe?.end()
        request?.probe = nil
    }

    /// The server is there; whether it serves is another question.
    private func reachedServer() {
        guard let request, let probe = request.probe, let upstream else { return }
        request.probe = probe.reached(
            upstream.server, now: now, patienceMilliseconds: Int64(group.upstream.connectTimeoutMilliseconds))
    }

    /// Wants nothing more of the server that was asked.
    func leaveUpstream() {
        guard let upstream else { return }
        self.upstream = nil
        flags.remove(.requestHeadSent)
        upstream.detach()
    }

    /// The connection stands.
    func serverConnected() {
        guard let request else { return }
        account.connectMilliseconds = UInt32(clamping: now - request.connectStartedAt)
        request.search.succeeded(in: group)
        reachedServer()
        sendRequest()
    }

    /// The connection could not be made; it has closed itself. Nothing was sent, so any request may go elsewhere.
    func serverNotReached(_ seen: SeenFailure) {
        guard let request else { return }
        request.failedServer = upstream?.server.name
        upstream = nil
        request.search.failed(seen, server: request.search.server, in: group, now: now)
        connect()
    }

    private func sendRequest() {
        guard let upstream, let request else { return }
        flags.insert(.requestHeadSent)
        request.sentAt = now
        upstream.sendRequest(
            request.head(for: upstream.server), method: method, asksForUpgrade: flags.contains(.asksForUpgrade), isWhole: isRequestComplete)
        if flags.contains(.expectsContinue), !isRequestComplete {
            request.continueDeadline = now + 1000
            sink?.wake(atMilliseconds: request.continueDeadline)
        }
        sink?.readOn()
    }

    /// Repeats the request on a new connection when the present one was dead before it answered, and repeating is safe.
    func repeats(after failure: ServerFailure) -> Bool {
        guard let request, let upstream, failure.isEndOfConnection, upstream.mayHaveBeenDead, flags.contains(.isRepeatable) else {
            return false
        }
        leaveUpstream()
        request.search.retryFresh()
        connect()
        return true
    }

    /// Has the kernel ask the server now and then whether it is still there.
    func probeServer() { upstream?.beginProbing(afterSeconds: ProxyWorker.probeAfterSeconds) }
}

extension Exchange: ResponseReceiver {
    var responseLimits: HeadLimits { settings.responseLimits }
    var handshakeMilliseconds: Int64 { Int64(settings.configuration.timeouts.handshakeMilliseconds) }
}
