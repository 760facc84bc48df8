// The step that opens a request's ticket: from here on the request has the token that the ticket holds, and everything that checks
// tokens checks that one. Invariant: a ticket that is not ours, of another place, taken back or over puts no token into a request.

import Configuration
import Credentials
import Downstreams
import HTTP
import Reactor
import Telemetry

extension Exchange {
    /// Opens the ticket of a request that came with one.
    func openTicket(_ decision: inout Decision) -> StepResult {
        guard let number = decision.bridged?.ticket, let text = decision.bridged?.token, let bridged = decision.bridged else {
            return .passed
        }
        let (forwarding, tickets) = (decision.forwarding, settings.tickets[number])
        guard let contents = text.withBytes({ try? tickets.seal.open($0) }) else {
            refuseTicket(.ticket, decision, text, nil)
            return .finished
        }
        let used = UsedTicket(contents.id, echo: TokenEcho(of: text))
        let holder = ticketHolder(forwarding.head)
        guard
            contents.path.map({ $0.elementsEqual(forwarding.head.bytes[forwarding.head.target].prefix { $0 != UInt8(ascii: "?") }) })
                ?? true,
            holder.fits(contents.bond)
        else {
            refuseTicket(.ticketPlace, decision, text, used)
            return .finished
        }
        guard !proxy.shared.revocations.contains(contents.id) else {
            refuseTicket(.ticketRevoked, decision, text, used)
            return .finished
        }
        let seconds = unixSeconds - contents.expiresSeconds
        guard seconds < 0 else {
            let known = BoundToken(ofRefused: text, nil, used)
            if let name = eventName(of: forwarding.route.check, forwarding, overSeconds: seconds) {
                tellExpiry(forwarding, bridged, known, named: name, overSeconds: seconds)
            } else {
                let refusal = forwarding.route.refusal(for: .expired, urlHeldToken: bridged.urlHeldToken)
                refuseReadably(forwarding.head, on: forwarding.route, refusal, known)
            }
            return .finished
        }
        // Another route of these tickets may take longer tokens, or other characters.
        if let policy = forwarding.route.route.bearer, contents.token.error(under: policy) != nil {
            refuseTicket(.ticketPlace, decision, text, used)
            return .finished
        }
        proxy.authorizedStreams.register(self, under: AuthorizedStreams.Key(contents.id))
        decision.bridged?.open(holding: contents.token)
        decision.findings.ticket = OpenedTicket(
            tickets, contents, isOfOtherSite: bridged.origin == .cookie ? holder.isOfOtherSite : nil, used: used)
        return .passed
    }

    /// Refuses a ticket. The client gets the answer of all tokens that are not good; the log has the word.
    private func refuseTicket(_ fault: CredentialsFault, _ decision: Decision, _ text: Token, _ used: UsedTicket?) {
        let route = decision.forwarding.route
        var refusal = route.refusal(for: .signature, urlHeldToken: decision.bridged?.urlHeldToken == true)
        refusal.credentialsFault = fault
        refuseReadably(decision.forwarding.head, on: route, refusal, BoundToken(ofRefused: text, nil, used))
    }

    /// The cookie that renews the ticket with which this stream was opened; nil for none.
    func freshCookie() -> [UInt8]? {
        guard let ticket = request?.ticket, let cookie = ticket.renewed(now: unixSeconds, salt: ticketSalt) else { return nil }
        proxy.counters.add(.tickets, TicketEvent.renewed, of: ticket.tickets.series)
        return cookie
    }
}
