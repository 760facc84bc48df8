// The texts about metrics.

import Testing

@testable import Telemetry

/// One sample of a text, taken apart.
private struct Sample {
    let name: String
    let labels: String
    let value: String

    init?(_ line: String) {
        guard let blank = line.lastIndex(of: " ") else { return nil }
        let head = line[..<blank]
        let brace = head.firstIndex(of: "{") ?? head.endIndex
        name = String(head[..<brace])
        labels = brace == head.endIndex ? "" : String(head[head.index(after: brace)...].dropLast())
        value = String(line[line.index(after: blank)...])
        guard name.allSatisfy({ "a"..."z" ~= $0 || $0 == "_" }), brace == head.endIndex || head.last == "}" else { return nil }
    }
}

@Suite("The text about metrics")
struct MetricsTextTests {
    private func facts() -> ProcessFacts {
        var facts = ProcessFacts(version: "1.2.3", loadedAtUnixMilliseconds: 1_764_311_111_120)
        facts.descriptors = 17
        facts.descriptorLimit = 1024
        facts.residentBytes = 4096
        facts.processorMilliseconds = 1_500
        facts.startedAtUnixMilliseconds = 1_764_311_000_000
        return facts
    }

    private func lines(
        _ format: MetricsFormat, _ series: MetricSeries = someSeries(), count: (WorkerCounters) -> Void = { _ in }
    ) -> [String] {
        let counters = WorkerCounters(series)
        count(counters)
        let text = String(decoding: MetricsText(format, counters.snapshot(), series, facts()).bytes, as: UTF8.self)
        #expect(text.hasSuffix("\n") && !text.contains("\n\n"))
        return text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test("tells a counter in the words of each format")
    func counter() {
        func about(_ format: MetricsFormat) -> [String] {
            lines(format) {
                $0.add(.streamBytes, Direction.fromUpstream, of: 2, 30)
                $0.add(.streamBytes, Direction.toClient, of: 2, 20)
            }
            .filter { $0.contains("heartwire_stream_bytes") }
        }
        let samples = [
            #"heartwire_stream_bytes_total{route="/a",direction="from_upstream"} 30"#,
            #"heartwire_stream_bytes_total{route="/a",direction="to_client"} 20"#,
            #"heartwire_stream_bytes_total{route="/b",direction="from_upstream"} 0"#,
            #"heartwire_stream_bytes_total{route="/b",direction="to_client"} 0"#,
        ]
        let help = "Bytes of event streams, without HTTP's framing and TLS."
        #expect(
            about(.prometheus) == [
                "# HELP heartwire_stream_bytes_total \(help)", "# TYPE heartwire_stream_bytes_total counter",
            ] + samples)
        #expect(
            about(.openMetrics) == [
                "# HELP heartwire_stream_bytes \(help)", "# TYPE heartwire_stream_bytes counter", "# UNIT heartwire_stream_bytes bytes",
            ] + samples)
    }

    @Test("tells a histogram with sums over its buckets, in seconds", arguments: MetricsFormat.allCases)
    func histogram(format: MetricsFormat) {
        let found = lines(format) { counters in
            for milliseconds: Int64 in [4, 5, 2_400, 61_000] { counters.observe(.streamFirstEvent, of: 3, milliseconds: milliseconds) }
        }
        let of = "heartwire_stream_first_event_seconds"
        let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0", "+Inf"]
        let counts = [2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4]
        #expect(
            found.filter { $0.hasPrefix(of) && $0.contains("/b") } == zip(bounds, counts).map {
                "\(of)_bucket{route=\"/b\",le=\"\($0)\"} \($1)"
            } + [#"\#(of)_count{route="/b"} 4"#, #"\#(of)_sum{route="/b"} 63.409"#])
    }

    @Test("tells facts of the process, and nothing of what the system does not tell")
    func process() {
        let found = lines(.prometheus).filter { !$0.hasPrefix("#") }
        for line in [
            #"heartwire_build_info{version="1.2.3"} 1"#, "heartwire_config_last_reload_successful 1",
            "heartwire_config_last_reload_success_timestamp_seconds 1764311111.12", "process_open_fds 17", "process_max_fds 1024",
            "process_resident_memory_bytes 4096", "process_cpu_seconds_total 1.5", "process_start_time_seconds 1764311000",
        ] { #expect(found.contains(line), "\(line)") }
        let bare = MetricsText(
            .openMetrics, CounterSnapshot(), someSeries(), ProcessFacts(version: "", loadedAtUnixMilliseconds: 0)
        ).bytes
        #expect(!String(decoding: bare, as: UTF8.self).contains("process_"))
    }

    @Test("has each series of the configuration at once, and what belongs to no name only where it was counted")
    func series() {
        let fresh = lines(.openMetrics)
        #expect(fresh.contains(#"heartwire_streams_ended_total{route="/b",cause="upstream_reset",side="upstream"} 0"#))
        #expect(fresh.contains(#"heartwire_streams_open{route="/a",upstream="backend"} 0"#))
        #expect(fresh.contains(#"heartwire_connections_open{listener="*:80",tls="false"} 0"#))
        #expect(fresh.contains(#"heartwire_upstream_attempts_total{upstream="backend",server="192.0.2.1:80",result="refused"} 0"#))
        #expect(fresh.allSatisfy { !$0.contains(#""none""#) || $0.contains("code") || $0.contains("version") })
        let found = lines(.openMetrics) { $0.add(.requests, StatusClass.clientError, of: MetricSeries.none) }
        #expect(found.contains(#"heartwire_requests_total{route="none",code="4xx"} 1"#))
    }

    @Test("calls a server healthy while no worker says otherwise, and only those that the configuration names")
    func health() {
        var series = someSeries()
        let number = series.known(["backend", "192.0.2.1:80"], in: .server)
        let name = "heartwire_upstream_healthy"
        func about(_ series: MetricSeries, _ failing: UInt64) -> [String] {
            lines(.prometheus, series) { $0.add(.upstreamHealthy, of: number, failing) }.filter { $0.hasPrefix(name) }
        }
        #expect(about(series, 0) == [#"\#(name){upstream="backend",server="192.0.2.1:80"} 1"#])
        #expect(about(series, 2) == [#"\#(name){upstream="backend",server="192.0.2.1:80"} 0"#])
        series.beginConfiguration()
        #expect(about(series, 2).isEmpty)
    }

    @Test("keeps a label in its quotes, whatever a route is called")
    func escaping() {
        var series = someSeries()
        _ = series.add(["/\"} 1\nx{a=\"\\"], in: .route)
        let found = lines(.openMetrics, series)
        #expect(found.contains(#"heartwire_events_total{route="/\"} 1\nx{a=\"\\"} 0"#))
    }

    @Test(
        "keeps to the grammar: each metric in one piece under its head, no series twice, only known kinds",
        arguments: MetricsFormat.allCases)
    func grammar(format: MetricsFormat) throws {
        var rest = lines(format)[...]
        if format == .openMetrics { #expect(rest.popLast() == "# EOF") }
        var seen: Set<String> = []
        var families: Set<String> = []
        for metric in Metric.allCases {
            let row = metric.row
            let name = format == .openMetrics ? row.name : row.sampleName
            #expect(families.insert(name).inserted, "\(name) has two rows")
            #expect(rest.popFirst() == "# HELP \(name) \(row.help)")
            let kind = try #require(rest.popFirst()?.split(separator: " ").last)
            #expect(["counter", "gauge", "histogram"].contains(kind))
            if let unit = row.unit {
                #expect(name.hasSuffix("_\(unit.rawValue)") || kind == "counter", "a unit is a suffix of the name")
                if format == .openMetrics { #expect(rest.popFirst() == "# UNIT \(name) \(unit.rawValue)") }
            }
            var count = 0
            while let line = rest.first, !line.hasPrefix("#") {
                let sample = try #require(Sample(rest.removeFirst()), "\(line)")
                let suffix = sample.name.dropFirst(row.name.count)
                #expect(sample.name.hasPrefix(row.name), "\(line) under \(name)")
                #expect(
                    kind == "histogram" ? ["_bucket", "_count", "_sum"].contains(suffix) : suffix == (kind == "counter" ? "_total" : ""))
                #expect(Double(sample.value) != nil && seen.insert("\(sample.name){\(sample.labels)}").inserted, "\(line)")
                count += 1
            }
            #expect(count > 0, "\(name) has no series")
        }
        #expect(rest.isEmpty)
    }

    @Test("comes in the format that a client accepts")
    func accept() {
        let prometheus2 = """
            application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,\
            */*;q=0.1
            """
        let accepted: [(String, MetricsFormat)] = [
            ("", .prometheus), ("*/*", .prometheus), ("text/html, */*;q=0.8", .prometheus), (prometheus2, .openMetrics),
            ("text/plain", .prometheus), ("application/openmetrics-text", .openMetrics),
            ("application/openmetrics-text; version=0.0.1", .prometheus), ("application/openmetrics-text; version=\"1.0.0\"", .openMetrics),
            ("Application/OpenMetrics-Text;Version=1.0.0;Q=0.5 , text/plain;q=0.4", .openMetrics),
            ("application/openmetrics-text;q=0.4,text/plain;q=0.5", .prometheus),
            ("application/openmetrics-text;q=0.5,text/plain;q=0.5", .openMetrics),
            ("application/openmetrics-text;q=0", .prometheus), ("application/openmetrics-text;q=2", .prometheus),
            ("application/openmetrics-text;q=0.1234", .prometheus), ("application/openmetrics-text;q=", .prometheus),
            ("application/openmetrics-text;q=1.000", .openMetrics), (",;,;;q=", .prometheus),
        ]
        for (value, format) in accepted { #expect(MetricsFormat(accept: Array(value.utf8)) == format, "\(value)") }
    }
}
