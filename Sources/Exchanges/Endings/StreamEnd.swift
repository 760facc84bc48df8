// Streams that the proxy itself ends: because it shuts down, because its operator wants it, or because the client may no longer have them.
// A stream has one moment at which one thing is due. Invariant: a stream ends between two events where one can be waited for; what a client
// may no longer have is cut after a second.

import Credentials
import Downstreams
import EventStream
import Telemetry

/// What is due for a stream at its next boundary.
enum StreamDuty: UInt8 {
    /// Nothing.
    case none
    /// Its page is warned of the end of its token. The stream goes on.
    case warning
    /// It ends: the proxy shuts down.
    case drain
    /// It ends: the operator asked for it.
    case operatorsWish
    /// It ends: the time of its token is over.
    case tokenEnd
    /// It ends: its credentials were found to be no longer good, or nobody could say. `AuthorizedStreams` keeps what was found.
    case verdict

    /// Whether the stream is cut if its event does not end soon.
    var isUrgent: Bool { self == .tokenEnd || self == .verdict }
}

extension Exchange {
    /// For how long an urgent end waits for the end of an event.
    static let eventPatienceMilliseconds: Int64 = 1_000

    // MARK: When a stream ends

    /// Plans a duty, if nothing is due before it. An urgent end does not wait for as long as another one might.
    func plan(_ next: StreamDuty, at moment: Int64) {
        guard moment < dueAt || (next.isUrgent && !duty.isUrgent && moment <= now) else { return }
        (duty, dueAt) = (next, moment)
        sink?.wake(atMilliseconds: moment)
    }

    /// From that moment on, or an earlier one, the stream is ended as soon as no event is open.
    func endAtBoundary(from moment: Int64, because reason: StreamDuty) {
        guard isStream else { return }
        // A stream that ends for another reason needs no warning.
        if duty == .warning { (duty, dueAt) = (.tokenEnd, tokenEnd(now: now) ?? .max) }
        plan(reason, at: moment)
        sink?.wake(atMilliseconds: dueAt)
    }

    /// The operator wants the stream to end: it ends as soon as no event is open.
    func endForOperator() { endAtBoundary(from: now, because: .operatorsWish) }

    /// The credentials are no longer good, or nobody can say so: a stream ends as soon as no event is open, at most a second later. A
    /// request without an answer is refused. Another response, which has begun, goes on.
    /// - Parameter cause: `revoked` or `authorizationUnavailable`.
    func endByVerdict(_ cause: Cause, evidence: String) {
        guard isStream else {
            guard sink != nil, !hasBegunResponse else { return }
            guard cause == .revoked else { return refuseUnasked(evidence) }
            let challenge = route?.bridge?.challenge(for: .signature, scopes: [])
            return refuse(Refusal(status: 401, cause: cause, evidence: evidence, challenge: challenge, closes: false))
        }
        proxy.authorizedStreams.note(Ending(cause: cause, evidence: evidence), about: self)
        endAtBoundary(from: now, because: .verdict)
    }

    /// Does what is due. Returns when to look at the stream again, `.max` for never; nil if it has ended.
    @inline(__always)
    func attendDuty(now: Int64) -> Int64? { now < dueAt ? dueAt : perform(now: now) }

    private func perform(now: Int64) -> Int64? {
        if duty == .warning { return attendWarning(now: now) }
        if duty == .tokenEnd, let end = tokenEnd(now: now), end > now {
            // The wall clock was set back: the token has more time, and others may want the stream to end before.
            dueAt = .max
            plan(.tokenEnd, at: end)
            if let moment = proxy.takeDrainMoment() { plan(.drain, at: moment) }
            return dueAt
        }
        if isAtBoundary {
            endStream()
            return nil
        }
        if !duty.isUrgent {
            // No clock knows when the server ends its event, but the token's time is over at some moment.
            guard let end = tokenEnd(now: now) else { return .max }
            guard now >= end else { return end }
            (duty, dueAt) = (.tokenEnd, end)
        }
        let patience = Exchange.eventPatienceMilliseconds
        guard now >= dueAt + patience else { return dueAt + patience }
        cut(endingOfDuty("cut inside an event that did not end within \(patience) ms"))
        return nil
    }

    /// Whether no event is open, as far as this is known.
    var isAtBoundary: Bool { notWovenBecause == .compressed || weaver.isBetweenEvents }

    // MARK: How it ends

    /// Ends the stream in good order. If a line of the proxy may stand here, it tells the client when to come back: each client at a
    /// different moment around the server's retry value, or the browsers' default.
    /// - Parameter behindWholeEvent: whether the client has only whole events, although the server has begun another one (`trim`).
    func endStream(behindWholeEvent: Bool = false) {
        guard let sink else { preconditionFailure("a stream ends once") }
        let place = behindWholeEvent ? Placement.betweenEvents : weaver.placement
        var ending = endingOfDuty(
            notWovenBecause == .compressed ? "ended where compressed bytes had come to" : "ended between two events")
        var bytes: [UInt8] = []
        if duty == .tokenEnd {
            let retry = Exchange.tokenRetryMilliseconds / 2 + proxy.chance(below: Exchange.tokenRetryMilliseconds + 1)
            if let event = expiryEvent(at: place, retryMilliseconds: retry) {
                bytes = event
                ending.retryMilliseconds = retry
                ending.evidence += "; the client was told so in an event"
            }
        }
        if bytes.isEmpty, notWovenBecause == nil || source.reader != nil, place != .nowhere, sink.waitingCount == 0 {
            let usual = min(weaver.scanner.retryMilliseconds ?? 3_000, Exchange.longestRetryMilliseconds)
            ending.retryMilliseconds = writeRetry(
                around: duty == .tokenEnd ? Exchange.tokenRetryMilliseconds : usual, at: place, to: &bytes)
        }
        if !bytes.isEmpty {
            account.bytesToClient &+= UInt64(bytes.count)
            countPassed(events: 0, fromUpstream: 0, toClient: bytes.count)
            sink.send(own: bytes)
        }
        endResponse(ending)
    }

    /// A stream whose end is due ends behind the last whole event among the bytes that came. A server that never pauses would otherwise
    /// always be in the middle of another one. Returns whether there is such an end.
    func trim(_ forward: inout Forward) -> Bool {
        guard duty != .warning, !source.isFailing, !weaver.isBetweenEvents, let boundary = weaver.scanner.lastBoundary else { return false }
        // The wall clock may have been set back.
        if duty == .tokenEnd, let end = tokenEnd(now: now), end > now { return false }
        forward.range = forward.range.lowerBound..<max(boundary, forward.range.lowerBound)
        return true
    }

    private func endingOfDuty(_ how: String) -> Ending {
        switch duty {
        case .none, .warning, .drain: return Ending(cause: .drained, evidence: "\(how) because the proxy shuts down")
        case .operatorsWish: return Ending(cause: .endedByOperator, evidence: "\(how) because the operator asked for it")
        case .tokenEnd: return Ending(cause: .tokenExpired, evidence: "\(how) because the time of its token was over")
        case .verdict:
            guard var ending = proxy.authorizedStreams.ending(of: self) else { preconditionFailure("a verdict is noted before its end") }
            ending.evidence = "\(how) because \(ending.evidence)"
            return ending
        }
    }

    /// Ends a response that goes no further. One of a known length, as compressed ones may have, stays incomplete.
    func endResponse(_ ending: Ending) {
        guard sink?.isOpenEnded == true else { return cut(ending) }
        sink?.send(own: [], isLast: true)
        finish(ending, .complete)
    }

    /// The grace period is over.
    func endGrace() {
        guard isStream else { return cut(Ending(cause: .graceExpired, evidence: "the proxy shuts down and its grace period is over")) }
        // The stream with the last moment of all may reach it only now.
        if now < dueAt || duty == .warning { duty = .drain }
        if isAtBoundary { return endStream() }
        endResponse(Ending(cause: .drained, evidence: "ended inside an event: no boundary came within the grace period"))
    }
}
