// Streams that the proxy itself ends: because it shuts down, because its operator wants it, or because the client may no longer have them.
// A stream has one moment of end with one reason. Invariant: a stream ends between two events where one can be waited for; what a client
// may no longer have is cut after a second.

import Credentials
import Downstreams
import EventStream
import Telemetry

/// Why the proxy ends a stream.
enum EndReason: UInt8 {
    /// Nobody ends it.
    case none
    /// The proxy shuts down.
    case drain
    /// The operator asked for it.
    case operatorsWish
    /// Its credentials were found to be no longer good, or nobody could say. `AuthorizedStreams` keeps what was found.
    case verdict

    /// Whether the stream is cut if its event does not end soon.
    var isUrgent: Bool { self == .verdict }
}

extension Exchange {
    /// For how long an urgent end waits for the end of an event.
    static let eventPatienceMilliseconds: Int64 = 1_000

    // MARK: When a stream ends

    /// From that moment on, or an earlier one, the stream is ended as soon as no event is open.
    func endAtBoundary(from moment: Int64, because reason: EndReason) {
        guard isStream else { return }
        // An urgent end does not wait for as long as another one might.
        guard moment < endsAt || (reason.isUrgent && !endReason.isUrgent && moment <= now) else { return }
        endsAt = moment
        endReason = reason
        sink?.wake(atMilliseconds: moment)
    }

    /// The operator wants the stream to end: it ends as soon as no event is open.
    func endForOperator() { endAtBoundary(from: now, because: .operatorsWish) }

    /// The credentials are no longer good, or nobody can say so: a stream ends as soon as no event is open, at most a second later. A
    /// request without an answer is refused where they were taken back. Another response, which has begun, goes on.
    /// - Parameter cause: `revoked` or `authorizationUnavailable`.
    func endByVerdict(_ cause: Cause, evidence: String) {
        guard isStream else {
            guard cause == .revoked, sink != nil, !hasBegunResponse else { return }
            let challenge = route?.bridge?.challenge(for: .signature, scopes: [])
            return refuse(Refusal(status: 401, cause: cause, evidence: evidence, challenge: challenge, closes: false))
        }
        proxy.authorizedStreams.note(Ending(cause: cause, evidence: evidence), about: self)
        endAtBoundary(from: now, because: .verdict)
    }

    /// Ends the stream if its moment has come. Returns when to look at it again, `.max` for never; nil if it has ended.
    func attendEnd(now: Int64) -> Int64? {
        guard now >= endsAt else { return endsAt }
        if isAtBoundary {
            endStream()
            return nil
        }
        // No clock knows when the server ends its event.
        guard endReason.isUrgent else { return .max }
        let patience = Exchange.eventPatienceMilliseconds
        guard now >= endsAt + patience else { return endsAt + patience }
        cut(endingOfReason("cut inside an event that did not end within \(patience) ms"))
        return nil
    }

    /// Whether no event is open, as far as this is known.
    var isAtBoundary: Bool { notWovenBecause == .compressed || weaver.isBetweenEvents }

    // MARK: How it ends

    /// Ends the stream in good order. If a line of the proxy may stand here, it tells the client when to come back: each client at a
    /// different moment around the server's retry value, or the browsers' default.
    func endStream() {
        guard let sink else { preconditionFailure("a stream ends once") }
        var ending = endingOfReason(
            notWovenBecause == .compressed ? "ended where compressed bytes had come to" : "ended between two events")
        if notWovenBecause == nil, weaver.placement != .nowhere, sink.waitingCount == 0 {
            var bytes: [UInt8] = []
            ending.retryMilliseconds = writeRetry(around: min(weaver.scanner.retryMilliseconds ?? 3_000, 60_000), to: &bytes)
            account.bytesToClient &+= UInt64(bytes.count)
            countPassed(events: 0, fromUpstream: 0, toClient: bytes.count)
            sink.send(own: bytes)
        }
        endResponse(ending)
    }

    private func endingOfReason(_ how: String) -> Ending {
        switch endReason {
        case .none, .drain: return Ending(cause: .drained, evidence: "\(how) because the proxy shuts down")
        case .operatorsWish: return Ending(cause: .endedByOperator, evidence: "\(how) because the operator asked for it")
        case .verdict:
            guard var ending = proxy.authorizedStreams.ending(of: self) else { preconditionFailure("a verdict is noted before its end") }
            ending.evidence = "\(how) because \(ending.evidence)"
            return ending
        }
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
        if now < endsAt { endReason = .drain }
        if isAtBoundary { return endStream() }
        endResponse(Ending(cause: .drained, evidence: "ended inside an event: no boundary came within the grace period"))
    }
}
