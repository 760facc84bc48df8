// The idle connections to one server, on one worker. Invariant: a connection that stands in it has nothing unread or unwritten, as far
// as is known, and stands in it once.

/// Idle connections to one server.
struct ConnectionPool {
    /// So many are kept at most; 0 once no request will come for them.
    private var limit: Int
    private var idle: [UpstreamConnection] = []

    init(limit: Int) { self.limit = limit }

    /// How many connections wait in it.
    var count: Int { idle.count }

    /// Takes the connection that was used last: the server is the least likely to have closed it.
    mutating func take() -> UpstreamConnection? { idle.popLast() }

    /// Keeps a connection for the next request; false when there are enough.
    mutating func keep(_ connection: UpstreamConnection) -> Bool {
        guard idle.count < limit else { return false }
        idle.append(connection)
        return true
    }

    /// Forgets a connection that is about to be closed.
    mutating func forget(_ connection: UpstreamConnection) { idle.removeAll { $0 === connection } }

    /// Keeps nothing from now on; returns the connections that waited, to be closed.
    mutating func shut() -> [UpstreamConnection] {
        limit = 0
        defer { idle = [] }
        return idle
    }
}
