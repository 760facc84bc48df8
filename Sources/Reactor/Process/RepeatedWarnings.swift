// Warnings about repeated events: each is reported at most every ten seconds, with the number of times.

/// An error that may happen again and again.
struct RepeatedWarning {
    /// How often it is reported at most.
    static let intervalMilliseconds: Int64 = 10_000

    private var count = 0
    private var saidAt = Int64.min / 2

    /// It happened (again). Returns the report of how often and in which time; nil if it was reported recently.
    mutating func occurred(now: Int64) -> String? {
        count += 1
        guard now - saidAt >= Self.intervalMilliseconds else { return nil }
        defer {
            count = 0
            saidAt = now
        }
        return count == 1 ? "" : " (\(count) times in \((now - saidAt) / 1000) s)"
    }
}

extension Worker {
    /// Warns the operator of a repeated error; the same warning comes at most every ten seconds, with the number of times.
    public func warn(_ what: String) {
        guard let times = warnings[what, default: RepeatedWarning()].occurred(now: now) else { return }
        SystemProcess.warn("heartwire: \(what)\(times)")
    }
}
