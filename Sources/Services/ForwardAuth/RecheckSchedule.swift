// When a service is asked again about living streams. Each question has a moment of its own, so that streams that began together are not
// all asked about at once. Invariant: between two answers lies at most `recheck`, and a silence of the service at most `recheck_grace`.

/// The moments at which one question is asked again. All times are monotonic milliseconds.
struct RecheckSchedule {
    private static let firstPauseMilliseconds: Int64 = 1_000

    private let pauseMilliseconds: Int64
    private let graceMilliseconds: Int64
    /// When the service is asked next.
    private(set) var nextAt: Int64
    /// Since when the service has not answered; nil while it answers.
    private(set) var silentSince: Int64?
    private var failureCount = 0

    /// A schedule that begins with an answer. `chance` gives a random number below its argument.
    init(pauseMilliseconds: Int, graceMilliseconds: Int, now: Int64, chance: (UInt64) -> UInt64) {
        self.pauseMilliseconds = Int64(pauseMilliseconds)
        self.graceMilliseconds = Int64(graceMilliseconds)
        nextAt = 0
        answered(now: now, chance: chance)
    }

    /// The service has answered: the next question follows after three quarters of the pause to all of it.
    mutating func answered(now: Int64, chance: (UInt64) -> UInt64) {
        silentSince = nil
        failureCount = 0
        nextAt = now + pauseMilliseconds - Int64(chance(UInt64(max(pauseMilliseconds / 4, 1))))
    }

    /// The service has not answered: it is asked again soon, and then after longer and longer pauses.
    mutating func failed(now: Int64, chance: (UInt64) -> UInt64) {
        let since = silentSince ?? now
        silentSince = since
        let pause = min(RecheckSchedule.firstPauseMilliseconds << Int64(min(failureCount, 20)), pauseMilliseconds)
        failureCount += 1
        nextAt = min(now + pause / 2 + Int64(chance(UInt64(max(pause / 2, 1)))), since + graceMilliseconds)
    }

    /// Whether the service has been silent for so long that the streams have to end.
    func isOver(now: Int64) -> Bool { silentSince.map { now >= $0 + graceMilliseconds } ?? false }
}
