// The part of the token's check that asks the token's issuer (RFC 7662), as services of `forward_auth` are asked: once for all who bring
// the same token, with answers that are kept for a short time, and again while streams live that the token has opened.

import Configuration
import Credentials
import Downstreams
import Reactor
import Services
import Telemetry

extension Exchange {
    /// Asks an issuer about a token, and judges the token by the answer.
    func askIssuer(_ issuer: Int, about token: Token, by check: CompiledCheck, _ decision: inout Decision) -> StepResult {
        guard let service = generation.introspections[issuer],
            let settings = generation.settings.configuration.issuers[issuer].introspection
        else { preconditionFailure("an issuer without keys is asked") }
        if decision.findings.asked == nil {
            decision.findings.asked = ForwardAuthQuestion(about: token, by: settings, proxy.shared.fingerprinter).map(AskedService.init)
        }
        guard let asked = decision.findings.asked else { return .unavailable(evidence: "there is no memory for a question to an issuer") }
        guard let verdict = asked.takeVerdict() ?? service.keptVerdict(on: asked.question, needsRefusalOnly: true) else {
            let waiter = ForwardAuthWaiter(
                needsRefusalOnly: true, isGone: { [weak self] in self?.request?.decision == nil },
                whenDecided: { [weak self] verdict in
                    asked.receive(verdict)
                    self?.decideAgain()
                })
            return service.ask(asked.question, for: waiter) ? .waits : unavailable(settings, "it has too many questions to answer")
        }
        switch verdict {
        case .allowed(let fields, _):
            let now = proxy.worker.kernel.unixMilliseconds() / 1_000
            let answer = fields.first { $0.name == ForwardAuthQuestion.claims }?.value ?? []
            let digest = token.withBytes(generation.checker.digest)
            let result = check.examine(generation.checker.verdict(by: answer, of: issuer, now: now), digest, of: sink?.certificateDigest)
            if case .good = result, settings.asked.terms.recheckMilliseconds != nil {
                proxy.authorizedStreams.register(self, under: AuthorizedStreams.Key(asked.question.digest))
                service.watch(asked.question)
            }
            // The next step may ask somebody too.
            decision.findings.asked = nil
            return judge(token, by: check, result, &decision)
        case .denied, .redirected:
            decision.findings.asked = nil
            return judge(token, by: check, .refused(.denied, nil), &decision)
        case .unusable(let reason): return unavailable(settings, reason)
        }
    }

    private func unavailable(_ settings: Introspection, _ reason: String) -> StepResult {
        .unavailable(evidence: "\(settings.asked.name) did not say whether the token is good: \(reason)")
    }
}
