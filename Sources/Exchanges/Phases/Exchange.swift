// One request and its response, between a sink that takes the response and a source of its bytes: a server's connection, or none while
// the client is held. Phase.swift has the phases; each file in this folder is about one or two of them. Invariant: an exchange finishes
// exactly once, with one cause; after that it holds neither side.

import Configuration
import Downstreams
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

/// One request and its response.
final class Exchange {
    /// Yes-or-no facts about the request.
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// The request may be sent again on another connection: idempotent (RFC 9110 section 9.2.2), without a body.
        static let isRepeatable = Flags(rawValue: 1)
        static let expectsContinue = Flags(rawValue: 1 << 1)
        static let asksForUpgrade = Flags(rawValue: 1 << 2)
        /// A token came in the URL or a cookie, was checked, or a service was asked, so the answer is kept from shared caches.
        static let isBridged = Flags(rawValue: 1 << 3)
        /// A token came in the URL, so the answer keeps the URL out of `Referer`.
        static let urlHeldToken = Flags(rawValue: 1 << 4)
        /// The client is an EventSource or behaves like one: waiting is better for it than a refusal.
        static let awaitsStream = Flags(rawValue: 1 << 5)
        /// The request was sent over a reused connection.
        static let usedReusedConnection = Flags(rawValue: 1 << 6)
        /// `AuthorizedStreams` knows the exchange.
        static let isRegistered = Flags(rawValue: 1 << 7)
    }

    let proxy: ExchangeWorker
    /// The configuration with which the exchange began. It keeps this until its end.
    let generation: Generation
    let number: UInt64
    var summary: RequestSummary
    private(set) var phase = Phase.deciding
    /// Nil once it has finished.
    private(set) var sink: Sink?
    /// Where the response's bytes come from.
    private(set) var source = Source.none
    /// Nil when none matched.
    private(set) var route: CompiledRoute?
    /// Finds the stream's events for the log of events; nil if they are not logged.
    var follower: EventFollower?
    /// From when on `duty` is due, as soon as no event is open; `.max` for never.
    var dueAt = Int64.max
    var account: ExchangeAccount
    var weaver: Weaver
    let method: Method
    var flags: Flags = []
    /// Why the stream gets no heartbeats; nil if it gets them. For streams only.
    var notWovenBecause: NotWovenReason?
    /// What the proxy does with the stream at `dueAt`.
    var duty = StreamDuty.none
    /// Recognises a client that comes back. The last field: the six bytes are free there.
    let clientMark: ClientMark

    init(proxy: ExchangeWorker, sink: Sink, head: RequestHead?) {
        self.proxy = proxy
        generation = proxy.generation
        self.sink = sink
        number = proxy.takeExchangeNumber()
        summary = RequestSummary(head, isTrusted: head != nil && sink.isTrusted)
        method = head?.method ?? .other
        account = ExchangeAccount(now: proxy.worker.now)
        clientMark = ClientMark(head, from: sink.peer, isTrusted: head != nil && sink.isTrusted)
        weaver = Weaver(resumes: head?.contains(.lastEventID) ?? false)
    }

    /// Its name in the logs.
    var identifier: StreamIdentifier { StreamIdentifier(worker: proxy.worker.number, number: number) }

    var settings: Settings { generation.settings }
    var now: Int64 { proxy.worker.now }
    /// The value of a `Date` field.
    var date: [UInt8] { proxy.date() }

    // MARK: Where it stands

    /// State that is needed only until a response begins; nil from then on.
    var request: PendingRequest? { phase.request }

    /// Whether the client is held: it has the proxy's own response, and no server serves it yet.
    var isHeld: Bool { phase.request?.isHeld ?? false }

    /// Whether the client has the beginning of a response, a server's or the proxy's own.
    var hasBegunResponse: Bool {
        switch phase {
        case .relaying, .streaming, .tunnelling: true
        case .authorizing(let request), .connecting(let request), .awaitingHead(let request), .waiting(let request): request.isHeld
        case .deciding, .ticketing, .publishing, .finished: false
        }
    }

    /// Whether the client has the beginning of an event stream.
    @inline(__always)
    var isStream: Bool {
        switch phase {
        case .streaming: true
        case .authorizing(let request), .connecting(let request), .awaitingHead(let request), .waiting(let request): request.isHeld
        case .deciding, .ticketing, .publishing, .relaying, .tunnelling, .finished: false
        }
    }

    /// What logs call its route: the route's pattern, or the endpoint for probes, tickets or published events.
    var routeName: String? {
        if let route { return route.route.name }
        switch phase {
        case .ticketing(let call): return call.tickets.routeName
        case .publishing: return PublishCall.routeName
        default: break
        }
        return source.playing == nil ? nil : ProbeSource.routeName
    }

    func enter(_ next: Phase) { phase.enter(next) }

    /// The server's connection; nil while no server is asked.
    @inline(__always)
    var upstream: UpstreamConnection? { source.connection }

    /// Releases the present source and goes on with another one.
    func replaceSource(by next: Source) {
        source.cancel()
        source = next
    }

    /// Goes on with a source that has taken over what the present one had.
    func takeOver(_ next: Source) { source = next }

    // MARK: Facts that are learnt while it is decided

    /// The route whose rules hold from now on.
    func follow(_ route: CompiledRoute) { self.route = route }

    /// From now on the request is this one: its route has read a part of the first one in another way.
    func replaceRequest(by head: RequestHead, isTrusted: Bool) {
        summary = RequestSummary(head, isTrusted: isTrusted)
        weaver = Weaver(resumes: head.contains(.lastEventID))
    }

    // MARK: The end

    /// Ends the exchange, once: writes its record, releases its server, and ends the client's side, with an answer if there is one.
    func finish(_ ending: Ending?, _ end: ResponseEnd, answer: OutgoingResponse? = nil) {
        guard let sink else { preconditionFailure("an exchange finishes once") }
        observeEnd(ending)
        if flags.contains(.isRegistered) { proxy.authorizedStreams.remove(self) }
        endProbe()
        if let keeping = request?.keeping { closesOpening(keeping, ending?.cause.side == .client ? .notOpened : .notShared(nil)) }
        source.cancel(forgets: ending?.cause.forbidsResuming ?? false)
        source = .none
        phase.enter(.finished)
        self.sink = nil
        if let answer { sink.begin(answer) }
        sink.end(end)
    }
}

// MARK: - What the client's side tells it

extension Exchange: RequestReceiver {
    /// Answers a request that cannot be read or cannot be served.
    func refuse(_ failure: RequestFailure) { refuse(proxy.refusal(of: failure)) }

    /// The client is gone, or the proxy no longer waits for it.
    func clientLeft(_ departure: ClientDeparture) { finish(Ending(departure), .abandoned) }

    /// Handles what is due on any of its clocks; returns the next deadline.
    func deadlineReached(now: Int64) -> Int64 {
        guard let nextDuty = attendDuty(now: now) else { return .max }
        if case .probe(let probe) = source { return min(play(probe, now: now), nextDuty) }
        var next = beat(now: now)
        // A stream that has its server has no clock of a request.
        if case .streaming = phase {} else { next = min(next, attend(now: now)) }
        return min(next, nextDuty)
    }

    /// The client has taken everything that was sent to it.
    func clientDrained() {
        // Bytes that drain before this exchange has answered belong to an earlier one.
        if hasBegunResponse { noteDrained() }
        source.resume()
    }

    /// The proxy ends: a stream ends at its moment, and any other exchange when it is complete.
    func drain() {
        if let moment = proxy.takeDrainMoment() { endAtBoundary(from: moment, because: .drain) }
    }
}
