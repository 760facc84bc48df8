// When a probe has to stop: a server that asks for less, or an endpoint that does not play for this probe.

enum Refusals {
    /// Why the probe goes no further after this; nil if it does.
    static func reason(_ observation: Observation, in step: ProbeStep) -> String? {
        let status = observation.status
        switch status {
        // A hop that gives up on a late head may say 503 too: that is what the step asks for.
        case 503 where step == .lateHead: break
        case 429 where step == .width, 503 where step == .width: break
        case 429, 503: return "the server asks for less (\(status)): the probe stops\(said(observation))"
        default: break
        }
        guard step == .meeting, !observation.isFromEndpoint else { return nil }
        // The nonce cannot be read in compressed bytes; the request that wants none shows it.
        if observation.plan.acceptsCompression, status == 200, observation.value(of: "content-encoding") != nil { return nil }
        switch observation.ending {
        case .notConnected(let reason)?: return "no connection: \(reason)"
        case .notSecured(let reason)?: return "TLS failed: \(reason)"
        case .brokeRules(let reason)?: return "the server breaks the rules of HTTP: \(reason)"
        default: break
        }
        guard observation.plan.script != nil else { return nil }
        switch status {
        case 0 where observation.ending == .stopped: return "no response came within \(spoken(observation.endedAt))"
        case 0: return "no response came: \(Manner.text(observation))"
        case 200:
            return "no probe endpoint answers there: the nonce did not come back (is this the path of probe_endpoint?)"
        case 403: return "the endpoint refuses the proof\(said(observation))"
        case 409: return "a cache or a hop has sent the same request twice\(said(observation))"
        default: return "no probe endpoint answers there: the status is \(status)\(said(observation))"
        }
    }

    private static func said(_ observation: Observation) -> String {
        observation.firstLine.isEmpty ? "" : "; it says: \(observation.firstLine)"
    }
}
