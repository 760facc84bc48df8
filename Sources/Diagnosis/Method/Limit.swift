// T: which limit a cluster's ends mean. Timers are late and hardly ever early, and people set them to round numbers.

/// A limit in seconds, out of the values of a cluster.
enum Limit {
    /// Of the ends of a cluster, from the earliest on.
    static func seconds(of ends: [EndPoint]) -> Double {
        let values = withoutLeavers(ends.map(\.milliseconds))
        let first = values.startIndex
        // The 3 % point, because in a large log some leave by chance in the second before the limit.
        let low = values[first + values.count * 3 / 100]
        let middle = values[first + values.count / 2]
        for step in [5_000, 1_000] {
            let round = low / step * step
            // What a timer may be late: the first of them little, the middle one as much as a platform that looks once in two seconds.
            if round > 0, low - round <= max(350, low * 4 / 1_000), middle - round <= max(1_100, low * 12 / 1_000) { return seconds(round) }
        }
        for (step, early) in [(5_000, 300), (1_000, 100)] {
            // nginx reads its clock once a turn, and has been seen to cut 0.3 s early.
            let round = (low + early) / step * step
            if round > low { return seconds(round) }
        }
        return seconds(low / 100 * 100)
    }

    /// Without those who left by chance a little before the others were cut: the densest four fifths are the limit's, and what lies before
    /// them by more than half of their width is not.
    private static func withoutLeavers(_ values: [Int]) -> ArraySlice<Int> {
        let most = values.count - values.count / 5
        guard most < values.count else { return values[...] }
        let start = (0...values.count - most).min { values[$0 + most - 1] - values[$0] < values[$1 + most - 1] - values[$1] }!
        let width = values[start + most - 1] - values[start]
        return values.drop { $0 < values[start] - max(100, width / 2) }
    }

    private static func seconds(_ milliseconds: Int) -> Double { Double(milliseconds) / 1_000 }

    /// How far from a limit an end may lie before it counts as having outlived the limit, in milliseconds.
    static func margin(_ seconds: Double) -> Int { Int(max(1_000, seconds * 30)) }
}
