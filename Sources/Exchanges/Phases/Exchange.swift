// One request and its response, between a sink that takes a response and a source that its bytes come from: one server's connection, or
// nobody while the client is held. Its phases are in Phase.swift; each of the files in this folder is about one or two of them.
// Invariant: an exchange finishes exactly once, with one cause; afterwards it holds neither side.

import Configuration
import Downstreams
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

/// One request and its response.
final class Exchange {
    /// Facts about the request that are either so or not.
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// The request may be sent again on another connection: idempotent (RFC 9110 section 9.2.2), without a body.
        static let isRepeatable = Flags(rawValue: 1)
        static let expectsContinue = Flags(rawValue: 1 << 1)
        static let asksForUpgrade = Flags(rawValue: 1 << 2)
        /// A token came in the URL or a cookie, so the answer is kept from shared caches.
        static let isBridged = Flags(rawValue: 1 << 3)
        /// A token came in the URL, so the answer keeps the URL out of `Referer`.
        static let urlHeldToken = Flags(rawValue: 1 << 4)
        /// The client is an EventSource, or what behaves like one: it would rather wait than be refused.
        static let awaitsStream = Flags(rawValue: 1 << 5)
        /// The request was sent over a connection that had served another one.
        static let usedReusedConnection = Flags(rawValue: 1 << 6)
    }

    let proxy: ExchangeWorker
    /// What was in force when it began, and is for it to its end.
    let generation: Generation
    let number: UInt64
    let summary: RequestSummary
    private(set) var phase = Phase.deciding
    /// Nil once it has finished.
    private(set) var sink: Sink?
    /// The server's connection; nil while no server is asked.
    var upstream: UpstreamConnection?
    /// Nil when none matched.
    private(set) var route: CompiledRoute?
    /// Tells the stream's events apart for the log of events; nil where they are not logged.
    var follower: EventFollower?
    /// From when on a stream is ended between two events, because the proxy shuts down; `.max` while it does not.
    var endsAt = Int64.max
    var account: ExchangeAccount
    var weaver: Weaver
    let method: Method
    var flags: Flags = []
    private(set) var requestFraming = OutgoingFraming.none
    /// Why the stream is not woven; nil when it is. Matters for streams only.
    var notWovenBecause: NotWovenReason?

    init(proxy: ExchangeWorker, sink: Sink, head: RequestHead?) {
        self.proxy = proxy
        generation = proxy.generation
        self.sink = sink
        number = proxy.takeExchangeNumber()
        summary = RequestSummary(head, isTrusted: head != nil && sink.client.isTrusted)
        method = head?.method ?? .other
        account = ExchangeAccount(now: proxy.worker.now)
        weaver = Weaver(resumes: head?.contains(.lastEventID) ?? false)
    }

    var settings: Settings { generation.settings }
    var now: Int64 { proxy.worker.now }
    /// The value of a `Date` field.
    var date: [UInt8] { proxy.date() }

    // MARK: Where it stands

    /// What matters only until a response begins; nil from then on.
    var request: PendingRequest? { phase.request }

    /// Whether the client has the proxy's own response, and no server has taken over yet.
    var isHeld: Bool { phase.request?.isHeld ?? false }

    /// Whether the client was told the beginning of a response, a server's or the proxy's own.
    var hasBegunResponse: Bool {
        switch phase {
        case .relaying, .streaming, .tunnelling: true
        case .connecting(let request), .awaitingHead(let request), .waiting(let request): request.isHeld
        case .deciding, .finished: false
        }
    }

    /// Whether the client has the beginning of an event stream.
    @inline(__always)
    var isStream: Bool {
        switch phase {
        case .streaming: true
        case .connecting(let request), .awaitingHead(let request), .waiting(let request): request.isHeld
        case .deciding, .relaying, .tunnelling, .finished: false
        }
    }

    func enter(_ next: Phase) { phase.enter(next) }

    // MARK: Facts that are learnt while it is decided

    /// The route whose rules hold from now on.
    func follow(_ route: CompiledRoute) { self.route = route }

    /// How the request's body is framed for its server.
    func frameRequest(as framing: BodyFraming) {
        requestFraming =
            switch framing {
            case .none, .untilClose: .none
            case .length: .plain
            case .chunked: .chunked
            }
    }

    // MARK: The end

    /// Ends the exchange, once: writes its record, gives its server up, and ends the client's side, with an answer where there is one.
    func finish(_ ending: Ending?, _ end: ResponseEnd, answer: OutgoingResponse? = nil) {
        guard let sink else { preconditionFailure("an exchange finishes once") }
        observeEnd(ending)
        endProbe()
        leaveUpstream()
        phase.enter(.finished)
        self.sink = nil
        if let answer { sink.begin(answer) }
        sink.end(end)
    }
}

// MARK: - What the client's side tells it

extension Exchange: RequestReceiver {
    /// Answers a request that cannot be read or not be served.
    func refuse(_ failure: RequestFailure) { refuse(proxy.refusal(of: failure)) }

    /// The client is gone, or is no longer waited for. The server's side ends at once.
    func clientLeft(_ departure: ClientDeparture) { finish(Ending(departure), .abandoned) }

    /// Does what is due by any of its clocks; returns when to look again.
    func deadlineReached(now: Int64) -> Int64 {
        // A stream whose moment has passed waits for its server to end the event; no clock can tell when that is.
        if now >= endsAt, isAtBoundary {
            endStream()
            return .max
        }
        let beat = beat(now: now)
        let next = min(beat, attend(now: now))
        return endsAt > now ? min(next, endsAt) : next
    }

    /// The client has taken all that was sent to it.
    func clientDrained() {
        // What drains before this exchange has answered is an earlier one's.
        if hasBegunResponse { account.clientWasSent(now: now) }
        upstream?.resume(for: .slowClient)
    }

    /// The proxy ends: a stream ends at its moment, and any other exchange when it is done.
    func drain() {
        if let moment = proxy.takeDrainMoment() { endAtBoundary(from: moment) }
    }
}
