// The step that checks a request's token, on routes with a check. An EventSource whose token has just expired is told so in an event.

import Configuration
import Credentials
import Downstreams
import HTTP
import Reactor
import Telemetry

extension Exchange {
    /// Checks the token of a request before anything goes to a server.
    func checkToken(_ decision: inout Decision) -> StepResult {
        guard let check = decision.forwarding.route.check, let token = decision.bridged?.token else { return .passed }
        // A fetch that brought no other key lets all decide at once that waited for it: nothing is verified twice by the same keys.
        if let lack = decision.lack, generation.checker.isStill(lack, monotonic: now) {
            return judge(token, by: check, .undecided(issuer: lack.issuer, .newKey(lack.fault)), &decision)
        }
        return judge(token, by: check, examine(token, of: sink?.certificateDigest, by: check), &decision)
    }

    /// What a check finds about a token at this moment. `certificate` is the SHA-256 of the client's.
    func examine(_ token: Token, of certificate: @autoclosure () -> [UInt8]?, by check: CompiledCheck) -> CheckResult {
        let checker = generation.checker
        let before = checker.signatureCount
        let result = check.examine(token, of: certificate(), by: checker, now: proxy.worker.unixNow / 1_000, monotonic: now)
        if checker.signatureCount != before { proxy.counters.add(.tokenSignatures, checker.signatureCount &- before) }
        return result
    }

    /// Decides about a request for which only its token counts. Most tokens are good, and then nothing is kept that could wait.
    func decide(_ forwarding: RequestForwarding, _ bridged: BridgedRequest?, by check: CompiledCheck) {
        guard let token = bridged?.token else { return forward(forwarding, bridged, nil) }
        let result = examine(token, of: sink?.certificateDigest, by: check)
        if case .good(let checked) = result { return forward(forwarding, bridged, Findings(checked: checked)) }
        var decision = Decision(forwarding, bridged, step: .token)
        let judged = judge(token, by: check, result, &decision)
        decide(decision, judged)
    }

    /// Answers the request as its token deserves, or lets it pass.
    func judge(_ token: Token, by check: CompiledCheck, _ result: CheckResult, _ decision: inout Decision) -> StepResult {
        if case .good(let checked) = result {
            decision.findings.checked = checked
            decision.place = nil
            return .passed
        }
        let (forwarding, bridged) = (decision.forwarding, decision.bridged)
        let (head, route) = (forwarding.head, forwarding.route)
        let urlHeldToken = bridged?.urlHeldToken == true
        switch result {
        case .good: preconditionFailure("a good token has passed")
        case .expired(let identity, let seconds):
            let known = decision.known(ofRefused: token, identity)
            if let name = eventName(of: check, forwarding, overSeconds: seconds) {
                tellExpiry(forwarding, bridged, known, named: name, overSeconds: seconds)
            } else if !endsHeld(known, head, overSeconds: seconds) {
                refuseReadably(head, on: route, route.refusal(for: .expired, urlHeldToken: urlHeldToken), known)
            }
        case .unasked(let issuer): return askIssuer(issuer, about: token, by: check, &decision)
        case .undecided(let issuer, let missing):
            if case .newKey(let fault) = missing { decision.lack = generation.checker.lack(fault, of: issuer) }
            if let result = searchForKey(missing, of: issuer, &decision) { return result }
            guard case .newKey(let fault) = missing else { return .unavailable(evidence: Exchange.lackOfKeys) }
            let known = decision.known(ofRefused: token, nil)
            refuseReadably(head, on: route, route.refusal(for: fault, urlHeldToken: urlHeldToken), known)
        case .refused(let fault, let identity):
            let known = decision.known(ofRefused: token, identity)
            refuseReadably(head, on: route, route.refusal(for: fault, urlHeldToken: urlHeldToken), known)
        }
        return .finished
    }

    /// What the log says where keys cannot be had.
    private static let lackOfKeys = "the keys of the token's issuer cannot be fetched now"

    /// Looks for keys by which the token can be checked; nil where the issuer has no others.
    private func searchForKey(_ missing: MissingKey, of issuer: Int, _ decision: inout Decision) -> StepResult? {
        guard case .fetched(let keys) = generation.checker.issuers[issuer].keys else { return nil }
        switch proxy.keyFetcher.search(for: missing, of: keys, self) {
        case .waits(let place):
            decision.place = place
            return .waits
        case .unavailable(let place):
            decision.place = place
            return .unavailable(evidence: Exchange.lackOfKeys)
        case .retired: return .retired(evidence: "a reload has changed the token's issuer")
        case .settled:
            // Another worker may have brought them since the token was looked at.
            return generation.checker.hasOtherKeys(issuer) ? checkToken(&decision) : nil
        }
    }

    /// The event for an EventSource, which cannot read a status, and may still have its page to renew its token; nil for others.
    func eventName(of check: CompiledCheck?, _ forwarding: RequestForwarding, overSeconds seconds: Int64) -> String? {
        let isTold = seconds < ExpiredToken.toldSeconds && forwarding.isEventSource && !isHeld
        return isTold ? (check?.expiry ?? ExpiryPolicy()).eventName : nil
    }

    /// Ends the stream of a held client whose token has run out while nobody could check it. False if the client is not held.
    private func endsHeld(_ known: BoundToken, _ head: RequestHead, overSeconds seconds: Int64) -> Bool {
        guard isHeld else { return false }
        account.token = known
        known.endsAtUnixMilliseconds = proxy.worker.unixNow - seconds * 1_000
        keepLastEventID(of: head)
        return endsWithToken()
    }

    /// Tells an EventSource that its token has expired, and when to come back.
    func tellExpiry(
        _ forwarding: RequestForwarding, _ bridged: BridgedRequest?, _ known: KnownToken, named name: String, overSeconds seconds: Int64
    ) {
        guard let sink else { preconditionFailure("a client is told once") }
        let (head, route) = (forwarding.head, forwarding.route)
        account.token = known
        let id = summary.lacksLastEventID ? nil : head.firstValue(of: .lastEventID).map { head.bytes[$0] }
        let event = ExpiredToken.event(
            named: name, overSeconds: seconds, lastEventID: id.flatMap { String(validating: $0, as: UTF8.self) })
        var ending = Ending(cause: .credentialsRefused, evidence: "\(TokenFault.expired.reason); the client was told so in an event")
        ending.credentialsFault = .expired
        ending.retryMilliseconds = ExpiredToken.retryMilliseconds(overSeconds: seconds)
        account.status = 200
        account.bytesToClient += UInt64(event.count)
        let response = OwnStreamResponse(
            urlHeldToken: bridged?.urlHeldToken == true,
            isForeign: !route.namesReaders && forwarding.isOfOtherHost && !head.contains(.cookie),
            writesVia: route.route.writesVia, allowedOrigin: route.allowedOrigin(of: head),
            strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date)
        finish(ending, .complete, answer: response.response(whole: event))
    }
}
