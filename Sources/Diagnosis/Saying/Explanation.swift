// A finding as a person would say it: what, who it may be, what to change. `diagnose`, `probe` and the live page all speak by this value.
//
// It makes plain text: a terminal, a page and JSON each escape it themselves, because servers, routes and paths are strangers' words.

/// What can be said about one finding.
package struct Explanation: Sendable {
    /// The finding in two to five words: `idle timeout, 60 s`.
    package let title: String
    /// What happens, in one sentence.
    package let headline: String
    /// How sure it is, in words.
    package let certainty: String
    /// The hops that have this limit unless somebody changes it, those first that the requests name.
    package let candidates: [Hop]
    /// What to change: the setting, to what value, and whether a heartbeat is enough. The first one is the quickest.
    package let advice: [String]
    /// The heartbeat in seconds that would have prevented it; nil where no heartbeat of this proxy can.
    package let heartbeat: Int?
    /// The other reading, where the logs cannot tell them apart.
    package let doubt: String?
    /// What was counted, in one clause each, and what decided between the readings.
    package let evidence: [String]

    /// Says it of a finding. `heartbeatInForce` is the proxy's interval in seconds, where it is known.
    package init(_ finding: Finding, heartbeatInForce: Double? = nil) {
        let candidates = Hop.candidates(for: finding)
        self.candidates = candidates
        title = Explanation.title(finding)
        headline = Explanation.headline(finding)
        certainty = Words.certainty(finding.confidence)
        heartbeat = Explanation.heartbeat(finding)
        advice = Advice.sentences(finding, candidates: candidates, heartbeat: heartbeat, inForce: heartbeatInForce)
        doubt = finding.alternative.map { Explanation.doubt($0, finding) }
        evidence = Explanation.counts(finding) + finding.evidence
    }

    /// All of it in one line: `60 s idle, a hop between the browser and this proxy, most likely nginx proxy_read_timeout`.
    package var summary: String {
        guard let first = candidates.first else { return "\(headline) (\(certainty))" }
        let others = candidates.count - 1
        let who = others == 0 ? first.name : "\(first.name) or \(Words.count(others, "other")) of the table"
        return "\(headline) (\(certainty); it may be \(who))"
    }

    // MARK: What

    private static func title(_ finding: Finding) -> String {
        let limit = finding.seconds.map { ", \(Words.seconds($0))" } ?? ""
        let name =
            switch finding.kind {
            case .idleTimeout: finding.isSilentDrop ? "forgotten connections" : "idle timeout"
            case .absoluteTimeout: "limit on a stream's whole life"
            case .buffering: "bytes held back"
            case .upstreamSilent: "silent servers"
            case .serverRestart: "server restart"
            case .deployment: "deployment"
            case .workerRecycling: "recycled workers"
            case .hopRestart: "restart of a hop"
            case .badServer: "one bad server"
            case .staleToken: "stale token"
            case .reconnectStorm: finding.moments.isEmpty ? "clients that come back without end" : "everybody at once"
            case .slowReader: "slow readers"
            case .mobileSleep: "sleeping clients"
            case .connectionLimit: "six connections a browser"
            case .refusedByLimit: "the proxy's own limits"
            case .credentialsRefused: "refused credentials"
            case .tokenExpired: "tokens that ran out"
            case .revoked: "credentials that were taken back"
            case .authorizationUnavailable: "credentials that nobody could judge"
            case .proxyError: "the proxy's own errors"
            }
        return name + limit
    }

    private static func headline(_ finding: Finding) -> String {
        timeoutHeadline(finding) ?? momentHeadline(finding) ?? otherHeadline(finding)
    }

    private static func timeoutHeadline(_ finding: Finding) -> String? {
        let limit = finding.seconds.map(Words.seconds) ?? "some time"
        // Where both are possible, both are said.
        let someone = "a hop between the browser and this proxy\(finding.canBeClient ? ", or the client itself," : "")"
        switch (finding.kind, finding.side) {
        case (.idleTimeout, .client) where finding.isSilentDrop:
            return "After about \(limit) of silence a hop before the proxy forgets the connection: the next byte meets a reset or nothing."
        case (.idleTimeout, .client):
            return "After \(limit) without a byte to the client, \(someone) closes the stream."
        case (.idleTimeout, _) where finding.isSilentDrop:
            return "After about \(limit) of silence a hop between this proxy and the server forgets the connection."
        case (.idleTimeout, _):
            return "After \(limit) without a byte from the server, the server or a hop between it and this proxy ends the stream."
        case (.absoluteTimeout, .client):
            return "\(limit) after it began, \(someone) ends the stream, whatever is sent."
        case (.absoluteTimeout, _):
            return "\(limit) after it began, the server or a hop between it and this proxy ends the stream, whatever is sent."
        case (.buffering, .client):
            let after = finding.seconds.map { " after \(Words.seconds($0))" } ?? ""
            return "Clients give up\(after) although heartbeats were sent: a hop between the browser and this proxy holds bytes back."
        case (.buffering, _):
            return
                "Events come from the server's side in lumps: a hop between the server and this proxy, or the server's own output, holds"
                + " bytes back until a buffer is full."
        case (.upstreamSilent, _):
            return "The server sent nothing for \(limit), and this proxy's own stream_silence_timeout ended the stream."
        default: return nil
        }
    }

    private static func momentHeadline(_ finding: Finding) -> String? {
        let servers = finding.servers.isEmpty ? "a server" : Words.list(finding.servers)
        let times = finding.moments.count > 1 ? " (\(Words.count(finding.moments.count)) times)" : ""
        switch finding.kind {
        case .serverRestart: return "All streams of \(servers) ended in one moment\(times): restarted, or crashed."
        case .deployment: return "The servers \(servers) ended their streams one after another: a deployment."
        case .workerRecycling:
            return "A part of the streams of \(servers) ends in one moment, again and again\(times): workers are recycled."
        case .hopRestart:
            let whose = finding.addresses > 1 ? "\(Words.count(finding.addresses)) addresses" : "one address"
            return
                "All streams of \(whose) before the proxy ended in one moment\(times), and their clients came back: a hop was reloaded."
        case .badServer: return "\(servers) ends streams badly far more often than the other servers do."
        default: return nil
        }
    }

    private static func otherHeadline(_ finding: Finding) -> String {
        switch finding.kind {
        case .staleToken: "The same clients are refused (401 or 403) again and again: they come back with a token that is no longer valid."
        case .reconnectStorm where finding.moments.isEmpty:
            "The same clients come back at once, again and again: each of their streams lives for less than 2 s."
        case .reconnectStorm: "Very many clients open their streams within the same second."
        case .slowReader: "Clients take their bytes too slowly; the proxy closes those that take none for too long (client_stall)."
        case .mobileSleep: "Clients vanish without closing: phones that sleep, or networks that are lost."
        case .connectionLimit:
            "A browser keeps six connections to one host over HTTP/1.1: the seventh stream waits until another one ends, without any error."
        case .refusedByLimit: "The proxy refused clients because its own limits were reached."
        case .credentialsRefused: "The proxy refused requests for their credentials."
        case .tokenExpired: "The proxy ended streams because the time of their tokens was over."
        case .revoked: "The proxy ended streams because their credentials were taken back."
        case .authorizationUnavailable: "The proxy could not learn whether credentials are good, or still good."
        case .proxyError: "The proxy failed by its own error."
        default: "\(title(finding).capitalizedFirst)."
        }
    }

    private static func heartbeat(_ finding: Finding) -> Int? {
        guard finding.kind == .idleTimeout, finding.side == .client, let seconds = finding.seconds else { return nil }
        return Words.heartbeat(below: finding.between.map { min($0.lowerBound, seconds) } ?? seconds)
    }

    // MARK: How it is known

    private static func doubt(_ other: Finding.Kind, _ finding: Finding) -> String {
        let limit = finding.seconds.map { " of \(Words.seconds($0))" } ?? ""
        return switch other {
        case .idleTimeout: "It may also be an idle limit\(limit): these streams carried too little to tell the two apart."
        case .absoluteTimeout: "It may also be a limit\(limit) on the whole life: these streams carried too little to tell the two apart."
        case .buffering: "It may also be a hop that holds bytes back until the client gives up."
        default: "It may also be: \(other.rawValue.split(separator: "_").joined(separator: " "))."
        }
    }

    private static func counts(_ finding: Finding) -> [String] {
        let isRefusal = [.staleToken, .refusedByLimit, .credentialsRefused].contains(finding.kind)
        var first = Words.count(finding.streams, isRefusal ? "request" : "stream")
        if finding.people > 0 { first += " of \(Words.count(finding.people, "client"))" }
        if finding.addresses > 0, finding.side == .client { first += ", by \(Words.count(finding.addresses, "address", "addresses"))" }
        if !finding.routes.isEmpty { first += ", on \(finding.routes.count == 1 ? "route" : "routes") \(Words.list(finding.routes))" }
        var counts = [first]
        if !finding.hops.isEmpty { counts.append("the requests name \(Words.list(finding.hops))") }
        if finding.hasManyAddresses, [.idleTimeout, .absoluteTimeout].contains(finding.kind) {
            counts.append("nearly each client has an address of its own: a hop that stands there keeps it (PROXY protocol, transparent)")
        }
        // Where the method decided, it says in its own words what decided.
        guard finding.evidence.isEmpty else { return counts }
        if let between = finding.between {
            counts.append(
                "silences up to \(Words.seconds(between.lowerBound)) were survived,"
                    + " from \(Words.seconds(between.upperBound)) on they were not"
            )
        }
        if let lethality = finding.lethality { counts.append("\(Words.percent(lethality)) of the streams that got that far ended there") }
        if let returned = finding.returned {
            counts.append(
                returned >= 0.15
                    ? "\(Words.percent(returned)) of the clients came back after a pause, so they had not wanted to leave"
                    : "\(Words.percent(returned)) of the clients came back after a pause")
        }
        return counts
    }
}

extension String {
    /// With a capital first letter.
    var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
