// What must hold of credentials: no server gets a request whose token is not good, nobody is refused whose token is good, everybody is told
// what the specification says, nobody gets what was meant for another user, and no log holds a token. Invariant: the truth about a token
// comes from its making, and the time of day from the simulated kernel.

import Foundation
import ReferenceEventSource
import TestSupport

@testable import Reactor

enum CredentialChecks {
    /// For how long after its end an EventSource is told that its token has expired, in seconds.
    static let toldSeconds: Int64 = 300
    /// The proxy's event about that.
    static let expiryEvent = "token_expired"
    /// The proxy's event before it.
    static let warningEvent = "token_expiring"
    /// The event in which a server says for whom its stream is, and the field in which it says it of another answer.
    static let identityEvent = "identity"
    static let identityField = "X-Identity"
    /// What every token begins with, and no line of a log may hold.
    fileprivate static let marks = ["eyJ", "garbage-", "dXNlcjpwYXNz"]
}

extension Verdict {
    /// Whether a refusal with that word of the log, and that status, tells it.
    fileprivate func isTold(_ word: String?, _ status: Int?, _ brought: BroughtCredentials) -> Bool {
        if let status, status != self.status(brought) { return false }
        guard let word else { return true }
        return switch self {
        case .good: false
        case .expired: word == "expired"
        case .refused(let words): words.contains(word)
        case .forbidden(let fault): word == fault
        case .unavailable: word == "unavailable"
        }
    }

    /// The status of the answer; nil for whatever the server answers.
    fileprivate func status(_ brought: BroughtCredentials) -> Int? {
        switch self {
        case .good: nil
        case .expired(let seconds): brought.isEventSource && seconds < CredentialChecks.toldSeconds ? 200 : 401
        case .refused: brought.faults.isEmpty ? 401 : brought.status
        case .forbidden: 403
        case .unavailable: 503
        }
    }

    /// What the answer's `WWW-Authenticate` names as the error; nil for nothing.
    fileprivate func challenge(_ brought: BroughtCredentials) -> String? {
        switch self {
        case .good: nil
        case .expired: "invalid_token"
        case .refused: brought.faults.isEmpty ? "invalid_token" : brought.status == 400 ? "invalid_request" : nil
        case .forbidden: "insufficient_scope"
        case .unavailable: nil
        }
    }
}

extension Scenario {
    func checkCredentials(_ log: LogView) {
        guard let rules = plan.credentials else { return }
        for truth in truths.values {
            for arrival in truth.arrivals { checkArrival(arrival, truth, rules) }
        }
        for client in clients {
            for (truth, response) in zip(client.truths, client.reader.responses) where !isTooMany(client.crowding) {
                checkAnswer(response, truth, rules)
            }
        }
        for attempt in eventSources.flatMap(\.attempts) where !isTooMany(attempt.crowding) {
            if let response = attempt.response { checkAnswer(response, attempt.truth, rules) }
        }
        for visit in members.flatMap(\.visits) where !isTooMany(visit.crowding) {
            guard let response = visit.response else { continue }
            checkAnswer(response, visit.path, visit.credentials, asked: visit.askedAt, heard: visit.heardAt, after: [], rules)
        }
        for record in log.records { checkServed(record, log, rules) }
        checkSecrecy()
        checkFetchedKeys(log)
    }

    /// All that a check may find of credentials between the two moments.
    func verdicts(_ brought: BroughtCredentials, _ start: Int64, _ end: Int64, _ rules: CredentialPlan) -> Set<Verdict> {
        let readings = kernel.clockReadings(from: start, to: max(start, end))
        if let ticket = brought.ticket, let tickets = plan.tickets, brought.faults.isEmpty {
            let use = (path: ticket.path, origin: ticket.origin, host: ticket.host)
            return ticket.ticket.verdicts(from: start, to: end, readings, use, rules, tickets)
        }
        let found = brought.verdicts(at: readings, rules)
        guard let house, brought.faults.isEmpty, let token = brought.token, let name = token.keyName else { return found }
        return house.verdicts(found, of: token, named: name, within: start...max(start, end))
    }

    // MARK: What servers get

    private func checkArrival(_ arrival: Arrival, _ truth: Truth, _ rules: CredentialPlan) {
        let path = truth.path
        expect(!arrival.cookieHoldsToken, "\(path): its server got a token in a cookie")
        if path.hasPrefix(Member.path) { return checkVisitor(arrival, path, rules) }
        guard let brought = truth.credentials, let askedAt = truth.askedAt else {
            return expect(arrival.users.isEmpty, "\(path): its server was told that it is for \(arrival.identity)")
        }
        let possible = verdicts(brought, askedAt, arrival.cameAt, rules)
        expect(possible.contains(.good), "\(path): came to a server, and its token is not good: \(possible)")
        expect(isTold(arrival, brought), "\(path): \(arrival.identity) with \(arrival.authorizations), and it is \(brought)")
    }

    /// Whether a server was told exactly whose request it is.
    private func isTold(_ arrival: Arrival, _ brought: BroughtCredentials) -> Bool {
        guard let token = brought.token else {
            return arrival.users.isEmpty && arrival.authorizations.allSatisfy { $0.isEmpty || $0 == "Bearer" }
        }
        return arrival.users == [token.user] && arrival.authorizations == ["Bearer \(token.text)"]
    }

    /// A request for a room must be one that a member sent, with all that belongs to it.
    private func checkVisitor(_ arrival: Arrival, _ path: String, _ rules: CredentialPlan) {
        let isMembers = members.flatMap(\.visits).contains { visit in
            visit.path == path && visit.askedAt <= arrival.cameAt && isTold(arrival, visit.credentials)
                && verdicts(visit.credentials, visit.askedAt, arrival.cameAt, rules).contains(.good)
        }
        expect(isMembers, "\(path): \(arrival.identity) came to a server with \(arrival.authorizations), and nobody may")
    }

    // MARK: What clients get

    private func checkAnswer(_ response: Response, _ truth: Truth, _ rules: CredentialPlan) {
        guard let brought = truth.credentials, let askedAt = truth.askedAt else { return }
        checkAnswer(response, truth.path, brought, asked: askedAt, heard: truth.heardAt, after: truth.lastEventID, rules)
    }

    private func checkAnswer(
        _ response: Response, _ path: String, _ brought: BroughtCredentials, asked: Int64, heard: Int64?, after id: [UInt8],
        _ rules: CredentialPlan
    ) {
        let possible = verdicts(brought, asked, heard ?? world.now, rules)
        checkIdentity(response, path, brought.token?.user ?? "nobody", after: id)
        if response.status == 200, response.isEventStream, response["content-encoding"] == nil {
            let read = ReferenceEventSource(reading: response.body, after: id)
            // A stream that ended with its token began with a comment or with what its server sent, or was held.
            let isOwn = response["content-length"] != nil
            if isOwn, read.events.contains(where: { $0.type == Array(CredentialChecks.expiryEvent.utf8) }) {
                return checkExpiry(response, read, path, brought, possible, after: id)
            }
            // A client that left has not read the event.
            if isOwn, !response.isComplete, possible.contains(where: { $0.status(brought) == 200 }) { return }
        }
        guard let challenge = response["www-authenticate"] else {
            // The server's own answer, or the proxy's about something else.
            // One whom nobody can judge is held, or refused as long as that is so.
            let isUnjudged = possible.contains(.unavailable) && (response.status == 503 || response.isEventStream)
            return expect(
                possible.contains(.good) || isUnjudged, "\(path): answered \(response.status), and its token is not good: \(possible)")
        }
        let isTrue = possible.contains { verdict in
            guard verdict.status(brought) == response.status, challenge.hasPrefix("Bearer realm=") else { return false }
            guard let error = verdict.challenge(brought) else { return !challenge.contains("error") }
            return challenge.contains("error=\"\(error)\"")
        }
        world.count("refused for credentials: \(response.status)")
        expect(isTrue, "\(path): refused with \(response.status) (\(challenge)), and a check finds \(possible)")
        expect(response["cache-control"]?.contains("no-store") == true, "\(path): a refusal for credentials may be stored")
    }

    /// Nobody gets what was made for somebody else.
    private func checkIdentity(_ response: Response, _ path: String, _ user: String, after id: [UInt8]) {
        if let identity = response[CredentialChecks.identityField.lowercased()] {
            expect(identity == user, "\(path): the answer to \(user) was made for \(identity)")
        }
        guard response.isEventStream, response["content-encoding"] == nil else { return }
        for event in ReferenceEventSource(reading: response.body, after: id).events
        where event.type == Array(CredentialChecks.identityEvent.utf8) {
            world.count("stream of a user")
            let identity = String(decoding: event.data, as: UTF8.self)
            expect(identity == user, "\(path): the stream of \(user) was made for \(identity)")
        }
    }

    /// The stream about an expired token.
    private func checkExpiry(
        _ response: Response, _ read: ReferenceEventSource, _ path: String, _ brought: BroughtCredentials, _ possible: Set<Verdict>,
        after id: [UInt8]
    ) {
        world.count("told in an event that its token has expired")
        let told: [Int64] = possible.compactMap { verdict in
            // A token that ran out while its request waited: its client is told, however long ago that was by a clock that leapt.
            guard case .expired(let seconds) = verdict, verdict.status(brought) == 200 || possible.contains(.good) else { return nil }
            return seconds
        }
        guard let least = told.min(), let most = told.max() else {
            return expect(false, "\(path): told that its token has expired, and a check finds \(possible)")
        }
        expect(read.events.count == 1, "\(path): \(read.events.count) events about an expired token")
        expect(read.lastEventID == id, "\(path): the event about an expired token changes the last event id")
        let allowed = CredentialChecks.retryMilliseconds(least)...CredentialChecks.retryMilliseconds(most)
        let retry = read.reconnectionTimeMilliseconds ?? 0
        expect(allowed.contains(retry), "\(path): told to come back with another token after \(retry) ms, not \(allowed)")
        expect(response["cache-control"]?.contains("no-store") == true, "\(path): a stream about an expired token may be stored")
    }

    // MARK: What is logged

    /// Whether a refusal's record is true at that moment.
    func isTrueOfCredentials(_ record: [String: Any], _ truth: Truth, at moment: Int64) -> Bool {
        guard let rules = plan.credentials, let brought = truth.credentials, let askedAt = truth.askedAt, moment >= askedAt else {
            return false
        }
        let (word, status) = (record["credential_error"] as? String ?? "", record["status"] as? Int)
        let possible = verdicts(brought, askedAt, moment, rules)
        // A token that ran out while its request waited is told in an event, however long ago that was by a clock that leapt.
        let ranOut = possible.contains(.good) && possible.contains { if case .expired = $0 { true } else { false } }
        if ranOut, word == "expired", status == 200, brought.isEventSource { return true }
        // One who was held got its status before.
        let wasHeld = record["held_ms"] != nil && possible.contains(.unavailable)
        return possible.contains { $0.isTold(word, wasHeld ? nil : status, brought) }
    }

    /// A request whose record says nothing about its credentials had good ones.
    private func checkServed(_ record: [String: Any], _ log: LogView, _ rules: CredentialPlan) {
        guard let path = record["path"] as? String, let truth = truths[path], let brought = truth.credentials, let askedAt = truth.askedAt
        else { return }
        let cause = record["cause"] as? String
        if cause == "credentials_refused" || cause == "refused_by_limit" || record["side"] as? String == "client" { return }
        if record["held_because"] as? String == "authorization_unavailable" {
            let isTrue = log.moments(of: record).contains { isTrueOfUnavailability(record, truth, at: $0) }
            return expect(isTrue, "\(path): held because its credentials could not be judged, and they could")
        }
        // It waited for a verdict to its end.
        if cause != nil, house != nil, truth.arrivals.isEmpty { return }
        let possible = verdicts(brought, askedAt, truth.arrivals.first?.cameAt ?? log.moments(of: record).max() ?? askedAt, rules)
        expect(possible.contains(.good), "\(path): \(cause ?? "served"), and its token is not good: \(possible)")
    }

    /// No line holds a token, a part of one, or other credentials.
    private func checkSecrecy() {
        let bytes = Data(lines.bytes)
        for mark in CredentialChecks.marks {
            expect(bytes.range(of: Data(mark.utf8)) == nil, "the log holds what begins like a token: \(mark)")
        }
        let tokens = members.flatMap { $0.visits.compactMap(\.credentials.token) } + truths.values.compactMap { $0.credentials?.token }
        for token in tokens.prefix(CredentialChecks.searchedTokens) {
            guard let signature = token.text.split(separator: ".").last, signature.count > 8 else { continue }
            expect(bytes.range(of: Data(signature.utf8)) == nil, "the log holds the signature of a token of \(token.user)")
        }
    }
}

extension CredentialChecks {
    /// More signatures than these are not searched for, because it takes time.
    fileprivate static let searchedTokens = 8

    /// When a client comes back whose token has been over for so long.
    fileprivate static func retryMilliseconds(_ seconds: Int64) -> UInt64 { UInt64(min(max(seconds * 500, 2_000), 20_000)) }
}
