// Which connections each step makes, round by round: what the rounds before showed decides about the next one. No socket, no clock.

import ProbeScripts

/// Plans the rounds of steps.
struct StepPlanner {
    let terms: ProbeTerms
    let maker: ScriptMaker

    /// How long a play may take to arrive beside its own time.
    private static let graceMilliseconds: Int64 = 5_000
    /// Two plays of the same kind do not begin together, so that a hop's reload is not taken for a timer.
    private static let staggerMilliseconds: Int64 = 2_000
    /// How often the proxy is asked whether it has noticed that the client left.
    private static let askLimit = 10

    /// The next round of a step; empty when the step is over.
    func nextRound(of step: ProbeStep, after results: ProbeResults) -> [FlightPlan] {
        let rounds = results.rounds(of: step)
        switch step {
        case .limits: return limits(after: rounds)
        case .forgetting: return forgetting(after: rounds)
        case .leaving: return leaving(after: rounds, results)
        case .buffering: return buffering(after: rounds, results)
        case .width: return width(after: rounds, results)
        case .meeting, .head, .firstEvent, .comments, .heartbeat, .lateHead, .watching:
            return rounds.isEmpty ? onlyRound(of: step, results) : []
        }
    }

    private func onlyRound(of step: ProbeStep, _ results: ProbeResults) -> [FlightPlan] {
        switch step {
        case .meeting: meeting
        case .watching: watching
        case .head: [play("head") { $0.parts = [.init(1, afterEach: 3_000)] }]
        case .firstEvent: [play("first event") { $0.parts = [.init(1, afterEach: 0), .init(1, afterEach: 5_000)] }]
        case .comments:
            [
                play("comments") { script in
                    let comments = ProbeScript.Part(3, comments: true, afterEach: 200)
                    script.parts = [.init(1, afterEach: 0), comments, .init(1, afterEach: 200), comments, .init(1, afterEach: 200)]
                }
            ]
        case .heartbeat: heartbeat(results)
        case .lateHead: lateHead
        default: []
        }
    }

    private func play(_ label: String, _ write: (inout ProbeScript) -> Void) -> FlightPlan {
        var script = ProbeScript(nonce: maker.nonce(), askedAt: maker.unixSeconds())
        write(&script)
        let limit = Int64(script.durationMilliseconds) + Self.graceMilliseconds
        return FlightPlan(label, .play(script), limitMilliseconds: limit)
    }

    private func ask(about observation: Observation, after delay: Int64 = 0) -> FlightPlan? {
        guard let nonce = observation.plan.script?.nonce else { return nil }
        var plan = FlightPlan(
            "seen", .seen(nonce: nonce, askedAt: maker.unixSeconds()), limitMilliseconds: 2 * Self.graceMilliseconds)
        plan.delayMilliseconds = delay
        return plan
    }

    // MARK: Meeting, and any URL

    private var meeting: [FlightPlan] {
        if terms.steps.contains(.watching) {
            var compressed = FlightPlan("compressed", .url, limitMilliseconds: Self.graceMilliseconds)
            compressed.acceptsCompression = true
            return [compressed]
        }
        let plain = play("plain") { $0.parts = [.init(1, afterEach: 0)] }
        var compressed = play("compressed") { $0.parts = [.init(1, afterEach: 0)] }
        compressed.acceptsCompression = true
        return [plain, compressed]
    }

    private var watching: [FlightPlan] {
        let first = FlightPlan("first", .url, limitMilliseconds: terms.limitMilliseconds)
        var second = FlightPlan("second", .url, limitMilliseconds: terms.limitMilliseconds)
        second.delayMilliseconds = Self.staggerMilliseconds
        return [first, second]
    }

    // MARK: Buffering

    private func buffering(after rounds: [[Observation]], _ results: ProbeResults) -> [FlightPlan] {
        let steady = { (script: inout ProbeScript) in script.parts = [.init(20, afterEach: 250, bytes: 30)] }
        switch rounds.count {
        case 0:
            let plain = play("plain", steady)
            let asking = play("X-Accel-Buffering") { script in
                steady(&script)
                script.forbidsBuffering = true
            }
            var compressed = play("compressed", steady)
            compressed.acceptsCompression = true
            guard !terms.isHTTP2Only else { return [plain, asking, compressed] }
            // What a client gets that speaks the version before: of HTTP/2, or of HTTP/1.1.
            var older = play(results.speaksHTTP2 ? "HTTP/1.1" : "HTTP/1.0", steady)
            older.version = results.speaksHTTP2 ? .http11 : .http10
            return [plain, asking, compressed, older]
        case 1:
            // How much the hop collects is worth knowing only where it collects small events until the end.
            guard case .untilEnd? = rounds[0].first.flatMap({ Lumps($0, way: 0)?.kind }) else { return [] }
            let seconds = min(70, max(3, Int(terms.limitMilliseconds / 1_000) - 2))
            var large = play("1 KiB a second") { $0.parts = [.init(seconds, afterEach: 1_000, bytes: 1_024)] }
            large.itemLimit = 1
            return [large]
        default: return []
        }
    }

    // MARK: Limits

    /// A is silent between its first event and a last one that shows whether it still lives; B has a comment now and then.
    private func limits(after rounds: [[Observation]]) -> [FlightPlan] {
        let total = Int(terms.limitMilliseconds)
        let silent = { (label: String) in
            var plan = play(label) { script in
                script.parts = [.init(1, afterEach: 0), .init(1, afterEach: total - min(2_000, total / 4))]
                script.stays = true
            }
            plan.limitMilliseconds = terms.limitMilliseconds
            return plan
        }
        let gap = min(5_000, max(ProbeScript.shortestGapMilliseconds, total / 10))
        let talking = { (label: String) in
            var plan = play(label) { script in
                script.parts = [.init(1, afterEach: 0), .init(min(3_000, max(1, total / gap)), comments: true, afterEach: gap)]
                script.stays = true
            }
            plan.limitMilliseconds = terms.limitMilliseconds
            return plan
        }
        let later = { (plan: FlightPlan) in
            var plan = plan
            plan.delayMilliseconds = Self.staggerMilliseconds
            return plan
        }
        // Twelve silent connections of the next step repeat A, and there would be more than the probe may make.
        let isAlone = !terms.steps.contains(.forgetting)
        switch rounds.count {
        case 0 where isAlone: return [silent("silent"), talking("talking"), later(silent("silent")), later(talking("talking"))]
        case 0: return [silent("silent"), talking("talking")]
        case 1 where !isAlone:
            let again = rounds[0].filter(\.wasEnded).map { $0.plan.label == "silent" ? silent("silent") : talking("talking") }
            return again.isEmpty ? asks(about: rounds) : again
        default:
            let isAsked = rounds.contains { $0.contains { $0.plan.label == "seen" } }
            return isAsked ? [] : asks(about: rounds)
        }
    }

    private func asks(about rounds: [[Observation]]) -> [FlightPlan] {
        rounds.flatMap { $0 }.filter { $0.plan.script != nil && $0.headAt != nil }.compactMap { ask(about: $0) }
    }

    // MARK: Forgetting

    private func forgetting(after rounds: [[Observation]]) -> [FlightPlan] {
        let total = terms.limitMilliseconds
        let plays = rounds.filter { $0.first?.plan.label != "seen" }
        if rounds.isEmpty {
            // 15, 30, 60 … 600 s of ten minutes.
            return [1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40].map { silence(of: total * $0 / 40) }
        }
        if let last = rounds.last, last.first?.plan.label != "seen" {
            let lost = last.filter { !Silences.survived($0) && $0.headAt != nil }.compactMap { ask(about: $0) }
            if !lost.isEmpty { return lost }
        }
        let silences = Silences(plays.flatMap { $0 })
        guard plays.count == 1, silences.cutAt == nil, let fatal = silences.shortestFatal else { return [] }
        let survived = silences.longestSurvived ?? 0
        guard fatal - survived > 1_000 else { return [] }
        return (1...12).map { silence(of: survived + (fatal - survived) * Int64($0) / 13) }
    }

    private func silence(of milliseconds: Int64) -> FlightPlan {
        var plan = play("silence") { script in
            script.parts = [.init(1, afterEach: 0), .init(1, afterEach: Int(milliseconds))]
            script.stays = true
        }
        plan.itemLimit = 2
        return plan
    }

    // MARK: Heartbeat, late head

    private func heartbeat(_ results: ProbeResults) -> [FlightPlan] {
        guard let limit = HeartbeatJudgement.idleLimit(results), let gap = HeartbeatJudgement.interval(results) else { return [] }
        let count = max(1, min(3_000, Int(3 * limit) / gap))
        guard count * gap < ProbeScript.lifeMilliseconds else { return [] }
        return [play("heartbeat") { $0.parts = [.init(1, afterEach: 0), .init(count, comments: true, afterEach: gap)] }]
    }

    private var lateHead: [FlightPlan] {
        let seconds: [Int64] = [20, 30, 60, 100, 120]
        let scale = min(terms.limitMilliseconds, 120_000)
        return seconds.map { second in
            var plan = play("\(second) s") { script in
                script.holdMilliseconds = Int(second * scale / 120)
                script.parts = [.init(1, afterEach: 0)]
            }
            plan.itemLimit = 1
            return plan
        }
    }

    // MARK: Leaving, width

    private func leaving(after rounds: [[Observation]], _ results: ProbeResults) -> [FlightPlan] {
        guard let left = rounds.first?.first else {
            var plan = play("leaving") { script in
                script.parts = [.init(1, afterEach: 0)]
                script.stays = true
            }
            plan.itemLimit = 1
            plan.limitMilliseconds = Self.graceMilliseconds
            plan.sharesConnection = results.speaksHTTP2
            return [plan]
        }
        guard !left.items.isEmpty, rounds.count <= Self.askLimit else { return [] }
        if case .ended? = results.sighting(of: left) { return [] }
        guard var ask = ask(about: left, after: 1_000) else { return [] }
        // Over HTTP/2 a client leaves by a reset of its stream. The connection stays, so that its end tells nobody.
        ask.sharesConnection = left.plan.sharesConnection
        return [ask]
    }

    private func width(after rounds: [[Observation]], _ results: ProbeResults) -> [FlightPlan] {
        switch rounds.count {
        case 0:
            return (1...8).map { number in
                var plan = play("stream \(number)") { $0.parts = [.init(1, afterEach: 0), .init(4, afterEach: 500)] }
                plan.sharesConnection = results.speaksHTTP2
                return plan
            }
        case 1:
            guard let first = rounds[0].first(where: \.isFromEndpoint), let script = first.plan.script else { return [] }
            return [FlightPlan("again", .play(script), limitMilliseconds: Self.graceMilliseconds)]
        default: return []
        }
    }
}
