// What must hold where the keys of an issuer are fetched, beyond what holds of all tokens: who waits for keys is served as soon as they are
// there, and the issuer is asked neither too often nor too seldom.

import Configuration
import Foundation
import TestSupport

@testable import Reactor

extension Scenario {
    /// Many requests whose tokens name keys that nobody has.
    func addFlood(_ mint: Mint) {
        guard let house, world.chance.permille(300) else { return }
        let begin = Int64(world.chance.number(0...25_000))
        for number in 0..<world.chance.number(5...25) {
            world.after(begin + Int64(world.chance.number(0...12_000))) { [self] in
                let truth = Truth(path: "\(CredentialPlan.path)get/flood/\(number)", isStream: false)
                var token = SimulatedToken(user: "flood-\(number)", expires: kernel.unixMilliseconds() / 1_000 + 600)
                house.signUnknown(&token, by: mint)
                truth.credentials = BroughtCredentials(token: token)
                register(truth)
                let head = "GET \(truth.path) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token.text)\r\n\r\n"
                clients.append(
                    SimulatedClient(
                        world, connection(from: 1_400 + number), truths: [truth], requests: [Array(head.utf8)], isSlow: false,
                        sendsAllAtOnce: false))
            }
        }
    }

    /// Everything about an issuer whose keys are fetched.
    func checkFetchedKeys(_ log: LogView) {
        guard let house, let rules = plan.credentials else { return }
        outcome.problems += house.problems(until: drainsSince)
        for record in log.records where record["cause"] as? String == "authorization_unavailable" { checkUnavailable(record) }
        // Where servers have no troubles, what keeps somebody from a server is the key.
        guard !plan.troubles.outages, !plan.troubles.insecurity || !plan.isSecuredUpstream else { return }
        for opening in log.records where opening["held_because"] as? String == "authorization_unavailable" {
            checkJoining(opening, house, log, rules)
        }
    }

    /// How somebody is told that nobody can judge its token now.
    private func checkUnavailable(_ record: [String: Any]) {
        let path = record["path"] as? String ?? ""
        world.count("credentials could not be judged")
        guard record["event"] as? String == "access" else { return }
        expect(
            record["credential_error"] as? String == "unavailable",
            "\(path): its credentials could not be judged, and the log says otherwise")
        let isHeldElse = truths[path]?.credentials?.isEventSource == true && plan.outage != .refuse
        expect(!isHeldElse || record["status"] as? Int == 200, "\(path): refused because its credentials could not be judged, and not held")
    }

    /// Whether nobody could judge a token just before that moment.
    func isTrueOfUnavailability(_ record: [String: Any], _ truth: Truth, at moment: Int64) -> Bool {
        guard let rules = plan.credentials, let brought = truth.credentials, let askedAt = truth.askedAt, moment >= askedAt else {
            return false
        }
        return verdicts(brought, max(askedAt, moment - Scenario.tellingMilliseconds), moment, rules).contains(.unavailable)
    }

    /// How long a decision about a request may wait for somebody whom the proxy asks, in milliseconds.
    func longestAsking(for truth: Truth) -> Int {
        truth.credentials?.token?.keyName == nil ? 0 : KeyHouse.timeoutMilliseconds + 2 * Int(TimerWheel.tickMilliseconds)
    }

    /// How long a request without an answer may wait for keys: for a fetch that is on its way, and for its own.
    static let askingMilliseconds: Int64 = 3_200

    /// How long after a decision its line may have been written.
    private static let tellingMilliseconds: Int64 = 100

    /// Somebody who was held because of a missing key goes on as soon as the key is there.
    private func checkJoining(_ opening: [String: Any], _ house: KeyHouse, _ log: LogView, _ rules: CredentialPlan) {
        guard let path = opening["path"] as? String, !Scenario.isShared(path), let truth = truths[path], let brought = truth.credentials,
            let name = brought.token?.keyName, let heldAt = log.moments(of: opening).first, let ending = log.ending(of: path),
            let endedAt = log.moments(of: ending).first
        else { return }
        let soon = Int64(plan.serverNames.count) * (plan.isSecuredUpstream ? 3_000 : 1_000) + 2 * house.service.travelMilliseconds + 1_000
        guard let knownAt = house.certainlyKnown(name, from: heldAt, forMilliseconds: soon), endedAt > knownAt + soon,
            knownAt + soon < drainsSince, verdicts(brought, heldAt, knownAt + soon, rules).subtracting([.unavailable]) == [.good]
        else { return }
        world.count("held until its key was there")
        expect(
            truth.arrivals.contains { $0.headCameAt <= knownAt + soon },
            "\(path): its key was there \(soon) ms ago, and no server has been asked")
    }
}
