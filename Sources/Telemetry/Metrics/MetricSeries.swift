// The numbers of the series that a configuration makes: each route, path, server and listener has one, by which workers find its
// integers. Invariant: a number keeps its meaning for the life of the process, so that a reload lets no counter go backwards, and an
// exchange that began before it goes on counting in the same place.

/// Which series there are, by their labels' values. A reload continues the value of the configuration before it.
package struct MetricSeries: Sendable {
    /// How many series one scope may have. Names beyond it share one series, because reloads could bring new names without end.
    package static let limit = 10_000
    /// The number of what belongs to no name: a request that no route matches.
    package static let none: Int32 = 0
    /// The number of what has no room.
    private static let other = 1
    private static let reserved = ["none", "other"]

    private struct Names: Sendable {
        var values: [[String]]
        var numbers: [[String]: Int]
        /// Those that the present configuration has.
        var current: Set<Int>
    }

    private let limit: Int
    private var scopes: [Names]

    /// No series apart from those that every process has.
    package init(limit: Int = MetricSeries.limit) {
        self.limit = limit
        scopes = MetricRow.Scope.allCases.map { scope in
            let count = scope.labelNames.count
            guard count > 0 else { return Names(values: [[]], numbers: [:], current: [0]) }
            let values = MetricSeries.reserved.map { [String](repeating: $0, count: count) }
            return Names(values: values, numbers: [:], current: [])
        }
    }

    /// The series of another configuration begin: what it does not name again is no longer current, and keeps its number.
    package mutating func beginConfiguration() {
        for scope in MetricRow.Scope.allCases where scope != .proxy { scopes[scope.rawValue].current = [] }
    }

    /// The number of a series, which is current from now on. `labels` are the values of the scope's labels.
    package mutating func add(_ labels: [String], in scope: MetricRow.Scope) -> Int32 {
        precondition(labels.count == scope.labelNames.count, "a series has a value for each label of its scope")
        let known = scopes[scope.rawValue].numbers[labels]
        let count = scopes[scope.rawValue].values.count
        guard known != nil || count < limit else { return Int32(MetricSeries.other) }
        if known == nil {
            scopes[scope.rawValue].values.append(labels)
            scopes[scope.rawValue].numbers[labels] = count
        }
        scopes[scope.rawValue].current.insert(known ?? count)
        return Int32(known ?? count)
    }

    /// The number of a series that the configuration has.
    package func known(_ labels: [String], in scope: MetricRow.Scope) -> Int32 {
        Int32(scopes[scope.rawValue].numbers[labels] ?? MetricSeries.other)
    }

    /// How many series a scope has.
    func count(_ scope: MetricRow.Scope) -> Int { scopes[scope.rawValue].values.count }

    /// The labels' values of a series.
    func labels(of number: Int, in scope: MetricRow.Scope) -> [String] { scopes[scope.rawValue].values[number] }

    /// Whether the present configuration has the series.
    func isCurrent(_ number: Int, in scope: MetricRow.Scope) -> Bool { scopes[scope.rawValue].current.contains(number) }

    /// Whether no configuration names the series, so that it is told only where something was counted.
    func isReserved(_ number: Int, in scope: MetricRow.Scope) -> Bool { scope != .proxy && number < MetricSeries.reserved.count }
}
