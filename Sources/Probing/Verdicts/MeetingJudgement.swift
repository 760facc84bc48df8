// What any URL tells at the first contact, and while its stream is watched. Without the endpoint's times nobody can tell a hop that
// buffers from a server that is silent, nor a hop's cut from the server's: this file says so.

/// The verdicts about the first contact and about watching.
enum MeetingJudgement {
    /// The intermediaries that the fields of the first response, and those of its request as it arrived, name.
    static func hops(_ results: ProbeResults) -> [String] {
        guard let observation = first(of: results) else { return [] }
        var hops: [String] = []
        for hop in HopFields.ofResponse(observation.fields) + HopFields.ofRequest(arrived(observation)) where !hops.contains(hop.hop) {
            hops.append(hop.hop)
        }
        return hops
    }

    /// The version of HTTP of the first contact; nil if there was none.
    static func http(_ results: ProbeResults) -> String? { first(of: results).flatMap { $0.headAt == nil ? nil : $0.http } }

    private static func first(of results: ProbeResults) -> Observation? {
        let all = results.all(of: .meeting) + results.all(of: .watching)
        return all.first { !$0.plan.acceptsCompression && $0.headAt != nil } ?? all.first
    }

    /// The request's fields as they arrived at the endpoint.
    private static func arrived(_ observation: Observation) -> [(name: String, value: String)] {
        observation.facts.filter { $0.name.hasPrefix("field ") }.map { ($0.name.dropFirst(6).lowercased(), $0.value) }
    }

    static func meeting(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        guard let observation = first(of: results) else { return verdict }
        verdict.facts += response(observation)
        let hops = HopFields.ofResponse(observation.fields)
        if !hops.isEmpty { verdict.facts.append("the response names: \(named(hops))") }
        let arrived = arrived(observation)
        if !arrived.isEmpty {
            let before = HopFields.ofRequest(arrived)
            verdict.facts.append("the request arrived over HTTP/\(observation.fact("http") ?? "?") with \(arrived.count) fields")
            verdict.facts.append(
                before.isEmpty ? "no field that arrived names a hop before the proxy" : "the request that arrived names: \(named(before))")
        }
        if let compressed = results.all(of: .meeting).first(where: { $0.plan.acceptsCompression && $0.headAt != nil }) {
            let coding = compressed.value(of: "content-encoding") ?? "identity"
            if coding == "identity" {
                verdict.proved.append("the response is not compressed, even where gzip and br are allowed")
            } else {
                verdict.facts.append("with gzip and br allowed the response is compressed: \(coding); a compressor may hold events back")
            }
        }
        return verdict
    }

    private static func named(_ hops: [(hop: String, field: String)]) -> String {
        hops.map { "\($0.hop.replacing("_", with: " ")) (\($0.field))" }.joined(separator: ", ") + "; anybody can forge these fields"
    }

    private static func response(_ observation: Observation) -> [String] {
        guard let headAt = observation.headAt else { return ["no response: \(Manner.text(observation))"] }
        var facts = [
            "HTTP/\(observation.http) \(observation.status), \(observation.value(of: "content-type") ?? "no Content-Type"), "
                + "\(observation.framing); the head came after \(headAt) ms"
        ]
        if let security = observation.security { facts.append("\(security), certificate verified") }
        if observation.couldChooseHTTP2, observation.http != "2" {
            facts.append("HTTP/2 was offered and not chosen: a browser has six connections to a host, for all streams of all its tabs")
        }
        if observation.status >= 500, !observation.firstLine.isEmpty { facts.append("its page begins: \(observation.firstLine)") }
        return facts
    }

    // MARK: Watching any URL

    static func watching(_ results: ProbeResults) -> Verdict {
        var verdict = Verdict()
        let watched = results.all(of: .watching)
        let streams = watched.filter { $0.headAt != nil && $0.status == 200 }
        for observation in watched { verdict.facts.append("\(observation.plan.label) stream: \(course(of: observation))") }
        let cut = streams.filter { $0.wasEnded && isStream($0) && $0.endedAt >= 1_000 }
        if !cut.isEmpty {
            verdict.findings += findings(cut, of: streams.count)
        } else if let longest = streams.filter({ isStream($0) && $0.ending == .stopped }).map(\.endedAt).max() {
            verdict.proved.append("a stream lived \(spoken(longest)), until the probe closed it")
            if let silence = streams.map({ longestSilence($0) }).max(), silence >= 1_000 {
                verdict.proved.append("a silence of \(spoken(silence)) did not end it")
            }
        }
        verdict.untold += [
            "whether bytes came late or the server was silent: a hop that buffers looks like a silent server",
            "who ended a stream, a hop or the server",
            "whether a silent stream still lives: a hop may have forgotten it",
        ]
        verdict.untold.append("The proxy's own endpoint tells these: see probe_endpoint in conf/README.md, and --secret-file.")
        return verdict
    }

    private static func isStream(_ observation: Observation) -> Bool {
        observation.value(of: "content-type")?.lowercased().hasPrefix("text/event-stream") == true
    }

    private static func longestSilence(_ observation: Observation) -> Int64 {
        let moments = [observation.headAt ?? 0] + observation.arrivals.map(\.at) + [observation.endedAt]
        return zip(moments, moments.dropFirst()).map { $1 - $0 }.max() ?? 0
    }

    private static func course(of observation: Observation) -> String {
        guard observation.headAt != nil else { return "no response after \(spoken(observation.endedAt)); \(Manner.text(observation))" }
        let amount = "\(observation.bodyBytes) bytes, \(observation.events) events, at \(observation.arrivals.count) moments"
        return
            "\(amount); after \(spoken(observation.endedAt)), \(spoken(observation.silenceAtEnd)) silent, \(Manner.text(observation))"
    }

    private static func findings(_ cut: [Observation], of count: Int) -> [ProbeFinding] {
        let ages = cut.map(\.endedAt).sorted()
        let silences = cut.map(\.silenceAtEnd).sorted()
        let agesAgree = cut.count > 1 && ages[cut.count - 1] - ages[0] <= max(1_000, ages[0] * 3 / 100)
        let silencesAgree = cut.count > 1 && silences[cut.count - 1] - silences[0] <= max(1_000, silences[0] * 3 / 100)
        // Streams that were silent from their beginning end at one age and after one silence, whichever it is.
        let isIdle = silencesAgree && silences[0] >= 1_000
        guard isIdle || agesAgree else { return [once(cut, of: count)] }
        let isBoth = isIdle && agesAgree
        let limit = seconds(isIdle ? silences[0] : ages[0])
        var finding = ProbeFinding(
            isIdle ? .idleTimeout : .absoluteTimeout, .unknown, seconds: limit, confidence: isBoth ? 0.6 : 0.8, streams: cut.count,
            isIdle ? "Streams end after \(limit) s without a byte." : "Streams end \(limit) s after they began.")
        finding.evidence = cut.map { "aged \($0.endedAt) ms, silent for \($0.silenceAtEnd) ms, then \(Manner.text($0))" }
        if isBoth { finding.evidence.append("both ended at the same age, too: an absolute limit cannot be told from this") }
        finding.advice = "A hop or the server does it: without the proxy's endpoint nobody can tell which."
        return [finding]
    }

    private static func once(_ cut: [Observation], of count: Int) -> ProbeFinding {
        var finding = ProbeFinding(
            .absoluteTimeout, .unknown, confidence: 0.3, streams: cut.count,
            "\(cut.count) of \(count) streams ended while they were watched; once is no rule.")
        finding.evidence = cut.map { "aged \($0.endedAt) ms, silent for \($0.silenceAtEnd) ms, then \(Manner.text($0))" }
        return finding
    }
}
