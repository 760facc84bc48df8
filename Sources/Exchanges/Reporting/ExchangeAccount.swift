// The counts and times of one exchange, in few bytes: ten thousand idle streams hold one each. Nothing here acts on the numbers;
// ExchangeLog.swift writes them.

import Credentials
import Downstreams
import Telemetry

/// What the log may know of a request's token. A separate object, since most requests have no token.
class KnownToken {
    let fingerprint: UInt64?
    /// Nil for the unused token of a refused request.
    let origin: TokenOrigin?
    /// Finds the token in the texts of the server's events, and in the path.
    private(set) var echo: TokenEcho
    /// What its stream depends on; nil where nobody checks it.
    var bound: BoundToken? { nil }

    init(fingerprint: UInt64?, origin: TokenOrigin?, echo: TokenEcho) {
        self.fingerprint = fingerprint
        self.origin = origin
        self.echo = echo
    }

    deinit { echo.wipe() }

}

/// A token that was checked, or that a ticket held. A class of its own, because the streams of all other tokens need not carry its bytes.
class BoundToken: KnownToken {
    /// What was verified about it; nil where it is not good, or where a service alone decides.
    var identity: TokenIdentity?
    /// How long after the token's own end its stream ends, in milliseconds: at most twice the leeway. `.max` where no end is known.
    private var endsAfterMilliseconds = UInt32.max
    /// The ticket that stood for it; nil without one.
    var ticket: UsedTicket?

    override var bound: BoundToken? { self }

    /// When its stream ends with it, in milliseconds since 1970 and not before the token does; `.max` where no end is known.
    var endsAtUnixMilliseconds: Int64 {
        get {
            guard let identity, endsAfterMilliseconds < .max else { return .max }
            return identity.expiresMilliseconds + Int64(endsAfterMilliseconds)
        }
        set { if let identity { endsAfterMilliseconds = UInt32(clamping: newValue - identity.expiresMilliseconds) } }
    }

    /// A token that is not good.
    convenience init(ofRefused token: Token, _ identity: TokenIdentity?, _ ticket: UsedTicket?) {
        self.init(fingerprint: nil, origin: nil, echo: TokenEcho(of: token))
        self.identity = identity
        self.ticket = ticket
    }
}

/// What the log may know of a ticket.
final class UsedTicket {
    let id: TicketID
    /// Finds the ticket in the request's path.
    private(set) var echo: TokenEcho

    init(_ id: TicketID, echo: TokenEcho) {
        self.id = id
        self.echo = echo
    }

    deinit { echo.wipe() }
}

/// A token that recordings must not hold. They need all of it, because bodies are masked byte by byte.
final class RecordedToken: BoundToken {
    let token: Token

    init(_ token: Token, fingerprint: UInt64?, origin: TokenOrigin?) {
        self.token = token
        super.init(fingerprint: fingerprint, origin: origin, echo: TokenEcho(of: token))
    }
}

/// Counts and times of one exchange. Moments are monotonic milliseconds; spans that may be missing are `UInt32.max`. 112 bytes: eight
/// more would be sixteen for each idle stream.
struct ExchangeAccount {
    static let missing = UInt32.max

    /// What lasts now.
    private struct State: OptionSet {
        let rawValue: UInt8
        /// The client is held.
        static let held = State(rawValue: 1)
        /// A due heartbeat cannot be placed.
        static let unplaceable = State(rawValue: 2)
        /// Bytes wait for the client.
        static let pending = State(rawValue: 4)
    }

    let startedAt: Int64
    /// When the last byte of the body came, or the head before the first; 0 before that.
    private(set) var lastUpstreamByteAt: Int64 = 0
    private(set) var lastClientByteAt: Int64 = 0
    var requestBytes: UInt64 = 0
    private(set) var bytesFromUpstream: UInt64 = 0
    var bytesToClient: UInt64 = 0
    /// Nil for a request without a token.
    var token: KnownToken?
    var heartbeats: UInt32 = 0
    var connectMilliseconds = ExchangeAccount.missing
    var responseMilliseconds = ExchangeAccount.missing
    private(set) var firstEventMilliseconds = ExchangeAccount.missing
    private(set) var longestUpstreamSilenceMilliseconds: UInt32 = 0
    private(set) var longestClientSilenceMilliseconds: UInt32 = 0
    /// The silence before the bytes that went to the client last.
    private(set) var silenceBeforeLastWriteMilliseconds: UInt32 = 0
    private(set) var unplaceableMilliseconds: UInt32 = 0
    /// The lowest bits of the moment since when a due heartbeat cannot be placed.
    private var unplaceableSince: UInt32 = 0
    private(set) var mostPendingBytes: UInt32 = 0
    private(set) var pendingMilliseconds: UInt32 = 0
    /// The lowest bits of the moment since when bytes wait for the client.
    private var pendingSince: UInt32 = 0
    /// For how long the client was held. While it is held: since when, counted from `startedAt`.
    private(set) var heldMilliseconds = ExchangeAccount.missing
    var status: UInt16 = 0
    /// New connections that were tried.
    var attempts: UInt8 = 0
    private var state: State = []

    init(now: Int64) { startedAt = now }

    /// The response's head came from the upstream.
    mutating func upstreamBegan(now: Int64) { lastUpstreamByteAt = now }

    /// Body bytes came from the upstream. The end of the body alone is no byte.
    mutating func upstreamSent(_ count: Int, now: Int64) {
        guard count > 0 else { return }
        bytesFromUpstream &+= UInt64(count)
        noteSilences(now: now)
        lastUpstreamByteAt = now
    }

    /// Body bytes went to the client.
    mutating func sentToClient(_ count: Int, now: Int64) {
        guard count > 0 else { return }
        bytesToClient &+= UInt64(count)
        clientWasSent(now: now)
    }

    /// Something went to the client.
    @inline(__always)
    mutating func clientWasSent(now: Int64) {
        if lastClientByteAt > 0, now > lastClientByteAt {
            let silence = UInt32(truncatingIfNeeded: min(now - lastClientByteAt, Int64(UInt32.max)))
            silenceBeforeLastWriteMilliseconds = silence
            longestClientSilenceMilliseconds = max(longestClientSilenceMilliseconds, silence)
        }
        lastClientByteAt = now
        endUnplaceable(now: now)
    }

    // MARK: Bytes that wait

    /// Whether bytes wait for the client.
    var isPending: Bool { state.contains(.pending) }

    /// That many bytes wait for the client now.
    mutating func bytesWait(_ count: Int, now: Int64) {
        mostPendingBytes = max(mostPendingBytes, UInt32(clamping: count))
        guard !isPending else { return }
        state.insert(.pending)
        pendingSince = UInt32(truncatingIfNeeded: now)
    }

    /// The client has taken all bytes that waited.
    mutating func clientDrained(now: Int64) {
        clientWasSent(now: now)
        endPending(now: now)
    }

    private mutating func endPending(now: Int64) {
        guard isPending else { return }
        state.remove(.pending)
        pendingMilliseconds = sum(pendingMilliseconds, since: pendingSince, now: now)
    }

    /// A total and the span since a moment, of which the lowest bits are known: right for spans below seven weeks.
    private func sum(_ total: UInt32, since: UInt32, now: Int64) -> UInt32 {
        let (sum, isTooMuch) = total.addingReportingOverflow(UInt32(truncatingIfNeeded: now) &- since)
        return isTooMuch ? .max : sum
    }

    // MARK: Heartbeats without a place

    /// A heartbeat was due and could not be placed.
    mutating func noteUnplaceable(now: Int64) {
        guard !state.contains(.unplaceable) else { return }
        state.insert(.unplaceable)
        unplaceableSince = UInt32(truncatingIfNeeded: now)
    }

    @inline(__always)
    private mutating func endUnplaceable(now: Int64) {
        guard state.contains(.unplaceable) else { return }
        state.remove(.unplaceable)
        unplaceableMilliseconds = sum(unplaceableMilliseconds, since: unplaceableSince, now: now)
    }

    // MARK: Holding

    /// The proxy begins to hold the client.
    mutating func heldSince(_ now: Int64) {
        state.insert(.held)
        heldMilliseconds = UInt32(clamping: now - startedAt)
    }

    /// The hold ends: a server serves, or the exchange ends.
    mutating func holdingEnds(now: Int64) {
        guard state.contains(.held) else { return }
        state.remove(.held)
        heldMilliseconds = UInt32(clamping: now - startedAt - Int64(heldMilliseconds))
    }

    mutating func noteFirstEvent(now: Int64) { firstEventMilliseconds = UInt32(clamping: now - startedAt) }

    private mutating func noteSilences(now: Int64) {
        longestUpstreamSilenceMilliseconds = max(
            longestUpstreamSilenceMilliseconds, UInt32(clamping: now - lastUpstreamByteAt))
    }

    // MARK: The end

    /// For how long nothing has been sent to the client; 0 if nothing ever was.
    func clientSilence(now: Int64) -> Int64 { lastClientByteAt > 0 ? now - lastClientByteAt : 0 }

    /// For how long no byte of the body has come from the upstream; nil if there was no upstream.
    func upstreamSilence(now: Int64) -> Int64? { lastUpstreamByteAt > 0 ? now - lastUpstreamByteAt : nil }

    /// Counts what lasts until now.
    mutating func close(now: Int64) {
        holdingEnds(now: now)
        if lastUpstreamByteAt > 0 { noteSilences(now: now) }
        if lastClientByteAt > 0 {
            longestClientSilenceMilliseconds = max(longestClientSilenceMilliseconds, UInt32(clamping: now - lastClientByteAt))
        }
        endUnplaceable(now: now)
        endPending(now: now)
    }
}
