// A group of servers that answer the same requests, and the settings for them.
//
// The proxy chooses, connects and pools; here are only the settings. Invariant: a parsed upstream has at least one server, no server
// twice, and numbers inside their ranges.

/// A named group of servers; routes lead to it.
package struct Upstream: Sendable, Equatable {
    /// The name of the upstream in routes and logs; for one that is written inside a route, its address.
    package var name: String
    /// The servers, tried as `balance` says.
    package var servers: [Server]
    /// How the server of a request is chosen.
    package var balance: Balance
    /// How long connecting to a server may take, in milliseconds.
    package var connectTimeoutMilliseconds: Int
    /// How long a server may take from the end of the request to its response head, in milliseconds.
    package var responseTimeoutMilliseconds: Int
    /// How long an ordinary response may go without a byte, in milliseconds.
    package var idleTimeoutMilliseconds: Int
    /// How long an event stream may go without a byte from the server, in milliseconds; nil: without limit.
    package var streamSilenceTimeoutMilliseconds: Int?
    /// How many idle connections are kept for each worker and server.
    package var idleConnections: Int
    /// How long an idle connection is kept, in milliseconds. Node.js closes its own after five seconds: keep below.
    package var idleConnectionMilliseconds: Int
    /// How long a server that could not be reached is not chosen, in milliseconds.
    package var failureCooldownMilliseconds: Int
    /// How Heartwire speaks TLS to its servers; nil for plain HTTP.
    package var tls: UpstreamTLS?

    /// How the server of a request is chosen.
    package enum Balance: Sendable, Equatable {
        /// One after the other.
        case roundRobin
        /// The server with the fewest exchanges in progress.
        case leastConnections
    }

    /// One server: a host and a port, or a UNIX socket.
    package struct Server: Sendable, Hashable, CustomStringConvertible {
        /// A name, an IPv4 address, an IPv6 address without brackets, or `unix:` and a path.
        package var host: String
        /// The TCP port; 0 for a UNIX socket.
        package var port: UInt16

        /// Makes a server from its parts.
        package init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }

        /// A UNIX socket by its absolute path, or, behind `@`, its abstract name.
        package init(unixPath: String) { self.init(host: Server.unixPrefix + unixPath, port: 0) }

        static let unixPrefix = "unix:"

        /// Whether it is a UNIX socket.
        package var isUnix: Bool { host.hasPrefix(Server.unixPrefix) }

        /// The server as it is written in a configuration: `backend:9000`, `[::1]:9000`, `unix:/run/app.sock`.
        package var description: String { isUnix ? host : describeEndpoint(host: host, port: port) }

        /// Its name in a Host field. A path cannot stand there (RFC 9110 section 7.2).
        package var authority: String { isUnix ? "localhost" : description }
    }

    /// Makes an upstream; whatever is left out has its documented default (conf/README.md).
    package init(
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
