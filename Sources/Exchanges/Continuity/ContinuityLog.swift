// What the logs say of kept streams: why one is not kept, which one goes on, and where something is missing.

import EventStream
import Reactor
import Telemetry

/// What the logs say of a reader.
struct ReaderFacts {
    /// The stream that goes on in this one; nil for the first.
    var previous: StreamIdentifier?
    /// How many blocks the client had missed when it came back.
    var replayed: UInt64?
    /// In how many places something is or may be missing.
    var gapCount = 0
    /// The stream that was opened for all who share it; nil for the one that opened it, and for streams of one client.
    var sharedWith: StreamIdentifier?
    /// Why it is the client's own stream, on a route that shares.
    var notSharedBecause: NotSharedReason?
    /// How often the server was away, and for how long in all, while the client's response went on.
    var maskedCount = 0
    var maskedMilliseconds: Int64 = 0
    /// How often the proxy replaced the server's response.
    var recycledCount = 0
}

extension Exchange {
    /// Why the stream of the request is not kept, on a route that keeps streams.
    func notKeptBecause(_ request: PendingRequest?) -> NotKeptReason? {
        guard route?.continuity != nil else { return nil }
        return notWovenBecause == .compressed ? .compressed : request?.lacksStreamIdentity == true ? .identity : nil
    }

    /// Writes that something is or may be missing in the stream.
    func log(_ gap: Gap) {
        source.reader?.facts.gapCount += 1
        let reason = GapReason(gap.reason)
        proxy.counters.add(.streamGaps, reason)
        guard !proxy.observers.isDisjoint(with: .ofStreams) else { return }
        proxy.log(
            StreamGapRecord(
                timeMilliseconds: proxy.worker.kernel.unixMilliseconds(), exchange: description, reason: reason,
                isCertain: gap.isCertain, missed: gap.missedCount))
    }
}

extension GapReason {
    init(_ reason: Gap.Reason) {
        switch reason {
        case .expired: self = .expired
        case .repeated: self = .repeated
        case .upstream, .away, .owner: self = .upstream
        case .oversize: self = .oversize
        case .unknown, .store: self = .unknown
        }
    }
}

extension Cause {
    /// Whether a stream that ends for this cause may not go on in another response.
    var forbidsResuming: Bool {
        switch self {
        case .revoked, .authorizationUnavailable: true
        default: false
        }
    }
}
