// How a connection ended, in words, and where the proxy saw the cause.

import ProbeScripts

enum Manner {
    /// The ending as a clause.
    static func text(_ observation: Observation) -> String {
        guard let code = observation.goAway, observation.ending != .leftBehind else { return ending(observation) }
        return "\(ending(observation)), after GOAWAY (\(code))"
    }

    private static func ending(_ observation: Observation) -> String {
        let tls = observation.security != nil
        let isStream = observation.http == "2"
        switch observation.ending {
        case nil, .stopped?: return "the probe closed it"
        case .complete? where isStream: return "it ended in good order, with END_STREAM"
        case .complete?: return "it ended in good order, with its last chunk"
        case .streamReset(let code)?: return "its stream was reset (RST_STREAM, \(code))"
        case .leftBehind?: return "it was not served (GOAWAY, \(observation.goAway ?? "without a code"))"
        case .notOpened(let reason)?: return "no stream was opened: \(reason)"
        case .closed(let isAuthentic)? where isStream:
            return "its connection was closed without END_STREAM (\(end(isAuthentic, tls)))"
        case .closed(let isAuthentic)?:
            return "it was closed without its last chunk (\(end(isAuthentic, tls)))"
        case .closedAsDelimiter(let isAuthentic)?:
            return
                "its connection was closed (\(end(isAuthentic, tls))), which also ends a response without chunks"
        case .reset? where isStream: return "its connection was reset (RST)"
        case .reset?: return "it was reset (RST)"
        case .broke(let reason)?: return "it broke: \(reason)"
        case .notConnected(let reason)?: return "no connection was made: \(reason)"
        case .notSecured(let reason)?: return "TLS failed: \(reason)"
        case .brokeRules(let reason)?: return "what came breaks the rules of HTTP: \(reason)"
        }
    }

    private static func end(_ isAuthentic: Bool, _ isSecured: Bool) -> String {
        isSecured ? isAuthentic ? "FIN, with close_notify" : "FIN, without close_notify" : "FIN"
    }

    /// Who ended it, as far as the proxy's own view tells, with the evidence.
    static func side(of observation: Observation, _ results: ProbeResults) -> (side: ProbeFinding.Side, evidence: String?, isSure: Bool) {
        switch results.sighting(of: observation) {
        case .open?:
            return (.client, "the proxy still had this stream open afterwards: a hop before it closed or forgot only one half", true)
        case .ended(let sighting, let after)?:
            let cause = sighting.cause ?? "unknown"
            guard sighting.side == "client" || sighting.side == nil else {
                return (.proxy, "the proxy ended it itself after \(spoken(after)) (\(cause))", true)
            }
            return (.client, "the proxy saw its client leave after \(spoken(after)) (\(cause)): a hop before it did it", true)
        case .unknown?:
            return (.client, "the proxy process that was asked does not know the stream: several run there, or it was restarted", false)
        case nil:
            return (.client, "the proxy could not be asked how it saw the end", false)
        }
    }
}
