// What exchanges, connections and reloads add to the metrics.

import Configuration
import Credentials
import Reactor
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Upstreams

@Suite("The metrics of exchanges")
struct MetricsTests {
    /// The number of the only route, path, server or listener.
    private let only = 2
    private static let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    private func counted(_ world: ScriptedProxy) -> CounterSnapshot { world.proxy.exchanges.counted() }

    @Test("a stream counts when it opens, while it runs, and when it ends with its cause")
    func stream() throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest + "\nLast-Event-ID: 5")
        world.pass(milliseconds: 50)
        try world.serverSends(MetricsTests.stream + "9\r\ndata: 1\n\n\r\n")
        var now = counted(world)
        #expect(now.value(of: .streamsOpened, Resumption.resumed, series: only) == 1 && now.total(of: .streamsOpened) == 1)
        #expect(now.value(of: .streamsOpen, Unlabelled.only, series: only) == 1)
        #expect(now.value(of: .events, Unlabelled.only, series: only) == 1, "an event is told while its stream runs")
        #expect(now.value(of: .streamBytes, Direction.fromUpstream, series: only) == 9)
        #expect(now.value(of: .streamBytes, Direction.toClient, series: only) == 11, "the opening comment is a bare one")
        #expect(now.total(of: .streamFirstEvent) == 1 && now.total(of: .streamsEnded) == 0)
        #expect(now.value(of: .upstreamAttempts, AttemptResult.connected, series: only) == 1 && now.total(of: .upstreamConnect) == 1)
        world.pass(milliseconds: 15_100)
        #expect(counted(world).value(of: .heartbeats, Unlabelled.only, series: only) == 1)
        #expect(counted(world).total(of: .heartbeatLateness) == 1)
        try world.serverSends("0\r\n\r\n")
        now = counted(world)
        #expect(now.value(of: .streamsEnded, Cause.upstreamFinished, series: only) == 1 && now.total(of: .streamsEnded) == 1)
        #expect(now.total(of: .streamsOpen) == 0 && now.total(of: .streamDuration) == 1 && now.total(of: .streamSilenceAtEnd) == 1)
        #expect(now.value(of: .upstreamStreamsEnded, Cause.Side.upstream, series: only) == 1)
        #expect(now.total(of: .requests) == 0 && now.total(of: .requestDuration) == 0)
    }

    @Test("a stream that its client ends counts with the client's silence")
    func clientLeaves() throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        world.send(client, ScriptedProxy.streamRequest)
        try world.serverSends(MetricsTests.stream)
        world.pass(milliseconds: 4_000)
        client.linkReachedEnd()
        let now = counted(world)
        #expect(now.value(of: .streamsEnded, Cause.clientClosed, series: only) == 1 && now.total(of: .streamsOpen) == 0)
        let text = String(
            decoding: MetricsText(
                .openMetrics, now, world.proxy.exchanges.settings.series, ProcessFacts(version: "0", loadedAtUnixMilliseconds: 0)
            ).bytes, as: UTF8.self)
        let name = "heartwire_stream_silence_at_end_seconds_bucket"
        #expect(text.contains(#"\#(name){route="/*",side="client",le="2.5"} 0"#))
        #expect(text.contains(#"\#(name){route="/*",side="client",le="5.0"} 1"#))
        #expect(text.contains(#"\#(name){route="/*",side="upstream",le="+Inf"} 0"#))
    }

    @Test("a held client is counted while it is held, and by what became of it")
    func held() throws {
        for outcome in HoldOutcome.allCases {
            let world = try ScriptedProxy.withOneServer()
            let client = try world.connectClient()
            world.send(client, ScriptedProxy.streamRequest)
            try world.attemptEnds(.connectionRefused)
            #expect(counted(world).total(of: .streamsHeld) == 1 && counted(world).total(of: .streamsOpen) == 1)
            #expect(counted(world).value(of: .upstreamAttempts, AttemptResult.refused, series: only) == 1)
            #expect(counted(world).value(of: .upstreamHealthy, Unlabelled.only, series: only) == 1, "a worker calls it ill")
            switch outcome {
            case .joined:
                _ = try world.nextAttempt()
                try world.serverSends(MetricsTests.stream)
                #expect(counted(world).total(of: .streamsOpen) == 1 && counted(world).total(of: .streamsEnded) == 0)
                #expect(counted(world).value(of: .upstreamHealthy, Unlabelled.only, series: only) == 0)
            case .sentBack: world.pass(milliseconds: 40_000) { try? world.attemptEnds(.connectionRefused) }
            case .left: client.linkReachedEnd()
            }
            let now = counted(world)
            #expect(now.total(of: .streamsHeld) == 0)
            #expect(now.value(of: .held, outcome) == 1 && now.total(of: .held) == 1, "\(outcome)")
            #expect(now.total(of: .streamsOpened) == 1)
        }
    }

    @Test("a stream whose client does not take its bytes is counted until the client takes them, or ends")
    func stalled() throws {
        for drains in [true, false] {
            let world = try ScriptedProxy.withOneServer()
            let client = try world.connectClient()
            world.send(client, ScriptedProxy.streamRequest)
            try world.serverSends(MetricsTests.stream)
            world.kernel.rooms[world.descriptor(of: client)] = 0
            try world.serverSends("9\r\ndata: 1\n\n\r\n")
            #expect(counted(world).total(of: .streamsStalled) == 1 && counted(world).total(of: .pendingBytes) > 9)
            if drains {
                world.kernel.rooms = [:]
                world.kernel.report(world.descriptor(of: client), .writable)
                world.worker.turn()
            } else {
                client.linkReachedEnd()
            }
            #expect(counted(world).total(of: .streamsStalled) == 0 && counted(world).total(of: .pendingBytes) == 0)
            #expect(counted(world).total(of: .streamsOpen) == (drains ? 1 : 0))
        }
    }

    @Test("an unhealthy server that nobody asks any more is taken for healthy after a while")
    func health() throws {
        let world = try ScriptedProxy.withOneServer(outage: .refuse)
        let client = try world.connectClient()
        world.send(client, "GET /p HTTP/1.1\nHost: h")
        try world.attemptEnds(.connectionRefused)
        #expect(counted(world).total(of: .upstreamHealthy) == 1)
        world.pass(milliseconds: 11_000)
        #expect(counted(world).total(of: .upstreamHealthy) == 1)
        world.pass(milliseconds: 1_100)
        #expect(counted(world).total(of: .upstreamHealthy) == 0)
    }

    @Test("an exchange that is no stream counts with the class of its status, and a request without a route as one of none")
    func requests() throws {
        let world = try ScriptedProxy.withOneServer()
        let client = try world.connectClient()
        world.send(client, "GET /p HTTP/1.1\nHost: h")
        try world.serverSends("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
        world.send(client, "GET /p HTTP/1.1\nHost: h")
        client.linkReachedEnd()
        let other = try world.connectClient()
        world.send(other, "GET / HTTP/9.1\nHost: h")
        let now = counted(world)
        #expect(now.value(of: .requests, StatusClass.redirection, series: only) == 1)
        #expect(now.value(of: .requests, StatusClass.none, series: only) == 1, "nothing was answered")
        #expect(now.value(of: .requests, StatusClass.serverError) == 1 && now.total(of: .requests) == 3)
        #expect(now.total(of: .requestDuration) == 3 && now.total(of: .streamsOpened) == 0)
    }

    @Test("a limit that refuses counts by its name")
    func limits() throws {
        let world = try ScriptedProxy.withOneServer(outage: .refuse)
        for limit in [ConnectionLimit.connections, .connectionsPerClient] {
            _ = try world.connectClient(admission: .refused(limit))
        }
        world.proxy.exchanges.connectionShed(by: .connections)
        let client = try world.connectClient()
        client.redeliver(Array("GET /\(String(repeating: "a", count: 20_000)) HTTP/1.1\r\n".utf8))
        let now = counted(world)
        #expect(now.value(of: .refused, ReachedLimit.connections) == 2)
        #expect(now.value(of: .refused, ReachedLimit.connectionsPerClient) == 1)
        #expect(now.value(of: .refused, ReachedLimit.requestTarget) + now.value(of: .refused, ReachedLimit.requestHead) == 1)
    }

    @Test("each reason to refuse credentials has its name")
    func credentials() throws {
        let policy = BearerPolicy(sources: [.query(name: "t")], whenMissing: .refuse)
        #expect(try Way(bearer: policy).refusal("GET /e HTTP/1.1\nHost: h")?.credentialsFault == .missing)
        #expect(try Way(bearer: policy).refusal("GET /e?t=a&t=b HTTP/1.1\nHost: h")?.credentialsFault == .repeatedToken)
    }

    @Test("connections are counted at their place, and go with it when a reload gives it another listener")
    func places() throws {
        let world = try ScriptedProxy.withOneServer()
        let exchanges = world.proxy.exchanges
        let place = ListeningPlace(nil)
        for _ in 0..<3 { exchanges.connectionOpened(at: place) }
        exchanges.renumber(place, 1)
        exchanges.connectionClosed(at: place)
        exchanges.connectionOpened(at: place)
        exchanges.connectionClosed(at: place)
        let now = counted(world)
        #expect(now.value(of: .connectionsOpen, Unlabelled.only, series: 0) == 0)
        #expect(now.value(of: .connectionsOpen, Unlabelled.only, series: 1) == 2)
        #expect(now.value(of: .connections, Unlabelled.only, series: 0) == 3)
        #expect(now.value(of: .connections, Unlabelled.only, series: 1) == 1)
    }
}

@Suite("The metrics of a proxy")
struct ProxyMetricsTests {
    private func configuration(_ routes: [String]) -> Configuration {
        Configuration(
            workerCount: 2, listeners: [Listener(host: "127.0.0.1", port: 80)],
            upstreams: [Upstream(name: "u", servers: [Upstream.Server(host: "10.0.0.1", port: 1)])],
            routes: routes.map { Route(name: $0, path: .exact($0), upstreamIndex: 0) }, streamLog: .off)
    }

    /// The samples whose line begins so.
    private func samples(_ world: StartWorld, _ server: ProxyServer, _ beginning: String) -> [String] {
        let hasAnswered = Atomic(false)
        server.askForCounts { hasAnswered.store(true, ordering: .releasing) }
        if !world.areWorkersBusy { world.turn() }
        #expect(hasAnswered.load(ordering: .acquiring) == !world.areWorkersBusy)
        return String(decoding: server.metrics(.openMetrics), as: UTF8.self).split(separator: "\n").map(String.init)
            .filter { $0.hasPrefix(beginning) }
    }

    private func exchanges(_ world: StartWorld, _ worker: Int) throws -> ExchangeWorker {
        try #require(ProxyWorker.on(world.workers[worker])).exchanges
    }

    @Test("are added up over workers, and a reload lets none go backwards and none go")
    func reload() throws {
        let world = StartWorld()
        let server = try world.start(configuration(["/a", "/b"]))
        for worker in 0..<2 { try exchanges(world, worker).counters.add(.events, of: 3, UInt64(2 + worker)) }
        #expect(
            samples(world, server, "heartwire_events") == [
                #"heartwire_events_total{route="/a"} 0"#, #"heartwire_events_total{route="/b"} 5"#,
            ])
        _ = try server.reload(configuration(["/c", "/a"]))
        for worker in 0..<2 { try exchanges(world, worker).counters.add(.events, of: 3) }
        let after = [
            #"heartwire_events_total{route="/a"} 0"#, #"heartwire_events_total{route="/b"} 7"#, #"heartwire_events_total{route="/c"} 0"#,
        ]
        #expect(samples(world, server, "heartwire_events") == after)
        #expect(samples(world, server, "heartwire_streams_open{route=\"/c\"") == [#"heartwire_streams_open{route="/c",upstream="u"} 0"#])
        server.stop()
        world.bury()
    }

    @Test("count a busy worker as it last said")
    func busy() throws {
        let world = StartWorld()
        let server = try world.start(configuration(["/a"]))
        try exchanges(world, 0).counters.add(.events, of: 2, 5)
        #expect(samples(world, server, "heartwire_events") == [#"heartwire_events_total{route="/a"} 5"#])
        try exchanges(world, 0).counters.add(.events, of: 2, 5)
        world.areWorkersBusy = true
        #expect(samples(world, server, "heartwire_events") == [#"heartwire_events_total{route="/a"} 5"#])
        world.areWorkersBusy = false
        #expect(samples(world, server, "heartwire_events") == [#"heartwire_events_total{route="/a"} 10"#])
        server.stop()
        world.bury()
    }

    @Test("tell whether the last reload succeeded, and when the configuration in force was loaded")
    func reloading() throws {
        let world = StartWorld()
        let name = "heartwire_config_last_reload_success"
        world.kernel.sleep(milliseconds: 7_000)
        let server = try world.start(configuration(["/a"]))
        func told() -> [String] { samples(world, server, name).map { String($0.dropFirst(name.count)) } }
        let loaded = told()
        #expect(loaded[0] == "ful 1" && loaded[1].hasPrefix("_timestamp_seconds 7"))
        var broken = configuration(["/a"])
        broken.listeners[0].tls = ListenerTLS(certificates: [Certificate(certificateFile: "/nowhere/c", keyFile: "/nowhere/k")])
        #expect(throws: StartError.self) { try server.reload(broken) }
        #expect(told() == ["ful 0", loaded[1]])
        world.kernel.sleep(milliseconds: 7_000)
        _ = try server.reload(configuration(["/a"]))
        #expect(told()[0] == "ful 1" && told()[1].hasPrefix("_timestamp_seconds 14"))
        server.noteFailedReload()
        #expect(told()[0] == "ful 0", "the file could not even be read")
        server.stop()
        world.bury()
    }

    @Test("a worker that has ended counts with its last word, once")
    func ended() {
        let counters = WorkerCounters(MetricSeries())
        let counts = WorkerCounts()
        counters.add(.streamsHeld)
        counts.keep(counters.snapshot(), of: 0)
        counts.keep(counters.snapshot(), of: 1)
        #expect(counts.sum.total(of: .streamsHeld) == 2 && counts.running(of: 0..<2) == [0, 1])
        counters.add(.streamsHeld)
        counts.keepLast(counters.snapshot(), of: 0)
        counts.keep(WorkerCounters(MetricSeries()).snapshot(), of: 0)
        #expect(counts.sum.total(of: .streamsHeld) == 3 && counts.running(of: 0..<2) == [1])
    }
}
