// What the endpoint says of a play that is over for the client.

import ProbeScripts

/// How the proxy saw a play.
package enum Sighting: Sendable, Equatable {
    /// It is still open there.
    case open(ProbeSighting)
    /// It has ended there.
    case ended(ProbeSighting, afterMilliseconds: Int64)
    /// This process of the proxy does not know it.
    case unknown

    init?(_ answer: Observation, nonce: String) {
        guard answer.status == 200 else { return nil }
        let text = String(decoding: answer.beginning, as: UTF8.self)
        guard let read = ProbeSighting.read(Substring(text), nonce: nonce) else { return nil }
        guard let sighting = read else {
            self = .unknown
            return
        }
        self = sighting.endedAfterMilliseconds.map { .ended(sighting, afterMilliseconds: $0) } ?? .open(sighting)
    }
}
