// The counts and times of one exchange, in few bytes: ten thousand idle streams hold one each. Nothing here acts on the numbers;
// ExchangeLog.swift writes them.

import Credentials
import Downstreams
import Telemetry

/// What the log may know of a request's token. A separate object, since most requests have no token.
final class KnownToken {
    let fingerprint: UInt64?
    /// Nil for the unused token of a refused request.
    let origin: LoggedTokenOrigin?
    /// Finds the token in the texts of the server's events, and in the path.
    let echo: TokenEcho

    init(fingerprint: UInt64?, origin: LoggedTokenOrigin?, echo: TokenEcho) {
        self.fingerprint = fingerprint
        self.origin = origin
        self.echo = echo
    }
}

/// Counts and times of one exchange. Moments are monotonic milliseconds; spans that may be missing are `UInt32.max`.
struct ExchangeAccount {
    static let missing = UInt32.max

    let startedAt: Int64
    private(set) var lastUpstreamByteAt: Int64 = 0
    private(set) var lastClientByteAt: Int64 = 0
    /// Since when a due heartbeat cannot be placed; 0 if none is due.
    private(set) var unplaceableSince: Int64 = 0
    var requestBytes: UInt64 = 0
    private(set) var bytesFromUpstream: UInt64 = 0
    var bytesToClient: UInt64 = 0
    var heartbeats: UInt64 = 0
    /// Nil for a request without a token.
    var token: KnownToken?
    var connectMilliseconds = ExchangeAccount.missing
    var responseMilliseconds = ExchangeAccount.missing
    private(set) var firstEventMilliseconds = ExchangeAccount.missing
    private(set) var longestUpstreamSilenceMilliseconds: UInt32 = 0
    private(set) var longestClientSilenceMilliseconds: UInt32 = 0
    private(set) var unplaceableMilliseconds: UInt32 = 0
    /// For how long the client was held. While it is held: since when, counted from `startedAt`.
    private(set) var heldMilliseconds = ExchangeAccount.missing
    private var isHeld = false
    var status: UInt16 = 0
    /// New connections that were tried.
    var attempts: UInt8 = 0

    init(now: Int64) { startedAt = now }

    /// The response's head came from the upstream.
    mutating func upstreamBegan(now: Int64) { lastUpstreamByteAt = now }

    /// Body bytes came from the upstream.
    mutating func upstreamSent(_ count: Int, now: Int64) {
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
    mutating func clientWasSent(now: Int64) {
        if lastClientByteAt > 0 {
            longestClientSilenceMilliseconds = max(longestClientSilenceMilliseconds, UInt32(clamping: now - lastClientByteAt))
        }
        lastClientByteAt = now
        endUnplaceable(now: now)
    }

    /// A heartbeat was due and could not be placed.
    mutating func noteUnplaceable(now: Int64) {
        if unplaceableSince == 0 { unplaceableSince = now }
    }

    private mutating func endUnplaceable(now: Int64) {
        guard unplaceableSince > 0 else { return }
        unplaceableMilliseconds = UInt32(clamping: Int64(unplaceableMilliseconds) + now - unplaceableSince)
        unplaceableSince = 0
    }

    /// The proxy begins to hold the client.
    mutating func heldSince(_ now: Int64) {
        isHeld = true
        heldMilliseconds = UInt32(clamping: now - startedAt)
    }

    /// The hold ends: a server serves, or the exchange ends.
    mutating func holdingEnds(now: Int64) {
        guard isHeld else { return }
        isHeld = false
        heldMilliseconds = UInt32(clamping: now - startedAt - Int64(heldMilliseconds))
    }

    mutating func noteFirstEvent(now: Int64) { firstEventMilliseconds = UInt32(clamping: now - startedAt) }

    private mutating func noteSilences(now: Int64) {
        longestUpstreamSilenceMilliseconds = max(
            longestUpstreamSilenceMilliseconds, UInt32(clamping: now - lastUpstreamByteAt))
    }

    /// Counts the silences that last until now.
    mutating func close(now: Int64) {
        holdingEnds(now: now)
        if lastUpstreamByteAt > 0 { noteSilences(now: now) }
        if lastClientByteAt > 0 {
            longestClientSilenceMilliseconds = max(longestClientSilenceMilliseconds, UInt32(clamping: now - lastClientByteAt))
        }
        endUnplaceable(now: now)
    }
}
