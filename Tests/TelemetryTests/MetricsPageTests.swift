// Compares conf/metrics.md with the table of metrics.

import Testing

@testable import Telemetry

@Suite("The page about the metrics")
struct MetricsPageTests {
    @Test("lists every metric in order with its kind, its labels and its help, and no other")
    func metrics() throws {
        let found = try ["Streams", "Connections and requests", "Servers", "The proxy itself"].flatMap(page.rows)
        #expect(found.map(\.count).allSatisfy { $0 == 4 } && found.count == Metric.allCases.count)
        for (row, metric) in zip(found, Metric.allCases) {
            #expect(row[0] == "`\(metric.row.sampleName)`")
            #expect(row[1] == kind(of: metric.row))
            let names = metric == .buildInfo ? ["version"] : metric.row.scope.labelNames + metric.row.labelNames
            #expect(words(in: row[2]) == names, "\(metric)")
            #expect(row[3].hasPrefix(metric.row.help), "\(metric)")
        }
    }

    @Test("tells the buckets of every histogram")
    func buckets() throws {
        let found = try page.lines(of: "The buckets").filter { $0.hasPrefix("| ") }.dropFirst().map { line in
            line.split(separator: "|")[1].split(separator: " ").map(String.init)
        }
        func text(_ buckets: MetricBuckets) -> [String] {
            buckets.bounds.map { bound in
                let seconds = Double(bound) / 1000
                return seconds == seconds.rounded() ? "\(bound / 1000)" : "\(seconds)"
            }
        }
        #expect(
            found == [
                text(.durations), ["the", "same,", "up", "to", text(.silences).last!], text(.waits), text(.connects), text(.lateness),
            ])
        #expect(text(.durations).starts(with: text(.silences)))
    }

    private var page: ManualPage { ManualPage("metrics.md") }

    private func kind(of row: MetricRow) -> String {
        switch row.kind {
        case .counter: "counter"
        case .gauge, .health: "gauge"
        case .histogram: "histogram"
        }
    }
}
