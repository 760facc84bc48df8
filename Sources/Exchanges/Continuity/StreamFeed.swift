// The server's side of a kept stream: one response, or one after the other where the route masks that its servers drop (`mask`).
//
//     reading ──the response ends or breaks──▶ waiting ──▶ asking ──the stream goes on──▶ reading
//        │                                      ▲  │          │                              ▲
//        │ the route does not mask              │  │          │ another answer than the      │ both say the same
//        │                                      └──┼──────────┤ stream, for the client       │
//        └───────────────▶ over ◀──too late────────┘◀─────────┘         overlapping ─────────┘
//
// A response that is replaced (`recycle … overlap`) is read on while the next one is asked for, and while both overlap.
//
// While a server is away its readers stay, with heartbeats. A merged stream has a feed for each address. Invariants: it asks one at a time;
// with the first byte of a new response nothing is left of the old one; an id of the proxy's never goes to a server.

import Configuration
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

/// The server's side of a kept stream.
final class StreamFeed {
    enum State {
        /// A response is read.
        case reading(ServerPart)
        /// The server dropped; it is asked at a moment that is set.
        case waiting(Masking)
        /// The server dropped, and is asked.
        indirect case asking(ServerPart, Masking)
        /// A response is read, and the next one has begun: what that says is held.
        indirect case overlapping(ServerPart, ServerPart, Overlap)
        indirect case over(FeedEnd)
    }

    unowned let stream: KeptStream
    /// The one server that is asked, where the streams of all addresses are merged; nil where any server will do.
    let memory: ServerMemory?
    /// What is sent when the server drops; nil where that ends the stream.
    let request: StreamRequest?
    var state: State
    /// Monotonic milliseconds: when a slow reader last took bytes again.
    private var resumedAt = Int64.min / 2
    /// Monotonic milliseconds: when the present response began.
    var beganAt: Int64
    /// When the present response is to be replaced by the next one; `.max` for never.
    var recycleAt = Int64.max
    /// What the server last asked clients to wait before they come back.
    var retryMilliseconds: Int64 {
        get { Int64(shortRetry) }
        set { shortRetry = Int32(min(newValue, Self.longestRetryMilliseconds)) }
    }
    // Small fields follow one another, because there is a feed for each idle client.
    private var shortRetry: Int32 = 0
    /// How long a server may be silent in a stream; `.max` for no limit.
    private let silenceLimit: Int32
    /// How many responses in a row were soon over, so that the pause before the next one grows.
    var shortResponses: UInt8 = 0
    private(set) var isPaused = false
    /// As long as the longest `mask`: a server that asks for more is asked again no later.
    private static let longestRetryMilliseconds: Int64 = 3_600_000

    /// A response that lasts at least so long is none that was soon over.
    private static let usualResponseMilliseconds: Int64 = 5_000
    /// A server that dropped is asked again after this time at the earliest, and after twice as long at the latest.
    private static let leastPauseMilliseconds: Int64 = 250
    /// How soon it looks again whether a slow client has caught up.
    static let pausedLookMilliseconds: Int64 = 1_000

    /// The feed of a stream whose server has just answered over that connection, which reports to the feed from now on.
    init(
        _ connection: UpstreamConnection, of stream: KeptStream, _ terms: CompiledContinuity, _ request: StreamRequest?,
        for exchange: Exchange
    ) {
        self.stream = stream
        self.request = request
        memory = terms.merges ? ServerMemory(of: connection, after: stream.log.lastServerIdentifier) : nil
        memory?.hasBeenRead = true
        beganAt = exchange.now
        silenceLimit = exchange.group.upstream.streamSilenceTimeoutMilliseconds.map { Int32(clamping: $0) } ?? .max
        state = .over(.left)
        let part = ServerPart(connection, of: self, eventLimit: eventLimit)
        state = .reading(part)
        connection.handOver(to: part)
    }

    /// One more feed of a merged stream, which asks for its first response as soon as it is attended to.
    init(_ memory: ServerMemory, beside first: StreamFeed, _ request: StreamRequest) {
        stream = first.stream
        silenceLimit = first.silenceLimit
        (self.memory, self.request) = (memory, request)
        isPaused = first.isPaused
        beganAt = first.now
        let masking = Masking(since: beganAt, request, first.proxy.generation)
        masking.isFirst = !memory.hasBeenRead
        masking.nextAttemptAt = beganAt
        state = .waiting(masking)
    }

    /// Its address; nil where any server will do.
    var pin: PinnedAddress? { memory?.pin }
    var proxy: ExchangeWorker { stream.proxy }
    var terms: CompiledContinuity { stream.terms }
    var now: Int64 { stream.worker.now }
    var silenceLimitMilliseconds: Int64? { silenceLimit == .max ? nil : Int64(silenceLimit) }
    var limits: Limits { proxy.settings.configuration.limits }
    var eventLimit: Int { limits.eventBytes }
    var responseLimits: HeadLimits { proxy.settings.responseLimits }
    var handshakeMilliseconds: Int64 { Int64(proxy.settings.configuration.timeouts.handshakeMilliseconds) }

    /// How it ended; nil while it goes on.
    var end: FeedEnd? { if case .over(let end) = state { end } else { nil } }

    // MARK: What the stream wants

    /// Reads no more for now: a reader is too slow.
    func pause() {
        guard !isPaused else { return }
        isPaused = true
        present?.connection.pause(for: .slowClient)
    }

    /// Reads again.
    func resume() {
        guard isPaused else { return }
        isPaused = false
        resumedAt = now
        present?.connection.resume(for: .slowClient)
    }

    /// Whether a slow reader keeps the proxy from reading the server, or did so a moment ago: the server has said more than is known.
    var isCatchingUp: Bool { isPaused || now < resumedAt + Self.pausedLookMilliseconds }

    /// Has the kernel ask the server now and then whether it is still there.
    func probe() { if let present { beginProbing(present) } }

    /// Whether a response is read.
    var isReading: Bool { present != nil }

    /// The response that is read now.
    private var present: ServerPart? {
        switch state {
        case .reading(let part), .overlapping(let part, _, _): part
        case .waiting(let masking), .asking(_, let masking): masking.old
        case .over: nil
        }
    }

    func beginProbing(_ part: ServerPart) { part.connection.beginProbing(afterSeconds: ExchangeWorker.probeAfterSeconds) }

    /// Lets the server go, if the feed is not over.
    func leave() { if release() { state = .over(.left) } }

    /// Nobody is there any more who saw how the server ended. Who comes back learns only that more has to be asked for.
    func forgetEnd() {
        switch end {
        case .failed, .stayedAway: state = .over(.left)
        case .whole, .left, .answered, nil: return
        }
    }

    /// Gives the server back; false if the feed was over.
    private func release() -> Bool {
        switch state {
        case .reading(let part): part.leave()
        case .waiting(let masking):
            masking.probe?.end()
            masking.old?.leave()
        case .asking(let part, let masking):
            part.leave()
            masking.probe?.end()
            masking.old?.leave()
        case .overlapping(let old, let new, _):
            old.leave()
            new.leave()
        case .over: return false
        }
        return true
    }

    /// When the feed has something to do; `.max` for never.
    var nextDeadline: Int64 {
        switch state {
        case .reading: recycleAt
        case .waiting(let masking): isHeld(masking) ? masking.nextAttemptAt : min(masking.nextAttemptAt, end(of: masking))
        case .overlapping(_, _, let overlap): overlap.nextLookAt
        // A server that was reached and does not answer is waited for no longer than any other.
        case .asking(_, let masking):
            isHeld(masking) ? .max : end(of: masking)
        case .over: .max
        }
    }

    /// Does what is due.
    func attend() {
        switch state {
        case .reading(let part): if now >= recycleAt { recycle(part) }
        case .waiting(let masking):
            guard now >= nextDeadline else { return }
            isLate(masking) ? stayedAway(masking) : tryAgain(masking)
        case .overlapping(let old, let new, let overlap): if now >= overlap.nextLookAt { look(old, new, overlap) }
        case .asking(_, let masking):
            guard now >= nextDeadline else { return }
            _ = release()
            stayedAway(masking)
        case .over: return
        }
    }

    // MARK: A response ends

    /// The response's end came.
    func ended(_ part: ServerPart, _ end: FeedEnd) {
        guard part === present else {
            if case .overlapping(let old, let new, _) = state, part === new { newIsOver(old, new) }
            return
        }
        // A client that has parts of an event cannot go on in the same response. Those who have none can.
        if stream.isHandingOnParts {
            guard stream.endReadersOfParts(end) else {
                _ = release()
                return finish(end)
            }
        }
        switch state {
        case .reading: drop(part, end)
        case .overlapping(let old, let new, let overlap):
            // What one that broke had still to say is on neither.
            if case .whole = end { switchOver(old, new, overlap, isOver: true) } else { switchOver(old, new, overlap) }
        case .waiting(let masking):
            oldIsOver(masking)
            wait(masking, until: min(masking.nextAttemptAt, now + rest))
        case .asking(_, let masking):
            oldIsOver(masking)
            stream.wakeAtDeadline()
        case .over: return
        }
    }

    /// The server failed.
    func failed(_ part: ServerPart, _ seen: SeenFailure) {
        if case .asking(let present, let masking) = state, present === part { return unserved(part, masking, seen) }
        ended(part, .failed(seen))
    }

    private func oldIsOver(_ masking: Masking) {
        stream.merging?.readUntil = now
        masking.oldIsOver(now: now)
    }

    /// Some servers forget their client when a response ends, a moment after it: a new one has to come behind that, as far as the route
    /// leaves time for it.
    private var rest: Int64 {
        let usual = Self.leastPauseMilliseconds + Int64(proxy.chance(below: UInt64(Self.leastPauseMilliseconds)))
        return terms.masks ? min(usual, terms.maskMilliseconds / 2) : usual
    }

    private func drop(_ part: ServerPart, _ end: FeedEnd) {
        part.leave()
        stream.merging?.readUntil = now
        guard let request, !proxy.isDraining, terms.masks || stream.isRead(besides: self) else { return finish(end) }
        shortResponses = now - beganAt < Self.usualResponseMilliseconds ? min(shortResponses, 200) + 1 : 0
        let masking = Masking(since: now, request, proxy.generation)
        if case .failed = end { masking.isBroken = true }
        let rest = rest
        // Its pauses may grow, but not past the time in which it has to go on.
        let usual = min(Waiting.pause(after: UInt64(shortResponses)) { proxy.chance(below: $0) }, max(rest, terms.maskMilliseconds / 2))
        wait(masking, until: now + max(rest, usual, leastPause))
    }

    /// How long the feed waits because the next response has ended at once.
    func pauseAfterShortResponse() -> Int64 {
        shortResponses = min(shortResponses, 200) + 1
        return Waiting.pause(after: UInt64(shortResponses)) { proxy.chance(below: $0) }
    }

    /// The server's `retry`, as far as the route leaves time for it.
    private var leastPause: Int64 { terms.masks ? min(retryMilliseconds, terms.maskMilliseconds / 2) : retryMilliseconds }

    /// How long the feed waits before it asks again, after so many failures in a row.
    func pause(after failures: UInt64) -> Int64 {
        max(leastPause, Waiting.pause(after: failures) { proxy.chance(below: $0) })
    }

    func wait(_ masking: Masking, until next: Int64) {
        guard !isLate(masking) else { return stayedAway(masking) }
        masking.nextAttemptAt = next
        state = .waiting(masking)
        stream.wakeAtDeadline()
    }

    /// Whether readers have something to read meanwhile.
    private func isHeld(_ masking: Masking) -> Bool { masking.old != nil || stream.isRead(besides: self) }

    /// When clients that have nothing to read are told to come back.
    private func end(of masking: Masking) -> Int64 { (stream.merging?.readUntil ?? masking.since) + terms.maskMilliseconds }

    private func isLate(_ masking: Masking) -> Bool { !isHeld(masking) && now >= end(of: masking) }

    private func stayedAway(_ masking: Masking) { finish(.stayedAway(masking.failure, milliseconds: now - masking.since)) }
    func finish(_ end: FeedEnd) {
        switch end {
        case .stayedAway: proxy.counters.add(.streamMasks, MaskOutcome.stayedAway)
        case .answered: proxy.counters.add(.streamMasks, MaskOutcome.answered)
        case .whole, .failed, .left: break
        }
        state = .over(end)
        stream.feedIsOver()
    }
}
