// What one worker knows of one server's health. A server that cannot be reached is ejected for a cooldown: other servers are preferred.
// A server that does not serve waiting clients opens its circuit breaker. Moments are monotonic milliseconds.

/// What one worker knows of one server's health.
package struct ServerHealth {
    /// Until then other servers are preferred. It keeps its value, in the past, until the server is reached; then it is 0.
    package private(set) var ejectedUntil: Int64 = 0
    /// What waiting clients have learnt of the server.
    package internal(set) var breaker = CircuitBreaker()

    /// Whether it could not be reached, and has not been reached since.
    package var isUnreachable: Bool { ejectedUntil > 0 }

    /// Until then no waiting client tries the server.
    package var probesBlockedUntil: Int64 { max(ejectedUntil, breaker.blockedUntil) }

    /// For how long a failure is remembered that nobody has tried to repeat.
    private static let memoryMilliseconds: Int64 = 10_000

    /// Whether it failed and has not served since. Where no client asks it, the failure is forgotten after a while, because it may be
    /// well again.
    func failedLately(now: Int64) -> Bool {
        let lastFailure = max(isUnreachable ? ejectedUntil : .min, breaker.isOpen ? breaker.blockedUntil : .min)
        return lastFailure > now - ServerHealth.memoryMilliseconds
    }

    /// Whether a half-open probe of it may begin: it failed, and its cooldown is over.
    func mayBeProbed(now: Int64) -> Bool { (isUnreachable || breaker.isOpen) && probesBlockedUntil <= now }

    /// The server refused a connection or did not answer in time.
    mutating func eject(now: Int64, cooldownMilliseconds: Int) { ejectedUntil = now + Int64(cooldownMilliseconds) }

    /// A connection to the server was made.
    mutating func reached() { ejectedUntil = 0 }

    /// Whether other servers are preferred now.
    func isPassedOver(byWaiting isWaiting: Bool, isProbedByIt: @autoclosure () -> Bool, now: Int64) -> Bool {
        if ejectedUntil > now { return true }
        guard isWaiting else { return isUnreachable && breaker.isBeingProbed(now: now) }
        return probesBlockedUntil > now && !isProbedByIt()
    }

    /// When a waiting client checks again whether it may try the server: it failed at `failedAt`, on a path with that hash. Not later
    /// than now if it may try now.
    func nextLook(now: Int64, failedAt: Int64, path: Int) -> Int64 {
        max(ejectedUntil, breaker.nextLook(now: now, failedAt: failedAt, path: path))
    }
}
