// The proxy's configuration, as one immutable value.
//
// `ConfigurationFile` makes it from a text, `CommandLine` from options, and tests and the demo by hand. Nothing here opens a file or a
// socket, looks up a name or reads a clock. Invariant: a value from one of the two parsers is complete and consistent: every
// `Route.upstreamIndex` names an upstream, every number lies in its documented range, and there is a listener, an upstream and a route.

/// The whole configuration of one running proxy.
package struct Configuration: Sendable, Equatable {
    /// How many worker threads run; 0 means one for each processor core.
    package var workerCount: Int
    /// The addresses on which clients are accepted.
    package var listeners: [Listener]
    /// The groups of servers that routes lead to.
    package var upstreams: [Upstream]
    /// Who signs the tokens that routes check.
    package var issuers: [Issuer] = []
    /// Services that say whether requests may pass.
    package var forwardAuths: [ForwardAuth] = []
    /// What pages get for their tokens.
    package var tickets: [TicketBlock] = []
    /// Tokens that the proxy gets for servers.
    package var tokens: [ServiceToken] = []
    /// Which requests go where, in the order of the file; `RouteTable` finds the most specific one.
    package var routes: [Route]
    /// Bounds of sizes and counts.
    package var limits: Limits
    /// How long the proxy waits for a client.
    package var timeouts: Timeouts
    /// Where the opening and the end of every event stream are written.
    package var streamLog: LogDestination
    /// Where all other exchanges are written.
    package var accessLog: LogDestination
    /// Where each event that is passed on is written, and each heartbeat.
    package var eventLog: LogDestination
    /// The key of the token fingerprints in the logs; nil means that a random one is made at the start.
    package var fingerprintKey: [UInt8]?
    /// The key under which streams are found again; nil means that a random one is made at the start.
    package var historyKey: [UInt8]?
    /// Whether the logs show the subjects of tokens in clear text, and not as fingerprints.
    package var logsSubjects = false
    /// The peers whose `X-Forwarded-*` fields are believed.
    package var trustedProxies: [AddressRange]
    /// The operator's own listener; nil for none.
    package var console: ConsoleSettings?
    /// How long exchanges may go on after the signal to stop, in milliseconds.
    package var graceMilliseconds: Int
    /// Over how long event streams are ended after the signal to stop, each at its own moment, in milliseconds.
    package var drainMilliseconds: Int
    /// How often the names of servers are looked up again, in milliseconds.
    package var resolveIntervalMilliseconds: Int
    /// Where probes are answered; nil: nowhere.
    package var probeEndpoint: ProbeEndpoint?

    /// Makes a configuration; whatever is left out has its documented default (conf/README.md).
    package init(
        workerCount: Int = 0,
        listeners: [Listener] = [],
        upstreams: [Upstream] = [],
        routes: [Route] = [],
        limits: Limits = Limits(),
        timeouts: Timeouts = Timeouts(),
        streamLog: LogDestination = .standardOutput,
        accessLog: LogDestination = .off,
        eventLog: LogDestination = .off,
        fingerprintKey: [UInt8]? = nil,
        trustedProxies: [AddressRange] = [],
        console: ConsoleSettings? = nil,
        graceMilliseconds: Int = 10_000,
        drainMilliseconds: Int = 10_000,
        resolveIntervalMilliseconds: Int = 30_000
    ) {
        self.workerCount = workerCount
        self.listeners = listeners
        self.upstreams = upstreams
        self.routes = routes
        self.limits = limits
        self.timeouts = timeouts
        self.streamLog = streamLog
        self.accessLog = accessLog
        self.eventLog = eventLog
        self.fingerprintKey = fingerprintKey
        self.trustedProxies = trustedProxies
        self.console = console
        self.graceMilliseconds = graceMilliseconds
        self.drainMilliseconds = drainMilliseconds
        self.resolveIntervalMilliseconds = resolveIntervalMilliseconds
    }
}

/// An address on which clients are accepted.
package struct Listener: Sendable, Hashable, CustomStringConvertible {
    /// A name, an IPv4 address, an IPv6 address without brackets, or `*` for every address of the machine.
    /// The empty text means the same as `*`.
    package var host: String
    /// The TCP port.
    package var port: UInt16
    /// How TLS is spoken; nil for plain HTTP.
    package var tls: ListenerTLS?
    /// Whether HTTP/2 is spoken: over TLS with clients that choose it (ALPN), else with clients that begin with its preface.
    package var speaksHTTP2 = false
    /// Whether HTTP/1 is spoken.
    package var speaksHTTP1 = true
    /// Whether the proxy in front names its client before the first byte (the PROXY protocol).
    package var takesProxyProtocol = false
    /// Redirects every request to this port over HTTPS; nil where requests are served.
    package var redirectPort: UInt16?
    /// How long browsers must use HTTPS only, in seconds (RFC 6797); nil: no such field is sent.
    package var strictTransportSecuritySeconds: Int?
    /// The keys of those who may publish events here. Such a listener serves nobody else. Empty: it serves clients.
    package var publishKeys: [[UInt8]] = []

    /// Makes an address from its parts.
    package init(host: String, port: UInt16, tls: ListenerTLS? = nil) {
        self.host = host
        self.port = port
        self.tls = tls
    }

    /// Makes it speak what a `listen` without `protocols` speaks: HTTP/1, and over TLS also HTTP/2.
    ///
    /// Without TLS nothing is negotiated, so a client has to know that HTTP/2 is spoken, and somebody has to say it.
    package mutating func speakUsualProtocols() { (speaksHTTP1, speaksHTTP2) = (true, tls != nil) }

    /// The address as it is written in a configuration: `127.0.0.1:8080`, `[::1]:8080`, `*:8080`, `unix:/run/c.sock`.
    package var description: String { isUnix ? host : describeEndpoint(host: host.isEmpty ? "*" : host, port: port) }
}

/// Where the lines of a log go.
package enum LogDestination: Sendable, Equatable {
    /// Nothing is written.
    case off
    /// Standard output.
    case standardOutput
    /// Standard error.
    case standardError
    /// A file, appended to, and reopened at SIGUSR1.
    case file(String)
}

/// A host and a port in one text, with brackets around an IPv6 address.
func describeEndpoint(host: String, port: UInt16) -> String {
    host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
}
