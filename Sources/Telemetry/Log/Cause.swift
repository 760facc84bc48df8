// The closed list of reasons why a stream, or a failed exchange, ended. The code that ends an exchange chooses exactly one cause and
// adds the evidence; the record writers put both into the log. Invariant: raw values are part of the log's format and never change
// their meaning.

/// Why a stream ended. Every stream ends with exactly one cause.
package enum Cause: String, CaseIterable, Sendable {
    /// Client: it closed its side in good order (FIN). A tab was closed, `EventSource.close()` was called, or a hop
    /// in front of the proxy gave up politely. Look at the duration: many equal ones point at a timeout on the way.
    case clientClosed = "client_closed"
    /// Client: its side was reset (RST), while reading or writing. A process was killed, or a middlebox cut the
    /// connection. Look at the duration and at the hop in front.
    case clientReset = "client_reset"
    /// Client: it is there, but did not take its bytes for longer than `client_stall`. Look at the unacknowledged bytes: a suspended
    /// tab, or a reader that is slower than its stream.
    case clientStalled = "client_stalled"
    /// Client: its kernel no longer acknowledged anything. It lost its network or power; look at the retransmits and
    /// at the time since the last acknowledgement.
    case clientVanished = "client_vanished"
    /// Client: it sent something that is not valid HTTP. The evidence names the rule that it broke.
    case clientProtocolError = "client_protocol_error"
    /// Client: what it sent is not TLS, or its handshake failed. Look at the evidence: an old client, or one that does not accept the
    /// certificate.
    case clientTLSError = "client_tls_error"
    /// Client: it did not finish its TLS handshake in time. Look at slow or idle clients.
    case handshakeTimeout = "handshake_timeout"
    /// Client: it did not send its request, or the rest of its body, in time. Look at slow or idle clients.
    case requestTimeout = "request_timeout"
    /// Upstream: it ended the body in good order. The application decided this; look there if nobody expects it.
    case upstreamFinished = "upstream_finished"
    /// Upstream: it closed before the last chunk or before its Content-Length was reached. A crash, a deployment or
    /// a timeout on the server's side; look at the server's log at this time.
    case upstreamCutOff = "upstream_cut_off"
    /// Upstream: it reset the connection (RST). The server's process died or aborted; look at the server's log.
    case upstreamReset = "upstream_reset"
    /// Upstream: its kernel no longer acknowledged anything. The machine or the network to it is gone.
    case upstreamVanished = "upstream_vanished"
    /// Upstream: it sent nothing for longer than its silence or idle timeout allows. Look at whether the application hangs,
    /// or raise the timeout.
    case upstreamSilent = "upstream_silent"
    /// Upstream: it sent something that is not valid HTTP. The evidence names the rule that it broke.
    case upstreamProtocolError = "upstream_protocol_error"
    /// Upstream: the TLS handshake with it failed, or what it sent is not TLS. Look at the evidence: an expired certificate, or one
    /// without the server's name.
    case upstreamTLSError = "upstream_tls_error"
    /// Upstream: it closed the connection without any response. Look for a crash, or for a server that speaks TLS only.
    case upstreamNoResponse = "upstream_no_response"
    /// Upstream: no process listens at its address (ECONNREFUSED). Look at whether the server runs, and at the port.
    case connectionRefused = "connection_refused"
    /// Upstream: no answer to the connection attempt in time. Look at firewalls, routes and a full listen backlog.
    case connectTimeout = "connect_timeout"
    /// Upstream: the connection attempt failed otherwise, for example without a route to the host. Look at the `errno`.
    case connectFailed = "connect_failed"
    /// Upstream: connected, but no response head in time. Look at what the application waits for.
    case responseTimeout = "response_timeout"
    /// Upstream: it answered one of the route's `outage_answers` (502, 503, 504) for as long as the client was held. Look at the
    /// server, or at a proxy between Heartwire and the server.
    case upstreamUnavailable = "upstream_unavailable"
    /// Upstream: its name could not be resolved. Look at DNS and at the spelling in the configuration.
    case nameNotResolved = "name_not_resolved"
    /// Proxy: it is shutting down and ended the stream cleanly, where a browser reconnects without loss.
    case drained = "drained"
    /// Proxy: it is shutting down, and the grace period ran out before the exchange ended. Raise `grace` if it matters.
    case graceExpired = "grace_expired"
    /// Proxy: the client was told to come back: for its server's own answer while it was held, or for what follows what was kept of its
    /// stream. The evidence says which.
    case sentBack = "sent_back"
    /// Proxy: the client came back over another connection, and its stream goes on there. Its end over the first one was not known yet.
    case superseded
    /// Proxy: the client of a shared stream was so slow that its next event was no longer kept, and the route ends such responses.
    case lagged
    /// Proxy: its operator ended the stream in the console, where a browser reconnects without loss.
    case endedByOperator = "ended_by_operator"
    /// Proxy: what a probe asked the endpoint to play was played to its end.
    case probeEnded = "probe_ended"
    /// Proxy: a limit of its configuration was reached. `refused_by` or the evidence names the limit.
    case refusedByLimit = "refused_by_limit"
    /// Proxy: the request's credentials were missing, malformed or contradictory. The evidence says which.
    case credentialsRefused = "credentials_refused"
    /// Proxy: the time of the stream's token was over, so the stream ended with it. Browsers come back with a new token, if the page has
    /// one. Look at `token_expires`.
    case tokenExpired = "token_expired"
    /// Proxy: the stream's credentials were taken back while it lived. The evidence says by whom.
    case revoked
    /// Proxy: nobody could say whether the request's credentials are good: keys could not be had, or a service did not answer. The
    /// evidence says which.
    case authorizationUnavailable = "authorization_unavailable"
    /// Proxy: no route matches the request's host and path. Look at the configuration.
    case noRoute = "no_route"
    /// Proxy: its own error, for example no free descriptors. Look at the evidence, and please report it.
    case proxyError = "proxy_error"

    /// Which side caused the ending.
    package enum Side: String, CaseIterable, Sendable {
        /// The browser, or a hop in front of the proxy.
        case client
        /// The event-stream server, or the network to it.
        case upstream
        /// The proxy itself.
        case proxy
    }

    /// The name that is written to the log without making a `String`, the side that caused the ending, and one plain sentence for a reader
    /// of the log.
    private var row: (name: StaticString, side: Side, explanation: StaticString) {
        switch self {
        case .clientClosed: ("client_closed", .client, "The client closed the connection in good order.")
        case .clientReset: ("client_reset", .client, "The client's side reset the connection.")
        case .clientStalled: ("client_stalled", .client, "The client stopped taking its bytes for longer than allowed.")
        case .clientVanished:
            ("client_vanished", .client, "The client's machine no longer acknowledged anything: its network or power is gone.")
        case .clientProtocolError: ("client_protocol_error", .client, "The client sent something that is not valid HTTP.")
        case .clientTLSError: ("client_tls_error", .client, "The client's TLS handshake failed, or it sent something that is not TLS.")
        case .handshakeTimeout: ("handshake_timeout", .client, "The client did not finish its TLS handshake in time.")
        case .requestTimeout: ("request_timeout", .client, "The client did not send its request in time.")
        case .upstreamFinished: ("upstream_finished", .upstream, "The server ended the response in good order.")
        case .upstreamCutOff: ("upstream_cut_off", .upstream, "The server closed the connection in the middle of the response.")
        case .upstreamReset: ("upstream_reset", .upstream, "The server reset the connection.")
        case .upstreamVanished:
            (
                "upstream_vanished", .upstream,
                "The server's machine no longer acknowledged anything: the machine or the network to it is gone."
            )
        case .upstreamSilent: ("upstream_silent", .upstream, "The server sent nothing for longer than its timeout allows.")
        case .upstreamProtocolError: ("upstream_protocol_error", .upstream, "The server sent something that is not valid HTTP.")
        case .upstreamTLSError:
            ("upstream_tls_error", .upstream, "The TLS handshake with the server failed, or it sent something that is not TLS.")
        case .upstreamNoResponse: ("upstream_no_response", .upstream, "The server closed the connection without any response.")
        case .connectionRefused: ("connection_refused", .upstream, "No process listens at the server's address.")
        case .connectTimeout: ("connect_timeout", .upstream, "The server did not answer the connection attempt in time.")
        case .connectFailed: ("connect_failed", .upstream, "The connection to the server could not be made.")
        case .responseTimeout: ("response_timeout", .upstream, "The server accepted the request but sent no response in time.")
        case .upstreamUnavailable: ("upstream_unavailable", .upstream, "The server answered that it, or what it needs, is not available.")
        case .nameNotResolved: ("name_not_resolved", .upstream, "The server's name could not be resolved.")
        case .drained: ("drained", .proxy, "The proxy is shutting down and ended the stream cleanly.")
        case .graceExpired: ("grace_expired", .proxy, "The proxy is shutting down and its grace period ran out.")
        case .sentBack:
            (
                "sent_back", .proxy,
                "The client was told to come back: for the server's own answer, or for what follows what was kept of its stream."
            )
        case .superseded: ("superseded", .proxy, "The client came back over another connection, and its stream goes on there.")
        case .lagged: ("lagged", .proxy, "The client was too slow for the stream that it shared.")
        case .endedByOperator: ("ended_by_operator", .proxy, "The proxy's operator ended the stream in the console.")
        case .probeEnded: ("probe_ended", .proxy, "The proxy played what a probe asked for to its end.")
        case .refusedByLimit: ("refused_by_limit", .proxy, "The proxy refused because one of its limits was reached.")
        case .credentialsRefused: ("credentials_refused", .proxy, "The proxy refused the request's credentials.")
        case .tokenExpired: ("token_expired", .proxy, "The proxy ended the stream because the time of its token was over.")
        case .revoked: ("revoked", .proxy, "The proxy ended the stream because its credentials were taken back.")
        case .authorizationUnavailable:
            ("authorization_unavailable", .proxy, "Nobody could say whether the client's credentials are good, or still good.")
        case .noRoute: ("no_route", .proxy, "No route of the proxy matches the request.")
        case .proxyError: ("proxy_error", .proxy, "The proxy failed because of its own error.")
        }
    }

    /// Which side caused the ending.
    package var side: Side { row.side }

    /// The same as the raw value, as a constant that can be written to the log without making a `String`.
    package var name: StaticString { row.name }

    /// One plain sentence for a reader of the log. For tests: the manual must say the same.
    package var explanation: String { "\(row.explanation)" }
}
