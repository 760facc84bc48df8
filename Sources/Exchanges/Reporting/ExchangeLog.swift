// The records of an exchange, made from its counts. Cold code: it runs when a stream opens and when an exchange ends, and may make
// strings.

import Configuration
import Credentials
import Downstreams
import EventStream
import Reactor
import Telemetry
import Upstreams

extension Exchange {
    /// What records say about the exchange.
    var description: ExchangeDescription {
        var description = ExchangeDescription(
            stream: identifier,
            client: sink?.peer.description ?? "")
        description.route = routeName
        if let route { description.upstream = settings.configuration.upstreams[route.route.upstreamIndex].name }
        description.server = source.server?.name ?? request?.failedServer
        if let security = sink?.security {
            description.tlsVersion = security.version
            description.isTLSResumed = security.isResumed
        }
        let bound = account.token?.bound
        description.clientForwarded = masked(summary.forwardedClient, bound)
        description.host = masked(summary.host, bound)
        description.path = masked(summary.path.map(settings.loggedPaths.redacted), bound, isCut: summary.isPathCut)
        description.method = summary.method
        description.status = account.status == 0 ? nil : Int(account.status)
        description.tokenFingerprint = account.token?.fingerprint
        description.tokenOrigin = account.token?.origin
        if let bound {
            description.identity = bound.identity
            description.ticket = bound.ticket?.id
        }
        if isStream || summary.acceptsEventStream || sink?.sharedConnection != nil { description.requester = requester }
        return description
    }

    /// What the request shows of its client. It explains why streams end and why they cannot begin, and nothing of other exchanges.
    private var requester: RequesterDescription {
        let (hops, timeout) = summary.hops
        let shared = sink?.sharedConnection
        return RequesterDescription(
            resumes: weaver.resumes, clientProtocol: shared == nil ? summary.clientProtocol : .http2, sharedConnection: shared,
            agent: summary.agent, hops: hops, viaCount: summary.viaCount, forwardedCount: summary.forwardedCount,
            expectedTimeoutMilliseconds: timeout == 0 ? nil : timeout)
    }

    /// The interval of the stream's heartbeats; nil if it gets none.
    private var heartbeatInForce: Int64? { notWovenBecause == nil ? route?.heartbeatMilliseconds : nil }

    /// The client's text without the request's token.
    private func masked(_ text: ArraySlice<UInt8>?, _ bound: BoundToken?, isCut: Bool = false) -> ArraySlice<UInt8>? {
        guard let text, let token = account.token else { return text }
        let masked = token.echo.masked(text, isCut: isCut)
        return bound?.ticket?.echo.masked(masked, isCut: isCut) ?? masked
    }

    /// Writes the record of a stream whose head is sent to the client now.
    func writeOpening(heldBecause: HeldReason?, _ notKeptBecause: NotKeptReason?) {
        var record = opening(heldBecause: heldBecause, atUnixMilliseconds: proxy.worker.kernel.unixMilliseconds())
        record.notKeptBecause = notKeptBecause
        if let client = clientKey { record.previous = proxy.shared.recentStreams.takeLast(of: client, now: now) }
        proxy.log(record)
    }

    /// Writes the opening of a running stream once more, for a log that has just been opened.
    func writeOpeningAgain() {
        var record = opening(heldBecause: nil, atUnixMilliseconds: proxy.worker.kernel.unixMilliseconds())
        record.ageMilliseconds = now - account.startedAt
        proxy.log(record)
    }

    private func opening(heldBecause: HeldReason?, atUnixMilliseconds moment: Int64) -> StreamOpening {
        var record = StreamOpening(
            timeMilliseconds: moment, exchange: description, notWovenBecause: notWovenBecause, heldBecause: heldBecause)
        record.lastEventIdentifierIsDropped = summary.lacksLastEventID
        record.heartbeatMilliseconds = heartbeatInForce
        record.resumedFrom = source.reader?.facts.previous
        record.notKeptBecause = notKeptBecause(nil)
        return record
    }

    /// The line of the stream's opening, as far as it is still known: of what happened before, nothing is kept.
    var presentOpening: [UInt8] {
        let began = proxy.worker.kernel.unixMilliseconds() - (now - account.startedAt)
        var line: [UInt8] = []
        opening(heldBecause: nil, atUnixMilliseconds: began).encode(into: &line)
        return line
    }

    /// Writes the record of a stream's end, while so many others are open.
    func writeStreamEnding(_ ending: Ending, _ others: (ofRoute: Int, ofServer: Int?)) {
        var record = StreamEnding(
            timeMilliseconds: proxy.worker.kernel.unixMilliseconds(), exchange: description, cause: ending.cause,
            evidence: ending.evidence)
        record.errnoName = ending.errnoName
        record.credentialsFault = ending.credentialsFault
        record.durationMilliseconds = proxy.worker.now - account.startedAt
        record.firstEventMilliseconds = present(account.firstEventMilliseconds)
        record.connectMilliseconds = present(account.connectMilliseconds)
        record.responseMilliseconds = present(account.responseMilliseconds)
        record.events = weaver.scanner.eventCount
        record.bytesFromUpstream = account.bytesFromUpstream
        record.bytesToClient = account.bytesToClient
        record.heartbeats = UInt64(account.heartbeats)
        record.longestUpstreamSilenceMilliseconds = Int64(account.longestUpstreamSilenceMilliseconds)
        record.longestClientSilenceMilliseconds = Int64(account.longestClientSilenceMilliseconds)
        record.upstreamSilenceAtEndMilliseconds = account.upstreamSilence(now: now)
        record.clientSilenceAtEndMilliseconds = account.clientSilence(now: now)
        record.clientSilenceBeforeLastWriteMilliseconds = Int64(account.silenceBeforeLastWriteMilliseconds)
        record.mostPendingBytes = Int64(account.mostPendingBytes)
        record.pendingMilliseconds = Int64(account.pendingMilliseconds)
        record.retryMilliseconds = ending.retryMilliseconds ?? weaver.scanner.retryMilliseconds
        record.heartbeatMilliseconds = heartbeatInForce
        let identifier = weaver.scanner.lastEventID
        let isTruncated = weaver.scanner.isLastEventIDTruncated
        if account.token?.echo.isHeard(in: identifier.span, isCut: isTruncated) == true {
            record.lastEventIdentifierIsWithheld = true
        } else {
            record.lastEventIdentifier = identifier.isEmpty ? nil : identifier
            record.lastEventIdentifierIsTruncated = isTruncated
        }
        record.heldMilliseconds = present(account.heldMilliseconds)
        if let facts = source.reader?.facts {
            record.resumedFrom = facts.previous
            record.replayed = facts.replayed
            record.sharedWith = facts.sharedWith
            record.notSharedBecause = facts.notSharedBecause
            record.gaps = facts.gapCount
            if facts.recycledCount > 0 { record.recycled = facts.recycledCount }
            if facts.maskedCount > 0 { record.masked = (facts.maskedCount, facts.maskedMilliseconds) }
        }
        record.notWovenBecause = notWovenBecause
        record.endedMidLine = notWovenBecause != .compressed && weaver.placement == .nowhere
        if account.unplaceableMilliseconds > 0 { record.unheartbeatableMilliseconds = Int64(account.unplaceableMilliseconds) }
        record.clientTransport = sink?.transportInformation
        record.upstreamTransport = upstream?.transportInformation
        (record.openStreams, record.openStreamsOfServer) = others
        proxy.log(record)
        if let client = clientKey { proxy.shared.recentStreams.ended(record.exchange.stream, of: client, now: now) }
    }

    /// Writes the record of an exchange that was not a stream.
    func writeAccess(_ ending: Ending?) {
        var record = AccessRecord(timeMilliseconds: proxy.worker.kernel.unixMilliseconds(), exchange: description)
        record.durationMilliseconds = proxy.worker.now - account.startedAt
        record.connectMilliseconds = present(account.connectMilliseconds)
        record.responseMilliseconds = present(account.responseMilliseconds)
        record.requestBytes = account.requestBytes
        record.responseBytes = account.bytesToClient
        record.reusedConnection = flags.contains(.usedReusedConnection)
        record.attempts = Int(account.attempts)
        if let ending {
            record.cause = ending.cause
            record.evidence = ending.evidence
            record.errnoName = ending.errnoName
            record.refusedBy = ending.limit
            record.credentialsFault = ending.credentialsFault
            record.clientTransport = sink?.transportInformation
            record.upstreamTransport = upstream?.transportInformation
        }
        proxy.log(record)
    }

    private func present(_ milliseconds: UInt32) -> Int64? {
        milliseconds == ExchangeAccount.missing ? nil : Int64(milliseconds)
    }
}
