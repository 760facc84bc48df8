// Turns records into lines: one JSON object each, keys in a fixed order, ended by LF. The keys are the log's public format. A key whose
// value does not apply is left out, except where its documentation says null. Invariant: a path is cut at its query, even if the proxy
// did not do so.

import Credentials
import Reactor

extension ExchangeDescription {
    /// The keys that all records share, in order: stream, route, upstream, server, client, tls, tls_resumed, client_forwarded, host, path,
    /// method, status, token, token_from, issuer, token_expires, subject, ticket, resumes, http, agent, hops, via_count, forwarded_count,
    /// expected_timeout_ms.
    func encode(into line: inout RecordLine) {
        line.stream("stream", stream)
        if let route { line.string("route", route) }
        if let upstream { line.string("upstream", upstream) }
        if let server { line.string("server", server) }
        line.string("client", client)
        if let tlsVersion {
            line.string("tls", tlsVersion)
            line.boolean("tls_resumed", isTLSResumed)
        }
        if let clientForwarded { line.string("client_forwarded", clientForwarded.span) }
        if let host { line.string("host", host.span) }
        if let path {
            let shown = path.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
            line.string("path", shown.span)
        }
        if let method { line.string("method", method.span) }
        if let status { line.number("status", Int64(status)) }
        if let tokenFingerprint { line.hexadecimal("token", tokenFingerprint) }
        if let tokenOrigin { line.constant("token_from", tokenOrigin.name) }
        identity?.encode(into: &line)
        if let ticket { line.string("ticket", ticket.description) }
        requester?.encode(into: &line)
    }
}

extension RequesterDescription {
    func encode(into line: inout RecordLine) {
        line.boolean("resumes", resumes)
        if let clientProtocol { line.constant("http", clientProtocol.name) }
        if let sharedConnection { line.number("connection", UInt64(sharedConnection)) }
        if let agent { line.constant("agent", agent.name) }
        if !hops.isEmpty { line.constants("hops", hops.words) }
        if viaCount > 0 { line.number("via_count", UInt64(viaCount)) }
        if forwardedCount > 0 { line.number("forwarded_count", UInt64(forwardedCount)) }
        if let expectedTimeoutMilliseconds { line.number("expected_timeout_ms", UInt64(expectedTimeoutMilliseconds)) }
    }
}

extension TokenIdentity {
    func encode(into line: inout RecordLine) {
        line.string("issuer", issuer)
        line.timestamp("token_expires", max(expiresSeconds, 0) * 1_000)
        switch subject {
        case .fingerprint(let value): line.hexadecimal("subject", value)
        case .text(let text): line.string("subject", text.span)
        case nil: break
        }
    }
}

extension CredentialsFault {
    /// Its word in the log.
    var name: StaticString {
        switch self {
        case .missing, .unusableAuthorization: "missing"
        case .otherScheme: "scheme"
        case .tokenTooLong: "too_long"
        case .malformedEncoding, .forbiddenCharacter: "syntax"
        case .repeatedToken, .severalSources, .severalAuthorizationFields: "repeated"
        case .conflictsWithAuthorization: "beside_authorization"
        case .foreignPage: "cross_site"
        case .denied: "denied"
        case .ticket: "ticket"
        case .ticketPlace: "ticket_place"
        case .ticketRevoked: "ticket_revoked"
        case .unavailable: "unavailable"
        case .shape: "shape"
        case .header: "header"
        case .algorithm: "algorithm"
        case .key: "key"
        case .signature: "signature"
        case .payload: "payload"
        case .claims: "claims"
        case .issuer: "issuer"
        case .audience: "audience"
        case .notYet: "not_yet"
        case .lifetime: "lifetime"
        case .type: "type"
        case .confirmation: "confirmation"
        case .expired: "expired"
        case .scope: "scope"
        case .claim: "claim"
        }
    }
}

extension TokenOrigin {
    var name: StaticString {
        switch self {
        case .query: "query"
        case .cookie: "cookie"
        case .authorization: "authorization"
        }
    }
}

extension NotWovenReason {
    /// Its word in the log.
    package var name: StaticString {
        switch self {
        case .compressed: "compressed"
        case .heartbeatOff: "heartbeat_off"
        }
    }

    static func encode(_ reason: NotWovenReason?, into line: inout RecordLine) {
        line.boolean("woven", reason == nil)
        if let reason { line.constant("not_woven_because", reason.name) }
    }
}

extension TransportInformation {
    /// Keys in order: state, rtt_us, rtt_variance_us, retransmits, total_retransmits, unacknowledged_bytes,
    /// since_last_ack_ms, since_last_sent_ms, since_last_received_ms, bytes_acked, notsent_bytes, delivery_rate.
    func encode(_ key: StaticString, into line: inout RecordLine) {
        line.openObject(key)
        line.constant("state", stateName)
        if state == 0 || state > 11 { line.number("state_number", UInt64(state)) }
        line.number("rtt_us", UInt64(roundTripMicroseconds))
        line.number("rtt_variance_us", UInt64(roundTripVarianceMicroseconds))
        line.number("retransmits", UInt64(retransmits))
        line.number("total_retransmits", UInt64(totalRetransmits))
        line.number("unacknowledged_bytes", UInt64(unacknowledgedBytes))
        line.number("since_last_ack_ms", UInt64(sinceLastAcknowledgementMilliseconds))
        line.number("since_last_sent_ms", UInt64(sinceLastSentMilliseconds))
        line.number("since_last_received_ms", UInt64(sinceLastReceivedMilliseconds))
        if let acknowledgedBytes { line.number("bytes_acked", acknowledgedBytes) }
        if let unsentBytes { line.number("notsent_bytes", UInt64(unsentBytes)) }
        if let deliveryBytesPerSecond { line.number("delivery_rate", deliveryBytesPerSecond) }
        line.closeObject()
    }
}

/// Most lines are shorter, and so much lies on the stack.
private let usualLineBytes = 2_000

/// Appends a line that is written beside the array first.
func appendLine(
    to bytes: inout [UInt8], timeMilliseconds: Int64, event: StaticString, _ body: (inout RecordLine) -> Void
) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: usualLineBytes) { memory in
        var line = JSONLine(appendingTo: GrowingBytes(memory))
        line.timestamp("time", timeMilliseconds)
        line.constant("event", event)
        body(&line)
        let written = line.finish()
        bytes.append(contentsOf: written.bytes)
        written.deallocate()
    }
}

extension StreamOpening {
    /// Appends the record as one line. Keys in order: time, event (`stream_open`), the shared ones, woven,
    /// not_woven_because, heartbeat_ms, held_because, held_evidence, last_event_id_dropped (only when true),
    /// previous_stream, since_previous_end_ms, resumed_from, not_kept_because, again (only when true), age_ms.
    package func encode(into bytes: inout [UInt8]) {
        appendLine(to: &bytes, timeMilliseconds: timeMilliseconds, event: "stream_open") { line in
            exchange.encode(into: &line)
            NotWovenReason.encode(notWovenBecause, into: &line)
            if let heartbeatMilliseconds { line.number("heartbeat_ms", heartbeatMilliseconds) }
            if let heldBecause { line.constant("held_because", heldBecause.name) }
            if case .outage(_, let evidence)? = heldBecause { line.string("held_evidence", evidence) }
            if lastEventIdentifierIsDropped { line.boolean("last_event_id_dropped", true) }
            if let previous {
                line.stream("previous_stream", previous.stream)
                line.number("since_previous_end_ms", previous.sinceMilliseconds)
            }
            if let resumedFrom { line.stream("resumed_from", resumedFrom) }
            if let notKeptBecause { line.constant("not_kept_because", notKeptBecause.name) }
            if let ageMilliseconds {
                line.boolean("again", true)
                line.number("age_ms", ageMilliseconds)
            }
        }
    }
}

extension NotKeptReason {
    /// Its word in the log.
    package var name: StaticString {
        switch self {
        case .compressed: "compressed"
        case .identity: "identity"
        }
    }
}

extension NotSharedReason {
    /// Its word in the log.
    package var name: StaticString {
        switch self {
        case .setCookie: "set_cookie"
        case .vary: "vary"
        }
    }
}

extension StreamGapRecord {
    /// Appends the record as one line. Keys in order: time, event (`stream_gap`), the shared ones, reason, certain, missed (or null).
    package func encode(into bytes: inout [UInt8]) {
        appendLine(to: &bytes, timeMilliseconds: timeMilliseconds, event: "stream_gap") { line in
            exchange.encode(into: &line)
            line.string("reason", reason.rawValue)
            line.boolean("certain", isCertain)
            line.numberOrNull("missed", missed.map { Int64(clamping: $0) })
        }
    }
}

extension HeldReason {
    var name: StaticString {
        switch self {
        case .early: "early"
        case .outage(let cause, _): cause.name
        }
    }
}

extension StreamEnding {
    /// Appends the record as one line. Keys in order: time, event (`stream_end`), the shared ones, cause, side, evidence,
    /// errno, credential_error, duration_ms, first_event_ms (or null), connect_ms (or null), response_ms (or null), events,
    /// bytes_from_upstream, bytes_to_client, heartbeats, longest_upstream_silence_ms, longest_client_silence_ms,
    /// upstream_silence_at_end_ms, client_silence_at_end_ms, client_silence_before_last_write_ms, max_pending_bytes, pending_ms,
    /// last_event_id, last_event_id_truncated and last_event_id_withheld (only when true), retry_ms, held_ms, resumed_from, replayed,
    /// shared_with, not_shared_because, gaps, masked, masked_ms, recycled, woven, not_woven_because, heartbeat_ms, mid_line,
    /// unheartbeatable_ms, open_streams, open_streams_server, tcp, upstream_tcp.
    package func encode(into bytes: inout [UInt8]) {
        appendLine(to: &bytes, timeMilliseconds: timeMilliseconds, event: "stream_end") { line in
            exchange.encode(into: &line)
            line.constant("cause", cause.name)
            line.constant("side", cause.side.name)
            line.string("evidence", evidence)
            if let errnoName { line.string("errno", errnoName) }
            if let credentialsFault { line.constant("credential_error", credentialsFault.name) }
            line.number("duration_ms", durationMilliseconds)
            line.numberOrNull("first_event_ms", firstEventMilliseconds)
            line.numberOrNull("connect_ms", connectMilliseconds)
            line.numberOrNull("response_ms", responseMilliseconds)
            line.number("events", events)
            line.number("bytes_from_upstream", bytesFromUpstream)
            line.number("bytes_to_client", bytesToClient)
            line.number("heartbeats", heartbeats)
            line.number("longest_upstream_silence_ms", longestUpstreamSilenceMilliseconds)
            line.number("longest_client_silence_ms", longestClientSilenceMilliseconds)
            if let upstreamSilenceAtEndMilliseconds { line.number("upstream_silence_at_end_ms", upstreamSilenceAtEndMilliseconds) }
            line.number("client_silence_at_end_ms", clientSilenceAtEndMilliseconds)
            line.number("client_silence_before_last_write_ms", clientSilenceBeforeLastWriteMilliseconds)
            line.number("max_pending_bytes", mostPendingBytes)
            line.number("pending_ms", pendingMilliseconds)
            if let lastEventIdentifier {
                line.string("last_event_id", lastEventIdentifier.span)
                if lastEventIdentifierIsTruncated { line.boolean("last_event_id_truncated", true) }
            }
            if lastEventIdentifierIsWithheld { line.boolean("last_event_id_withheld", true) }
            if let retryMilliseconds { line.number("retry_ms", retryMilliseconds) }
            if let heldMilliseconds { line.number("held_ms", heldMilliseconds) }
            if let resumedFrom { line.stream("resumed_from", resumedFrom) }
            if let replayed { line.number("replayed", replayed) }
            if let sharedWith { line.stream("shared_with", sharedWith) }
            if let notSharedBecause { line.constant("not_shared_because", notSharedBecause.name) }
            if let gaps { line.number("gaps", Int64(gaps)) }
            if let masked {
                line.number("masked", Int64(masked.count))
                line.number("masked_ms", masked.milliseconds)
            }
            if let recycled { line.number("recycled", Int64(recycled)) }
            NotWovenReason.encode(notWovenBecause, into: &line)
            if let heartbeatMilliseconds { line.number("heartbeat_ms", heartbeatMilliseconds) }
            line.boolean("mid_line", endedMidLine)
            if let unheartbeatableMilliseconds { line.number("unheartbeatable_ms", unheartbeatableMilliseconds) }
            line.number("open_streams", Int64(openStreams))
            if let openStreamsOfServer { line.number("open_streams_server", Int64(openStreamsOfServer)) }
            clientTransport?.encode("tcp", into: &line)
            upstreamTransport?.encode("upstream_tcp", into: &line)
        }
    }
}

extension AccessRecord {
    /// Appends the record as one line. Keys in order: time, event (`access`), the shared ones, duration_ms,
    /// connect_ms (or null), response_ms (or null), request_bytes, response_bytes, reused_connection, attempts, cause,
    /// side, evidence, errno, refused_by, credential_error, tcp, upstream_tcp.
    package func encode(into bytes: inout [UInt8]) {
        appendLine(to: &bytes, timeMilliseconds: timeMilliseconds, event: "access") { line in
            exchange.encode(into: &line)
            line.number("duration_ms", durationMilliseconds)
            line.numberOrNull("connect_ms", connectMilliseconds)
            line.numberOrNull("response_ms", responseMilliseconds)
            line.number("request_bytes", requestBytes)
            line.number("response_bytes", responseBytes)
            line.boolean("reused_connection", reusedConnection)
            line.number("attempts", Int64(attempts))
            if let cause {
                line.constant("cause", cause.name)
                line.constant("side", cause.side.name)
            }
            if let evidence { line.string("evidence", evidence) }
            if let errnoName { line.string("errno", errnoName) }
            if let refusedBy { line.string("refused_by", refusedBy) }
            if let credentialsFault { line.constant("credential_error", credentialsFault.name) }
            clientTransport?.encode("tcp", into: &line)
            upstreamTransport?.encode("upstream_tcp", into: &line)
        }
    }
}

extension Cause.Side {
    var name: StaticString {
        switch self {
        case .client: "client"
        case .upstream: "upstream"
        case .proxy: "proxy"
        }
    }
}

/// Appends the line that reports dropped lines. Keys in order: time, event (`log_dropped`), lines.
func encodeDroppedLines(_ lines: UInt64, timeMilliseconds: Int64, into bytes: inout [UInt8]) {
    appendLine(to: &bytes, timeMilliseconds: timeMilliseconds, event: "log_dropped") { line in
        line.number("lines", lines)
    }
}
