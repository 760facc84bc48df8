// Field blocks become requests, and requests exchanges. A request that cannot be served has an exchange too, because it belongs in a log.

import HTTP
import HTTP2
import Reactor

extension HTTP2Connection {
    /// A request came: its fields are in the session.
    func beginRequest(_ slot: Int, isLast: Bool) {
        takeNoticeOfReload()
        let stream = HTTP2Stream(self, slot: slot)
        add(stream)
        let terms = RequestTerms(
            isSecured: isSecured, acceptsEitherScheme: isTrusted,
            allowsExtendedConnect: self.terms.sessionLimits.allowsExtendedConnect, limits: self.terms.requestLimits,
            webSocketKey: asksForTunnel ? webSocketKey() : [])
        do throws(RequestProblem) {
            let request = try assembleRequest(session.fields, isLast: isLast, terms: terms)
            if isLast || request.isTunnel {
                stream.flags.insert(.requestIsComplete)
            } else {
                stream.missingBodyBytes = request.contentLength
            }
            if request.isTunnel { stream.flags.insert(.asksForTunnel) }
            let receiver = clients.handler.makeReceiver(for: request.head, from: .http2(stream))
            stream.receiver = receiver
            receiver.begin(request.head)
            // The client owes a body.
            if !isLast { wake(atMilliseconds: stream.nextDeadline) }
        } catch {
            let receiver = clients.handler.makeReceiver(for: nil, from: .http2(stream))
            stream.receiver = receiver
            switch error {
            case .malformed(let problem):
                stream.flags.insert(.isMalformed)
                receiver.refuse(.malformed(problem.reason))
            case .refused(let problem): receiver.refuse(.brokeRules(problem))
            }
        }
    }

    /// Requests that were not reset in the turn in which they came go to their servers.
    func connectNewcomers() {
        guard !newcomers.isEmpty else { return }
        let streams = newcomers
        newcomers = []
        for stream in streams {
            // It may be over meanwhile.
            stream.receiver?.connectNow()
            guard state == .serving else { return }
        }
    }
}

extension HTTP2Stream {
    /// The exchange connects at the end of the turn.
    func connectsLater() -> Bool {
        connection.newcomers.append(self)
        connection.worker.atEndOfTurn(connection)
        return true
    }
}
