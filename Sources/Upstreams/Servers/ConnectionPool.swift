// The idle connections to one server, on one worker. Invariant: a pooled connection has nothing unread or unwritten, as far as is
// known, and is in the pool once.

/// Idle connections to one server.
struct ConnectionPool {
    /// The most connections to keep; 0 when no request will come any more.
    private var limit: Int
    private var idle: [UpstreamConnection] = []

    init(limit: Int) { self.limit = limit }

    /// How many connections are in the pool.
    var count: Int { idle.count }

    /// Takes the most recently used connection: the server is least likely to have closed that one.
    mutating func take() -> UpstreamConnection? { idle.popLast() }

    /// Keeps a connection for the next request; false when the pool is full.
    mutating func keep(_ connection: UpstreamConnection) -> Bool {
        guard idle.count < limit else { return false }
        idle.append(connection)
        return true
    }

    /// Removes a connection that is about to be closed.
    mutating func forget(_ connection: UpstreamConnection) { idle.removeAll { $0 === connection } }

    /// Keeps nothing from now on. Returns the pooled connections, which the caller must close.
    mutating func shut() -> [UpstreamConnection] {
        limit = 0
        defer { idle = [] }
        return idle
    }
}
