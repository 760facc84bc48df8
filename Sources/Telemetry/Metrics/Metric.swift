// The table of all metrics: a metric is one case with its row, and one `add` or `observe` where it is counted. The text that monitoring
// reads, and the check of conf/metrics.md, come from these rows. Invariant: names and labels are part of an interface and never change
// their meaning; labels come from closed sets or from the configuration, never from a client or a server.

/// A metric.
package enum Metric: Int, CaseIterable, Sendable {
    case streamsOpen, streamsOpened, streamsEnded, streamDuration, streamSilenceAtEnd, streamFirstEvent
    case events, heartbeats, streamBytes, heartbeatLateness
    case streamsHeld, held
    case streamsAway, historyBytes, streamReturns, streamGaps, streamMasks, streamsRecycled, published
    case pendingBytes, streamsStalled
    case connectionsOpen, connections, connectionsFull, handshakes
    case requests, requestDuration
    case refused, credentialsRefused
    case forwardAuthAnswers, forwardAuthDuration, forwardAuthKept
    case keyFetches, keysAge, tokenSignatures
    case tokenFetches, tickets
    case upstreamConnect, upstreamAttempts, upstreamHealthy, upstreamStreamsEnded
    case logLinesDropped, reloadSuccessful, reloadTimestamp, buildInfo
    case processDescriptors, processDescriptorLimit, processResidentMemory, processProcessorTime, processStartTime

    /// The metric's row.
    package var row: MetricRow { MetricTable.rows[rawValue] }

    /// Where its integers stand.
    var placement: MetricTable.Placement { MetricTable.placements[rawValue] }

    var definition: MetricRow {
        switch self {
        case .streamsOpen:
            .gauge("heartwire_streams_open", .path, help: "Event streams that are open now, held ones included.")
        case .streamsOpened:
            .counter(
                "heartwire_streams_opened", .route, Resumption.self,
                help: "Event streams that were opened; resumed ones brought a Last-Event-ID.")
        case .streamsEnded:
            .counter("heartwire_streams_ended", .route, Cause.self, help: "Event streams that have ended, by cause.")
        case .streamDuration:
            .histogram(
                "heartwire_stream_duration_seconds", .route, Cause.Side.self, buckets: .durations,
                help: "How long ended event streams were open, by the side that ended them.")
        case .streamSilenceAtEnd:
            .histogram(
                "heartwire_stream_silence_at_end_seconds", .route, SilentSide.self, buckets: .silences,
                help: "For how long nothing had gone to the client, or come from the server, when that side ended an event stream.")
        case .streamFirstEvent:
            .histogram(
                "heartwire_stream_first_event_seconds", .route, buckets: .waits,
                help: "From a request to the first event of its event stream.")
        case .events: .counter("heartwire_events", .route, help: "Events that were passed on.")
        case .heartbeats: .counter("heartwire_heartbeats", .route, help: "Heartbeats that were sent.")
        case .streamBytes:
            .counter(
                "heartwire_stream_bytes", .route, Direction.self, unit: .bytes,
                help: "Bytes of event streams, without HTTP's framing and TLS.")
        case .heartbeatLateness:
            .histogram(
                "heartwire_heartbeat_lateness_seconds", .proxy, buckets: .lateness,
                help: "By how much heartbeats were later than the route's interval after the last byte.")
        case .streamsHeld: .gauge("heartwire_streams_held", .proxy, help: "Clients that are held now, because no server serves them.")
        case .held: .counter("heartwire_held", .proxy, HoldOutcome.self, help: "Holds that have ended, by what became of the client.")
        case .streamsAway:
            .gauge(
                "heartwire_streams_away", .proxy,
                help: "Event streams without a reader that are kept for a client that may come back, now.")
        case .historyBytes:
            .gauge("heartwire_history_bytes", .proxy, unit: .bytes, help: "Memory of the histories of event streams, now.")
        case .streamReturns:
            .counter(
                "heartwire_stream_returns", .proxy, ReturnOutcome.self,
                help: "Clients that came back with an id on routes with a history, by what became of them.")
        case .streamGaps:
            .counter(
                "heartwire_stream_gaps", .proxy, GapReason.self,
                help: "Places in event streams where something is or may be missing, by reason.")
        case .streamMasks:
            .counter(
                "heartwire_stream_masks", .proxy, MaskOutcome.self,
                help: "Drops of servers behind the backs of their streams' clients, by what became of them.")
        case .streamsRecycled:
            .counter(
                "heartwire_streams_recycled", .proxy, help: "Responses of servers that the proxy replaced by the next one (`recycle`).")
        case .published:
            .counter(
                "heartwire_published", .proxy, PublishOutcome.self, help: "Requests to publish an event, by what became of them.")
        case .pendingBytes:
            .gauge("heartwire_pending_bytes", .proxy, unit: .bytes, help: "Bytes that wait now for clients and servers to take them.")
        case .streamsStalled:
            .gauge("heartwire_streams_stalled", .proxy, help: "Event streams whose clients have not taken all bytes yet, now.")
        case .connectionsOpen: .gauge("heartwire_connections_open", .listener, help: "Client connections that are open now.")
        case .connections: .counter("heartwire_connections", .listener, help: "Client connections that were accepted.")
        case .connectionsFull:
            .gauge(
                "heartwire_connections_full", .proxy,
                help: "Client connections of HTTP/2 that have all streams that are allowed, now: their clients' next requests wait.")
        case .handshakes:
            .counter("heartwire_tls_handshakes", .proxy, HandshakeOutcome.self, help: "TLS handshakes of clients.")
        case .requests:
            .counter(
                "heartwire_requests", .route, StatusClass.self,
                help: "Exchanges that were no event stream and have ended; code is none where the client left before its answer.")
        case .requestDuration:
            .histogram(
                "heartwire_request_duration_seconds", .route, StatusClass.self, buckets: .waits,
                help: "How long exchanges took that were no event stream.")
        case .refused:
            .counter(
                "heartwire_refused", .proxy, ReachedLimit.self,
                help: "Requests, streams and connections that were refused or sent back because a limit was reached.")
        case .credentialsRefused:
            .counter("heartwire_credentials_refused", .proxy, CredentialsFault.self, help: "Requests whose credentials were refused.")
        case .forwardAuthAnswers:
            .counter(
                "heartwire_forward_auth_answers", .forwardAuth, ForwardAuthOutcome.self,
                help: "Answers of a service that was asked whether requests may pass, by what they mean.")
        case .forwardAuthDuration:
            .histogram(
                "heartwire_forward_auth_duration_seconds", .forwardAuth, buckets: .waits,
                help: "How long a service took to answer, or was waited for in vain.")
        case .forwardAuthKept:
            .counter("heartwire_forward_auth_kept", .forwardAuth, help: "Requests that a kept answer of a service decided.")
        case .keyFetches:
            .counter("heartwire_key_fetches", .issuer, KeyFetchResult.self, help: "Fetches of the keys of an issuer, by what they brought.")
        case .keysAge:
            .gauge(
                "heartwire_keys_age_seconds", .issuer, unit: .seconds,
                help: "For how long no fetch of the issuer's keys has succeeded.")
        case .tokenSignatures:
            .counter(
                "heartwire_token_signatures", .proxy,
                help: "Signatures of tokens that were verified, whatever came of it; a token that is remembered costs none.")
        case .tokenFetches:
            .counter(
                "heartwire_token_fetches", .token, TokenFetchResult.self,
                help: "Fetches of a token of the proxy's own for its servers, by what they brought.")
        case .tickets:
            .counter("heartwire_tickets", .ticket, TicketEvent.self, help: "What became of tickets, and of requests for them.")
        case .upstreamConnect:
            .histogram(
                "heartwire_upstream_connect_seconds", .server, buckets: .connects,
                help: "How long it took to connect to a server, the TLS handshake included.")
        case .upstreamAttempts:
            .counter("heartwire_upstream_attempts", .server, AttemptResult.self, help: "Attempts to connect to a server.")
        case .upstreamHealthy:
            .health("heartwire_upstream_healthy", .server, help: "1 while no worker has found the server unable to serve, else 0.")
        case .upstreamStreamsEnded:
            .counter(
                "heartwire_upstream_streams_ended", .server, Cause.Side.self,
                help: "Event streams of the server that have ended, by the side that ended them.")
        case .logLinesDropped:
            .counter("heartwire_log_lines_dropped", .proxy, LogKind.self, help: "Log lines that were dropped because their queue was full.")
        case .reloadSuccessful:
            .fact("heartwire_config_last_reload_successful", .gauge, help: "1 if the last reload of the configuration succeeded, else 0.")
        case .reloadTimestamp:
            .fact(
                "heartwire_config_last_reload_success_timestamp_seconds", .gauge, unit: .seconds,
                help: "When the configuration in force was loaded, in seconds since 1970.")
        case .buildInfo: .fact("heartwire_build_info", .gauge, help: "Always 1; the label is the version of Heartwire.")
        case .processDescriptors: .fact("process_open_fds", .gauge, help: "Open file descriptors of the process.")
        case .processDescriptorLimit: .fact("process_max_fds", .gauge, help: "How many file descriptors the process may have open.")
        case .processResidentMemory:
            .fact("process_resident_memory_bytes", .gauge, unit: .bytes, help: "Resident memory of the process.")
        case .processProcessorTime:
            .fact("process_cpu_seconds", .counter, unit: .seconds, help: "User and system time that the process has used.")
        case .processStartTime:
            .fact("process_start_time_seconds", .gauge, unit: .seconds, help: "When the process began, in seconds since 1970.")
        }
    }
}
