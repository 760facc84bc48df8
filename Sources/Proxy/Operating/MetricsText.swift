// What the workers have counted, as the text that a scraper reads.

import Telemetry

/// The counters in Prometheus' text format 0.0.4, or as OpenMetrics 1.0.
func metricsText(_ counters: WorkerCounters, asOpenMetrics: Bool) -> [UInt8] {
    var text = ""
    for counter in Counter.allCases {
        let family = "heartwire_\(counter.metricName)"
        let name = "\(family)_total"
        text += "# HELP \(asOpenMetrics ? family : name) \(counter.meaning)\n# TYPE \(asOpenMetrics ? family : name) counter\n"
        text += "\(name) \(counters[counter])\n"
    }
    if asOpenMetrics { text += "# EOF\n" }
    return Array(text.utf8)
}

extension Counter {
    fileprivate var metricName: String {
        switch self {
        case .exchanges: "exchanges"
        case .streams: "streams_opened"
        case .heartbeats: "heartbeats"
        case .failedHandshakes: "tls_handshakes_failed"
        case .droppedLogLines: "log_lines_dropped"
        }
    }
}
