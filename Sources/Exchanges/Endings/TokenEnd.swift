// The end of a token's time, for the streams that it opened: when it comes, what a page is told before and at it, and that no server is
// joined after it. Invariant: the wall clock decides, because tokens are written by it; a timer only says when to look at it.

import Configuration
import Credentials
import Downstreams
import EventStream
import HTTP
import Reactor
import Telemetry

extension Exchange {
    /// About how long after its token's end a client comes back, in milliseconds: half of that to one and a half of it.
    static let tokenRetryMilliseconds: UInt64 = 2_000

    private var unixMilliseconds: Int64 { proxy.worker.unixNow }

    /// What the route says about the ends of tokens; nil where none are checked.
    var expiry: ExpiryPolicy? { route?.check?.expiry }

    // MARK: When it is known

    /// A checked token opens the request, so its stream is to end with it. Returns whether the client has its answer already, because the
    /// token has run out while the decision waited.
    func limitToToken(_ token: BoundToken, _ identity: TokenIdentity, _ head: RequestHead) -> Bool {
        token.endsAtUnixMilliseconds = identity.streamEnd(openedAtUnixMilliseconds: unixMilliseconds)
        keepLastEventID(of: head)
        if endsWithToken() { return true }
        if isStream { planTokenEnd() }
        return false
    }

    /// Keeps the client's last event id where an event of the proxy's own may have to repeat it.
    func keepLastEventID(of head: RequestHead) {
        guard let expiry, expiry.eventName != nil || expiry.warning != nil, head.acceptsEventStream, !head.hasUnfitLastEventID,
            let id = head.firstValue(of: .lastEventID)
        else { return }
        summary.keep(lastEventID: head.bytes[id])
    }

    /// When the stream's token is over, in monotonic milliseconds as the wall clock stands now; nil where no end is known.
    func tokenEnd(now: Int64) -> Int64? {
        guard let token = account.token?.bound, token.endsAtUnixMilliseconds < .max else { return nil }
        return now + (token.endsAtUnixMilliseconds - unixMilliseconds)
    }

    private var isTokenOver: Bool {
        guard let token = account.token?.bound, token.endsAtUnixMilliseconds < .max else { return false }
        return unixMilliseconds >= token.endsAtUnixMilliseconds
    }

    /// For how many seconds the stream's token has been over.
    private var tokenOverSeconds: Int64 {
        max(unixMilliseconds - (account.token?.bound?.endsAtUnixMilliseconds ?? .max), 0) / 1_000
    }

    // MARK: Before the end

    /// Plans what the stream's token asks for: first the warning, if the route has one, then the end.
    func planTokenEnd() {
        guard let end = tokenEnd(now: now) else { return }
        var (moment, reason) = (end, StreamDuty.tokenEnd)
        if let warning = expiry?.warning, let expires = account.token?.bound?.identity?.expiresSeconds, takesOwnEvents {
            let lead = Int64(warning.leadMilliseconds) + Int64(proxy.chance(below: UInt64(warning.leadMilliseconds / 2 + 1)))
            let warnedAt = max(now + expires * 1_000 - lead - unixMilliseconds, now)
            if warnedAt < end { (moment, reason) = (warnedAt, .warning) }
        }
        plan(reason, at: moment)
    }

    /// The moment of the warning has come. Returns when to look again; nil if the stream has ended.
    func attendWarning(now: Int64) -> Int64? {
        guard let warning = expiry?.warning, let end = tokenEnd(now: now), let expires = account.token?.bound?.identity?.expiresSeconds
        else {
            preconditionFailure("a warning is planned for a token with an end")
        }
        guard now < end else {
            (duty, dueAt) = (.tokenEnd, end)
            return attendDuty(now: now)
        }
        let left = expires * 1_000 - unixMilliseconds
        // The wall clock was set back.
        guard left <= Int64(warning.leadMilliseconds + warning.leadMilliseconds / 2) else {
            dueAt = .max
            planTokenEnd()
            return dueAt
        }
        // An event is open, or a blank line would cost the client its id. The next event's end changes that.
        let seconds = max(left + 999, 0) / 1_000
        let data = "{\"expires_in\":\(seconds)}"
        guard isAtBoundary, let sink, let event = ownEvent(warning.eventName, data: data, at: weaver.placement) else { return end }
        weaver.didWeave()
        account.sentToClient(event.count, now: now)
        countPassed(events: 0, fromUpstream: 0, toClient: event.count)
        if !sink.send(own: event) { noteWaiting(sink.waitingCount) }
        (duty, dueAt) = (.tokenEnd, end)
        sink.wake(atMilliseconds: end)
        return end
    }

    // MARK: At the end

    /// What a client is told at the end of its token: an event if it wants one and one may stand here.
    func expiryEvent(at place: Placement, retryMilliseconds: UInt64) -> [UInt8]? {
        guard let name = expiry?.eventName else { return nil }
        let data = ExpiredToken.data(overSeconds: tokenOverSeconds)
        return ownEvent(name, data: data, at: place, retryMilliseconds: retryMilliseconds)
    }

    /// If the token is over, ends what has begun for a held client, and answers another one. A server that would come only now is too late.
    func endsWithToken() -> Bool {
        guard isTokenOver else { return false }
        guard isHeld else {
            tellTokenEnd()
            return true
        }
        (duty, dueAt) = (.tokenEnd, now)
        endStream()
        return true
    }

    /// The token ran out before there was anything to answer: the client is told as it would be at its next request.
    private func tellTokenEnd() {
        guard let sink, let route else { preconditionFailure("a request without an answer has a client and a route") }
        let isEventSource =
            method == .get && summary.acceptsEventStream && !flags.contains(.asksForUpgrade) && account.token?.origin != .authorization
        guard isEventSource, let name = expiry?.eventName else {
            return refuse(route.refusal(for: .expired, urlHeldToken: flags.contains(.urlHeldToken)))
        }
        let seconds = tokenOverSeconds
        let event = ExpiredToken.event(named: name, overSeconds: seconds, lastEventID: summary.lastEventID)
        var ending = Ending(
            cause: .credentialsRefused, evidence: "the token has expired before there was an answer; the client was told so in an event")
        ending.credentialsFault = .expired
        ending.retryMilliseconds = ExpiredToken.retryMilliseconds(overSeconds: seconds)
        account.status = 200
        account.bytesToClient += UInt64(event.count)
        finish(ending, .complete, answer: ownResponse(to: sink).response(whole: event))
    }

    // MARK: Events of the proxy's own

    /// Whether the stream can hold events of the proxy's own anywhere.
    private var takesOwnEvents: Bool { notWovenBecause != .compressed && sink?.isOpenEnded == true }

    /// An event of the proxy's own; nil where none may stand. It leaves the client's last event id as it is: it has no id, or repeats the
    /// one that the client brought, which the blank line would reset before the server's first one (WHATWG HTML 9.2.6).
    private func ownEvent(_ name: String, data: String, at place: Placement, retryMilliseconds: UInt64? = nil) -> [UInt8]? {
        guard takesOwnEvents else { return nil }
        var id: String?
        if place != .betweenEvents {
            // Only a comment may stand between the lines of an event.
            guard weaver.isBetweenEvents, let brought = summary.lastEventID else { return nil }
            id = brought
        }
        var bytes: [UInt8] = []
        // The configuration has checked the name, and a head's field holds no line end.
        try? EventWriter().writeEvent(name: name, id: id, data: data, retryMilliseconds: retryMilliseconds, to: &bytes)
        return bytes.isEmpty ? nil : bytes
    }
}
