// The step that asks a service whether a request may pass, on routes with `forward_auth`. An EventSource cannot show a login page and
// cannot read a refusal, so it gets a plain one.

import Configuration
import Credentials
import Downstreams
import HTTP
import Services
import Telemetry

/// What a service is asked for one exchange.
final class AskedService {
    let question: ForwardAuthQuestion
    /// The verdict that came for this exchange; nil before it came, and after it was used.
    private var verdict: ForwardAuthVerdict?

    init(_ question: ForwardAuthQuestion) { self.question = question }

    func receive(_ verdict: ForwardAuthVerdict) { self.verdict = verdict }

    func takeVerdict() -> ForwardAuthVerdict? {
        defer { verdict = nil }
        return verdict
    }
}

extension Exchange {
    /// Asks the route's service before anything goes to a server. A preflight has no credentials to ask about.
    func askService(_ decision: inout Decision) -> StepResult {
        let forwarding = decision.forwarding
        guard let compiled = forwarding.route.forwardAuth, !forwarding.isPreflight else { return .passed }
        let service = generation.forwardAuths[compiled.index]
        if decision.findings.asked == nil {
            guard let question = forwarding.question(decision.bridged, compiled, proxy.shared.fingerprinter) else {
                return .unavailable(evidence: "there is no memory for a question to a service")
            }
            decision.findings.asked = AskedService(question)
        }
        guard let asked = decision.findings.asked else { preconditionFailure("the question was just made") }
        // A client that has the proxy's own response already can get no other.
        let needsRefusalOnly = forwarding.isEventSource || isHeld
        guard let verdict = asked.takeVerdict() ?? service.keptVerdict(on: asked.question, needsRefusalOnly: needsRefusalOnly) else {
            let waiter = ForwardAuthWaiter(
                needsRefusalOnly: needsRefusalOnly, isGone: { [weak self] in self?.request?.decision == nil },
                whenDecided: { [weak self] verdict in
                    asked.receive(verdict)
                    self?.decideAgain()
                })
            return service.ask(asked.question, for: waiter) ? .waits : unavailable(service, "it has too many questions to answer")
        }
        switch verdict {
        case .allowed(let fields, let cookies):
            decision.findings.fields += fields
            decision.findings.cookies = cookies
            // The answer is this client's, whatever the server knows of that.
            flags.insert(.isBridged)
            if service.settings.terms.recheckMilliseconds != nil {
                proxy.authorizedStreams.register(self, under: AuthorizedStreams.Key(asked.question.digest))
                service.watch(asked.question)
            }
            return .passed
        case .denied(let denial) where needsRefusalOnly: refusePlainly(decision, service, status: denial.status, answered: denial.status)
        case .redirected(let login) where needsRefusalOnly: refusePlainly(decision, service, status: 401, answered: login.status)
        case .denied(let denial): answer(decision, service, denial.status) { $0.response(to: denial) }
        case .redirected(let login): answer(decision, service, login.status) { $0.response(to: login) }
        case .unusable(let reason): return unavailable(service, reason)
        }
        return .finished
    }

    private func unavailable(_ service: ForwardAuthService, _ reason: String) -> StepResult {
        .unavailable(evidence: "the service \(service.settings.name) did not say whether the request may pass: \(reason)")
    }

    private func evidence(_ service: ForwardAuthService, answered status: Int) -> String {
        "the service \(service.settings.name) answered \(status)"
    }

    /// Refuses the request without a word of the service.
    private func refusePlainly(_ decision: Decision, _ service: ForwardAuthService, status: Int, answered: Int) {
        let (forwarding, route) = (decision.forwarding, decision.forwarding.route)
        var refusal = Refusal(
            status: status, cause: .credentialsRefused, evidence: evidence(service, answered: answered),
            challenge: status == 401 ? route.bridge?.challenge() : nil, closes: false)
        refusal.credentialsFault = .denied
        refusal.urlHeldToken = decision.bridged?.urlHeldToken == true
        refuseReadably(forwarding.head, on: route, refusal, account.token)
    }

    /// Refuses the request in the service's own words.
    private func answer(
        _ decision: Decision, _ service: ForwardAuthService, _ status: Int, _ write: (ServiceRefusal) -> OutgoingResponse
    ) {
        guard let sink else { preconditionFailure("a client is refused once") }
        let (head, route) = (decision.forwarding.head, decision.forwarding.route)
        account.token = account.token ?? route.knownToken(ofRefused: head)
        account.status = UInt16(clamping: status)
        let response = ServiceRefusal(
            isHead: method == .head, challenge: route.bridge?.challenge(), urlHeldToken: decision.bridged?.urlHeldToken == true,
            vary: route.refusalVary, allowedOrigin: route.allowedOrigin(of: head),
            strictTransportSecuritySeconds: sink.strictTransportSecuritySeconds, date: date)
        var ending = Ending(cause: .credentialsRefused, evidence: evidence(service, answered: status))
        ending.credentialsFault = .denied
        finish(ending, .complete, answer: write(response))
    }
}
