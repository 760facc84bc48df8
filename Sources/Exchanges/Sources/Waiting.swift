// The times of a client that waits for its server: since when, until when, and when the servers are tried again.

/// How long a client waits for its server, and between what.
struct Waiting {
    private static let firstPauseMilliseconds: UInt64 = 250
    private static let longestPauseMilliseconds: UInt64 = 5_000

    /// Whether the request came from a page of another origin than it went to.
    var isForeign = false
    /// When the client is answered although its server has not; `.max` for never.
    var earlyAt = Int64.max
    /// When the servers are tried again; `.max` while they are being tried.
    var nextAttemptAt = Int64.max
    /// When the servers failed first.
    private(set) var failingSince: Int64?
    /// When they failed last.
    private(set) var failedAt = Int64.min
    /// What the client would have been told last.
    private(set) var refusal: Refusal?
    private var failureCount: UInt64 = 0

    /// The servers failed (again): how long to wait before the next attempt, longer each time. `chance` gives a number below
    /// its argument: clients that fail together do not come back together.
    mutating func failed(_ refusal: Refusal, now: Int64, chance: (UInt64) -> UInt64) -> Int64 {
        if failingSince == nil { failingSince = now }
        failedAt = now
        self.refusal = refusal
        let usual = min(Waiting.firstPauseMilliseconds << min(failureCount, 8), Waiting.longestPauseMilliseconds)
        failureCount += 1
        return Int64(usual / 2 + chance(usual))
    }
}
