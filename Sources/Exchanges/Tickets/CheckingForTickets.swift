// The check of a token for which a page asks a ticket. The routes of the ticket check it, and so does the endpoint before it gives one: by
// keys that may have to be fetched, or by the issuer. Invariant: where a route checks tokens, a ticket stands for a token that was good.

import Configuration
import Credentials
import Downstreams
import HTTP
import Reactor
import Services
import Telemetry

/// What a check of a token for a ticket finds, if it is not refused.
enum TicketCheck {
    /// The token is good. What was verified about it is nil where no route checks tokens.
    case good(TokenIdentity?)
    /// Somebody was asked. The check runs again when the answer has come.
    case waits
}

/// What one route says about a token for a ticket.
private enum RouteAnswer {
    case good(TokenIdentity)
    case refused(TokenFault)
    case waits
    case unavailable
}

extension Exchange {
    /// Checks the token as the routes of the ticket do: it must be good for one of them, for that of the path if there is one.
    func check(_ token: Token, _ call: TicketCall, path: [UInt8]?) throws(TicketRefusal) -> TicketCheck {
        var routes = call.tickets.routes
        if let path {
            let number = settings.table.match(host: call.head.bytes.span.extracting(call.head.authority), path: path.span)
            guard let route = number.map({ settings.routes[$0] }), routes.contains(where: { $0 === route }) else {
                throw .malformed("no route of these tickets has this 'path'")
            }
            routes = [route]
        }
        call.place = nil
        var (found, isUnavailable): (TokenFault?, Bool) = (nil, false)
        for route in routes {
            guard let check = route.check else { return .good(nil) }
            switch answer(of: check, about: token, call) {
            case .good(let identity): return .good(identity)
            case .waits: return .waits
            case .unavailable: isUnavailable = true
            case .refused(let fault): if found == nil || fault.isForbidden { found = fault }
            }
        }
        if isUnavailable { throw .unavailable }
        throw .token(found ?? .issuer)
    }

    private func answer(of check: CompiledCheck, about token: Token, _ call: TicketCall) -> RouteAnswer {
        let certificate = call.holder.certificateDigest
        let result = examine(token, of: certificate, by: check)
        switch result {
        case .good(let checked): return .good(checked.identity)
        case .expired: return .refused(.expired)
        case .refused(let fault, _): return .refused(fault)
        case .undecided(let issuer, let missing): return lookForKey(missing, of: issuer, by: check, about: token, call)
        case .unasked(let issuer): return ask(issuer, by: check, about: token, call)
        }
    }

    private func lookForKey(
        _ missing: MissingKey, of issuer: Int, by check: CompiledCheck, about token: Token, _ call: TicketCall
    ) -> RouteAnswer {
        guard case .fetched(let keys) = generation.checker.issuers[issuer].keys else { return .unavailable }
        switch proxy.keyFetcher.search(for: missing, of: keys, self) {
        case .waits(let place):
            call.place = place
            return .waits
        case .unavailable, .retired: return .unavailable
        case .settled:
            // Another worker may have brought them since the token was looked at.
            if generation.checker.hasOtherKeys(issuer) { return answer(of: check, about: token, call) }
            guard case .newKey(let fault) = missing else { return .unavailable }
            return .refused(fault)
        }
    }

    private func ask(_ issuer: Int, by check: CompiledCheck, about token: Token, _ call: TicketCall) -> RouteAnswer {
        guard let service = generation.introspections[issuer],
            let settings = generation.settings.configuration.issuers[issuer].introspection,
            let question = ForwardAuthQuestion(about: token, by: settings, proxy.shared.fingerprinter)
        else { return .unavailable }
        guard let verdict = call.verdicts[issuer] ?? service.keptVerdict(on: question, needsRefusalOnly: true) else {
            let waiter = ForwardAuthWaiter(
                needsRefusalOnly: true, isGone: { [weak self] in self?.isTicketing != true },
                whenDecided: { [weak self] verdict in
                    call.verdicts[issuer] = verdict
                    self?.answer(call)
                })
            return service.ask(question, for: waiter) ? .waits : .unavailable
        }
        switch verdict {
        case .allowed(let fields, _):
            let answer = fields.first { $0.name == ForwardAuthQuestion.claims }?.value ?? []
            let verdict = generation.checker.verdict(by: answer, of: issuer, now: unixSeconds)
            switch check.examine(verdict, nil, of: call.holder.certificateDigest) {
            case .good(let checked): return .good(checked.identity)
            case .refused(let fault, _): return .refused(fault)
            case .expired: return .refused(.expired)
            case .undecided, .unasked: return .unavailable
            }
        case .denied, .redirected: return .refused(.denied)
        case .unusable: return .unavailable
        }
    }

    /// Whether it is a request for a ticket that has no answer yet.
    private var isTicketing: Bool { if case .ticketing = phase { true } else { false } }
}
