// How many connections clients have, in all and for each address, and what becomes of one more. All workers share it; it is touched when
// a connection comes or goes, never for the bytes between.

import Reactor
import Synchronization

/// A limit on connections, by its name in the configuration.
package enum ConnectionLimit: String, Sendable {
    /// Connections in all.
    case connections
    /// Connections of one address.
    case connectionsPerClient = "connections_per_client"
}

/// What becomes of one more connection.
package enum Admission: Equatable, Sendable {
    /// It is served.
    case admitted
    /// One too many, but few enough to be asked what it wants: an EventSource is told to come back.
    case heard(ConnectionLimit)
    /// One too many, and told so.
    case refused(ConnectionLimit)
    /// So many are being refused already that this one is closed without a word.
    case shed(ConnectionLimit)
}

/// Counts of connections that all workers share. A reload makes another value with the same counts and other limits.
package final class ConnectionCounts: Sendable {
    private final class Counts: Sendable {
        let connections: Mutex<(total: Int, byClient: [SocketAddress: Int])> = Mutex((0, [:]))
    }

    private let counts: Counts
    private let limit: Int
    private let limitPerClient: Int

    /// Counts with these limits; 0 connections per client is no limit. The value goes on with the counts of `previous`.
    package init(limit: Int, limitPerClient: Int, succeeding previous: ConnectionCounts? = nil) {
        counts = previous?.counts ?? Counts()
        self.limit = limit
        self.limitPerClient = limitPerClient
    }

    /// Whether connections are counted by their clients' addresses, those of trusted proxies excepted.
    package var countsClients: Bool { limitPerClient > 0 }

    /// Counts one more connection, refused ones too: `leave` is called for each.
    package func admit(_ client: SocketAddress, isTrusted: Bool) -> Admission {
        counts.connections.withLock { counts in
            counts.total += 1
            let ofClient = countsClients && !isTrusted ? Self.count(client, in: &counts.byClient) : 0
            // The limit of all comes first: its rooms are what keeps descriptors free.
            let inAll = Self.admission(counts.total, limit: limit, .connections)
            guard inAll == .admitted, ofClient > limitPerClient else { return inAll }
            return Self.admission(ofClient, limit: limitPerClient, .connectionsPerClient)
        }
    }

    /// Counts a connection for its client that is counted in all already, because who the client is was learned only now.
    package func count(_ client: SocketAddress) -> Admission {
        let ofClient = counts.connections.withLock { Self.count(client, in: &$0.byClient) }
        return Self.admission(ofClient, limit: limitPerClient, .connectionsPerClient)
    }

    private static func count(_ client: SocketAddress, in counts: inout [SocketAddress: Int]) -> Int {
        counts[client.withoutPort, default: 0] += 1
        return counts[client.withoutPort, default: 0]
    }

    /// How many connections above a limit are heard; as many again are refused.
    package static func roomAbove(limit: Int) -> Int { max(4, min(64, limit / 8)) }

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
    package var connectionCount: Int { counts.connections.withLock { $0.total } }

    /// Counts a connection off. `isCounted` says whether it was counted by its client's address when it came.
    package func leave(_ client: SocketAddress, isCounted: Bool) {
        counts.connections.withLock { counts in
            counts.total -= 1
            guard isCounted else { return }
            let left = counts.byClient[client.withoutPort, default: 1] - 1
            counts.byClient[client.withoutPort] = left == 0 ? nil : left
        }
    }
}
