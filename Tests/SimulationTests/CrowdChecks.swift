// What must hold where many clients come at once: a client is refused by a limit only where there were too many, few of the waiting
// clients try a server, and clients that are told to come back do so at different moments.

import Configuration
import ReferenceEventSource

@testable import Downstreams
@testable import Reactor
@testable import Upstreams

extension Scenario {
    /// Whether a connection was among the many that were closed without reading their request.
    func isTurnedAwayUnheard(_ crowding: Crowding?) -> Bool {
        guard let crowding else { return false }
        let limits = plan.configuration.limits
        // A stream that shares its connection counts as half a connection; one that was just replaced may still count.
        let sharing = plan.speaksHTTP2 ? eventSources.count + clients.count : 0
        if crowding.total + sharing > limits.connections + ConnectionCounts.roomAbove(limit: limits.connections) { return true }
        guard limits.connectionsPerClient > 0 else { return false }
        return crowding.ofPeer > limits.connectionsPerClient + ConnectionCounts.roomAbove(limit: limits.connectionsPerClient)
    }

    /// Whether a connection, or one more stream of it, was above the limit.
    func isTooMany(_ crowding: Crowding?) -> Bool {
        guard let crowding else { return false }
        let limits = plan.configuration.limits
        // What there was when the connection came says nothing of its later streams.
        if plan.speaksHTTP2, limits.connections < Plan.muchRoom { return true }
        return crowding.total > limits.connections || (limits.connectionsPerClient > 0 && crowding.ofPeer > limits.connectionsPerClient)
    }

    /// Of many waiting clients only a few try at a time, and clients that are told to come back do not return together.
    func checkCrowd(_ log: LogView) {
        checkSpread(log)
        guard plan.troubles.crowdedOutage, let returned = servers.first?.cameBackAt else { return }
        checkTurns(since: returned)
        // A server that takes longer to refuse than to accept a connection looks like one that serves, and gets more and more requests.
        if case .failing? = crowdedOutage, plan.troubles.slowServers { return }
        // Every client tries once for itself, and again after it was told to come back; the others are those who wait.
        let asked = eventSources.flatMap(\.attempts).map(\.beganAt) + (pesterer?.askedAt ?? [])
        // From request to attempt: the network, the acceptor's pause when no descriptor was left, and the other servers first.
        let rest = plan.faults.acceptExhausted > 0 ? 1_000 : 0
        let way = Int64(100 + 2 * plan.faults.delayMilliseconds.upperBound + rest + 1_000 * servers.count)
        let usual = Int64(plan.configuration.upstreams[0].failureCooldownMilliseconds)
        for server in servers {
            // If the proxy had no descriptor for an attempt, the attempt never left.
            let tries = kernel.attempts.filter {
                $0.address == server.address && $0.beganAt < returned && $0.outcome != .exhausted
            }.map(\.beganAt)
            for (index, moment) in tries.enumerated() {
                let window = moment...(moment + usual)
                let count = tries[index...].prefix { window.contains($0) }.count
                let fresh = asked.filter { (window.lowerBound - way)...window.upperBound ~= $0 }.count
                // A client's first request to a server that breaks HTTP's rules is sent once more.
                let repeated = servers.flatMap(\.spoiltHandshakes).filter { ($0.at - way...$0.at).overlaps(window) }.count
                // Each server may be tried for another waiting client. Workers that serve the console have more to do at once.
                // A few requests meet a server that closes at that moment, and are sent once more (seed 1795881683270 at 754bee8).
                let allowed = (2 * plan.workerCount + (hasConsole ? 4 : 2)) * servers.count + fresh + fresh / 20 + repeated
                // Where time jumps, all timeouts end at the same moment.
                guard count > allowed, !world.leapt(between: window.lowerBound - way, and: window.upperBound) else { continue }
                return outcome.problems.append(
                    "\(count) attempts to connect within \(usual) ms while \(fresh) were asking for the first time")
            }
        }
    }

    /// Waiting clients are served soon after their servers are back, whatever others get on other paths.
    private func checkTurns(since returned: Int64) {
        let troubles = plan.troubles
        // Other troubles of servers may keep a client waiting too.
        guard !troubles.oddities, !troubles.slowServers, !troubles.nonsense, !troubles.clock, !plan.isSecuredUpstream else { return }
        // A client that comes while the proxy has no descriptor is told to come back much later.
        guard plan.faults.acceptExhausted == 0, plan.faults.connectExhausted == 0 else { return }
        // A client that is sent back after a few seconds begins again behind all others; where only a few wait, strangers may go first for
        // longer than this check allows (HEARTWIRE_SEED=1795871706043 at 0a14b50).
        if case .retry(let holdMilliseconds) = plan.outage, holdMilliseconds < 12_000, eventSources.count <= 3 { return }
        // The longest pause that a client makes by itself, and time for clients that have not failed before.
        var soon = returned + 7_500 + 4_500
        // Where only a few wait, each server that lets a request hang costs all of them its timeout and its cooldown.
        if eventSources.count <= 3 {
            soon += 7_500 * Int64(truths.values.flatMap(\.arrivals).count { $0.answer == nil && $0.cameAt + 5_000 > returned })
        }
        guard soon < calmSince else { return }
        for source in eventSources where !source.isDead && !source.hasLeft {
            let isServed = source.attempts.contains { attempt in
                attempt.truth.arrivals.contains { $0.answer?.isStream == true && $0.answeredAt ?? .max <= soon }
            }
            expect(isServed, "/es/\(source.number): not served \(soon - returned) ms after its servers were there again")
        }
    }

    private func checkSpread(_ log: LogView) {
        var told: [UInt64] = []
        for attempt in eventSources.flatMap(\.attempts) {
            guard let cause = log.records(of: attempt.truth.path).first?["cause"] as? String, attempt.response?.isComplete == true else {
                continue
            }
            let range: Range<UInt64>? =
                switch cause {
                case "sent_back": 1_000..<3_001
                case "refused_by_limit", "proxy_error": plan.outage == .refuse ? 1_500..<4_501 : 4_000..<12_001
                case "token_expired": 1_000..<3_001
                // The server's own time counts for a stream that was its.
                case "authorization_unavailable" where attempt.truth.present != nil: nil
                case "revoked": nil
                case "credentials_refused", "upstream_finished", "drained", "ended_by_operator", "client_closed", "upstream_silent": nil
                default: 1_500..<4_501
                }
            guard let range, attempt.response?.isEventStream == true, attempt.response?.status == 200 else { continue }
            guard let retry = attempt.read.reconnectionTimeMilliseconds else {
                // Compressed bytes hold no line of the proxy's, and bytes that wait keep one from its place.
                if cause == "token_expired" { continue }
                outcome.problems.append("\(attempt.truth.path): \(cause), and not told when to come back")
                continue
            }
            expect(range.contains(retry), "\(attempt.truth.path): \(cause), told to come back after \(retry) ms")
            told.append(retry)
        }
        // Four equal random values are less likely than one in a hundred million.
        if told.count >= 4 { expect(Set(told).count > 1, "\(told.count) clients were all told to come back after \(told[0]) ms") }
    }
}
