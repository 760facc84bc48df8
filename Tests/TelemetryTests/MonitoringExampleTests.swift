// Compares examples/monitoring with the table of metrics: a dashboard that asks for a metric that does not exist stays empty and says
// nothing.

import Foundation
import Testing

@testable import Telemetry

@Suite("The dashboard and the alerts of examples/monitoring")
struct MonitoringExampleTests {
    /// A metric in an expression, with the names of the labels that the expression selects.
    private struct Selector {
        let name: String
        let labels: [String]
    }

    private func text(_ file: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: root.appendingPathComponent("examples/monitoring/" + file), encoding: .utf8)
    }

    private func selectors(in expression: String) -> [Selector] {
        expression.matches(of: /(?:^|[^\w:])((?:heartwire|process)_[a-z_]+)(?:\{([^}]*)\})?/).map { match in
            let labels = match.2.map { $0.matches(of: /([a-z]+)(?:=~|!=|!~|=)"/).map { String($0.1) } }
            return Selector(name: String(match.1), labels: labels ?? [])
        }
    }

    /// What is wrong with an expression's metrics.
    private func problems(_ expression: String) -> [String] {
        selectors(in: expression).flatMap { selector -> [String] in
            guard let metric = Metric.allCases.first(where: { names(of: $0).contains(selector.name) }) else {
                return ["there is no metric \(selector.name)"]
            }
            let row = metric.row
            let known = row.scope.labelNames + row.labelNames + ["job", "instance", "le"]
            return selector.labels.filter { !known.contains($0) }.map { "\(selector.name) has no label \($0)" }
        }
    }

    private func names(of metric: Metric) -> [String] {
        guard case .histogram = metric.row.kind else { return [metric.row.sampleName] }
        return ["_bucket", "_count", "_sum"].map { metric.row.name + $0 }
    }

    /// All texts under a key, however deep.
    private func values(of key: String, in json: Any) -> [String] {
        if let list = json as? [Any] { return list.flatMap { values(of: key, in: $0) } }
        guard let object = json as? [String: Any] else { return [] }
        return object.flatMap { name, value in (name == key ? [value as? String].compactMap { $0 } : []) + values(of: key, in: value) }
    }

    @Test("ask only for metrics and labels that exist")
    func expressions() throws {
        let dashboard = try JSONSerialization.jsonObject(with: Data(try text("dashboard.json").utf8))
        let queries = values(of: "expr", in: dashboard) + values(of: "query", in: dashboard)
        let found = (queries + [try text("alerts.yml"), try text("alerts-test.yml")]).flatMap(problems)
        #expect(found.isEmpty, "\(found)")
        #expect(queries.flatMap(selectors).count > 30)
    }

    @Test("show what somebody wants to know first")
    func panels() throws {
        let dashboard = try #require(try JSONSerialization.jsonObject(with: Data(try text("dashboard.json").utf8)) as? [String: Any])
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        let shown = panels.flatMap { values(of: "expr", in: $0) }.flatMap(selectors).map(\.name)
        for metric in Metric.allCases where metric.row.isCounted && metric.row.scope != .listener {
            let rarelyAsked: Set<Metric> = [
                .held, .handshakes, .streamBytes, .requestDuration, .upstreamConnect, .upstreamAttempts, .logLinesDropped,
                .keyFetches, .keysAge, .tokenSignatures, .tokenFetches, .tickets, .forwardAuthAnswers, .forwardAuthDuration,
                .forwardAuthKept,
                .streamsAway, .historyBytes, .streamReturns, .streamGaps, .streamMasks, .streamsRecycled, .published,
            ]
            #expect(shown.contains(where: names(of: metric).contains) != rarelyAsked.contains(metric), "\(metric)")
        }
        #expect(panels.filter { $0["type"] as? String == "heatmap" }.count == 4)
        // No panel lies on another one.
        var taken: Set<[Int]> = []
        for panel in panels {
            let place = try #require(panel["gridPos"] as? [String: Int])
            for x in place["x"]!..<(place["x"]! + place["w"]!) {
                for y in place["y"]!..<(place["y"]! + place["h"]!) {
                    #expect(x < 24 && taken.insert([x, y]).inserted, "\(panel["title"]!)")
                }
            }
        }
    }

    @Test("are seen through if they ask for anything else")
    func seen() {
        #expect(problems(#"sum(rate(heartwire_events_total{job="a",route=~"$route"}[5m]))"#).isEmpty)
        #expect(problems("heartwire_events") == ["there is no metric heartwire_events"])
        #expect(problems("heartwire_stream_duration_seconds") == ["there is no metric heartwire_stream_duration_seconds"])
        #expect(problems(#"heartwire_streams_open{cause="x"}"#) == ["heartwire_streams_open has no label cause"])
    }
}
