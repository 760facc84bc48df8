// How many connections clients have, in all and for each address, and what happens to one more. All workers share the counts. They
// change only when a connection, or a stream of a shared connection, opens or closes.
//
// The limit of all connections keeps descriptors free: a connection of HTTP/1 needs two, its own and one to a server. A connection of
// HTTP/2 needs its own and one for each stream. So its first stream costs nothing, and each further one counts as half a connection.

import Reactor
import Synchronization

/// A limit on connections, by its name in the configuration.
package enum ConnectionLimit: String, Sendable {
    /// Connections in all.
    case connections
    /// Connections of one address.
    case connectionsPerClient = "connections_per_client"
}

/// What happens to one more connection.
package enum Admission: Equatable, Sendable {
    /// It is served.
    case admitted
    /// Above the limit, but few enough to read its request: an EventSource is told to come back.
    case heard(ConnectionLimit)
    /// Above the limit, and refused.
    case refused(ConnectionLimit)
    /// So many are being refused already that this one is closed without an answer.
    case shed(ConnectionLimit)

    /// The limit that is exceeded; nil for none.
    var limit: ConnectionLimit? {
        switch self {
        case .admitted: nil
        case .heard(let limit), .refused(let limit), .shed(let limit): limit
        }
    }
}

/// Counts of connections that all workers share. A reload makes another value with the same counts and other limits.
package final class ConnectionCounts: Sendable {
    private final class Counts: Sendable {
        let connections: Mutex<(total: Int, furtherStreams: Int, byClient: [SocketAddress: Int])> = Mutex((0, 0, [:]))
    }

    private let counts: Counts
    private let limit: Int
    private let limitPerClient: Int

    /// Counts with these limits; 0 connections per client is no limit. The new value continues the counts of `previous`.
    package init(limit: Int, limitPerClient: Int, succeeding previous: ConnectionCounts? = nil) {
        counts = previous?.counts ?? Counts()
        self.limit = limit
        self.limitPerClient = limitPerClient
    }

    /// Whether connections are counted for their clients' addresses, except for trusted proxies.
    package var countsClients: Bool { limitPerClient > 0 }

    /// Counts one more connection, also a refused one: `leave` is called for each.
    package func admit(_ client: SocketAddress, isTrusted: Bool) -> Admission {
        counts.connections.withLock { counts in
            counts.total += 1
            let ofClient = countsClients && !isTrusted ? Self.count(client, in: &counts.byClient) : 0
            // The limit of all connections comes first, because it keeps descriptors free.
            let inAll = Self.admission(Self.load(counts.total, counts.furtherStreams), limit: limit, .connections)
            guard inAll == .admitted, ofClient > limitPerClient else { return inAll }
            return Self.admission(ofClient, limit: limitPerClient, .connectionsPerClient)
        }
    }

    /// Counts one more stream of a connection that has one already; false if that is above the limit, and then it is not counted.
    package func admitFurtherStream() -> Bool {
        counts.connections.withLock { counts in
            guard Self.load(counts.total, counts.furtherStreams + 1) <= limit else { return false }
            counts.furtherStreams += 1
            return true
        }
    }

    /// Subtracts streams that were counted.
    package func leaveFurtherStreams(_ count: Int) { counts.connections.withLock { $0.furtherStreams -= count } }

    private static func load(_ connections: Int, _ furtherStreams: Int) -> Int { connections + (furtherStreams + 1) / 2 }

    /// Counts a connection for its client, which only became known now. It is counted in all already.
    package func count(_ client: SocketAddress) -> Admission {
        let ofClient = counts.connections.withLock { Self.count(client, in: &$0.byClient) }
        return Self.admission(ofClient, limit: limitPerClient, .connectionsPerClient)
    }

    private static func count(_ client: SocketAddress, in counts: inout [SocketAddress: Int]) -> Int {
        counts[client.withoutPort, default: 0] += 1
        return counts[client.withoutPort, default: 0]
    }

    /// How many connections above a limit are still read; the same number again is refused.
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

    /// How many connections would have to close before one more is within the limit of all connections; 0 where there is room.
    var excessWithOneMore: Int {
        counts.connections.withLock { max(0, Self.load($0.total, $0.furtherStreams) + 1 - limit) }
    }

    /// Subtracts a connection. `isCounted` says whether it was counted for its client's address.
    package func leave(_ client: SocketAddress, isCounted: Bool) {
        counts.connections.withLock { counts in
            counts.total -= 1
            guard isCounted else { return }
            let left = counts.byClient[client.withoutPort, default: 1] - 1
            counts.byClient[client.withoutPort] = left == 0 ? nil : left
        }
    }
}
