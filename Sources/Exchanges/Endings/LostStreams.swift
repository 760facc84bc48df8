// Living streams whose service was asked about them again, and what becomes of them.

import Credentials
import Services
import Telemetry

extension AuthorizedStreams: WatchedStreams {
    /// Whether a stream depends on the question.
    package func hasStreams(of question: KeyedDigest) -> Bool { contains(AuthorizedStreams.Key(question)) }

    /// Ends the streams that depend on the question.
    package func end(streamsOf question: KeyedDigest, _ loss: ForwardAuthLoss, evidence: String) {
        let cause: Cause = loss == .silent ? .authorizationUnavailable : .revoked
        endAll(AuthorizedStreams.Key(question), cause, evidence: evidence)
    }
}
