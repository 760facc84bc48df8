// A circuit breaker: what the clients that wait for a stream have learnt of one server, and when one of them may ask it again. Only these
// clients tell it anything: another client's 503, on another path, says nothing about their streams.
// Invariant: while it is open, the next probe begins after the cooldown. Where probes get no answer, more of them follow slowly, and never
// all at once.

import Marks

/// A circuit breaker for the clients that wait for one server. Moments are monotonic milliseconds.
package struct CircuitBreaker {
    //            a client is not served              the cooldown is over; a probe begins
    //   closed ─────────────────────────▶ cooldown ──────────────────────────────────────▶ half-open ─┐ no answer in time:
    //     ▲                                  ▲                                               │   │  ▲  │ twice as many may
    //     └──── a client that waited is served ──────────────────────────────────────────────┼───┘  └──┘ follow
    //                                        └───────────── a probe is not served: longer ───┘

    private static let firstCooldownMilliseconds: Int64 = 250
    /// How soon the other clients look whether a probe is over. Most probes are over long before they time out.
    private static let lookMilliseconds: Int64 = 500
    /// The moments at which clients look again are spread over less than so much, so that one turn is over when the next begins.
    package static let spreadMilliseconds: Int64 = 250
    /// At most so many probes may be under way while none has been answered.
    private static let widthLimit = 64
    /// How many paths on which probes failed are remembered.
    private static let pathLimit = 8

    /// When the current cooldown began, and the one before; `.max` for the first two of an outage, before which nobody has waited long.
    private var cooldownBeganAt: Int64 = 0
    private var previousCooldownBeganAt = Int64.max
    /// Until then no probe begins.
    private var cooldownUntil: Int64 = 0
    /// How many probes failed in a row; 0 while it is closed.
    private var failureCount: Int64 = 0
    /// When a client that had waited was last served. A client whose attempt failed before that may ask without being a probe.
    private var lastServedAt = Int64.min
    /// The paths of the last probes that failed, the latest one last. The fault may be a path's own, so paths take turns: a path that is
    /// not here goes first, and so does the one that failed longest ago.
    private var failedPaths: [Int] = []

    /// The number of the present period: the time for which the probes under way are waited for.
    private var period = 0
    /// How many probes may begin in the current period.
    private var width = 1
    /// How many probes of the present period have begun and are not over.
    private var probeCount = 0
    private var periodEndsAt: Int64 = 0
    /// Whether one of these probes has reached the server, so that only its answer is missing.
    private var isAsked = false

    /// Whether the server failed to serve a client that waits, and has served none since.
    package var isOpen: Bool { failureCount > 0 }

    /// Whether a probe is under way that has not timed out.
    func isBeingProbed(now: Int64) -> Bool { probeCount > 0 && periodEndsAt > now }

    /// Until when no probe may begin.
    package var blockedUntil: Int64 { max(cooldownUntil, probeCount >= width ? periodEndsAt : 0) }

    /// When a client looks again whether it may ask. Its own attempt failed at `failedAt`, on a path with that hash. Not later than now if
    /// it may ask now.
    func nextLook(now: Int64, failedAt: Int64, path: Int) -> Int64 {
        if failedAt < lastServedAt { return now }
        return max(
            cooldownUntil + delay(failedAt: failedAt, path: path),
            probeCount >= width ? min(periodEndsAt, now + CircuitBreaker.lookMilliseconds) : 0)
    }

    /// By how much a client goes behind others at the end of a cooldown. Strangers that come and leave all the time must not keep a client
    /// from its turn: the longer it has waited, the earlier it goes.
    private func delay(failedAt: Int64, path: Int) -> Int64 {
        if failureCount <= 1 { return 0 }
        if failedAt >= cooldownBeganAt || !isTurn(of: path) { return 2 * CircuitBreaker.spreadMilliseconds }
        return failedAt >= previousCooldownBeganAt ? CircuitBreaker.spreadMilliseconds : 0
    }

    /// Begins a probe, which times out after `patienceMilliseconds`. Returns its period, which `probeReached` and `probeEnded` take.
    mutating func beginProbe(now: Int64, patienceMilliseconds: Int64) -> Int {
        if probeCount == 0 || now >= periodEndsAt {
            // A probe that has not reached this server may be on its way to another one, and says nothing about this one.
            if probeCount > 0 && isAsked { Mark.reached(.probePeriodUnanswered) }
            width = probeCount > 0 && isAsked ? min(2 * width, CircuitBreaker.widthLimit) : 1
            period += 1
            probeCount = 0
            isAsked = false
            periodEndsAt = now + patienceMilliseconds
        }
        probeCount += 1
        return period
    }

    /// A probe of that period reached the server. Its answer is waited for so long from now on.
    mutating func probeReached(_ period: Int, now: Int64, patienceMilliseconds: Int64) {
        guard period == self.period else { return }
        periodEndsAt = now + patienceMilliseconds
        isAsked = true
    }

    /// A probe of that period is over, whatever its result.
    mutating func probeEnded(_ period: Int) {
        if period == self.period, probeCount > 0 { probeCount -= 1 }
    }

    /// A client was not served. While the breaker is open only a probe lengthens the cooldown, and only one for each cooldown.
    mutating func failed(isProbe: Bool, path: Int, now: Int64, longestCooldownMilliseconds: Int64) {
        guard isProbe || !isOpen else { return Mark.reached(.failureOfNoProbe) }
        if isProbe { noteFailure(of: path) }
        guard now >= cooldownUntil else { return }
        previousCooldownBeganAt = failureCount <= 1 ? .max : cooldownBeganAt
        cooldownBeganAt = now
        cooldownUntil = now + min(CircuitBreaker.firstCooldownMilliseconds << min(failureCount, 8), longestCooldownMilliseconds)
        failureCount += 1
        endPeriod()
    }

    private func isTurn(of path: Int) -> Bool {
        !failedPaths.contains(path) || (failedPaths.count > 1 && failedPaths.first == path)
    }

    private mutating func noteFailure(of path: Int) {
        if let place = failedPaths.firstIndex(of: path) {
            // The paths before it had their turn, and no client of theirs took it. From now on they go first, should one still wait.
            failedPaths.removeFirst(place + 1)
        } else if failedPaths.count == CircuitBreaker.pathLimit {
            failedPaths.removeFirst()
        }
        failedPaths.append(path)
    }

    /// A waiting client was served.
    mutating func served(now: Int64) {
        cooldownUntil = 0
        failureCount = 0
        failedPaths = []
        lastServedAt = now
        endPeriod()
    }

    private mutating func endPeriod() {
        period += 1
        width = 1
        probeCount = 0
        periodEndsAt = 0
        isAsked = false
    }
}
