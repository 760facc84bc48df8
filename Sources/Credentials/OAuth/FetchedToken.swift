// A token of the proxy's own, which an authorization server issues to it (RFC 6749 section 4.4): one object for all workers, which
// outlives reloads. It says when a fetch may begin, and tells the workers when one has ended; it fetches nothing itself.
// Invariant: no description and no message holds a byte of a token or of what the server answered.

import Synchronization

/// A token as a request carries it.
package struct IssuedToken: Sendable {
    /// The value of the Authorization field.
    package let authorization: [UInt8]
    /// Another token has another number.
    let version: UInt64
}

/// The token of one client of an authorization server.
package final class FetchedToken: Sendable {
    /// The largest answer that is read, in bytes.
    package static let mostBytes = 65_536
    /// In so long a time, refusals by servers cause one fetch.
    static let cooldownMilliseconds = 10_000

    private struct State {
        var schedule: KeySchedule
        var token: IssuedToken?
        var observers: [Int: @Sendable () -> Void] = [:]
    }

    /// What the configuration calls it.
    package let label: String
    private let state: Mutex<State>

    /// No token yet.
    package init(label: String, timeoutMilliseconds: Int) {
        self.label = label
        var times = KeyTimes()
        (times.timeoutMilliseconds, times.cooldownMilliseconds) = (timeoutMilliseconds, FetchedToken.cooldownMilliseconds)
        state = Mutex(State(schedule: KeySchedule(times)))
    }

    // MARK: What the workers ask

    /// The token; nil for none. `refused` is one that a server has refused.
    package func inForce(except refused: IssuedToken?, now: Int64) -> IssuedToken? {
        state.withLock { state in
            guard let token = state.token, now < state.schedule.keptUntil, token.version != refused?.version else { return nil }
            return token
        }
    }

    /// What a request can hope for that has no token, or whose token a server has refused.
    package func outlook(without refused: IssuedToken?, now: Int64) -> KeyOutlook {
        state.withLock { $0.schedule.outlook(for: FetchedToken.missing(refused), now: now) }
    }

    /// Permits the caller to fetch. It then calls `publish` or `fail` once.
    package func begin(without refused: IssuedToken?, now: Int64) -> KeyLease? {
        state.withLock { state in
            // Another worker may have fetched since the refused one was sent.
            if let refused, state.token?.version != refused.version, state.token != nil { return nil }
            return state.schedule.begin(for: FetchedToken.missing(refused), now: now)
        }
    }

    private static func missing(_ refused: IssuedToken?) -> MissingKey { refused == nil ? .allKeys : .newKey(.key) }

    /// Ends the fetch of a worker that is stuck. Returns whether there was one, and when to look again, in monotonic milliseconds.
    package func look(now: Int64, chance: UInt64) -> (endsStuck: Bool, nextAt: Int64) {
        let look = state.withLock { state in
            (endsStuck: state.schedule.endOverdueLease(now: now, chance: chance), nextAt: state.schedule.nextLookAt)
        }
        if look.endsStuck { tellObservers() }
        return look
    }

    /// Calls somebody of that number after each fetch, in place of whom it called before. The call may come on any thread.
    package func notify(_ number: Int, _ call: @escaping @Sendable () -> Void) { state.withLock { $0.observers[number] = call } }

    // MARK: How a fetch ends

    /// Takes the token of an answer.
    package func publish(_ text: [UInt8], _ lease: KeyLease, now: Int64, chance: UInt64) -> KeyFetchEnd {
        let answer: TokenAnswer
        do throws(TokenAnswerFault) { answer = try TokenAnswer(text) } catch {
            return fail(.unusable, error.description, lease, now: now, chance: chance)
        }
        let (isTaken, failedBefore) = state.withLock { state in
            let failedBefore = state.schedule.isFailing
            guard state.schedule.succeeded(lease, lifetimeMilliseconds: answer.lifetimeMilliseconds, now: now) else {
                return (false, failedBefore)
            }
            state.token = IssuedToken(authorization: answer.authorization, version: (state.token?.version ?? 0) + 1)
            return (true, failedBefore)
        }
        if isTaken { tellObservers() }
        return KeyFetchEnd(failure: nil, lines: isTaken && failedBefore ? ["token \(label): it was fetched again"] : [])
    }

    /// The fetch failed.
    /// - Parameter evidence: what happened, in a few words; nothing in it comes from the server.
    package func fail(_ failure: KeyFetchFailure, _ evidence: String, _ lease: KeyLease, now: Int64, chance: UInt64) -> KeyFetchEnd {
        let (isTaken, isTold) = state.withLock { state in
            let failedBefore = state.schedule.isFailing
            return (state.schedule.failed(lease, now: now, chance: chance), failedBefore)
        }
        if isTaken { tellObservers() }
        return KeyFetchEnd(failure: failure, lines: isTaken && !isTold ? ["token \(label): it cannot be fetched: \(evidence)"] : [])
    }

    /// The server answered another status than 200.
    package func refuse(status: Int, _ text: [UInt8], _ lease: KeyLease, now: Int64, chance: UInt64) -> KeyFetchEnd {
        let word = TokenAnswer.error(in: text).map { " (\($0))" } ?? ""
        return fail(.status, "the server answered \(status)\(word)", lease, now: now, chance: chance)
    }

    private func tellObservers() {
        for call in state.withLock({ Array($0.observers.values) }) { call() }
    }
}

/// Why an answer with status 200 brings no token.
enum TokenAnswerFault: Error, CustomStringConvertible {
    /// No strict JSON object, no token that can stand in a field, or one of another type.
    case noToken
    /// `expires_in` is no number above 0.
    case lifetime

    /// One phrase.
    var description: String {
        switch self {
        case .noToken: "the answer holds no bearer token"
        case .lifetime: "the answer's expires_in is no number of seconds above 0"
        }
    }
}

/// What an authorization server answers (RFC 6749 section 5).
struct TokenAnswer {
    let authorization: [UInt8]
    let lifetimeMilliseconds: Int64

    /// How long a token counts whose server does not say it, in seconds.
    private static let usualLifetimeSeconds: Int64 = 300
    private static let longestLifetimeSeconds: Int64 = 86_400

    /// The answer of a text.
    init(_ text: [UInt8]) throws(TokenAnswerFault) {
        guard let object = try? JSONObject(reading: text, limits: JSONLimits(depth: 16, members: 200)),
            let token = object["access_token"]?.string, (1...8_192).contains(token.count), token.allSatisfy({ (0x21...0x7E).contains($0) }),
            let type = object["token_type"]?.string, String(decoding: type, as: UTF8.self).lowercased() == "bearer"
        else { throw .noToken }
        authorization = Array("Bearer ".utf8) + token
        let seconds: Int64?
        switch object["expires_in"] {
        case nil: seconds = TokenAnswer.usualLifetimeSeconds
        // Some servers write the number in quotes.
        case let value? where value.kind == .string: seconds = value.string.flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
        case let value?: seconds = NumericDate(value)?.seconds
        }
        guard let seconds, seconds > 0 else { throw .lifetime }
        lifetimeMilliseconds = min(seconds, TokenAnswer.longestLifetimeSeconds) * 1_000
    }

    /// The error of an answer with another status than 200, if it is one of the standard (RFC 6749 section 5.2).
    static func error(in text: [UInt8]) -> String? {
        let known = [
            "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
        ]
        guard let object = try? JSONObject(reading: text, limits: JSONLimits(depth: 16, members: 200)), let word = object["error"]?.string
        else { return nil }
        return known.first { Array($0.utf8) == word }
    }
}
