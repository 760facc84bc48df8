// What a row of the table of metrics consists of, and where a metric's integers stand in the memory of a worker's counters.

/// One row of the table of metrics.
package struct MetricRow: Sendable {
    /// What kind of figure it is.
    package enum Kind: Sendable {
        /// Only grows.
        case counter
        /// Goes up and down.
        case gauge
        /// A gauge that is 1 while its integer is 0 on every worker, and 0 otherwise. Only what the configuration names has it.
        case health
        /// How many values were at most so large, and their sum.
        case histogram(MetricBuckets)
    }

    /// The unit in which it is told, a suffix of its name.
    package enum Unit: String, Sendable {
        case seconds, bytes
    }

    /// Whose series it has.
    package enum Scope: Int, CaseIterable, Sendable {
        /// One for the whole proxy.
        case proxy
        /// One for each route.
        case route
        /// One for each route and the upstream that it leads to.
        case path
        /// One for each server of each upstream.
        case server
        /// One for each listener.
        case listener
        /// One for each service that is asked whether requests may pass.
        case forwardAuth
        /// One for each issuer of tokens that the proxy asks.
        case issuer
        /// One for each token that the proxy fetches for its servers.
        case token
        /// One for each block of tickets.
        case ticket

        /// The names of its labels.
        package var labelNames: [String] {
            switch self {
            case .proxy: []
            case .route: ["route"]
            case .path: ["route", "upstream"]
            case .server: ["upstream", "server"]
            case .listener: ["listener", "tls"]
            case .forwardAuth: ["forward_auth"]
            case .issuer: ["issuer"]
            case .token: ["token"]
            case .ticket: ["ticket"]
            }
        }
    }

    /// Its name, without the `_total` of counters.
    package let name: String
    /// What kind of figure it is.
    package let kind: Kind
    /// The unit of its values; nil for counts of things.
    package let unit: Unit?
    /// Whose series it has.
    package let scope: Scope
    /// The names of the labels from a closed set.
    package let labelNames: [String]
    /// Every combination of those labels' values; one empty combination where there are none.
    package let labelValues: [[String]]
    /// One sentence for a reader.
    package let help: String
    /// Whether workers count it; otherwise its value is a fact of the process, which is asked for when it is told.
    package let isCounted: Bool

    private init(
        _ name: String, _ kind: Kind, _ unit: Unit?, _ scope: Scope, _ labels: (names: [String], values: [[String]]), _ help: String,
        isCounted: Bool = true
    ) {
        (self.name, self.kind, self.unit, self.scope, self.help, self.isCounted) = (name, kind, unit, scope, help, isCounted)
        (labelNames, labelValues) = labels
    }

    private static func labels<Label: MetricLabel>(_ type: Label.Type) -> (names: [String], values: [[String]]) {
        (type.names, type.allCases.map(\.values))
    }

    static func counter<Label: MetricLabel>(
        _ name: String, _ scope: Scope, _ labels: Label.Type = Unlabelled.self, unit: Unit? = nil, help: String
    ) -> MetricRow { MetricRow(name, .counter, unit, scope, Self.labels(labels), help) }

    static func gauge(_ name: String, _ scope: Scope, unit: Unit? = nil, help: String) -> MetricRow {
        MetricRow(name, .gauge, unit, scope, labels(Unlabelled.self), help)
    }

    static func health(_ name: String, _ scope: Scope, help: String) -> MetricRow {
        MetricRow(name, .health, nil, scope, labels(Unlabelled.self), help)
    }

    static func histogram<Label: MetricLabel>(
        _ name: String, _ scope: Scope, _ labels: Label.Type = Unlabelled.self, buckets: MetricBuckets, help: String
    ) -> MetricRow { MetricRow(name, .histogram(buckets), .seconds, scope, Self.labels(labels), help) }

    static func fact(_ name: String, _ kind: Kind, unit: Unit? = nil, help: String) -> MetricRow {
        MetricRow(name, kind, unit, .proxy, labels(Unlabelled.self), help, isCounted: false)
    }

    /// How many integers one combination of its closed labels has: one, or a histogram's buckets with the last one and the sum.
    fileprivate var width: Int {
        if case .histogram(let buckets) = kind { buckets.bounds.count + 2 } else { isCounted ? 1 : 0 }
    }

    /// How many integers one series of its scope has.
    fileprivate var cellCount: Int { width * labelValues.count }
}

/// The upper bounds of a histogram's buckets.
package struct MetricBuckets: Sendable {
    /// In milliseconds, ascending. A value that equals a bound is in its bucket.
    package let bounds: [Int64]

    /// They end a second above the usual limits of the hops on the way, so that a timer and its lateness fall into one bucket.
    static let durations = MetricBuckets(bounds: silences.bounds + [901_000, 1_801_000, 3_601_000, 14_400_000, 86_400_000])
    /// The same up to ten minutes.
    static let silences = MetricBuckets(
        bounds: [
            1_000, 2_500, 5_000, 11_000, 16_000, 21_000, 31_000, 46_000, 61_000, 91_000, 101_000, 121_000, 181_000, 241_000, 301_000,
            351_000, 601_000,
        ])
    /// For what somebody waits for.
    static let waits = MetricBuckets(
        bounds: [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000])
    /// For connections to servers.
    static let connects = MetricBuckets(bounds: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000])
    /// A tick of the timers: no heartbeat is exacter.
    package static let tickMilliseconds: Int64 = 8
    /// For heartbeats.
    static let lateness = MetricBuckets(bounds: [tickMilliseconds, 16, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000])
}

/// The rows of all metrics, and where their integers stand: those of one series of a scope are one piece of memory, in the table's order.
enum MetricTable {
    /// Where the integers of a metric stand.
    struct Placement {
        /// The number of its scope.
        let scope: Int
        /// How many integers stand before it in the piece of one series.
        let offset: Int
        /// How many integers one combination of its closed labels has.
        let width: Int
    }

    static let rows = Metric.allCases.map(\.definition)

    static let placements: [Placement] = rows.indices.map { index in
        let row = rows[index]
        let offset = rows[..<index].filter { $0.scope == row.scope }.reduce(0) { $0 + $1.cellCount }
        return Placement(scope: row.scope.rawValue, offset: offset, width: row.width)
    }

    /// The bounds of each histogram's buckets, in milliseconds; none for other metrics.
    static let bounds: [[Int64]] = rows.map { row in if case .histogram(let buckets) = row.kind { buckets.bounds } else { [] } }

    /// How many integers one series of each scope has.
    static let strides: [Int] = MetricRow.Scope.allCases.map { scope in
        rows.filter { $0.scope == scope }.reduce(0) { $0 + $1.cellCount }
    }
}
