// How many streams ended for which cause in each of the last sixty minutes: plain integers of one worker. Invariant: a count belongs to
// the minute in which its stream ended, and leaves the hour after sixty minutes.

/// The endings of the last hour, by minute and cause.
package struct CauseHour: Sendable, Equatable {
    /// How many minutes are kept.
    package static let minutes = 60
    private static let causes = Array(Cause.allCases)

    private var counts = [UInt32](repeating: 0, count: CauseHour.minutes * CauseHour.causes.count)
    /// The latest minute, since 1970.
    private var latest: Int64 = 0

    /// An hour without an ending.
    package init() {}

    private var oldest: Int64 { latest - Int64(CauseHour.minutes) + 1 }

    /// Counts an ending.
    package mutating func add(_ cause: Cause, atMilliseconds moment: Int64) {
        let minute = moment / 60_000
        advance(to: minute)
        guard minute >= oldest, let place = CauseHour.causes.firstIndex(of: cause) else { return }
        counts[CauseHour.row(minute) + place] &+= 1
    }

    /// Adds the counts of another worker.
    package mutating func add(_ other: CauseHour) {
        advance(to: other.latest)
        guard max(oldest, other.oldest) <= other.latest else { return }
        for minute in max(oldest, other.oldest)...other.latest {
            let row = CauseHour.row(minute)
            for place in row..<(row + CauseHour.causes.count) { counts[place] &+= other.counts[place] }
        }
    }

    /// Forgets what is older than an hour at that moment.
    package mutating func advance(toMilliseconds moment: Int64) { advance(to: moment / 60_000) }

    /// The endings for a cause, one number for each minute, the oldest first.
    package func endings(for cause: Cause) -> [UInt32] {
        guard let place = CauseHour.causes.firstIndex(of: cause) else { return [] }
        return (oldest...latest).map { counts[CauseHour.row($0) + place] }
    }

    private mutating func advance(to minute: Int64) {
        guard minute > latest else { return }
        for passed in max(latest + 1, minute - Int64(CauseHour.minutes) + 1)...minute {
            let row = CauseHour.row(passed)
            for place in row..<(row + CauseHour.causes.count) { counts[place] = 0 }
        }
        latest = minute
    }

    /// Where the counts of a minute begin. Minutes before 1970 are those of an hour without an ending.
    private static func row(_ minute: Int64) -> Int {
        let place = Int(minute % Int64(minutes))
        return (place < 0 ? place + minutes : place) * causes.count
    }
}
