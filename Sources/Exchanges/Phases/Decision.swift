// What must be known before a request may go to a server, one step after the other. A step that needs somebody's answer waits for it,
// and runs again when the answer has come. Invariant: nothing of a server is asked for or sent before the last step has passed.

import Credentials
import HTTP
import Telemetry

/// A step of a decision, in the order of the steps.
enum DecisionStep: UInt8 {
    /// The ticket is opened.
    case ticket
    /// The token is checked.
    case token
    /// A service is asked whether the request may pass.
    case service
    /// The proxy's own token for the server is found.
    case serverToken
    /// All steps have passed.
    case decided
}

/// What the steps have found out about a request that may pass.
struct Findings {
    /// The ticket that was opened; nil without one.
    var ticket: OpenedTicket?
    /// Nil if no token was checked.
    var checked: CheckedToken?
    /// What the server is told besides.
    var fields: [(name: String, value: [UInt8])] = []
    /// The values of `Set-Cookie` by which a service renews the client's session.
    var cookies: [[UInt8]] = []
    /// What a service was asked; nil before that, and on routes that ask none.
    var asked: AskedService?
    /// The proxy's own token for the server; nil on routes without one.
    var serverToken: IssuedToken?
    /// The one that a server has refused.
    var refusedToken: IssuedToken?
}

/// A request that is being decided about.
struct Decision {
    let forwarding: RequestForwarding
    /// Nil if the bridge changed nothing.
    var bridged: BridgedRequest?
    var findings = Findings()
    /// Its place among those that wait for the same answer.
    var place: WaitingPlace?
    /// Why the token waits for a key; nil if it does not.
    var lack: KeyLack?
    fileprivate(set) var step: DecisionStep

    init(_ forwarding: RequestForwarding, _ bridged: BridgedRequest?, step: DecisionStep = .ticket) {
        self.forwarding = forwarding
        self.bridged = bridged
        self.step = step
    }

    /// What the log may know of a token that is not good.
    func known(ofRefused token: Token, _ identity: TokenIdentity?) -> BoundToken {
        BoundToken(ofRefused: token, identity, findings.ticket?.used)
    }
}

/// How a step ended.
enum StepResult {
    case passed
    /// The request has its answer.
    case finished
    /// Somebody was asked, who calls `decideAgain`. Then the step runs again.
    case waits
    /// Nobody can say it now. An EventSource is held and the step is tried again; other clients are refused.
    case unavailable(evidence: String)
    /// Nobody will say it by the rules of this request, because they are no longer in force. An EventSource is told to come back, and is
    /// served by those that are; other clients are refused.
    case retired(evidence: String)
}

/// A decision that waits. An object, because a request that does not wait must not carry its bytes.
final class PausedDecision {
    fileprivate(set) var decision: Decision

    init(_ decision: Decision) { self.decision = decision }

    /// The decision, to be taken again with another token for the server.
    func again(without token: IssuedToken) -> PausedDecision {
        var next = decision
        next.step = .serverToken
        next.findings.serverToken = nil
        next.findings.refusedToken = token
        return PausedDecision(next)
    }
}

extension Exchange {
    /// Takes the steps that are left. `known` is how the first of them has ended, where it was taken already.
    func decide(_ undecided: Decision, _ known: StepResult? = nil) {
        var (decision, known) = (undecided, known)
        while decision.step != .decided {
            switch known.take() ?? perform(decision.step, &decision) {
            case .passed: decision.step = DecisionStep(rawValue: decision.step.rawValue + 1) ?? .decided
            case .finished: return
            case .waits: return pause(decision)
            case .unavailable(let evidence):
                pause(decision)
                return refuseUnavailable(decision.forwarding, evidence)
            case .retired(let evidence):
                pause(decision)
                return refuseUnavailable(decision.forwarding, evidence, isRetired: true)
            }
        }
        forward(decision.forwarding, decision.bridged, decision.findings)
        if decision.findings.serverToken != nil, decision.findings.refusedToken == nil { request?.sentDecision = PausedDecision(decision) }
    }

    private func perform(_ step: DecisionStep, _ decision: inout Decision) -> StepResult {
        switch step {
        case .ticket: openTicket(&decision)
        case .token: checkToken(&decision)
        case .service: askService(&decision)
        case .serverToken: obtainToken(&decision)
        case .decided: .passed
        }
    }

    /// The answer that the decision waited for has come, or the client need not be held any longer without another try. Nothing happens
    /// if the exchange is over by now, or decided.
    func decideAgain() {
        if case .ticketing(let call) = phase { return answer(call) }
        guard let request, let paused = request.decision else { return }
        request.waiting.nextAttemptAt = .max
        enter(.authorizing(request))
        decide(paused.decision)
    }

    /// Keeps the decision until it can go on.
    private func pause(_ decision: Decision) {
        let head = decision.forwarding.head
        if let request {
            request.decision = PausedDecision(decision)
            request.ticket = decision.findings.ticket
            return enter(.authorizing(request))
        }
        // The log must know the token, and an answer must protect the URL, also if the request never goes on.
        account.token = account.token ?? decision.forwarding.route.knownToken(ofRefused: head)
        if decision.bridged?.urlHeldToken == true { flags.insert(.urlHeldToken) }
        let request = PendingRequest(head: [], hostOffset: nil)
        request.allowedOrigin = decision.forwarding.route.allowedOrigin(of: head)
        request.decision = PausedDecision(decision)
        // A client that is held now gets its fresh cookie now.
        request.ticket = decision.findings.ticket
        expectToWait(decision.forwarding, in: request)
        enter(.authorizing(request))
    }

    private func refuseUnavailable(_ forwarding: RequestForwarding, _ evidence: String, isRetired: Bool = false) {
        // A client that sends Authorization can read a status. It is not held, but one that was held before goes on to be.
        if !forwarding.isEventSource, !isHeld { flags.remove(.awaitsStream) }
        var refusal = Refusal(status: 503, cause: .authorizationUnavailable, evidence: evidence, closes: false)
        refusal.credentialsFault = .unavailable
        refusal.isRetired = isRetired
        refuseReadably(forwarding.head, on: forwarding.route, refusal, account.token)
    }
}
