// What the workers of one proxy have in common: counts of connections and the way to the logs. It is touched when a
// connection or an exchange begins or ends, never for the bytes between. After a reload another value with the same counts
// takes its place.

import Credentials
import Downstreams
import Reactor
import Telemetry

/// Counts and logs that all workers share.
final class SharedState: Sendable {
    let counts: ConnectionCounts
    let streamLog: LogWriter?
    let accessLog: LogWriter?
    let eventLog: LogWriter?
    let fingerprinter: Fingerprinter

    /// Goes on with the counts of `previous`, where there is one.
    init(
        connectionLimit: Int, connectionsPerClientLimit: Int, streamLog: LogWriter?, accessLog: LogWriter?,
        eventLog: LogWriter? = nil, fingerprinter: Fingerprinter, succeeding previous: SharedState? = nil
    ) {
        counts = ConnectionCounts(limit: connectionLimit, limitPerClient: connectionsPerClientLimit, succeeding: previous?.counts)
        self.streamLog = streamLog
        self.accessLog = accessLog
        self.eventLog = eventLog
        self.fingerprinter = fingerprinter
    }
}

extension LogFile: LogSink {}
