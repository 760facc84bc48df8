// A group of servers that answer the same requests, and how the proxy deals with them.
//
// Choosing, connecting and pooling are the proxy's; this is only what it was told.
// Invariant: a parsed upstream has at least one server, no server twice, and numbers inside their ranges.

/// A named group of servers; routes lead to it.
public struct Upstream: Sendable, Equatable {
    /// The name by which routes and logs speak of it; for one written inside a route, its address.
    public var name: String
    /// The servers, tried as `balance` says.
    public var servers: [Server]
    /// How the server of a request is chosen.
    public var balance: Balance
    /// How long a connection may take to come about, in milliseconds.
    public var connectTimeoutMilliseconds: Int
    /// How long a server may take from the end of the request to its response head, in milliseconds.
    public var responseTimeoutMilliseconds: Int
    /// How long an ordinary response may go without a byte, in milliseconds.
    public var idleTimeoutMilliseconds: Int
    /// How long an event stream may go without a byte from the server, in milliseconds; nil: as long as it likes.
    public var streamSilenceTimeoutMilliseconds: Int?
    /// How many idle connections are kept for each worker and server.
    public var idleConnections: Int
    /// How long an idle connection is kept, in milliseconds. Node.js closes its own after five seconds: keep below.
    public var idleConnectionMilliseconds: Int
    /// How long a server that could not be reached is passed over, in milliseconds.
    public var failureCooldownMilliseconds: Int
    /// How its servers are spoken to in TLS; nil for plain HTTP.
    public var tls: UpstreamTLS?

    /// How the server of a request is chosen.
    public enum Balance: Sendable, Equatable {
        /// One after the other.
        case roundRobin
        /// The one with the fewest exchanges under way.
        case leastConnections
    }

    /// One server: a host and a port, or a UNIX socket.
    public struct Server: Sendable, Hashable, CustomStringConvertible {
        /// A name, an IPv4 address, an IPv6 address without brackets, or `unix:` and a path.
        public var host: String
        /// The TCP port; 0 for a UNIX socket.
        public var port: UInt16

        /// Makes a server from its parts.
        public init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }

        /// A UNIX socket by its absolute path, or, behind `@`, its abstract name.
        public init(unixPath: String) { self.init(host: Server.unixPrefix + unixPath, port: 0) }

        static let unixPrefix = "unix:"

        /// Whether it is a UNIX socket.
        public var isUnix: Bool { host.hasPrefix(Server.unixPrefix) }

        /// The server as it is written in a configuration: `backend:9000`, `[::1]:9000`, `unix:/run/app.sock`.
        public var description: String { isUnix ? host : describeEndpoint(host: host, port: port) }

        /// What it is called in a Host field. A path cannot stand there (RFC 9110 section 7.2).
        public var authority: String { isUnix ? "localhost" : description }
    }

    /// Makes an upstream; whatever is left out has its documented default (conf/README.md).
    public init(
        name: String,
        servers: [Server],
        balance: Balance = .roundRobin,
        connectTimeoutMilliseconds: Int = 3_000,
        responseTimeoutMilliseconds: Int = 300_000,
        idleTimeoutMilliseconds: Int = 300_000,
        streamSilenceTimeoutMilliseconds: Int? = nil,
        idleConnections: Int = 32,
        idleConnectionMilliseconds: Int = 4_000,
        failureCooldownMilliseconds: Int = 2_000,
        tls: UpstreamTLS? = nil
    ) {
        self.name = name
        self.servers = servers
        self.balance = balance
        self.connectTimeoutMilliseconds = connectTimeoutMilliseconds
        self.responseTimeoutMilliseconds = responseTimeoutMilliseconds
        self.idleTimeoutMilliseconds = idleTimeoutMilliseconds
        self.streamSilenceTimeoutMilliseconds = streamSilenceTimeoutMilliseconds
        self.idleConnections = idleConnections
        self.idleConnectionMilliseconds = idleConnectionMilliseconds
        self.failureCooldownMilliseconds = failureCooldownMilliseconds
        self.tls = tls
    }
}
