// The ticket that a browser has already when its page asks for another one. Both have one id, so that one logout ends the streams of both.
// Invariant: no ticket has the id of a ticket that is known to be another user's.

import Credentials
import HTTP

extension Exchange {
    /// The id that a new ticket takes over from the one in the browser's cookie; nil where there is none, where it was taken back, and
    /// where it holds the token of another user than this one.
    func presentID(_ call: TicketCall, of identity: TokenIdentity?) -> TicketID? {
        guard let present = call.present(), !proxy.shared.revocations.contains(present.id) else { return nil }
        guard let identity, let known = knownIdentity(of: present.token, call) else { return present.id }
        return known.isOfOtherUser(than: identity) ? nil : present.id
    }

    /// Who a token in a ticket says its user is, also when its time is over; nil where that cannot be known without asking somebody.
    private func knownIdentity(of token: Token, _ call: TicketCall) -> TokenIdentity? {
        for check in call.tickets.routes.compactMap(\.check) {
            switch examine(token, of: call.holder.certificateDigest, by: check) {
            case .good(let checked): return checked.identity
            case .expired(let identity, _), .refused(_, let identity?): return identity
            case .refused(_, nil), .undecided, .unasked: continue
            }
        }
        return nil
    }
}
