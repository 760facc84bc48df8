// The three kinds of log lines, as values: a stream opened, a stream ended, another exchange is over. The proxy fills them,
// RecordEncoding.swift turns them into JSON, and LogWriter.swift writes them to a file. Invariant: a record holds no query, no cookie
// and no token, only the token's fingerprint.

import Credentials
import Reactor

/// The identity of one exchange within one run of the proxy, written as `w1-000042`.
package struct StreamIdentifier: Sendable, Hashable {
    // In eight bytes, because kept streams remember identities.
    private let packed: UInt64
    private static let numberBits: UInt64 = 48
    /// The largest number.
    package static let mostNumber: UInt64 = 1 << numberBits - 1

    /// The number of the worker that carries the exchange, up to 65,535.
    package var worker: Int { Int(packed >> Self.numberBits) }
    /// The number of the exchange on that worker, counted from 1.
    package var number: UInt64 { packed & Self.mostNumber }

    /// An identity.
    package init(worker: Int, number: UInt64) {
        packed = UInt64(UInt16(truncatingIfNeeded: worker)) << Self.numberBits | number & Self.mostNumber
    }

    /// The identity as logs show it.
    package var text: String {
        var line: [UInt8] = []
        append(to: &line)
        return String(decoding: line, as: UTF8.self)
    }

    /// Appends the identity as logs show it.
    @inline(__always)
    func append(to bytes: inout some LineBytes) {
        bytes.append(UInt8(ascii: "w"))
        appendDecimal(UInt64(max(worker, 0)), minimumDigits: 1, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        appendDecimal(number, minimumDigits: 6, to: &bytes)
    }
}

/// The version of HTTP that a client speaks (`http`).
package enum ClientProtocol: Sendable, Equatable, CaseIterable {
    case http10, http11, http2

    /// Its word in the log.
    package var name: StaticString {
        switch self {
        case .http10: "1.0"
        case .http11: "1.1"
        case .http2: "2"
        }
    }
}

/// What a request for an event stream shows of its client and of the proxies in front. An object, so that the records of other exchanges
/// are not larger.
package final class RequesterDescription: Sendable {
    let resumes: Bool
    let clientProtocol: ClientProtocol?
    let sharedConnection: UInt32?
    let agent: AgentClass?
    let hops: Hops
    let viaCount: UInt8
    let forwardedCount: UInt8
    let expectedTimeoutMilliseconds: UInt32?

    /// A description.
    /// - Parameters:
    ///   - resumes: Whether the request brought a `Last-Event-ID` (`resumes`).
    ///   - clientProtocol: The version of HTTP that the client speaks (`http`); nil when the request could not be read.
    ///   - sharedConnection: The number of the connection that carries other requests at the same time, on its worker (`connection`); nil
    ///     where the request has a connection of its own.
    ///   - agent: The kind of client (`agent`); nil without a User-Agent.
    ///   - hops: The proxies that the request's fields betray (`hops`).
    ///   - viaCount: How many elements the request's `Via` has, at most 255 (`via_count`); left out when 0.
    ///   - forwardedCount: The same of `X-Forwarded-For` (`forwarded_count`).
    ///   - expectedTimeoutMilliseconds: The limit of an Envoy in front, in milliseconds, as `X-Envoy-Expected-Rq-Timeout-Ms` says it
    ///     (`expected_timeout_ms`); nil without one.
    package init(
        resumes: Bool, clientProtocol: ClientProtocol? = nil, sharedConnection: UInt32? = nil, agent: AgentClass? = nil,
        hops: Hops = Hops(),
        viaCount: UInt8 = 0, forwardedCount: UInt8 = 0, expectedTimeoutMilliseconds: UInt32? = nil
    ) {
        self.resumes = resumes
        self.clientProtocol = clientProtocol
        self.sharedConnection = sharedConnection
        self.agent = agent
        self.hops = hops
        self.viaCount = viaCount
        self.forwardedCount = forwardedCount
        self.expectedTimeoutMilliseconds = expectedTimeoutMilliseconds
    }
}

/// What all records say about an exchange. Bytes from the network stay bytes: they are escaped when they are written, never before.
package struct ExchangeDescription: Sendable {
    /// The exchange's identity (`stream`).
    package var stream: StreamIdentifier
    /// The route's name as configured; nil when none matched.
    package var route: String?
    /// The upstream's name as configured; nil when none was chosen.
    package var upstream: String?
    /// The address of the server in use, such as `10.0.0.7:9000`; nil when none was chosen.
    package var server: String?
    /// The peer's address and port, such as `192.0.2.1:51234`.
    package var client: String
    /// The version of TLS that the client speaks, such as `TLSv1.3` (`tls`); nil for none.
    package var tlsVersion: String?
    /// Whether the client resumed an earlier TLS session (`tls_resumed`).
    package var isTLSResumed = false
    /// The address that a trusted proxy said it forwards for (`client_forwarded`); nil without one.
    package var clientForwarded: ArraySlice<UInt8>?
    /// The request's host; nil when it had none.
    package var host: ArraySlice<UInt8>?
    /// The target's path, never with its query; nil when the request could not be read.
    package var path: ArraySlice<UInt8>?
    /// The request's method; nil when the request could not be read.
    package var method: ArraySlice<UInt8>?
    /// The status that the client was given; nil when it was given none.
    package var status: Int?
    /// The keyed fingerprint of the token in use (`token`, 16 hexadecimal digits); nil without a token.
    package var tokenFingerprint: UInt64?
    /// Where that token came from; nil without a token.
    package var tokenOrigin: TokenOrigin?
    /// What was verified about that token (`issuer`, `token_expires`, `subject`); nil where it was not checked, or is not good.
    package var identity: TokenIdentity?
    /// The id of the ticket that stood for that token (`ticket`, 32 hexadecimal digits); nil without one.
    package var ticket: TicketID?
    /// What the request shows of its client; nil where nobody asked for an event stream.
    package var requester: RequesterDescription?

    /// A description with only the client; the rest is filled in as it becomes known.
    package init(stream: StreamIdentifier, client: String) {
        self.stream = stream
        self.client = client
    }
}

/// One line for a stream whose response head went to the client (`"event":"stream_open"`).
package struct StreamOpening: Sendable {
    /// When, in milliseconds since 1970-01-01 UTC.
    package var timeMilliseconds: Int64
    /// The stream.
    package var exchange: ExchangeDescription
    /// Why the stream gets no heartbeats; nil if it gets them.
    package var notWovenBecause: NotWovenReason?
    /// Why the proxy answered before a server did (`held_because`, `held_evidence`); nil when it did not.
    package var heldBecause: HeldReason?
    /// Whether the server did not get the client's `Last-Event-ID`, because it holds control characters (`last_event_id_dropped`).
    package var lastEventIdentifierIsDropped = false
    /// After how long a silence the client gets a heartbeat (`heartbeat_ms`); left out when it gets none.
    package var heartbeatMilliseconds: Int64?
    /// The client's last stream and how long ago it ended (`previous_stream`, `since_previous_end_ms`); left out when nil.
    package var previous: (stream: StreamIdentifier, sinceMilliseconds: Int64)?
    /// The stream that goes on in this one (`resumed_from`); nil where none does.
    package var resumedFrom: StreamIdentifier?
    /// Why the stream is not kept, on a route that keeps streams (`not_kept_because`); nil where it is, and elsewhere.
    package var notKeptBecause: NotKeptReason?
    /// For how long the stream has been running, where the line is written for a log that has just been opened (`again`, `age_ms`); nil
    /// for a stream that opens now.
    package var ageMilliseconds: Int64?

    /// A record.
    package init(
        timeMilliseconds: Int64, exchange: ExchangeDescription, notWovenBecause: NotWovenReason? = nil, heldBecause: HeldReason? = nil
    ) {
        self.timeMilliseconds = timeMilliseconds
        self.exchange = exchange
        self.notWovenBecause = notWovenBecause
        self.heldBecause = heldBecause
    }
}

/// Why the proxy began an event stream before a server answered (`held_because`).
package enum HeldReason: Sendable, Equatable {
    /// The server took longer than the route's `early`.
    case early
    /// No server answered successfully; the evidence says what was seen, in our own words.
    case outage(Cause, evidence: String)
}

/// Why an event stream is not kept for a client that comes back (`not_kept_because`).
package enum NotKeptReason: Sendable, Equatable, CaseIterable {
    /// The response has a Content-Encoding, so its events cannot be told apart.
    case compressed
    /// Whose stream it is stands in a field that the client may not write.
    case identity
}

/// Why an event stream is its client's own, on a route that shares streams (`not_shared_because`).
package enum NotSharedReason: Sendable, Equatable, CaseIterable {
    /// The server's answer sets a cookie.
    case setCookie
    /// The server says that its answer depends on a field that is not the same for all clients.
    case vary
}

/// One line for a place in a stream where something is or may be missing (`"event":"stream_gap"`).
package struct StreamGapRecord: Sendable {
    /// When it was told, in milliseconds since 1970-01-01 UTC.
    package var timeMilliseconds: Int64
    /// The stream.
    package var exchange: ExchangeDescription
    /// Why something is missing, in a word (`reason`).
    package var reason: GapReason
    /// Whether something is missing for certain (`certain`).
    package var isCertain: Bool
    /// How many blocks are missing (`missed`); null where that is not known.
    package var missed: UInt64?

    /// A record.
    package init(
        timeMilliseconds: Int64, exchange: ExchangeDescription, reason: GapReason, isCertain: Bool, missed: UInt64?
    ) {
        self.timeMilliseconds = timeMilliseconds
        self.exchange = exchange
        self.reason = reason
        self.isCertain = isCertain
        self.missed = missed
    }
}

/// Why an event stream is passed on without heartbeats (`not_woven_because`).
package enum NotWovenReason: Sendable, Equatable, CaseIterable {
    /// The response has a Content-Encoding; a comment cannot be placed into compressed bytes.
    case compressed
    /// The route's heartbeat is off.
    case heartbeatOff
}

/// One line for a stream that is over (`"event":"stream_end"`).
package struct StreamEnding: Sendable {
    /// When it ended, in milliseconds since 1970-01-01 UTC.
    package var timeMilliseconds: Int64
    /// The stream.
    package var exchange: ExchangeDescription
    /// Why it ended.
    package var cause: Cause
    /// What the proxy saw that shows the cause, such as `FIN received`: our own words, not the peer's.
    package var evidence: String
    /// The name of the system error, such as `ECONNRESET`; nil without one.
    package var errnoName: String?
    /// What was wrong with the credentials of a held request (`credential_error`); nil unless they were refused.
    package var credentialsFault: CredentialsFault?
    /// From the request's arrival to the end, in milliseconds (`duration_ms`).
    package var durationMilliseconds: Int64 = 0
    /// From the request's arrival to the first event passed on (`first_event_ms`); null when there was none.
    package var firstEventMilliseconds: Int64?
    /// How long connecting upstream took (`connect_ms`); null on a reused connection.
    package var connectMilliseconds: Int64?
    /// From the request sent upstream to its response head (`response_ms`); null when there was none.
    package var responseMilliseconds: Int64?
    /// Events passed on.
    package var events: UInt64 = 0
    /// Bytes of the response body from the upstream, without framing (`bytes_from_upstream`).
    package var bytesFromUpstream: UInt64 = 0
    /// Bytes of the response body written to the client, heartbeats included (`bytes_to_client`).
    package var bytesToClient: UInt64 = 0
    /// Heartbeats sent.
    package var heartbeats: UInt64 = 0
    /// The longest time without a byte from the upstream (`longest_upstream_silence_ms`).
    package var longestUpstreamSilenceMilliseconds: Int64 = 0
    /// The longest time without a byte to the client (`longest_client_silence_ms`).
    package var longestClientSilenceMilliseconds: Int64 = 0
    /// For how long the upstream had sent no byte of the body at the end (`upstream_silence_at_end_ms`); left out when there was no
    /// upstream.
    package var upstreamSilenceAtEndMilliseconds: Int64?
    /// For how long nothing had been sent to the client at the end, without what the proxy sent to end the stream
    /// (`client_silence_at_end_ms`).
    package var clientSilenceAtEndMilliseconds: Int64 = 0
    /// How long the client's silence was before the last bytes to it (`client_silence_before_last_write_ms`).
    package var clientSilenceBeforeLastWriteMilliseconds: Int64 = 0
    /// The last time to come back that the client was sent, the server's or the proxy's (`retry_ms`); left out when nil.
    package var retryMilliseconds: UInt64?
    /// After how long a silence the client gets a heartbeat (`heartbeat_ms`); left out when it gets none.
    package var heartbeatMilliseconds: Int64?
    /// The most bytes that waited in the proxy for the client (`max_pending_bytes`).
    package var mostPendingBytes: Int64 = 0
    /// The total time in which bytes waited in the proxy for the client (`pending_ms`).
    package var pendingMilliseconds: Int64 = 0
    /// How many other streams of the route are open in the process (`open_streams`).
    package var openStreams = 0
    /// How many other streams of the server are open in the process (`open_streams_server`); left out when no server served the stream.
    package var openStreamsOfServer: Int?
    /// The last event id that a browser would send back; nil when there was none (`last_event_id`).
    package var lastEventIdentifier: [UInt8]?
    /// Whether `lastEventIdentifier` is only the beginning of a longer one (`last_event_id_truncated`).
    package var lastEventIdentifierIsTruncated: Bool = false
    /// Whether the id is left out because it holds the request's token (`last_event_id_withheld`).
    package var lastEventIdentifierIsWithheld: Bool = false
    /// For how long the client was held in place of a server's answer (`held_ms`); left out when nil.
    package var heldMilliseconds: Int64?
    /// The stream that went on in this one (`resumed_from`); nil where none did.
    package var resumedFrom: StreamIdentifier?
    /// How many blocks the client had missed and got at the beginning (`replayed`); left out when nil.
    package var replayed: UInt64?
    /// In how many places something is or may be missing (`gaps`); left out when nil.
    package var gaps: Int?
    /// The stream that was opened for all who share it (`shared_with`); nil for that stream itself, and for streams of one client.
    package var sharedWith: StreamIdentifier?
    /// Why the stream was its client's own, on a route that shares (`not_shared_because`).
    package var notSharedBecause: NotSharedReason?
    /// How often the server was away while the response went on (`masked`), and for how long in all (`masked_ms`); left out when nil.
    package var masked: (count: Int, milliseconds: Int64)?
    /// How often the server's response was replaced by the next one (`recycled`); left out when nil.
    package var recycled: Int?
    /// Why the stream got no heartbeats; nil if it got them (`woven`, `not_woven_because`).
    package var notWovenBecause: NotWovenReason?
    /// Whether the upstream stopped inside a line, where no heartbeat may stand (`mid_line`).
    package var endedMidLine: Bool = false
    /// The total time in which a heartbeat was due but could not be placed (`unheartbeatable_ms`); left out when nil.
    package var unheartbeatableMilliseconds: Int64?
    /// The kernel's view of the client's connection at the end (`tcp`).
    package var clientTransport: TransportInformation?
    /// The kernel's view of the upstream's connection at the end (`upstream_tcp`).
    package var upstreamTransport: TransportInformation?

    /// A record with its cause; the counts begin at zero.
    package init(timeMilliseconds: Int64, exchange: ExchangeDescription, cause: Cause, evidence: String) {
        self.timeMilliseconds = timeMilliseconds
        self.exchange = exchange
        self.cause = cause
        self.evidence = evidence
    }
}

/// One line for an exchange that was no event stream (`"event":"access"`).
package struct AccessRecord: Sendable {
    /// When it ended, in milliseconds since 1970-01-01 UTC.
    package var timeMilliseconds: Int64
    /// The exchange.
    package var exchange: ExchangeDescription
    /// From the request's arrival to the end, in milliseconds (`duration_ms`).
    package var durationMilliseconds: Int64 = 0
    /// How long connecting upstream took (`connect_ms`); null on a reused connection.
    package var connectMilliseconds: Int64?
    /// From the request sent upstream to its response head (`response_ms`); null when there was none.
    package var responseMilliseconds: Int64?
    /// Bytes of the request's body (`request_bytes`).
    package var requestBytes: UInt64 = 0
    /// Bytes of the response's body that were written to the client (`response_bytes`).
    package var responseBytes: UInt64 = 0
    /// Whether the upstream connection was reused (`reused_connection`).
    package var reusedConnection: Bool = false
    /// How many servers or connections were tried (`attempts`).
    package var attempts: Int = 0
    /// Why the exchange failed; nil when it succeeded.
    package var cause: Cause?
    /// What the proxy saw that shows the cause; nil without one.
    package var evidence: String?
    /// The name of the system error; nil without one.
    package var errnoName: String?
    /// The name of the limit that refused the exchange (`refused_by`); nil otherwise.
    package var refusedBy: String?
    /// What was wrong with the request's credentials (`credential_error`); nil unless they were refused.
    package var credentialsFault: CredentialsFault?
    /// The kernel's view of the client's connection at the end (`tcp`); left out when nil.
    package var clientTransport: TransportInformation?
    /// The kernel's view of the upstream's connection at the end (`upstream_tcp`); left out when nil.
    package var upstreamTransport: TransportInformation?

    /// A record; the counts begin at zero.
    package init(timeMilliseconds: Int64, exchange: ExchangeDescription) {
        self.timeMilliseconds = timeMilliseconds
        self.exchange = exchange
    }
}
