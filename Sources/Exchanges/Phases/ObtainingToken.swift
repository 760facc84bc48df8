// The step that gets a token for the server, on routes with `upstream_authorization token`, and what follows when the server refuses it.

import Credentials
import HTTP
import Upstreams

extension Exchange {
    /// Gets the token that the server wants of the proxy. Preflights and TRACE carry none.
    func obtainToken(_ decision: inout Decision) -> StepResult {
        let forwarding = decision.forwarding
        guard let index = forwarding.route.serverToken, forwarding.requestKind == .ordinary else { return .passed }
        switch proxy.tokenFetcher.search(index, decision.findings.refusedToken, for: self) {
        case .found(let token):
            decision.findings.serverToken = token
            decision.place = nil
            return .passed
        case .waits(let place):
            decision.place = place
            return .waits
        case .unavailable(let place):
            decision.place = place
            return .unavailable(evidence: "the token for the server cannot be fetched now")
        }
    }

    /// The server has answered 401 to the proxy's token. Gets another one, and returns whether the request is sent once more with it.
    func sendsAgainWithOtherToken() -> Bool {
        guard case .awaitingHead(let request) = phase, let sent = request.sentDecision, let index = route?.serverToken,
            let refused = sent.decision.findings.serverToken
        else { return false }
        // Once: a server that refuses the next token too means something else.
        request.sentDecision = nil
        guard proxy.tokenFetcher.refused(refused, index, by: self), flags.contains(.isRepeatable) else { return false }
        leaveServer()
        // The next request claims its stream again.
        closesOpening(request.keeping, .notOpened)
        request.keeping = nil
        request.search = ServerSearch()
        request.decision = sent.again(without: refused)
        enter(.authorizing(request))
        decideAgain()
        return true
    }
}
