// Writes into the stream log which process serves from here on, and under which limits. The line stands before the first stream that
// opens under them.

import Configuration
import Credentials
import Exchanges
import Reactor
import Telemetry

extension ProxyGeneration {
    /// Writes the line about the proxy, if there is a stream log.
    func logStart(_ occasion: StartRecord.Occasion, workerCount: Int, kernel: Kernel) {
        guard let log = logs.stream else { return }
        let record = StartRecord(
            timeMilliseconds: kernel.unixMilliseconds(), occasion: occasion, process: SystemProcess.identifier,
            configurationDigest: configuration.digest, workerCount: workerCount, routes: configuration.routes.map(limits))
        var line: [UInt8] = []
        record.encode(into: &line)
        log.submit(line)
    }

    private func limits(of route: Route) -> StartRecord.Route {
        let upstream = configuration.upstreams[route.upstreamIndex]
        return StartRecord.Route(
            name: route.name, upstream: upstream.name, heartbeatMilliseconds: route.heartbeat.intervalMilliseconds,
            streamSilenceTimeoutMilliseconds: upstream.streamSilenceTimeoutMilliseconds,
            clientStallMilliseconds: configuration.timeouts.clientStallMilliseconds,
            responseTimeoutMilliseconds: upstream.responseTimeoutMilliseconds)
    }
}

extension Configuration {
    /// Tells whether two configurations, also of two processes of one version, are the same. Secrets do not count: the digest stands in
    /// a log, where a short secret could be found out by trying.
    fileprivate var digest: UInt64? {
        var shown = self
        shown.fingerprintKey = nil
        shown.historyKey = nil
        shown.console?.tokenDigest = nil
        return ContentDigest.short(of: String(describing: shown))
    }
}
