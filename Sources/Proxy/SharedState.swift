// What the workers of one proxy have in common: counts of connections and the way to the logs. It is touched when a
// connection or an exchange begins or ends, never for the bytes between. After a reload another value with the same counts
// takes its place.

import Credentials
import Reactor
import Telemetry
import Synchronization

/// A limit on connections, by its name in the configuration.
enum ConnectionLimit: String {
    case connections
    case connectionsPerClient = "connections_per_client"
}

/// Counts and logs that all workers share.
final class SharedState: Sendable {
    /// What becomes of one more connection.
    enum Admission: Equatable {
        case admitted
        /// One too many, but few enough to be asked what it wants: an EventSource is told to come back.
        case heard(ConnectionLimit)
        /// One too many, and told so.
        case refused(ConnectionLimit)
        /// So many are being refused already that this one is closed without a word.
        case shed(ConnectionLimit)
    }

    private final class Counts: Sendable {
        let connections: Mutex<(total: Int, byClient: [SocketAddress: Int])> = Mutex((0, [:]))
        let failedHandshakes = Atomic(0)
    }

    private let counts: Counts
    private let connectionLimit: Int
    private let connectionsPerClientLimit: Int
    let streamLog: LogWriter?
    let accessLog: LogWriter?
    let eventLog: LogWriter?
    let fingerprinter: Fingerprinter

    /// Goes on with the counts of `previous`, where there is one.
    init(
        connectionLimit: Int, connectionsPerClientLimit: Int, streamLog: LogWriter?, accessLog: LogWriter?,
        eventLog: LogWriter? = nil, fingerprinter: Fingerprinter, succeeding previous: SharedState? = nil
    ) {
        counts = previous?.counts ?? Counts()
        self.connectionLimit = connectionLimit
        self.connectionsPerClientLimit = connectionsPerClientLimit
        self.streamLog = streamLog
        self.accessLog = accessLog
        self.eventLog = eventLog
        self.fingerprinter = fingerprinter
    }

    /// Whether connections are counted by their clients' addresses, those of trusted proxies excepted.
    var countsClients: Bool { connectionsPerClientLimit > 0 }

    /// Counts one more connection, refused ones too: `leave` is called for each.
    func admit(_ client: SocketAddress, isTrusted: Bool) -> Admission {
        counts.connections.withLock { counts in
            counts.total += 1
            let ofClient = countsClients && !isTrusted ? SharedState.count(client, in: &counts.byClient) : 0
            // The limit of all comes first: its rooms are what keeps descriptors free.
            let inAll = SharedState.admission(counts.total, limit: connectionLimit, .connections)
            guard inAll == .admitted, ofClient > connectionsPerClientLimit else { return inAll }
            return SharedState.admission(ofClient, limit: connectionsPerClientLimit, .connectionsPerClient)
        }
    }

    /// Counts a connection for its client that is counted in all already, because who the client is was learned only now.
    func count(_ client: SocketAddress) -> Admission {
        let ofClient = counts.connections.withLock { SharedState.count(client, in: &$0.byClient) }
        return SharedState.admission(ofClient, limit: connectionsPerClientLimit, .connectionsPerClient)
    }

    private static func count(_ client: SocketAddress, in counts: inout [SocketAddress: Int]) -> Int {
        counts[client.withoutPort, default: 0] += 1
        return counts[client.withoutPort, default: 0]
    }

    /// How many connections above a limit are heard; as many again are refused.
    static func roomAbove(limit: Int) -> Int { max(4, min(64, limit / 8)) }

    private static func admission(_ count: Int, limit: Int, _ kind: ConnectionLimit) -> Admission {
        let room = roomAbove(limit: limit)
        return switch count - limit {
        case ...0: .admitted
        case ...room: .heard(kind)
        case ...(2 * room): .refused(kind)
        default: .shed(kind)
        }
    }

    /// Client connections that are open now.
    var connectionCount: Int { counts.connections.withLock { $0.total } }

    /// How many TLS handshakes of clients failed or were not finished in time.
    var failedHandshakeCount: Int { counts.failedHandshakes.load(ordering: .relaxed) }

    /// Counts a failed TLS handshake.
    func noteFailedHandshake() { counts.failedHandshakes.wrappingAdd(1, ordering: .relaxed) }

    /// Counts a connection off. `isCounted` says whether it was counted by its client's address when it came.
    func leave(_ client: SocketAddress, isCounted: Bool) {
        counts.connections.withLock { counts in
            counts.total -= 1
            guard isCounted else { return }
            let left = counts.byClient[client.withoutPort, default: 1] - 1
            counts.byClient[client.withoutPort] = left == 0 ? nil : left
        }
    }
}

extension LogFile: LogSink {}
