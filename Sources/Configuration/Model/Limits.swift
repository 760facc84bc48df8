// The sizes, counts and waits that bound what a client can make the proxy hold.
//
// The proxy enforces them; conf/README.md lists all of them.
// Invariant: every default lies in the range that the table of directives allows.

/// Bounds of sizes and counts.
package struct Limits: Sendable, Equatable {
    /// The bytes of a request head, first line included; more is answered 431.
    package var requestHeadBytes: Int
    /// The fields of a request head; more is answered 431.
    package var requestFields: Int
    /// The bytes of a request target; more is answered 414.
    package var requestTargetBytes: Int
    /// The bytes of a response head; more is answered 502.
    package var responseHeadBytes: Int
    /// The fields of a response head; more is answered 502.
    package var responseFields: Int
    /// Client connections in all; 0 means half of the descriptors that the process may open.
    package var connections: Int
    /// Client connections from one address; 0 means no limit, because behind a load balancer all clients share
    /// one. Trusted proxies are exempt.
    package var connectionsPerClient: Int
    /// The requests at once on one connection of HTTP/2; one more is refused, and may be sent again.
    package var streamsPerConnection: Int
    /// The bytes of one response that may wait for a slow client; above that the upstream is not read.
    package var pendingBytesPerStream: Int
    /// The bytes that may wait in all, for slow clients and servers; above that a connection that needs more is closed.
    package var pendingBytes: Int
    /// The bytes of events that are kept in all, for clients that come back; then the oldest go.
    package var historyBytes: Int
    /// The bytes of one event that is kept; a larger one passes and is not kept.
    package var eventBytes: Int
    /// The servers' streams that stay open although their clients have left; then those of the clients that left first close.
    package var keptStreams: Int
    /// The same for the clients of one address; 0 means no limit. Trusted proxies are exempt.
    package var keptStreamsPerClient: Int
    /// The bytes of log lines that may wait to be written; above that lines are dropped and counted.
    package var logQueueBytes: Int

    /// Makes limits; whatever is left out has its documented default (conf/README.md).
    package init(
        requestHeadBytes: Int = 16_384,
        requestFields: Int = 100,
        requestTargetBytes: Int = 8_192,
        responseHeadBytes: Int = 65_536,
        responseFields: Int = 200,
        connections: Int = 0,
        connectionsPerClient: Int = 0,
        streamsPerConnection: Int = 256,
        pendingBytesPerStream: Int = 65_536,
        pendingBytes: Int = 268_435_456,
        historyBytes: Int = 268_435_456,
        eventBytes: Int = 1_048_576,
        keptStreams: Int = 10_000,
        keptStreamsPerClient: Int = 0,
        logQueueBytes: Int = 4_194_304
    ) {
        self.requestHeadBytes = requestHeadBytes
        self.requestFields = requestFields
        self.requestTargetBytes = requestTargetBytes
        self.responseHeadBytes = responseHeadBytes
        self.responseFields = responseFields
        self.connections = connections
        self.connectionsPerClient = connectionsPerClient
        self.streamsPerConnection = streamsPerConnection
        self.pendingBytesPerStream = pendingBytesPerStream
        self.pendingBytes = pendingBytes
        self.historyBytes = historyBytes
        self.eventBytes = eventBytes
        self.keptStreams = keptStreams
        self.keptStreamsPerClient = keptStreamsPerClient
        self.logQueueBytes = logQueueBytes
    }
}

/// How long the proxy waits for a client.
package struct Timeouts: Sendable, Equatable {
    /// From the first byte of a request head, or from the connection, to the head's end, in milliseconds; then 408.
    package var requestHeadMilliseconds: Int
    /// How long a TLS handshake may take, on either side, in milliseconds.
    package var handshakeMilliseconds: Int
    /// How long a connection may be idle between two requests, in milliseconds.
    package var keepAliveMilliseconds: Int
    /// How long a request body may go without a byte, in milliseconds; then 408.
    package var requestBodyMilliseconds: Int
    /// How long a client may take nothing while bytes wait for it, in milliseconds; then it is closed.
    package var clientStallMilliseconds: Int

    /// Makes timeouts; whatever is left out has its documented default (conf/README.md).
    package init(
        requestHeadMilliseconds: Int = 10_000,
        handshakeMilliseconds: Int = 10_000,
        keepAliveMilliseconds: Int = 75_000,
        requestBodyMilliseconds: Int = 60_000,
        clientStallMilliseconds: Int = 60_000
    ) {
        self.requestHeadMilliseconds = requestHeadMilliseconds
        self.handshakeMilliseconds = handshakeMilliseconds
        self.keepAliveMilliseconds = keepAliveMilliseconds
        self.requestBodyMilliseconds = requestBodyMilliseconds
        self.clientStallMilliseconds = clientStallMilliseconds
    }
}
