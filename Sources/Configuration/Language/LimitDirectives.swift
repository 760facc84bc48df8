// The directives of the `limits` and `timeouts` blocks.

extension Limits: DirectiveModel {
    static var scope: Scope { .limits }
    static var defaults: Limits { Limits() }

    static let rows: [Row<Limits>] = [
        .number("request_head", \.requestHeadBytes, .bytes(1_024...1_048_576), "The size of a request head; more is answered 431."),
        .number("request_fields", \.requestFields, .count(1...1_000), "The fields of a request; more are answered 431."),
        .number("request_target", \.requestTargetBytes, .bytes(256...1_048_576), "The size of a request target; more is answered 414."),
        .number("response_head", \.responseHeadBytes, .bytes(1_024...1_048_576), "The size of a response head; more becomes a 502."),
        .number("response_fields", \.responseFields, .count(1...1_000), "The fields of a response; more become a 502."),
        .number(
            "connections", \.connections, .count(0...10_000_000),
            "Client connections in all; 0 is half of the descriptors that the process may open."),
        .number(
            "connections_per_client", \.connectionsPerClient, .count(0...10_000_000),
            "Client connections from one address, trusted proxies excepted; 0 is no limit."),
        .number(
            "streams_per_connection", \.streamsPerConnection, .count(1...65_535),
            "Requests at once on one connection of HTTP/2; one more is refused, and may be sent again."),
        .number(
            "pending_per_stream", \.pendingBytesPerStream, .bytes(4_096...67_108_864),
            "How many bytes may wait for a slow client; above that the server is not read."),
        .number(
            "pending", \.pendingBytes, .bytes(1_048_576...1_099_511_627_776),
            "How many bytes may wait for all slow clients; above that a client that needs more is closed."),
        .number(
            "history", \.historyBytes, .bytes(1_048_576...1_099_511_627_776),
            "How many bytes of events are kept for all streams of routes with `history`; then the oldest go."),
        .number(
            "event", \.eventBytes, .bytes(1_024...67_108_864),
            "The size of an event on a route with `history`; a larger one passes and is not kept."),
        .number(
            "kept_streams", \.keptStreams, .count(1...10_000_000),
            "How many servers' streams stay open for clients that have left; then those close whose clients have been away longest."),
        .number(
            "kept_per_client", \.keptStreamsPerClient, .count(0...10_000_000),
            "The same for the clients of one address, trusted proxies excepted; 0 is no limit."),
        .number(
            "log_queue", \.logQueueBytes, .bytes(65_536...1_073_741_824),
            "How many bytes may wait to be written to a log; above that lines are dropped and counted."),
    ]
}

extension Timeouts: DirectiveModel {
    static var scope: Scope { .timeouts }
    static var defaults: Timeouts { Timeouts() }

    static let rows: [Row<Timeouts>] = [
        .number(
            "request_head", \.requestHeadMilliseconds, .milliseconds(100...DirectiveTable.hour),
            "How long a client may take to send a request head; then 408, or no answer if not one byte of it came."),
        .number(
            "handshake", \.handshakeMilliseconds, .milliseconds(100...DirectiveTable.hour),
            "How long a TLS handshake may take, with a client or a server."),
        .number(
            "keep_alive", \.keepAliveMilliseconds, .milliseconds(100...DirectiveTable.day),
            "How long a client's connection may be idle between requests."),
        .number(
            "request_body", \.requestBodyMilliseconds, .milliseconds(100...DirectiveTable.day),
            "How long a request body may go without a byte; then 408."),
        .number(
            "client_stall", \.clientStallMilliseconds, .milliseconds(100...DirectiveTable.day),
            "How long a client may take nothing while bytes wait for it; then it is closed."),
    ]
}
