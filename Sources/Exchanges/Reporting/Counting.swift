// What an exchange adds to the metrics of its worker, apart from the path of an event. Invariant: what was added to a gauge at a beginning
// is subtracted once, at the end.

import Configuration
import Downstreams
import Telemetry
import Upstreams

extension Exchange {
    /// The exchange ends. A nil ending means a response that was passed on completely.
    func countEnd(_ ending: Ending?) {
        if let limit = ending?.limit.flatMap(ReachedLimit.init(rawValue:)) { proxy.counters.add(.refused, limit) }
        if let fault = ending?.credentialsFault { proxy.counters.add(.credentialsRefused, fault) }
        let milliseconds = now - account.startedAt
        guard isStream, let ending else {
            let (status, series) = (StatusClass(status: Int(account.status)), route?.series.route ?? MetricSeries.none)
            proxy.counters.add(.requests, status, of: series)
            return proxy.counters.observe(.requestDuration, status, of: series, milliseconds: milliseconds)
        }
        countStreamEnd(ending, milliseconds)
    }

    private func countStreamEnd(_ ending: Ending, _ milliseconds: Int64) {
        guard let series = route?.series else { return }
        let (counters, side) = (proxy.counters, ending.cause.side)
        counters.subtract(.streamsOpen, of: series.path)
        counters.add(.streamsEnded, ending.cause, of: series.route)
        counters.observe(.streamDuration, side, of: series.route, milliseconds: milliseconds)
        switch side {
        case .client: observe(account.clientSilence(now: now), of: .client)
        // A stream that never had a server says nothing about its silence.
        case .upstream: if let silence = account.upstreamSilence(now: now) { observe(silence, of: .upstream) }
        case .proxy: break
        }
        func observe(_ silence: Int64, of side: SilentSide) {
            counters.observe(.streamSilenceAtEnd, side, of: series.route, milliseconds: silence)
        }
        if let server = source.server { counters.add(.upstreamStreamsEnded, side, of: self.series(of: server)) }
        if isHeld { holdEnded(side == .client ? .left : .sentBack) }
    }

    // MARK: The path of an event

    /// Events and bytes of a stream were passed on, the proxy's own bytes included.
    @inline(__always)
    func countPassed(events: UInt64, fromUpstream: Int, toClient: Int) {
        guard let number = route?.series.route else { return }
        let start = Int(number) &* proxy.pathCells.stride
        proxy.pathCells.events[start] &+= events
        proxy.pathCells.bytes[start] &+= UInt64(bitPattern: Int64(fromUpstream))
        proxy.pathCells.bytes[start &+ 1] &+= UInt64(bitPattern: Int64(toClient))
    }

    /// A heartbeat was sent, so much later than the route's interval after the last byte.
    @inline(__always)
    func countHeartbeat(byteCount: Int, lateMilliseconds: Int64) {
        guard let number = route?.series.route else { return }
        let start = Int(number) &* proxy.pathCells.stride
        proxy.pathCells.heartbeats[start] &+= 1
        proxy.pathCells.bytes[start &+ 1] &+= UInt64(bitPattern: Int64(byteCount))
        guard lateMilliseconds <= MetricBuckets.tickMilliseconds else {
            return proxy.counters.observe(.heartbeatLateness, milliseconds: lateMilliseconds)
        }
        proxy.pathCells.punctualHeartbeats.pointee &+= 1
        proxy.pathCells.latenessSum.pointee &+= UInt64(bitPattern: lateMilliseconds)
    }

    // MARK: Bytes that wait

    /// That many bytes wait for the client now.
    func noteWaiting(_ count: Int) {
        if !account.isPending { countStalled(true) }
        account.bytesWait(count, now: now)
    }

    /// The client has taken all bytes that waited.
    func noteDrained() {
        if account.isPending { countStalled(false) }
        account.clientDrained(now: now)
    }

    /// An exchange for which bytes wait becomes no stream later.
    func countStalled(_ begins: Bool) {
        guard isStream else { return }
        if begins { proxy.counters.add(.streamsStalled) } else { proxy.counters.subtract(.streamsStalled) }
    }

    // MARK: Holding

    func holdBegan() { proxy.counters.add(.streamsHeld) }

    func holdEnded(_ outcome: HoldOutcome) {
        proxy.counters.subtract(.streamsHeld)
        proxy.counters.add(.held, outcome)
    }

    // MARK: Servers

    /// An attempt to connect to a server ended.
    func countAttempt(_ result: AttemptResult, server index: Int) {
        guard let route else { return }
        proxy.counters.add(.upstreamAttempts, result, of: settings.serverSeries[route.route.upstreamIndex][index])
    }

    /// A connection to a server stands.
    func countConnection(server index: Int) {
        guard let route else { return }
        countAttempt(.connected, server: index)
        proxy.counters.observe(
            .upstreamConnect, of: settings.serverSeries[route.route.upstreamIndex][index],
            milliseconds: Int64(account.connectMilliseconds))
    }

    private func series(of server: ServerState) -> Int32 {
        guard let route, let index = group.servers.firstIndex(where: { $0 === server }) else { return MetricSeries.none }
        return settings.serverSeries[route.route.upstreamIndex][index]
    }
}

extension AttemptResult {
    /// The result of an attempt that failed.
    init(_ failure: ServerFailure) {
        switch failure {
        case .connectionRefused: self = .refused
        case .connectTimeout: self = .timeout
        case .nameNotResolved: self = .nameNotResolved
        case .handshakeTimeout, .handshakeBroken, .handshakeRefused: self = .tlsFailed
        default: self = .failed
        }
    }
}
