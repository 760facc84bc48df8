// What must hold of the ends of tokens: no stream lives longer than its token, none ends before it, a warning comes at most once, and no
// server is joined for a client whose token has run out. Invariant: a step of the wall clock lengthens a stream only until the moment at
// which its token ends by one of the times of day that there were meanwhile.

import Configuration
import Foundation
import ReferenceEventSource

@testable import Reactor

extension SimulatedToken {
    /// When a stream that is opened at this moment ends with its token, both in milliseconds since 1970. One that is opened within the
    /// leeway lives for as long as the leeway.
    func streamEnd(openedAt opened: Int64, _ rules: CredentialPlan) -> Int64 {
        max(expires * 1_000, opened) + rules.leewaySeconds * 1_000
    }
}

extension Scenario {
    /// For how long the end of an event is waited for.
    private static let patienceMilliseconds: Int64 = 1_000

    /// Everything about the ends of tokens.
    func checkTokenEnds(_ log: LogView) {
        guard let rules = plan.credentials else { return }
        for truth in truths.values {
            guard let token = truth.credentials?.token, let askedAt = truth.askedAt else { continue }
            // Above a limit of clients a request waits for its turn. It is checked before its server has it.
            let waits = plan.troubles.limits
            let startedAt = max(askedAt, waits ? (truth.arrivals.first?.headCameAt ?? 0) - Scenario.checkDelay(plan) : 0)
            checkArrivals(truth, until: latestEnd(token, from: startedAt, rules))
            guard let ending = log.ending(of: truth.path) else { continue }
            checkLife(ending, truth, token, from: startedAt, rules, log)
        }
        for client in clients {
            for (truth, response) in zip(client.truths, client.reader.responses) { checkWarnings(response, truth, log, rules) }
        }
        for attempt in eventSources.flatMap(\.attempts) {
            if let response = attempt.response { checkWarnings(response, attempt.truth, log, rules) }
        }
    }

    /// The last moment at which a stream may still have its token, whatever was done to the clock since it was asked for.
    private func latestEnd(_ token: SimulatedToken, from start: Int64, _ rules: CredentialPlan) -> Int64 {
        // The check may have been late, and then a stream that is opened within the leeway ends late.
        let late = kernel.clockOffsets.map { offset in
            let epoch = SimulatedKernel.epochMilliseconds + offset
            let isFetched = token.keyName != nil
            let opened = epoch + start + Scenario.checkDelay(plan) + (isFetched ? Scenario.askingMilliseconds : 0)
            let end = token.streamEnd(openedAt: opened, rules) - epoch
            // One that was held for its issuer's sake was checked at some moment while it was good.
            return isFetched ? max(end, (token.expires + 2 * rules.leewaySeconds) * 1_000 - epoch) : end
        }
        return late.max() ?? .max
    }

    /// How long a request is on its way to its check, at most.
    private static func checkDelay(_ plan: Plan) -> Int64 {
        Int64(40 * plan.faults.delayMilliseconds.upperBound) + (plan.faults.acceptExhausted > 0 ? 3_000 : 0) + 4_000
    }

    /// No server is asked for a client whose token has run out while it waited.
    private func checkArrivals(_ truth: Truth, until end: Int64) {
        let servers = Int64(plan.serverNames.count)
        let connecting = servers * (plan.isSecuredUpstream ? 3_000 : 1_000) + Int64(8 * plan.faults.delayMilliseconds.upperBound) + 1_000
        for arrival in truth.arrivals where !world.leapt(between: truth.askedAt ?? 0, and: arrival.cameAt) {
            expect(
                arrival.headCameAt <= end + connecting,
                "\(truth.path): came to a server \(arrival.headCameAt - end) ms after the end of its token")
        }
    }

    private func checkLife(
        _ ending: [String: Any], _ truth: Truth, _ token: SimulatedToken, from start: Int64, _ rules: CredentialPlan, _ log: LogView
    ) {
        let moments = log.moments(of: ending).filter { $0 >= start }
        let cause = ending["cause"] as? String
        if cause == "token_expired" {
            // The line's own time is the wall clock's.
            world.count("a stream ended with its token")
            let told = log.unixMilliseconds(of: ending) ?? 0
            let end = (token.expires + rules.leewaySeconds) * 1_000
            expect(told >= end, "\(truth.path): ended \(end - told) ms before its token")
        }
        // Where its key was never there, nobody knew when its time was over.
        if token.keyName != nil, truth.arrivals.isEmpty { return }
        guard let ended = moments.min(), !world.leapt(between: start, and: ended) else { return }
        let way = Int64(2 * plan.faults.delayMilliseconds.upperBound) + 4 * TimerWheel.tickMilliseconds
        // One whose token ran out while its server did not answer is opened to tell its client so.
        let held = log.records.first { $0["held_because"] != nil && $0["stream"] as? String == ending["stream"] as? String }
        let opened = held.flatMap { log.moments(of: $0).filter { $0 <= ended }.max() } ?? 0
        let latest = max(latestEnd(token, from: start, rules), opened) + Scenario.patienceMilliseconds + way
        expect(ended <= latest, "\(truth.path): \(cause ?? "") \(ended - latest) ms after its token's last moment")
    }

    /// A warning in front of the server's first event repeats the id that the client brought, as its blank line would take it away from
    /// some clients. What follows without an id of its own then has this one.
    func idOfWarning(_ read: ReferenceEventSource, _ truth: Truth) -> [UInt8] {
        guard truth.credentials != nil, !truth.lastEventID.isEmpty, let first = read.events.first,
            first.type == Array(CredentialChecks.warningEvent.utf8), first.lastEventID == truth.lastEventID
        else { return [] }
        return Array("id: ".utf8) + truth.lastEventID + [10]
    }

    /// A warning comes at most once, says the truth, and is no event of the server's.
    private func checkWarnings(_ response: Response, _ truth: Truth, _ log: LogView, _ rules: CredentialPlan) {
        guard truth.credentials != nil, response.status == 200, response.isEventStream, response["content-encoding"] == nil else { return }
        let read = ReferenceEventSource(reading: response.body, after: truth.lastEventID)
        let warnings = read.events.filter { $0.type == Array(CredentialChecks.warningEvent.utf8) }
        let ends = read.events.count { $0.type == Array(CredentialChecks.expiryEvent.utf8) }
        expect(ends <= 1, "\(truth.path): told \(ends) times that its token has expired")
        guard let warning = warnings.first else { return }
        world.count("warned of the end of its token")
        expect(warnings.count == 1, "\(truth.path): warned \(warnings.count) times")
        guard let lead = rules.warningMilliseconds else { return expect(false, "\(truth.path): warned, and nobody asked for it") }
        let text = String(decoding: warning.data, as: UTF8.self)
        let seconds = text.split(separator: ":").last.flatMap { Int($0.dropLast()) } ?? -1
        let most = (lead + lead / 2 + 999) / 1_000
        expect((0...most).contains(seconds), "\(truth.path): warned with \(text), and at most \(most) s are asked for")
    }
}
