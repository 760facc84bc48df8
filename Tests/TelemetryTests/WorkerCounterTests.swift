// What workers count.

import Testing

@testable import Telemetry

/// Series of two routes, with one upstream of one server.
func someSeries() -> MetricSeries {
    var series = MetricSeries()
    series.beginConfiguration()
    for route in ["/a", "/b"] {
        _ = series.add([route], in: .route)
        _ = series.add([route, "backend"], in: .path)
    }
    _ = series.add(["backend", "192.0.2.1:80"], in: .server)
    _ = series.add(["*:80", "false"], in: .listener)
    _ = series.add(["main"], in: .issuer)
    _ = series.add(["session"], in: .forwardAuth)
    _ = series.add(["machine"], in: .token)
    _ = series.add(["events"], in: .ticket)
    return series
}

@Suite("The counters of a worker")
struct WorkerCounterTests {
    @Test("begin at zero, count each thing by itself, and add up over workers")
    func sums() {
        let series = someSeries()
        let (one, other) = (WorkerCounters(series), WorkerCounters(series))
        #expect(Metric.allCases.filter(\.row.isCounted).allSatisfy { one.snapshot().total(of: $0) == 0 })
        one.add(.streamsEnded, Cause.clientReset, of: 2)
        other.add(.streamsEnded, Cause.clientReset, of: 2, 4)
        other.add(.streamsEnded, Cause.drained, of: 3)
        one.add(.streamsOpen, of: 3)
        one.add(.streamsOpen, of: 3)
        one.subtract(.streamsOpen, of: 3)
        var all = CounterSnapshot()
        all.add(one.snapshot())
        all.add(other.snapshot())
        #expect(all.value(of: .streamsEnded, Cause.clientReset, series: 2) == 5)
        #expect(all.value(of: .streamsEnded, Cause.drained, series: 3) == 1 && all.total(of: .streamsEnded) == 6)
        #expect(all.total(of: .streamsOpen) == 1 && all.total(of: .events) == 0)
    }

    @Test("put what an event's path counts where the table has it")
    func path() {
        let counters = WorkerCounters(someSeries())
        let path = counters.path
        let routes = (2 * path.stride, 3 * path.stride)
        path.events[routes.0] += 3
        path.bytes[routes.0] += 50
        path.bytes[routes.0 + 1] += 43
        path.heartbeats[routes.0] += 1
        path.heartbeats[routes.1] += 1
        path.bytes[routes.1 + 1] += 3
        path.punctualHeartbeats.pointee += 1
        path.latenessSum.pointee += 8
        counters.observe(.heartbeatLateness, milliseconds: 9)
        let counted = counters.snapshot()
        #expect(counted.value(of: .events, Unlabelled.only, series: 2) == 3 && counted.total(of: .events) == 3)
        #expect(counted.value(of: .streamBytes, Direction.fromUpstream, series: 2) == 50)
        #expect(counted.value(of: .streamBytes, Direction.toClient, series: 2) == 43)
        #expect(counted.value(of: .streamBytes, Direction.toClient, series: 3) == 3)
        #expect(counted.value(of: .heartbeats, Unlabelled.only, series: 2) == 1 && counted.total(of: .heartbeats) == 2)
        #expect(Array(counted.values(of: .heartbeatLateness, label: 0, series: 0).prefix(3)) == [1, 1, 0])
        #expect(counted.values(of: .heartbeatLateness, label: 0, series: 0).last == 17)
    }

    @Test("count a value in the bucket whose bound it does not exceed")
    func buckets() {
        let counters = WorkerCounters(someSeries())
        for milliseconds: Int64 in [0, 1_000, 1_001, 60_999, 61_000, 61_001, 601_000, 601_001, -1] {
            counters.observe(.streamSilenceAtEnd, SilentSide.upstream, of: 2, milliseconds: milliseconds)
        }
        let counted = counters.snapshot()
        let values = Array(counted.values(of: .streamSilenceAtEnd, label: SilentSide.upstream.place, series: 2))
        #expect(values == [3, 1, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1_387_002])
        #expect(counted.total(of: .streamSilenceAtEnd) == 9)
        #expect(counted.isEmpty(.streamSilenceAtEnd, series: 3))
    }

    @Test("keep what they counted when a reload brings more series, and add up with a worker that has not taken it")
    func reloads() {
        var series = someSeries()
        let (counters, behind) = (WorkerCounters(series), WorkerCounters(series))
        counters.add(.events, of: 3, 7)
        behind.add(.events, of: 3, 2)
        series.beginConfiguration()
        let new = series.add(["/c"], in: .route)
        counters.makeRoom(for: series)
        counters.add(.events, of: new)
        var all = behind.snapshot()
        all.add(counters.snapshot())
        #expect(all.value(of: .events, Unlabelled.only, series: 3) == 9)
        #expect(all.value(of: .events, Unlabelled.only, series: Int(new)) == 1)
    }

    @Test("have an own place for every label of every metric")
    func places() {
        // Each combination is counted once; if two shared an integer, one of them would be 2.
        let counters = WorkerCounters(someSeries())
        func count<Label: MetricLabel>(_ metric: Metric, _ labels: Label.Type) {
            for label in Label.allCases { counters.add(metric, label) }
        }
        count(.streamsOpened, Resumption.self)
        count(.streamsEnded, Cause.self)
        count(.streamBytes, Direction.self)
        count(.held, HoldOutcome.self)
        count(.streamReturns, ReturnOutcome.self)
        count(.streamGaps, GapReason.self)
        count(.streamMasks, MaskOutcome.self)
        count(.published, PublishOutcome.self)
        count(.handshakes, HandshakeOutcome.self)
        count(.requests, StatusClass.self)
        count(.refused, ReachedLimit.self)
        count(.credentialsRefused, CredentialsFault.self)
        count(.keyFetches, KeyFetchResult.self)
        count(.tokenFetches, TokenFetchResult.self)
        count(.tickets, TicketEvent.self)
        count(.forwardAuthAnswers, ForwardAuthOutcome.self)
        count(.upstreamAttempts, AttemptResult.self)
        count(.upstreamStreamsEnded, Cause.Side.self)
        count(.logLinesDropped, LogKind.self)
        for side in Cause.Side.allCases { counters.observe(.streamDuration, side, milliseconds: 0) }
        for side in SilentSide.allCases { counters.observe(.streamSilenceAtEnd, side, milliseconds: 0) }
        for code in StatusClass.allCases { counters.observe(.requestDuration, code, milliseconds: 0) }
        let unlabelled = Metric.allCases.filter { $0.row.isCounted && $0.row.labelNames.isEmpty }
        for metric in unlabelled {
            if case .histogram = metric.row.kind { counters.observe(metric, milliseconds: 0) } else { counters.add(metric) }
        }
        let counted = counters.snapshot()
        for metric in Metric.allCases where metric.row.isCounted {
            for label in metric.row.labelValues.indices {
                let values = Array(counted.values(of: metric, label: label, series: 0))
                #expect(values.first == 1 && values.dropFirst().allSatisfy { $0 == 0 }, "\(metric) \(metric.row.labelValues[label])")
            }
        }
    }
}

@Suite("The series of metrics")
struct MetricSeriesTests {
    @Test("keep their numbers over reloads, whatever order the configuration has then")
    func numbers() {
        var series = someSeries()
        let numbers = ["/a", "/b"].map { series.known([$0], in: .route) }
        series.beginConfiguration()
        let again = ["/c", "/b"].map { series.add([$0], in: .route) }
        #expect(numbers == [2, 3] && again == [4, 3])
        #expect(!series.isCurrent(2, in: .route) && series.isCurrent(3, in: .route) && series.isCurrent(4, in: .route))
        #expect(series.labels(of: 2, in: .route) == ["/a"] && series.count(.route) == 5)
    }

    @Test("share one number beyond their limit, which reloads cannot exceed")
    func limit() {
        var series = MetricSeries(limit: 4)
        for reload in 0..<10 {
            series.beginConfiguration()
            for route in 0..<3 {
                let number = series.add(["/\(reload)/\(route)"], in: .route)
                #expect(number == (reload == 0 && route < 2 ? Int32(2 + route) : 1))
            }
        }
        #expect(series.count(.route) == 4 && series.labels(of: 1, in: .route) == ["other"])
        #expect(series.known(["/9/0"], in: .route) == 1)
    }
}
