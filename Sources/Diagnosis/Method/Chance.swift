// How improbable a count is. All chances are natural logarithms, because many are far below the smallest number. Each is an upper bound:
// a chance is never said to be smaller than it is.

import Glibc

enum Chance {
    /// The level of all steps that look at many places: one false alarm in a million logs, after the correction for the places.
    static let level = log(1e-6)

    /// P(X ≥ count) of a Poisson variable with that mean. Ends that know nothing of each other fall into a window like this.
    static func atLeast(_ count: Int, mean: Double) -> Double {
        let count = Double(count)
        let mean = max(mean, 1e-12)
        guard count > mean else { return 0 }
        // The first term of the tail; the others are at most a geometric series.
        return count * log(mean) - mean - lgamma(count + 1) - log(1 - mean / (count + 1))
    }

    /// P of exactly this split: of `marked + others` values in order of size, `high` of the marked and `highOthers` of the others are
    /// the highest (hypergeometric).
    static func split(marked: Int, others: Int, high: Int, highOthers: Int) -> Double {
        choices(high + highOthers, high) + choices(marked + others - high - highOthers, marked - high) - choices(marked + others, marked)
    }

    private static func choices(_ all: Int, _ some: Int) -> Double {
        lgamma(Double(all + 1)) - lgamma(Double(some + 1)) - lgamma(Double(all - some + 1))
    }
}
