// What the workers of one proxy have in common: counts of connections and the way to the logs. It is touched when a
// connection or an exchange begins or ends, never for the bytes between.

import Credentials
import Reactor
import StreamLog
import Synchronization

/// Counts and logs that all workers share.
final class SharedState: Sendable {
    /// Which limit stands against one more connection.
    enum Admission: Equatable {
        enum Limit { case connections, connectionsPerClient }
        case admitted
        case refused(Limit)
    }

    private let counts: Mutex<(total: Int, byClient: [SocketAddress: Int])> = Mutex((0, [:]))
    private let failedHandshakes = Atomic(0)
    private let connectionLimit: Int
    private let connectionsPerClientLimit: Int
    let streamLog: LogWriter?
    let accessLog: LogWriter?
    let fingerprinter: Fingerprinter

    init(
        connectionLimit: Int, connectionsPerClientLimit: Int, streamLog: LogWriter?, accessLog: LogWriter?,
        fingerprinter: Fingerprinter
    ) {
        self.connectionLimit = connectionLimit
        self.connectionsPerClientLimit = connectionsPerClientLimit
        self.streamLog = streamLog
        self.accessLog = accessLog
        self.fingerprinter = fingerprinter
    }

    /// Counts one more connection, refused ones too: `leave` is called for each.
    func admit(_ client: SocketAddress, isTrusted: Bool) -> Admission {
        counts.withLock { counts in
            counts.total += 1
            if connectionsPerClientLimit > 0, !isTrusted {
                counts.byClient[client.withoutPort, default: 0] += 1
                if counts.byClient[client.withoutPort]! > connectionsPerClientLimit {
                    return .refused(.connectionsPerClient)
                }
            }
            return counts.total > connectionLimit ? .refused(.connections) : .admitted
        }
    }

    /// Client connections that are open now.
    var connectionCount: Int { counts.withLock { $0.total } }

    /// How many TLS handshakes of clients failed or were not finished in time.
    var failedHandshakeCount: Int { failedHandshakes.load(ordering: .relaxed) }

    /// Counts a failed TLS handshake.
    func noteFailedHandshake() { failedHandshakes.wrappingAdd(1, ordering: .relaxed) }

    /// Counts a connection off.
    func leave(_ client: SocketAddress, isTrusted: Bool) {
        counts.withLock { counts in
            counts.total -= 1
            guard connectionsPerClientLimit > 0, !isTrusted else { return }
            let left = counts.byClient[client.withoutPort, default: 1] - 1
            counts.byClient[client.withoutPort] = left == 0 ? nil : left
        }
    }
}

extension LogFile: LogSink {}
