// The endpoint of tickets: POST gives one for a token, DELETE takes one back. It answers before all routes. Invariant: a token counts only
// in `Authorization`, no page of a foreign origin gets anything, and no answer can be stored.

import Bytes
import Configuration
import Credentials
import Downstreams
import HTTP
import Reactor
import Telemetry

extension Exchange {
    /// Begins to answer a request to the endpoint.
    func serve(_ head: RequestHead, _ tickets: CompiledTickets) {
        guard let sink else { preconditionFailure("a request begins once") }
        let call = TicketCall(tickets, ticketHolder(head))
        enter(.ticketing(call))
        if let limit = sink.exceededLimit { return refuse(proxy.refusal(of: .tooMany(limit)), to: call) }
        if head.hasUnknownExpectation {
            let evidence = "an expectation other than 100-continue"
            return refuse(Refusal(status: 417, cause: .clientProtocolError, evidence: evidence), to: call)
        }
        if call.isPreflight { return answerPreflight(call) }
        guard head.method == .post || head.method == .delete else { return refuse(.method, to: call) }
        guard call.mayAsk else { return refuse(.foreignPage, to: call) }
        if case .length(let count) = head.framing, count > UInt64(TicketCall.mostBodyBytes) { return refuse(.tooLarge, to: call) }
        if sink.isRequestComplete { return answer(call) }
        if head.expectsContinue { sink.sendInterim(OutgoingResponse(status: 100)) }
    }

    /// A piece of the body of a request to the endpoint. Returns whether more can be taken.
    func received(body payload: UnsafeMutableRawBufferPointer, isLast: Bool, of call: TicketCall) -> Bool {
        account.requestBytes += UInt64(payload.count)
        guard call.body.count + payload.count <= TicketCall.mostBodyBytes else {
            refuse(.tooLarge, to: call)
            return false
        }
        call.body += payload
        if isLast { answer(call) }
        return !isLast
    }

    /// Answers a request whose body is here, or asks somebody who must be asked before.
    func answer(_ call: TicketCall) {
        do throws(TicketRefusal) {
            if call.head.method == .post { try give(call) } else { try takeBack(call) }
        } catch { refuse(error, to: call) }
    }

    // MARK: Giving

    private func give(_ call: TicketCall) throws(TicketRefusal) {
        let tickets = call.tickets
        let token = try call.token()
        let known = BoundToken(
            fingerprint: proxy.shared.fingerprinter.fingerprint(of: token)?.value, origin: .authorization, echo: TokenEcho(of: token))
        account.token = known
        let wish = try call.wish()
        let now = unixSeconds
        guard case .good(let identity) = try check(token, call, path: wish.path) else { return }
        known.identity = identity
        guard let bond = call.holder.bond(tickets.block.bond) else { throw .noCertificate }
        let limit = min(now + tickets.limitSeconds, identity?.expiresSeconds ?? .max)
        // Within the leeway the token is still good, and over for a ticket.
        guard limit > now else { throw .token(.expired) }
        let salt = ticketSalt()
        let id = (wish.asCookie ? presentID(call, of: identity) : nil) ?? TicketID(salt)
        let expires = tickets.expiresSeconds(limit: limit, now: now)
        // A ticket out of a URL is never renewed, also when somebody puts it into a cookie.
        let contents = TicketContents(
            id: id, token: token, expiresSeconds: expires, limitSeconds: wish.asCookie ? limit : now, path: wish.path, bond: bond)
        let sealed: [UInt8]
        do { sealed = try tickets.seal.seal(contents, salt: salt) } catch { throw .exhausted }
        known.ticket = UsedTicket(id, echo: TokenEcho(ofEncoded: sealed.span))
        let seconds = expires - now
        guard wish.asCookie else {
            count(.made, of: call)
            return answer(call, status: 200, json: ticketJSON(sealed, seconds))
        }
        let cookie = tickets.cookie(
            sealed, maximumAgeSeconds: seconds + CompiledTickets.cookieRestSeconds, isOfOtherSite: call.holder.isOfOtherSite)
        guard let cookie, cookie.count <= CompiledTickets.mostCookieBytes else { throw .cookieTooLarge(cookie?.count ?? 0) }
        count(.made, of: call)
        answer(call, status: 204, cookie: cookie)
    }

    private func count(_ event: TicketEvent, of call: TicketCall) { proxy.counters.add(.tickets, event, of: call.tickets.series) }

    private func ticketJSON(_ sealed: [UInt8], _ seconds: Int64) -> [UInt8] {
        Array("{\"ticket\":\"".utf8) + sealed + Array("\",\"expires_in\":\(seconds)}".utf8)
    }

    // MARK: Taking back

    private func takeBack(_ call: TicketCall) throws(TicketRefusal) {
        let now = unixSeconds
        var isFull = false
        for contents in try call.ticketsToRevoke() {
            account.token = BoundToken(ofRefused: contents.token, nil, UsedTicket(contents.id, echo: TokenEcho(of: contents.token)))
            let digest = contents.token.withBytes(generation.checker.digest)
            let end = call.tickets.revocationEnd(of: contents, now: now)
            if proxy.shared.revocations.revoke(contents.id, of: digest, until: end, now: now) {
                count(.takenBack, of: call)
            } else {
                isFull = true
            }
        }
        let cookie = call.tickets.cookie(nil, maximumAgeSeconds: 0, isOfOtherSite: call.holder.isOfOtherSite)
        guard isFull else { return answer(call, status: 204, cookie: cookie) }
        // The browser at least forgets the ticket.
        refuse(TicketRefusal.full.refusal(of: call.tickets), to: call, cookie: cookie)
    }

    // MARK: Answers

    private func answerPreflight(_ call: TicketCall) {
        guard call.mayAsk else { return refuse(.foreignPage, to: call) }
        answer(call, status: 204) { fields in
            fields.field("Access-Control-Allow-Methods", "POST, DELETE")
            fields.field("Access-Control-Allow-Headers", "authorization, content-type")
            fields.field("Access-Control-Max-Age", "600")
        }
    }

    private func answer(
        _ call: TicketCall, status: Int, json: [UInt8]? = nil, cookie: [UInt8]? = nil, _ more: (inout HeadWriter) -> Void = { _ in }
    ) {
        guard let sink else { preconditionFailure("a request is answered once") }
        account.status = UInt16(clamping: status)
        account.bytesToClient += UInt64(json?.count ?? 0)
        var response = OutgoingResponse(status: status, capacityBytes: 512 + (cookie?.count ?? 0))
        if let json {
            response.body = .whole(json)
            response.fields.field("Content-Type", "application/json")
        }
        response.fields.field("Cache-Control", "no-store")
        response.fields.field("Vary", "Origin")
        if let cookie { response.fields.setCookie(cookie) }
        if let origin = call.allowedOrigin { response.fields.allow(origin) }
        more(&response.fields)
        response.fields.date(date)
        if let seconds = sink.strictTransportSecuritySeconds { response.fields.strictTransportSecurity(seconds) }
        finish(nil, .complete, answer: response)
    }

    private func refuse(_ reason: TicketRefusal, to call: TicketCall) { refuse(reason.refusal(of: call.tickets), to: call) }

    private func refuse(_ refusal: Refusal, to call: TicketCall, cookie: [UInt8]? = nil) {
        count(.refused, of: call)
        var refusal = refusal
        refusal.cookie = cookie
        refusal.allowedOrigin = call.allowedOrigin
        refusal.vary = "Origin"
        refuse(refusal)
    }
}
