// How an exchange reaches a server: which connection is taken or opened, what happens when that fails, and when the request is sent
// again. ServerSearch searches. Invariant: nothing here happens after the first byte of a response.

import Configuration
import Downstreams
import HTTP
import Reactor
import Telemetry
import Upstreams

extension Exchange {
    /// The servers of the route.
    var group: ServerGroup { generation.groups[route!.route.upstreamIndex] }

    func connectNow() {
        // The exchange may have been refused and held meanwhile.
        if case .connecting = phase, upstream == nil { connect() }
    }

    /// Takes or opens a connection to the next server that may be tried; without a server the request is refused.
    func connect() {
        guard case .connecting(let request) = phase else { preconditionFailure("a server is searched while connecting") }
        while account.attempts < ServerSearch.attemptLimit {
            guard let candidate = request.search.next(in: group, now: now) else { break }
            account.attempts += 1
            let server = group.servers[candidate.server]
            if flags.contains(.isRepeatable), !request.search.wantsFresh, let idle = group.takeIdle(candidate.server) {
                account.attempts -= 1
                flags.insert(.usedReusedConnection)
                replaceSource(by: .server(idle))
                idle.reuse(for: self)
                reachedServer(request)
                return sendRequest(request)
            }
            flags.remove(.usedReusedConnection)
            guard let address = candidate.address else {
                countAttempt(.nameNotResolved, server: candidate.server)
                request.search.failed(.nameNotResolved, server: candidate.server, in: group, now: now)
                continue
            }
            let connection = UpstreamConnection(worker: proxy.worker, group: group, server: server)
            do {
                request.connectStartedAt = now
                try connectInPlaceOfOthers(connection, to: address)
                replaceSource(by: .server(connection))
                return
            } catch {
                // If no descriptor is left, no server is to blame, and none can be reached.
                if error.meansExhausted {
                    countAttempt(.exhausted, server: candidate.server)
                    return refuse(.exhausted(error))
                }
                // A UNIX socket reports the failure at once.
                request.failedServer = server.name
                let seen = SeenFailure(connecting: error, withinMilliseconds: group.upstream.connectTimeoutMilliseconds)
                countAttempt(AttemptResult(seen.failure), server: candidate.server)
                request.search.failed(seen, server: candidate.server, in: group, now: now)
            }
        }
        refuse(Refusal(request.search.lastFailure, closes: false))
    }

    /// Connects, if need be in the place of a stream whose client has left.
    private func connectInPlaceOfOthers(_ connection: UpstreamConnection, to address: SocketAddress) throws(SystemError) {
        do { try connection.connect(to: address, for: self) } catch {
            guard error.meansExhausted, proxy.keptStreams.giveWay() else { throw error }
            try connection.connect(to: address, for: self)
        }
    }

    /// The connection is open.
    func serverConnected() {
        guard case .connecting(let request) = phase else { preconditionFailure("a connection is awaited while connecting") }
        account.connectMilliseconds = UInt32(clamping: now - request.connectStartedAt)
        countConnection(server: request.search.server)
        request.search.succeeded(in: group)
        reachedServer(request)
        sendRequest(request)
    }

    /// The connection could not be made and is closed. Nothing was sent, so any request may go to another server.
    func serverNotReached(_ seen: SeenFailure) {
        guard case .connecting(let request) = phase else { preconditionFailure("a connection is awaited while connecting") }
        request.failedServer = upstream?.server.name
        leaveServer()
        countAttempt(AttemptResult(seen.failure), server: request.search.server)
        request.search.failed(seen, server: request.search.server, in: group, now: now)
        connect()
    }

    private func sendRequest(_ request: PendingRequest) {
        guard let upstream, let sink else { preconditionFailure("a request goes from a client to a server") }
        enter(.awaitingHead(request))
        request.sentAt = now
        upstream.sendRequest(
            request.head(for: upstream.server), method: method, framing: request.framing, asksForUpgrade: flags.contains(.asksForUpgrade),
            isWhole: sink.isRequestComplete)
        if flags.contains(.expectsContinue), !sink.isRequestComplete {
            request.continueDeadline = now + 1000
            sink.wake(atMilliseconds: request.continueDeadline)
        }
        sink.readOn()
    }

    /// Sends the request again on a new connection if the current one was dead before it answered, and repeating is safe.
    func repeats(after failure: ServerFailure) -> Bool {
        guard case .awaitingHead(let request) = phase, let upstream, failure.isEndOfConnection, upstream.mayHaveBeenDead,
            flags.contains(.isRepeatable)
        else { return false }
        leaveServer()
        request.search.retryFresh()
        enter(.connecting(request))
        connect()
        return true
    }

    /// Releases the server's connection.
    func leaveServer() { replaceSource(by: .none) }

    // MARK: The half-open probe

    /// The half-open probe of this exchange is over: other clients need not wait for it any longer.
    func endProbe() {
        guard let request else { return }
        request.probe?.end()
        request.probe = nil
    }

    /// The server was reached; whether it serves is not known yet.
    private func reachedServer(_ request: PendingRequest) {
        guard let probe = request.probe, let upstream else { return }
        request.probe = probe.reached(
            upstream.server, now: now, patienceMilliseconds: Int64(group.upstream.connectTimeoutMilliseconds))
    }

    // MARK: The request's body

    /// Whether (more of) the request's body, or of a tunnel's bytes, can be taken now.
    var takesRequestBody: Bool {
        switch phase {
        case .awaitingHead, .relaying, .streaming, .tunnelling: upstream?.waitingCount == 0
        case .ticketing, .publishing: true
        case .deciding, .authorizing, .connecting, .waiting, .finished: false
        }
    }

    /// A piece of the request's body came. Returns whether more can be taken.
    func received(body payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool {
        switch phase {
        case .ticketing(let call): return received(body: payload, isLast: isLast, of: call)
        case .publishing(let call): return received(body: payload, isLast: isLast, of: call)
        default: break
        }
        guard let upstream else { preconditionFailure("a body is sent to the server that takes it") }
        account.requestBytes += UInt64(payload.count)
        request?.continueDeadline = .max
        upstream.sendBody(payload, isLast: isLast)
        guard upstream.waitingCount > 0 else { return true }
        return !mayWait()
    }

    /// The server has taken everything that was sent to it.
    func serverDrained() { sink?.readOn() }
}

extension Exchange: ResponseReceiver {
    var responseLimits: HeadLimits { settings.responseLimits }
    var handshakeMilliseconds: Int64 { Int64(settings.configuration.timeouts.handshakeMilliseconds) }
}
