// How an exchange ends otherwise than by its response's end: failures of either side, the proxy's own answers, and the
// proxy's own end. Invariant: as Exchange.swift's; whatever is met, `finish` is where it leads.

import Configuration
import Downstreams
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

extension Exchange {
    // MARK: Failures

    /// Whether the client has a server's response. One that is held has only the proxy's own, and waits on when its server fails.
    private var hasServersResponse: Bool { flags.contains(.responseHeadSent) && !flags.contains(.isHeld) }

    /// The server failed. Where its response has begun that is cut; where it has not, the client may be answered something else.
    func serverFailed(_ seen: SeenFailure) {
        if repeats(after: seen.failure) { return }
        if hasServersResponse { cut(Ending(Refusal(seen))) } else { refuse(Refusal(seen)) }
    }

    /// Answers in the upstream's place; where an answer has begun already, it is cut.
    func refuse(_ refusal: Refusal) {
        if spare(refusal) { return }
        let ending = Ending(refusal)
        guard !flags.contains(.responseHeadSent) else { return cut(ending) }
        account.status = UInt16(clamping: refusal.status)
        var refusal = refusal
        refusal.vary = route?.refusalVary
        if refusal.allowedOrigin == nil { refusal.allowedOrigin = request?.allowedOrigin }
        guard let sink else { return }
        let response = refusal.response(
            isHead: method == .head, urlHeldToken: flags.contains(.urlHeldToken),
            strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date)
        answer(response, ending)
    }

    /// Ends the exchange with an answer of the proxy's own. The record is written, and the server given up, before anything is sent.
    func answer(_ response: OutgoingResponse, _ ending: Ending?) { finish(ending, .complete, answer: response) }

    /// Refuses a request whose token has not gone on. The log has to know the token all the same.
    func refuse(_ head: RequestHead, on route: CompiledRoute, _ refusal: Refusal) {
        account.token = route.knownToken(ofRefused: head)
        refuse(refusal)
    }

    /// Sends the client to the same place over HTTPS. Like the request, the answer holds what the request's query holds.
    func redirect(_ head: RequestHead, toPort port: UInt16) {
        guard !head.authority.isEmpty else {
            return refuse(Refusal(status: 400, cause: .clientProtocolError, evidence: "a request without a host cannot be sent to https"))
        }
        let target = Array(head.bytes[head.target])
        var location = Array("https://".utf8) + RequestForwarding.hostWithoutPort(head)
        if port != 443 { location += Array(":\(port)".utf8) }
        location += target.first == UInt8(ascii: "/") ? target : [UInt8(ascii: "/")]
        account.status = 308
        var response = OutgoingResponse(status: 308, capacityBytes: 256 + location.count)
        response.body = .whole([])
        // A parsed target and host hold nothing that a field may not.
        try? response.fields.field("Location", location)
        response.fields.field("Cache-Control", "no-store")
        response.fields.date(date)
        answer(response, nil)
    }

    /// Ends a response that has begun so that the client sees that it is incomplete.
    func cut(_ ending: Ending) { finish(ending, .truncated) }

    // MARK: The proxy ends

    /// The proxy ends: from that moment on, or an earlier one, a stream is ended as soon as no event is open.
    func endAtBoundary(from moment: Int64) {
        guard isStream else { return }
        endsAt = min(endsAt, moment)
        sink?.wake(atMilliseconds: endsAt)
    }

    /// Ends the stream if its moment has come and no event is open.
    func endIfDue() {
        if now >= endsAt, isAtBoundary { endStream() }
    }

    var isAtBoundary: Bool { notWovenBecause == .compressed || weaver.isBetweenEvents }

    /// Ends the stream in order. Where something of the proxy's own may stand, its client is told when to come back: each at
    /// another moment around the time that its server wants, or that browsers take by themselves.
    func endStream() {
        guard let sink else { return }
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
        // One whose moment is the last of all may come to it only now.
        if isStream, isAtBoundary { return endStream() }
        if isStream {
            sink?.send(own: [], isLast: true)
            finish(Ending(cause: .drained, evidence: "ended inside an event: no boundary came within the grace period"), .complete)
        } else {
            cut(Ending(cause: .graceExpired, evidence: "the proxy shuts down and its grace period is over"))
        }
    }
}
