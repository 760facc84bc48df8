// Living streams whose service was asked about them again, and what becomes of them.

import Configuration
import Credentials
import Services
import Telemetry

extension ExchangeWorker: WatchedStreams {
    /// Whether a stream depends on the question.
    package func hasStreams(of question: KeyedDigest) -> Bool {
        !authorizedStreams.exchanges(of: AuthorizedStreams.Key(question)).isEmpty
    }

    /// Ends the streams that depend on the question.
    package func end(streamsOf question: KeyedDigest, _ loss: ForwardAuthLoss, by service: ForwardAuth) {
        let key = AuthorizedStreams.Key(question)
        switch loss {
        case .refused(let status):
            authorizedStreams.endAll(key, .revoked, evidence: "the service \(service.name) answered \(status) when it was asked again")
        case .silent:
            let seconds = service.terms.recheckGraceMilliseconds / 1_000
            authorizedStreams.endAll(
                key, .authorizationUnavailable, evidence: "the service \(service.name) has not answered for more than \(seconds) s")
        }
    }
}
