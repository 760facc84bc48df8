// What the workers of one proxy share: counts of connections and the logs. It is used when a connection or an exchange begins or ends,
// not for the bytes in between. A reload makes another value with the same counts.

import Configuration
import Credentials
import Downstreams
import Telemetry

/// Counts and logs that all workers share.
package final class SharedState: Sendable {
    /// The counts of connections.
    package let counts: ConnectionCounts
    /// The log of streams; nil for none.
    package let streamLog: LogWriter?
    /// The log of other exchanges; nil for none.
    package let accessLog: LogWriter?
    /// The log of events; nil for none.
    package let eventLog: LogWriter?
    /// Whether there is a console, which shows the latest lines.
    package let hasConsole: Bool
    /// The queues of recordings.
    package let recordings: [RecordingPolicy: LogWriter]
    /// The streams that are open now.
    package let openStreams: OpenStreams
    /// The streams that ended lately.
    package let recentStreams: RecentStreams
    /// Makes what logs show of tokens.
    package let fingerprinter: Fingerprinter
    /// The key under which streams are found again.
    let historyKey: Fingerprinter
    /// The tickets that were taken back.
    let revocations: TicketRevocations
    /// The streams of the endpoint for probes.
    package let probes: ProbeRegister
    /// Which worker has which kept stream.
    let streamDirectory: StreamDirectory
    /// The requests to publish that have an answer already.
    let publishedRequests: PublishedRequests

    /// Continues the counts of `previous`, if there is one, and what it knows of probes and tickets.
    package init(
        connectionLimit: Int, connectionsPerClientLimit: Int, streamLog: LogWriter?, accessLog: LogWriter?,
        eventLog: LogWriter? = nil, recordings: [RecordingPolicy: LogWriter] = [:], hasConsole: Bool = false,
        fingerprinter: Fingerprinter, historyKey: Fingerprinter? = nil, succeeding previous: SharedState? = nil
    ) {
        counts = ConnectionCounts(limit: connectionLimit, limitPerClient: connectionsPerClientLimit, succeeding: previous?.counts)
        openStreams = previous?.openStreams ?? OpenStreams()
        recentStreams = previous?.recentStreams ?? RecentStreams()
        self.streamLog = streamLog
        self.accessLog = accessLog
        self.eventLog = eventLog
        self.hasConsole = hasConsole
        self.recordings = recordings
        self.fingerprinter = fingerprinter
        self.historyKey = historyKey ?? fingerprinter
        revocations = previous?.revocations ?? TicketRevocations()
        probes = previous?.probes ?? ProbeRegister()
        streamDirectory = previous?.streamDirectory ?? StreamDirectory()
        publishedRequests = previous?.publishedRequests ?? PublishedRequests()
    }
}
