// What the workers of one proxy have in common: counts of connections and the way to the logs. It is touched when a
// connection or an exchange begins or ends, never for the bytes between. After a reload another value with the same counts
// takes its place.

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
    /// Makes what logs show of tokens.
    package let fingerprinter: Fingerprinter

    /// Goes on with the counts of `previous`, where there is one.
    package init(
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
