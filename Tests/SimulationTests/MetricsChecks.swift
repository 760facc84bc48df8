// What the metrics of a run must say: the same as the log, whose lines are compared with the truth, and as the kernel. When the proxy has
// ended, no gauge is left above zero.

import Configuration

@testable import Exchanges
@testable import Reactor
@testable import Telemetry

extension Scenario {
    /// Compares the sums over all workers with what happened.
    func checkMetrics(_ log: LogView) {
        guard let counted else { return expect(false, "no worker was asked for its counts") }
        for gauge in [Metric.streamsOpen, .streamsHeld, .streamsStalled, .pendingBytes, .connectionsOpen] {
            expect(counted.total(of: gauge) == 0, "\(gauge) is \(Int64(bitPattern: counted.total(of: gauge))) after the end")
        }
        let openings = log.records.filter { $0["event"] as? String == "stream_open" }
        let endings = log.records.filter { $0["event"] as? String == "stream_end" }
        let others = (log.records + log.probes).filter { $0["event"] as? String == "access" }
        checkStreams(counted, openings, endings)
        checkBytes(counted, endings)
        checkServers(counted, endings)
        checkOthers(counted, others)
        let strangers = others.filter { ($0["evidence"] as? String)?.contains("from trusted_proxies only") == true }.count
        for (word, faults) in Dictionary(grouping: CredentialsFault.allCases, by: { "\($0.name)" }) {
            let refused = (others + endings).filter { $0["credential_error"] as? String == word }.count
            same(faults.reduce(0) { $0 + counted.value(of: .credentialsRefused, $1) }, refused, "requests were refused with \(word)")
        }
        same(counted.total(of: .connections), kernel.acceptedCount - strangers, "connections were accepted")
    }

    private func same(_ counted: UInt64, _ happened: Int, _ what: String) {
        expect(counted == happened, "\(counted) in the metrics, but \(happened) \(what)")
    }

    /// The series of routes follow the two that every process has.
    private func sumOverRoutes(_ value: (Int) -> UInt64) -> UInt64 {
        (2..<2 + plan.configuration.routes.count).reduce(0) { $0 + value($1) }
    }

    private func sum(_ key: String, _ records: [[String: Any]]) -> Int { records.reduce(0) { $0 + ($1[key] as? Int ?? 0) } }

    private func checkStreams(_ counted: CounterSnapshot, _ openings: [[String: Any]], _ endings: [[String: Any]]) {
        same(counted.total(of: .streamsOpened), openings.count, "streams were opened")
        let resumed = openings.filter { opening in
            let path = opening["path"] as? String ?? ""
            // A watcher brings another id each time.
            return path.hasPrefix(Watcher.path) ? opening["resumes"] as? Bool == true : truths[path]?.lastEventID.isEmpty == false
        }.count
        same(
            sumOverRoutes { counted.value(of: .streamsOpened, Resumption.resumed, series: $0) }, resumed,
            "streams were opened with a Last-Event-ID")
        for cause in Cause.allCases {
            let ended = endings.filter { $0["cause"] as? String == cause.rawValue }.count
            same(sumOverRoutes { counted.value(of: .streamsEnded, cause, series: $0) }, ended, "streams ended with \(cause.rawValue)")
        }
        same(counted.total(of: .streamDuration), endings.count, "streams have ended")
        for side in Cause.Side.allCases {
            let lasted = sum("duration_ms", endings.filter { $0["side"] as? String == side.rawValue })
            let told = sumOverRoutes { counted.values(of: .streamDuration, label: side.place, series: $0).last ?? 0 }
            same(told, lasted, "ms were the lives of streams that the \(side.rawValue) side ended")
        }
        let silent = endings.filter { ending in
            ending["side"] as? String == "client" || ending["side"] as? String == "upstream" && ending["upstream_silence_at_end_ms"] is Int
        }
        same(counted.total(of: .streamSilenceAtEnd), silent.count, "streams ended with a silence of that side")
        same(counted.total(of: .streamFirstEvent), endings.filter { $0["first_event_ms"] is Int }.count, "streams had an event")
        same(counted.total(of: .held), openings.filter { $0["held_because"] != nil }.count, "clients were held")
    }

    private func checkBytes(_ counted: CounterSnapshot, _ endings: [[String: Any]]) {
        same(counted.total(of: .events), sum("events", endings), "events were passed on")
        same(counted.total(of: .heartbeats), sum("heartbeats", endings), "heartbeats were sent")
        same(counted.total(of: .heartbeatLateness), sum("heartbeats", endings), "heartbeats were sent, each with its lateness")
        let (received, sent) = (sum("bytes_from_upstream", endings), sum("bytes_to_client", endings))
        same(sumOverRoutes { counted.value(of: .streamBytes, Direction.fromUpstream, series: $0) }, received, "bytes came from servers")
        same(sumOverRoutes { counted.value(of: .streamBytes, Direction.toClient, series: $0) }, sent, "bytes went to clients")
    }

    private func checkServers(_ counted: CounterSnapshot, _ endings: [[String: Any]]) {
        // An attempt whose client leaves meanwhile has no result.
        let attempts = kernel.attempts.count
        expect(counted.total(of: .upstreamAttempts) <= attempts, "\(counted.total(of: .upstreamAttempts)) results of \(attempts) attempts")
        expect(
            counted.total(of: .upstreamConnect) <= kernel.attempts.filter { $0.outcome == .open }.count, "more connections than were open")
        expect(
            counted.total(of: .upstreamStreamsEnded) <= endings.filter { $0["server"] != nil }.count, "more streams of servers than ended")
    }

    private func checkOthers(_ counted: CounterSnapshot, _ others: [[String: Any]]) {
        // A connection that never had a request has a line too.
        let requests = others.filter { $0["method"] != nil || $0["status"] != nil }
        same(counted.total(of: .requests), requests.count, "exchanges ended that were no stream")
        for status in StatusClass.allCases {
            let answered = requests.filter { StatusClass(status: $0["status"] as? Int ?? 0) == status }.count
            let told = counted.value(of: .requests, status, series: 0) + sumOverRoutes { counted.value(of: .requests, status, series: $0) }
            same(told, answered, "exchanges were answered with \(status.values[0])")
        }
        for limit in ReachedLimit.allCases {
            // Connections that are closed without an answer have no line, and a stream's line names no limit.
            let refused = others.filter { $0["refused_by"] as? String == limit.rawValue }.count
            expect(counted.value(of: .refused, limit) >= refused, "the limit \(limit.rawValue) refused more often than the metrics say")
        }
    }
}
