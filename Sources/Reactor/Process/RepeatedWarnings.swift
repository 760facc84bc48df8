// Warnings about what may happen again and again: the operator hears of each at most every ten seconds, with how often it happened.

/// Something that goes wrong again and again.
struct RepeatedWarning {
    /// It is told at most so often.
    static let intervalMilliseconds: Int64 = 10_000

    private var count = 0
    private var saidAt = Int64.min / 2

    /// It happened (again). Returns what is to be said of how often and in which time; nil while it was told only lately.
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
    /// Warns the operator of something that may go on and on; the same is told at most every ten seconds, with how often it was.
    public func warn(_ what: String) {
        guard let times = warnings[what, default: RepeatedWarning()].occurred(now: now) else { return }
        SystemProcess.warn("heartwire: \(what)\(times)")
    }
}
