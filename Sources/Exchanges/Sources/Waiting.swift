// The times of a waiting client: since when and until when it waits, and when the servers are tried again.

/// A client's wait for its server.
struct Waiting {
    private static let firstPauseMilliseconds: UInt64 = 250
    private static let longestPauseMilliseconds: UInt64 = 5_000

    /// Whether the page of the request has another origin than its target.
    var isForeign = false
    /// When the client is answered before its server has answered; `.max` for never.
    var earlyAt = Int64.max
    /// When the servers are tried again; `.max` during an attempt.
    var nextAttemptAt = Int64.max
    /// When the servers first failed.
    private(set) var failingSince: Int64?
    /// When they last failed.
    private(set) var failedAt = Int64.min
    /// The last refusal that the client would have got.
    private(set) var refusal: Refusal?
    private var failureCount: UInt64 = 0

    /// The servers failed (again): sets the wait before the next attempt, longer each time. `chance` gives a random number below its
    /// argument, so that clients that fail together do not come back together.
    mutating func failed(_ refusal: Refusal, now: Int64, chance: (UInt64) -> UInt64) -> Int64 {
        if failingSince == nil { failingSince = now }
        failedAt = now
        self.refusal = refusal
        defer { failureCount += 1 }
        return Waiting.pause(after: failureCount, chance: chance)
    }

    /// The pause before the next attempt, in milliseconds, after so many failures before the last one: 125 to 375 at first, in the end
    /// 2,500 to 7,500.
    static func pause(after failureCount: UInt64, chance: (UInt64) -> UInt64) -> Int64 {
        let usual = min(firstPauseMilliseconds << min(failureCount, 8), longestPauseMilliseconds)
        return Int64(usual / 2 + chance(usual))
    }
}
