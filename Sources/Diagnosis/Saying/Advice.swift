// What to change, for each kind of finding: first what helps without touching anybody else's machine.

/// Sentences that say what to do.
enum Advice {
    private static let shownFamilies = 4

    static func sentences(_ finding: Finding, candidates: [Hop], heartbeat: Int?, inForce: Double?) -> [String] {
        switch finding.kind {
        case .idleTimeout: idle(finding, candidates, heartbeat, inForce)
        case .absoluteTimeout: absolute(finding, candidates)
        case .buffering: buffering(finding, candidates)
        default: others(finding)
        }
    }

    private static func idle(_ finding: Finding, _ candidates: [Hop], _ heartbeat: Int?, _ inForce: Double?) -> [String] {
        guard let limit = finding.seconds else { return settings(candidates, limit: nil) }
        if finding.side == .upstream {
            let every = Words.heartbeat(below: limit).map { "at least every \(Words.seconds(Double($0)))" } ?? "more often"
            return [
                "Heartbeats of this proxy do not reach hops behind it: let the server send a comment \(every), or raise the limit."
            ] + settings(candidates, limit: limit)
        }
        guard let heartbeat else {
            return ["No heartbeat that can be set is short enough: raise the limit."] + settings(candidates, limit: limit)
        }
        if let inForce, inForce * 2 < limit {
            return [
                "The heartbeat in force, \(Words.seconds(inForce)), is short enough: these streams did not get it. Look at woven,"
                    + " not_woven_because and mid_line in their lines."
            ] + settings(candidates, limit: limit)
        }
        let instead = inForce.map { " instead of \(Words.seconds($0))" } ?? ""
        let margin = "below half of \(Words.seconds(limit))"
        return [
            "heartbeat \(Words.setting(heartbeat))\(instead) in Heartwire's configuration (\(margin)) prevents it, whichever hop it is."
        ] + settings(candidates, limit: limit)
    }

    private static func absolute(_ finding: Finding, _ candidates: [Hop]) -> [String] {
        let limit = finding.seconds.map(Words.seconds) ?? "the limit"
        return [
            "No heartbeat helps against a limit on the whole life. Raise it; or let the server end each stream in order shortly before"
                + " \(limit), with a retry of a second, so that EventSource comes back without a loss."
        ] + settings(candidates, limit: finding.seconds)
    }

    private static func buffering(_ finding: Finding, _ candidates: [Hop]) -> [String] {
        guard finding.side == .client else {
            return [
                "In the server: flush the output after each event.",
                "nginx between this proxy and the server: proxy_buffering off, or let the server send X-Accel-Buffering: no; with"
                    + " proxy_http_version 1.1, and no gzip for text/event-stream.",
                "Elsewhere: no compression of text/event-stream, no caching, no inspection of its body.",
            ]
        }
        var sentences = [
            "nginx: proxy_buffering off; or X-Accel-Buffering: no in the response (Heartwire sends it; proxy_ignore_headers undoes that),"
                + " proxy_http_version 1.1; and no gzip for text/event-stream.",
            "Elsewhere: no compression of text/event-stream, no caching, no inspection of its body. heartwire probe finds the size of the"
                + " buffer.",
        ]
        if !candidates.isEmpty {
            sentences.append("The clients' own limit is that of \(Words.list(candidates.map(\.name), last: "or")).")
        }
        return sentences
    }

    /// The settings of the first families, each once.
    private static func settings(_ candidates: [Hop], limit: Double?) -> [String] {
        guard !candidates.isEmpty else {
            guard let limit else { return [] }
            return [
                "No hop of the table that can stand there has \(Words.seconds(limit)) by default, so somebody has set it: look for"
                    + " \(Words.decimal(limit)) in the configuration of every hop on that side."
            ]
        }
        var families: [HopFamily] = []
        for candidate in candidates where !families.contains(candidate.family) { families.append(candidate.family) }
        let shown = families.prefix(shownFamilies)
        return shown.map { family in
            let names = candidates.filter { $0.family == family }.map(\.name)
            return "\(common(names)): \(family.setting)."
        }
    }

    /// The words with which all names begin: `nginx` of two limits of nginx.
    private static func common(_ names: [String]) -> String {
        let all = names.map { $0.split(separator: " ") }
        var count = all[0].count
        for words in all { count = min(count, zip(all[0], words).prefix { $0 == $1 }.count) }
        return count == 0 ? names[0] : all[0].prefix(count).joined(separator: " ")
    }

    private static func others(_ finding: Finding) -> [String] {
        switch finding.kind {
        case .upstreamSilent:
            ["If the server is well and only has nothing to say: raise stream_silence_timeout, or let it send comments."]
        case .serverRestart, .deployment:
            [
                "If it was planned: end streams one by one with different retry values before the process ends; if not, look at the"
                    + " server's log at that time."
            ]
        case .workerRecycling:
            ["Let workers end their streams in order before they are replaced (graceful timeout), or recycle them less often."]
        case .hopRestart:
            ["Reload that hop less often, and let old workers live on: worker_shutdown_timeout (nginx), worker-shutdown-timeout (ingress)."]
        case .badServer: ["Take it out, or look at its log, its memory and its version beside those of the others."]
        case .staleToken:
            [
                "Make a fresh URL for each new EventSource, or use a ticket or a cookie; end the stream with an event of its own before the"
                    + " token runs out, so that the page can fetch a new one."
            ]
        case .reconnectStorm where finding.moments.isEmpty:
            ["Look at why these streams end at once (cause in their lines). A retry of some seconds slows such clients down."]
        case .reconnectStorm: ["Send a retry that differs for each client, and end streams over a time (drain) and not in one moment."]
        case .slowReader: ["Send such clients less; client_stall sets how long they may take nothing."]
        case .mobileSleep:
            ["It is nobody's mistake. Send ids, so that clients that come back miss nothing; heartbeats find dead ones sooner."]
        case .connectionLimit: ["Speak HTTP/2 to browsers, or share one stream among tabs (SharedWorker, BroadcastChannel)."]
        case .refusedByLimit: ["refused_by in the access log names the limit: raise it, or find out who needs so many."]
        case .credentialsRefused: ["evidence in the access log says what is missing, doubled, malformed or contradictory."]
        case .tokenExpired:
            ["Nothing is wrong if their clients come back with new tokens. `expiring` warns their pages before, in time."]
        case .revoked: ["evidence in their lines says by whom."]
        case .authorizationUnavailable: ["evidence in their lines says whom the proxy asked, and what became of it."]
        case .proxyError: ["Look at evidence and errno; most often there are too few descriptors (ulimit -n)."]
        case .idleTimeout, .absoluteTimeout, .buffering: []
        }
    }
}
