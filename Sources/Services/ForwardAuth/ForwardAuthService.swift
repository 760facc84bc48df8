// One service that says whether requests may pass, on one worker: its desk, its connections, and the living streams that depend on its
// word. A reload that describes the service in the same words keeps it, with its answers.

import Configuration
import HTTP
import Reactor
import Telemetry
import Upstreams

/// A service that says whether requests may pass.
package final class ForwardAuthService {
    /// The service as it is configured.
    package let settings: ForwardAuth
    private let desk: ForwardAuthDesk
    /// The longest page that is passed on with a refusal, in bytes.
    private static let mostBodyBytes = 65_536

    /// A service that nobody has asked yet.
    package init(_ settings: ForwardAuth, _ group: ServerGroup, on worker: Worker) {
        self.settings = settings
        let (reader, service, terms) = (ForwardAuthReader(taking: settings.terms.taken), settings.service, settings.terms)
        desk = ForwardAuthDesk(
            cacheMilliseconds: terms.cacheMilliseconds, deniedMilliseconds: terms.deniedCacheMilliseconds,
            timeoutMilliseconds: service.timeoutMilliseconds, clock: { [unowned worker] in worker.now }
        ) { [unowned worker] question, milliseconds, answer in
            var limits = ServiceLimits(
                timeoutMilliseconds: Int(milliseconds), bodyBytes: ForwardAuthService.mostBodyBytes, needsWholeBody: false)
            limits.needsBody = { ForwardAuthReader.needsBody(ofStatus: $0) }
            ServiceCall.ask(ServiceRequest(.get, of: service, fields: question.fields), of: group, on: worker, limits) { result in
                switch result {
                case .answered(let head, let body): answer(reader.verdict(head, body: body))
                case .failed(_, let evidence): answer(.unusable(evidence))
                }
            }
        }
    }

    /// The kept answer to a question; nil where the service has to be asked. `needsRefusalOnly` as of a waiter.
    package func keptVerdict(on question: ForwardAuthQuestion, needsRefusalOnly: Bool) -> ForwardAuthVerdict? {
        desk.keptVerdict(on: question, needsRefusalOnly: needsRefusalOnly)
    }

    /// Asks for a waiter. False where too many questions wait already: then the waiter is told nothing.
    package func ask(_ question: ForwardAuthQuestion, for waiter: ForwardAuthWaiter) -> Bool { desk.ask(question, for: waiter) }
}
