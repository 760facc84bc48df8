// The texts that monitoring systems read: OpenMetrics 1.0.0, and the Prometheus text format 0.0.4. Both come from the table of metrics,
// one sum of counts, and facts of the process. Made off the workers' threads. Invariant: the lines of one metric stand together, and no
// label's value can break out of its quotes.

/// What is known of the process when its metrics are told, beside what workers count.
package struct ProcessFacts: Sendable {
    /// The version of Heartwire.
    package var version: String
    /// Whether the last reload succeeded; true before the first.
    package var isLastReloadSuccessful = true
    /// When the configuration in force was loaded, in milliseconds since 1970.
    package var loadedAtUnixMilliseconds: Int64
    /// How many descriptors are open; nil where the system does not tell.
    package var descriptors: Int?
    /// How many descriptors may be open.
    package var descriptorLimit: Int?
    /// Resident memory.
    package var residentBytes: Int?
    /// User and system time.
    package var processorMilliseconds: Int64?
    /// When the process began, in milliseconds since 1970.
    package var startedAtUnixMilliseconds: Int64?

    /// Facts of a process; those of the system are nil.
    package init(version: String, loadedAtUnixMilliseconds: Int64) {
        self.version = version
        self.loadedAtUnixMilliseconds = loadedAtUnixMilliseconds
    }

    fileprivate enum Value {
        case count(Int)
        case milliseconds(Int64)
        /// The one value is 1, and the label says what there is to say.
        case label(name: String, value: String)
    }

    fileprivate func value(of metric: Metric) -> Value? {
        switch metric {
        case .reloadSuccessful: .count(isLastReloadSuccessful ? 1 : 0)
        case .reloadTimestamp: .milliseconds(loadedAtUnixMilliseconds)
        case .buildInfo: .label(name: "version", value: version)
        case .processDescriptors: descriptors.map(Value.count)
        case .processDescriptorLimit: descriptorLimit.map(Value.count)
        case .processResidentMemory: residentBytes.map(Value.count)
        case .processProcessorTime: processorMilliseconds.map(Value.milliseconds)
        case .processStartTime: startedAtUnixMilliseconds.map(Value.milliseconds)
        default: nil
        }
    }
}

/// The text about all metrics.
package struct MetricsText {
    /// The text in UTF-8.
    package private(set) var bytes: [UInt8] = []
    private let format: MetricsFormat
    private let series: MetricSeries
    private let counts: CounterSnapshot

    /// Writes all metrics. `series` are those of the configuration in force.
    package init(_ format: MetricsFormat, _ counts: CounterSnapshot, _ series: MetricSeries, _ facts: ProcessFacts) {
        self.format = format
        self.series = series
        self.counts = counts
        bytes.reserveCapacity(1 << 16)
        for metric in Metric.allCases {
            if metric.row.isCounted {
                writeHead(metric.row)
                writeSeries(of: metric)
            } else if let value = facts.value(of: metric) {
                writeHead(metric.row)
                write(value, of: metric.row)
            }
        }
        if format == .openMetrics { write("# EOF\n") }
    }

    // MARK: One metric

    private mutating func writeHead(_ row: MetricRow) {
        let name = format == .openMetrics ? row.name : row.sampleName
        write("# HELP \(name) \(row.help)\n# TYPE \(name) \(row.typeName)\n")
        if format == .openMetrics, let unit = row.unit { write("# UNIT \(name) \(unit.rawValue)\n") }
    }

    private mutating func writeSeries(of metric: Metric) {
        let row = metric.row
        for number in 0..<series.count(row.scope) {
            if series.isReserved(number, in: row.scope), counts.isEmpty(metric, series: number) { continue }
            if case .health = row.kind, !series.isCurrent(number, in: row.scope) { continue }
            let named = labelText(row.scope.labelNames, series.labels(of: number, in: row.scope))
            for (label, values) in row.labelValues.enumerated() {
                let labels = [named, labelText(row.labelNames, values)].filter { !$0.isEmpty }.joined(separator: ",")
                let cells = counts.values(of: metric, label: label, series: number)
                switch row.kind {
                case .counter, .gauge: writeSample(row.sampleName, labels, "\(cells.first ?? 0)")
                case .health: writeSample(row.sampleName, labels, cells.first == 0 ? "1" : "0")
                case .histogram(let buckets): write(buckets, cells, row.name, labels)
                }
            }
        }
    }

    private mutating func write(_ buckets: MetricBuckets, _ cells: ArraySlice<UInt64>, _ name: String, _ labels: String) {
        var count: UInt64 = 0
        let prefix = labels.isEmpty ? "" : labels + ","
        for (bound, cell) in zip(buckets.bounds.map(Self.bound) + ["+Inf"], cells) {
            count &+= cell
            writeSample(name + "_bucket", "\(prefix)le=\"\(bound)\"", "\(count)")
        }
        writeSample(name + "_count", labels, "\(count)")
        writeSample(name + "_sum", labels, Self.seconds(cells.last ?? 0))
    }

    private mutating func write(_ value: ProcessFacts.Value, of row: MetricRow) {
        switch value {
        case .count(let count): writeSample(row.sampleName, "", "\(count)")
        case .milliseconds(let milliseconds): writeSample(row.sampleName, "", Self.seconds(UInt64(max(milliseconds, 0))))
        case .label(let name, let value): writeSample(row.sampleName, labelText([name], [value]), "1")
        }
    }

    // MARK: Pieces

    private mutating func writeSample(_ name: String, _ labels: String, _ value: String) {
        write(name)
        if !labels.isEmpty { write("{\(labels)}") }
        write(" \(value)\n")
    }

    private mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private func labelText(_ names: [String], _ values: [String]) -> String {
        zip(names, values).map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
    }

    /// Backslash, quote and line feed are escaped; both formats say so.
    private static func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x0A }) else { return value }
        var text = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// A bucket's bound in seconds, always with a point, as OpenMetrics wants it: the same in both formats, so that a change of format
    /// makes no other series.
    private static func bound(_ milliseconds: Int64) -> String {
        milliseconds % 1000 == 0 ? "\(milliseconds / 1000).0" : seconds(UInt64(milliseconds))
    }

    /// Seconds without zeros at their end.
    private static func seconds(_ milliseconds: UInt64) -> String {
        let (whole, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        guard rest > 0 else { return "\(whole)" }
        var digits = String(String(1000 + rest).dropFirst())
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(whole).\(digits)"
    }
}

extension MetricRow {
    /// Its name with the suffix of a counter: what queries call it.
    package var sampleName: String { if case .counter = kind { name + "_total" } else { name } }

    fileprivate var typeName: String {
        switch kind {
        case .counter: "counter"
        case .gauge, .health: "gauge"
        case .histogram: "histogram"
        }
    }
}
