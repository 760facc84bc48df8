// How an exchange ends in other ways than by its response's end: failures of either side, the proxy's own answers, and the proxy's own
// end. Invariant: as in Exchange.swift; every way leads to `finish`.

import Configuration
import Downstreams
import EventStream
import HTTP
import Telemetry
import Upstreams

/// Why an exchange is over, for the log.
struct Ending {
    var cause: Cause
    /// What the proxy saw, in its own words.
    var evidence: String
    /// The system's error, by name.
    var errnoName: String?
    /// The limit of the configuration that was reached, by name.
    var limit: String?
    /// After how many milliseconds the proxy itself told the client to come back; nil if it did not.
    var retryMilliseconds: UInt64?
    /// What was wrong with the request's credentials.
    var credentialsFault: CredentialsFault?
}

extension Exchange {
    // MARK: Failures

    /// The server failed. A response that has begun is truncated; before that the client may get another answer.
    func serverFailed(_ seen: SeenFailure) {
        switch phase {
        case .awaitingHead:
            if !repeats(after: seen.failure) { refuse(Refusal(seen)) }
        case .relaying, .streaming, .tunnelling: cut(Ending(Refusal(seen)))
        case .deciding, .authorizing, .connecting, .waiting, .finished: preconditionFailure("no server fails that was not asked")
        }
    }

    /// Sends the proxy's own answer; an answer that has begun already is truncated.
    func refuse(_ refusal: Refusal) {
        if spare(refusal) { return }
        guard let sink, !hasBegunResponse else { return cut(Ending(refusal)) }
        account.status = UInt16(clamping: refusal.status)
        var refusal = refusal
        refusal.vary = route?.refusalVary
        if refusal.allowedOrigin == nil { refusal.allowedOrigin = request?.allowedOrigin }
        let response = refusal.response(
            isHead: method == .head, urlHeldToken: flags.contains(.urlHeldToken),
            strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date)
        finish(Ending(refusal), .complete, answer: response)
    }

    /// Truncates a response that has begun, so that the client sees that it is incomplete.
    private func cut(_ ending: Ending) { finish(ending, .truncated) }

    // MARK: The proxy ends

    /// The proxy ends: from that moment on, or an earlier one, the stream is ended as soon as no event is open.
    func endAtBoundary(from moment: Int64) {
        guard isStream else { return }
        endsAt = min(endsAt, moment)
        sink?.wake(atMilliseconds: endsAt)
    }

    /// The operator wants the stream to end: it ends as soon as no event is open.
    func endForOperator() {
        guard isStream else { return }
        flags.insert(.endedByOperator)
        endAtBoundary(from: now)
    }

    /// Whether no event is open, as far as this is known.
    var isAtBoundary: Bool { notWovenBecause == .compressed || weaver.isBetweenEvents }

    /// Ends the stream in good order. If a line of the proxy may stand here, it tells the client when to come back: each client at a
    /// different moment around the server's retry value, or the browsers' default.
    func endStream() {
        guard let sink else { preconditionFailure("a stream ends once") }
        let place = notWovenBecause == .compressed ? "where compressed bytes had come to" : "between two events"
        var ending = Ending(cause: .drained, evidence: "ended \(place) because the proxy shuts down")
        if flags.contains(.endedByOperator) {
            ending = Ending(cause: .endedByOperator, evidence: "ended \(place) because the operator asked for it")
        }
        if notWovenBecause == nil, weaver.placement != .nowhere, sink.waitingCount == 0 {
            var bytes: [UInt8] = []
            ending.retryMilliseconds = writeRetry(around: min(weaver.scanner.retryMilliseconds ?? 3_000, 60_000), to: &bytes)
            account.bytesToClient &+= UInt64(bytes.count)
            countPassed(events: 0, fromUpstream: 0, toClient: bytes.count)
            sink.send(own: bytes)
        }
        endResponse(ending)
    }

    /// Ends a response that goes no further. One of a known length, as compressed ones may have, stays incomplete.
    private func endResponse(_ ending: Ending) {
        guard sink?.isOpenEnded == true else { return cut(ending) }
        sink?.send(own: [], isLast: true)
        finish(ending, .complete)
    }

    /// The grace period is over.
    func endGrace() {
        guard isStream else { return cut(Ending(cause: .graceExpired, evidence: "the proxy shuts down and its grace period is over")) }
        // The stream with the last moment of all may reach it only now.
        if isAtBoundary { return endStream() }
        endResponse(Ending(cause: .drained, evidence: "ended inside an event: no boundary came within the grace period"))
    }
}
