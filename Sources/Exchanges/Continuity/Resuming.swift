// How a request finds the stream that its client lost, and how a stream becomes one that can be found. The id that a client brings is a
// position and no capability: the stream is found by the request's own key, and an id that is not of that key's streams is like nonsense.
//
//     id of the client ──▶ the streams of its key, one after the other, the newest first ──▶ goes on, or a new stream with a gap
//
// Invariant: an id of the proxy's never goes to a server.

import Configuration
import Credentials
import Downstreams
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

/// What a request needs until its stream is kept, or goes on.
final class KeepingRequest {
    let key: StreamKey
    let terms: CompiledContinuity
    /// The id that the client brought; empty for none.
    let id: ClientIdentifier
    /// The types of events that the client wants; nil for all.
    let filter: TypeFilter?
    /// The streams that have not been asked yet, the next one last.
    fileprivate var homes: [StreamHome] = []
    /// As whom a stream is asked now; nil while none is.
    fileprivate var asksAs: DistantReader?
    /// Whether the stream that is asked now is one to join.
    private(set) var isJoining = false
    /// How often the client has asked for the stream that it could share.
    var rounds = 0
    /// The epoch of the stream that the request opens for all clients of its key; nil for none.
    var opening: Epoch?
    /// Whether the client's stream is its own, on a route that shares.
    var isAlone = false
    /// Why; nil where the server did not say it.
    var notSharedBecause: NotSharedReason?
    /// Whether the server's answer is for this client only, which other clients with the same key cannot be told from: nobody can come back
    /// to the stream.
    var isVetoed = false
    /// What is missing at the new stream's beginning.
    fileprivate(set) var gap: Gap?
    /// Whether a stream is being asked.
    var isSearching: Bool { asksAs != nil }

    init(_ key: StreamKey, _ terms: CompiledContinuity, id: ClientIdentifier, _ filter: TypeFilter?) {
        self.key = key
        self.terms = terms
        self.id = id
        self.filter = filter
    }

    /// A stream is asked.
    fileprivate func asks(as reader: DistantReader, isJoining: Bool) {
        asksAs = reader
        self.isJoining = isJoining
    }
}

extension Exchange {
    /// Looks for the stream that the client lost. True if one has been asked whether it is that.
    func continues(_ forwarding: RequestForwarding, _ bridged: BridgedRequest?, _ findings: Findings?, _ request: PendingRequest) -> Bool {
        guard let terms = forwarding.route.continuity, forwarding.isManaged else { return false }
        let key: StreamKey
        do throws(StreamKeyFault) {
            key = try forwarding.streamKey(
                bridged, findings, certificateDigest: sink?.certificateDigest, under: proxy.shared.historyKey)
        } catch {
            if error == .notTrusted { request.lacksStreamIdentity = true }
            return false
        }
        let keeping = KeepingRequest(
            key, terms, id: forwarding.clientEventID ?? ClientIdentifier([]), forwarding.taken.filter.map { TypeFilter($0) })
        request.keeping = keeping
        guard !keeping.id.isEmpty else { return shares(keeping, request) }
        keeping.homes = proxy.shared.streamDirectory.homes(of: key, keeping.id.position?.epoch).reversed()
        return goesOn(keeping, request) || shares(keeping, request)
    }

    /// Asks a stream. `answered` follows.
    func ask(_ home: StreamHome, _ wish: StreamQuestion.Wish, _ keeping: KeepingRequest, _ request: PendingRequest) {
        let isJoining = if case .join = wish { true } else { false }
        keeping.asks(as: proxy.keptStreams.ask(home, wish, keeping, for: self), isJoining: isJoining)
        enter(.authorizing(request))
    }

    /// Asks the next of the streams that are left. True if one is asked; `answered` follows.
    private func goesOn(_ keeping: KeepingRequest, _ request: PendingRequest) -> Bool {
        if let home = keeping.homes.popLast() {
            ask(home, .resume(keeping.id), keeping, request)
            return true
        }
        proxy.counters.add(.streamReturns, ReturnOutcome.unknown)
        note(missing: .unknown, keeping)
        return false
    }

    private func isOver(_ keeping: KeepingRequest) {
        proxy.counters.add(.streamReturns, ReturnOutcome.over)
        note(missing: .upstream, keeping)
    }

    private func note(missing reason: Gap.Reason, _ keeping: KeepingRequest) {
        // The server itself sends what follows its own id, but the request for a shared stream holds none.
        if keeping.terms.policy.isResumable, !keeping.id.server.isEmpty, keeping.terms.policy.share == nil { return }
        keeping.gap = Gap(reason, isCertain: false)
    }

    /// Whether the answer of a stream is awaited.
    func isSearching(as reader: DistantReader) -> Bool { request?.keeping?.asksAs == reader }

    /// A stream has answered whether it goes on here.
    func answered(_ answer: ResumptionAnswer, _ reader: StreamReader?) {
        guard let request, let keeping = request.keeping else { preconditionFailure("an answer comes to an exchange that asked") }
        keeping.asksAs = nil
        switch answer {
        case .resumed(let resumption):
            guard let reader else { preconditionFailure("a stream that goes on has a reader") }
            return resume(resumption, reader, request)
        case .isOver: isOver(keeping)
        case .notHere: if !keeping.isJoining, goesOn(keeping, request) { return }
        // However many leave, those who wait go on sharing.
        case .notOpened: keeping.rounds -= 1
        case .notShared(let reason):
            keeping.isAlone = reason != nil
            keeping.notSharedBecause = reason
        }
        if case .notShared = answer {} else if shares(keeping, request) { return }
        enter(.connecting(request))
        connect()
    }

    /// The stream that the client lost goes on in this response.
    private func resume(_ resumption: ResumedStream, _ reader: StreamReader, _ request: PendingRequest) {
        if resumption.previous != nil { proxy.counters.add(.streamReturns, ReturnOutcome.resumed) }
        takeOver(.kept(reader))
        account.upstreamBegan(now: now)
        if endsWithToken() { return }
        // Of a shared stream it is not known which of its readers came back.
        reader.facts = ReaderFacts(
            previous: resumption.sharedWith == nil ? resumption.previous : nil,
            replayed: resumption.previous == nil ? nil : resumption.replayed)
        reader.facts.sharedWith = resumption.sharedWith
        reader.filters = request.keeping?.filter != nil
        if request.isHeld {
            guard joins(resumption.head, .chunked, request) else { return }
            enter(.streaming)
            observeServer()
            observeHead(resumption.head, .chunked)
        } else {
            begin(resumption.head, .chunked, request, isResumed: true)
        }
        if let gap = resumption.gap { log(gap) }
        reader.begin(with: resumption.opening)
    }

    /// Whether the stream of that answer will be kept.
    func keeps(_ head: ResponseHead, _ request: PendingRequest) -> Bool {
        request.keeping != nil && head.isEventStream && head.status == 200 && head.contentEncodingIsIdentity
    }

    /// Where the streams of all servers are merged, the response's head is that of the first server that answers with a stream. True if
    /// another one is asked.
    func looksForStream(_ head: ResponseHead, _ request: PendingRequest) -> Bool {
        guard request.keeping?.terms.merges == true, !request.isHeld, !(head.isEventStream && head.status == 200),
            account.attempts < ServerSearch.attemptLimit, request.search.looksOn(in: group, now: now)
        else { return false }
        leaveServer()
        enter(.connecting(request))
        connect()
        return true
    }

    /// A server has answered with a stream: it is kept from now on, if the route keeps streams and the stream can be cut into blocks.
    func keep(_ head: ResponseHead, from connection: UpstreamConnection, _ request: PendingRequest) {
        guard let keeping = request.keeping else { return }
        guard notWovenBecause != .compressed, isStream else { return closesOpening(keeping, .notShared(nil)) }
        if keeping.terms.policy.share != nil, let reason = head.notSharedBecause(keeping.terms.sharedFields) {
            keeping.notSharedBecause = reason
            keeping.isVetoed = true
            closesOpening(keeping, .notShared(reason))
        }
        let stream = proxy.keptStreams.open(
            keeping, head: head, from: connection, keeping.terms.masks || keeping.terms.merges ? repeatable(request) : nil,
            for: self)
        keeping.opening = nil
        let reader = StreamReader(of: self, serverName: stream.serverName)
        if let reason = keeping.notSharedBecause { reader.facts.notSharedBecause = reason }
        reader.filters = keeping.filter != nil
        takeOver(.kept(reader))
        var opening: [UInt8] = []
        if let gap = keeping.gap {
            log(gap)
            // A response that ends at its beginning, time after time, would help nobody. Who joins the stream later misses nothing here.
            if stream.isShared {
                opening = stream.log.gapEvent(gap, before: stream.log.next) ?? []
            } else if keeping.terms.tellsByEvent {
                stream.log.append(gap, at: now)
            }
        }
        stream.open(for: reader, keeping.filter)
        // The server's first bytes follow in this turn.
        if keeping.id.isEmpty { _ = stream.log.appendPlace(stream.log.next, to: &opening) }
        reader.prepare(opening)
    }

    /// What is sent when the server drops.
    private func repeatable(_ request: PendingRequest) -> StreamRequest {
        request.repeatable(
            pathHash: summary.pathHash, to: group, outageAnswers: route?.route.outageAnswers ?? OutageAnswers())
    }

    /// The server of that name on this worker; nil if the configuration has none any more.
    func server(named name: String) -> ServerState? { group.servers.first { $0.name == name } }

    /// The client's address without its port, as limits count clients; nil for a trusted proxy, which has many clients.
    var countedAddress: SocketAddress? {
        guard let sink, !sink.client.isTrusted else { return nil }
        var address = sink.peer
        address.port = 0
        return address
    }

    // MARK: What the stream tells

    /// The server's part of the stream is over, and the client has everything.
    func keptStreamEnded(_ end: FeedEnd) {
        switch end {
        case .whole(isCloseDelimited: true): finishCloseDelimited()
        case .whole(isCloseDelimited: false):
            receiveBody(proxy.worker.copyToScratch(UnsafeRawBufferPointer(start: nil, count: 0)), isLast: true)
        case .failed(let seen): serverFailed(seen)
        case .stayedAway(let seen?, let milliseconds):
            var ending = Ending(Refusal(seen))
            ending.evidence += "; the server was asked again for \(milliseconds) ms, and the client was told to come back"
            sendBack(ending, around: retryForAway)
        case .stayedAway(nil, let milliseconds):
            sendBack(
                Ending(
                    cause: .upstreamFinished,
                    evidence: "the server ended the response \(milliseconds) ms ago; the client was told to come back"),
                around: retryForAway)
        case .answered(let status):
            sendBack(
                Ending(
                    cause: .sentBack,
                    evidence: "asked to go on, the server answered \(status); the client was told to come back for that answer"))
        case .left:
            sendBack(Ending(cause: .sentBack, evidence: "what was kept has been passed on; the client was told to come back for the rest"))
        }
    }

    /// When a client comes back whose server stayed away: no sooner than the server itself has asked for.
    private var retryForAway: UInt64 {
        max(Exchange.usualRetryMilliseconds, min(weaver.scanner.retryMilliseconds ?? 0, Exchange.longestRetryMilliseconds))
    }

    /// The client has come back over another connection.
    func endSuperseded() {
        let ending = Ending(cause: .superseded, evidence: "the client came back over another connection, and its stream goes on there")
        // Some clients take the beginning of an event for a whole one where the response ends in good order.
        isAtBoundary ? endResponse(ending) : cut(ending)
    }

    /// The client was too slow: the next event for it is no longer kept, or it has only the beginning of one that is never kept. With an id
    /// it is told of the gap when it is there again, and only then. Without one it is told now.
    func endLeftBehind(_ gap: Gap?, _ event: [UInt8]) {
        guard isAtBoundary else {
            return cut(Ending(cause: .lagged, evidence: "cut inside an event above 'limits event' for which the client was too slow"))
        }
        let hasIdentifier = !weaver.scanner.lastEventID.isEmpty
        if !hasIdentifier, let gap { log(gap) }
        sendBack(
            Ending(cause: .lagged, evidence: "the next event for the client is no longer kept; the client was told to come back"),
            around: Exchange.usualRetryMilliseconds, after: hasIdentifier ? [] : event)
    }

    /// Something is missing where the client has come to. It was told so, if the route wants that.
    func tell(_ gap: Gap) {
        log(gap)
        guard isStream, let route, case .reconnect? = route.continuity?.policy.gap else { return }
        sendBack(Ending(cause: .sentBack, evidence: "blocks are missing; the client was told to come back"))
    }
}
