// How an exchange ends otherwise than by its response's end: failures of its server, the proxy's own answers, and the proxy's own end.
// Whatever is met, `finish` is where it leads.

import Configuration
import Downstreams
import EventStream
import HTTP
import Telemetry
import Upstreams

/// Why an exchange is over, for the log.
struct Ending {
    var cause: Cause
    /// What was seen: the proxy's own words.
    var evidence: String
    /// The system's error, by name.
    var errnoName: String?
    /// The limit of the configuration that was reached, by name.
    var limit: String?
}

extension Exchange {
    // MARK: Failures

    /// The server failed. Where its response has begun that is cut; where it has not, the client may be answered something else.
    func serverFailed(_ seen: SeenFailure) {
        switch phase {
        case .awaitingHead:
            if !repeats(after: seen.failure) { refuse(Refusal(seen)) }
        case .relaying, .streaming, .tunnelling: cut(Ending(Refusal(seen)))
        case .deciding, .connecting, .waiting, .finished: preconditionFailure("no server fails that was not asked")
        }
    }

    /// Answers in the server's place; where an answer has begun already, it is cut.
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

    /// Ends a response that has begun so that the client sees that it is incomplete.
    private func cut(_ ending: Ending) { finish(ending, .truncated) }

    // MARK: The proxy ends

    /// The proxy ends: from that moment on, or an earlier one, a stream is ended as soon as no event is open.
    func endAtBoundary(from moment: Int64) {
        guard isStream else { return }
        endsAt = min(endsAt, moment)
        sink?.wake(atMilliseconds: endsAt)
    }

    /// Whether no event is open, as far as it can be told.
    var isAtBoundary: Bool { notWovenBecause == .compressed || weaver.isBetweenEvents }

    /// Ends the stream in order. Where something of the proxy's own may stand, its client is told when to come back: each at
    /// another moment around the time that its server wants, or that browsers take by themselves.
    func endStream() {
        guard let sink else { preconditionFailure("a stream ends once") }
        if notWovenBecause == nil, weaver.placement != .nowhere, sink.waitingCount == 0 {
            var bytes: [UInt8] = []
            writeRetry(around: min(weaver.scanner.retryMilliseconds ?? 3_000, 60_000), to: &bytes)
            sink.send(own: bytes)
        }
        sink.send(own: [], isLast: true)
        let place = notWovenBecause == .compressed ? "where compressed bytes had come to" : "between two events"
        finish(Ending(cause: .drained, evidence: "ended \(place) because the proxy shuts down"), .complete)
    }

    /// The grace period is over.
    func endGrace() {
        guard isStream else { return cut(Ending(cause: .graceExpired, evidence: "the proxy shuts down and its grace period is over")) }
        // One whose moment is the last of all may come to it only now.
        if isAtBoundary { return endStream() }
        sink?.send(own: [], isLast: true)
        finish(Ending(cause: .drained, evidence: "ended inside an event: no boundary came within the grace period"), .complete)
    }
}
