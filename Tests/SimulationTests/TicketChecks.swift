// What must hold of tickets besides what holds of tokens: who gets one, that streams end when it is taken back, and only then, that fresh
// ones come only to those who brought one, and that nobody but the client ever sees one.

import Foundation
import TestSupport

@testable import Reactor

extension Scenario {
    func checkTickets(_ log: LogView) {
        guard let rules = plan.credentials, let tickets = plan.tickets else { return }
        for call in ticketHolders.flatMap(\.calls) where !isTooMany(call.crowding) { checkCall(call, rules, tickets) }
        for truth in truths.values {
            guard let brought = truth.credentials?.ticket, let askedAt = truth.askedAt else { continue }
            checkTakenBack(truth, brought.ticket.family, from: askedAt, log)
        }
        for attempt in eventSources.flatMap(\.attempts) {
            guard let cookie = attempt.response?["set-cookie"], cookie.hasPrefix(TicketPlan.cookie) else { continue }
            let brought = attempt.truth.credentials?.ticket
            expect(
                brought?.isInCookie == true && tickets.renews && attempt.response?.status == 200,
                "\(attempt.truth.path): a fresh ticket for somebody who brought none in a cookie")
        }
        let bytes = Data(lines.bytes)
        let texts = truths.values.compactMap { $0.credentials?.ticket?.ticket.text } + ticketHolders.compactMap { $0.current?.text }
        for text in texts.sorted().prefix(12) {
            // The whole text differs from ticket to ticket from its sixth character on.
            expect(bytes.range(of: Data(text.utf8.dropFirst(8).prefix(24))) == nil, "the log holds a ticket")
        }
    }

    /// Who asks for a ticket with a good token gets it, and nobody else.
    private func checkCall(_ call: TicketHolderActor.Call, _ rules: CredentialPlan, _ tickets: TicketPlan) {
        guard let response = call.response, let heardAt = call.heardAt, response.status != 503 else { return }
        let name = TicketPlan.endpoint
        let isGiven = response.status == 200 || response.status == 204
        expect(response["cache-control"] == "no-store", "\(name): an answer may be stored")
        let isForeign = call.origin == TicketPlan.foreigner
        let isReadable = response["access-control-allow-origin"] == TicketPlan.friend
        expect(isReadable == (call.origin == TicketPlan.friend), "\(name): a page of '\(call.origin)' can read it: \(isReadable)")
        guard let token = call.token else {
            return expect(response.status == 204, "\(name): \(response.status) to a page that takes its ticket back")
        }
        let readings = kernel.clockReadings(from: call.askedAt, to: heardAt)
        let possible = token.verdicts(at: readings, rules)
        if isForeign { return expect(response.status == 403, "\(name): \(response.status) to a page of a foreign origin") }
        world.count(isGiven ? "ticket given" : "ticket refused: \(response.status)")
        if isGiven {
            expect(possible.contains(.good), "\(name): given for a token that is not good: \(possible)")
            return expect((response.status == 204) == call.asksForCookie, "\(name): \(response.status) in the wrong place")
        }
        // Within the leeway a token is still good, and over for a ticket.
        let isOver = readings.contains { $0.upperBound >= token.expires }
        let holds = possible.contains { verdict in
            switch verdict {
            case .good: isOver && response.status == 401
            case .forbidden: response.status == 403
            case .refused, .expired: response.status == 401
            case .unavailable: response.status == 503
            }
        }
        expect(holds, "\(name): refused with \(response.status), and a check finds \(possible)")
    }

    /// Streams end soon after their ticket was taken back, and not before.
    private func checkTakenBack(_ truth: Truth, _ family: TicketFamily, from askedAt: Int64, _ log: LogView) {
        for record in log.records(of: truth.path) {
            let moments = log.moments(of: record)
            if record["cause"] as? String == "revoked" {
                world.count("ended because its ticket was taken back")
                let holds = family.takenBackAt.map { takenBackAt in moments.contains { $0 >= takenBackAt } } ?? false
                expect(holds, "\(truth.path): revoked, and nobody has taken its ticket back")
            }
            guard record["event"] as? String == "stream_end", Set(moments).count == 1, let toldAt = family.toldAt, toldAt >= askedAt
            else { continue }
            let latest = toldAt + 1_500 + Int64(8 * plan.faults.delayMilliseconds.upperBound)
            if world.leapt(between: toldAt, and: moments[0]) { continue }
            expect(
                moments[0] <= latest, "\(truth.path): lives \(moments[0] - toldAt) ms after its ticket was taken back")
        }
    }
}
