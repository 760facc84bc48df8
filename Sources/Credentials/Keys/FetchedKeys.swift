// The keys of one issuer that are fetched from its URL: one object for all workers, which outlives reloads. It says when a fetch may
// begin, and tells the workers when one has ended; it fetches nothing itself.
// Invariant: keys that once were good are replaced by good ones only.

import Synchronization

/// Keys as a worker copies them.
struct KeysInForce: Sendable {
    let set: KeySet
    /// Another set has another number.
    let version: UInt64
    /// Until when they serve, in monotonic milliseconds.
    let until: Int64
}

/// The fetched keys of one issuer.
package final class FetchedKeys: Sendable {
    private struct State {
        var schedule: KeySchedule
        var keys: KeySet?
        var version: UInt64 = 0
        var toldRemarks: [String] = []
        var observers: [Int: @Sendable () -> Void] = [:]
        /// When the schedule was first looked at.
        var beganAt: Int64?
    }

    /// What the configuration calls the issuer.
    package let label: String
    private let algorithms: [SignatureAlgorithm]
    private let state: Mutex<State>
    /// Changes with each change of the keys, so that a worker need not lock to see that there was none.
    private let stampNumber = Atomic<UInt64>(1)

    /// No keys yet.
    package init(label: String, algorithms: [SignatureAlgorithm], times: KeyTimes) {
        self.label = label
        self.algorithms = algorithms
        state = Mutex(State(schedule: KeySchedule(times)))
    }

    /// The keys of the same URL for the same algorithms, under another label or with other times.
    package init(_ previous: FetchedKeys, label: String, times: KeyTimes) {
        self.label = label
        algorithms = previous.algorithms
        let old = previous.state.withLock { $0 }
        var state = State(schedule: old.schedule.continued(with: times))
        (state.keys, state.version, state.toldRemarks, state.beganAt) = (old.keys, old.version, old.toldRemarks, old.beganAt)
        self.state = Mutex(state)
    }

    // MARK: What the workers read

    /// Differs from what it was where the keys may have changed.
    var stamp: UInt64 { stampNumber.load(ordering: .acquiring) }

    /// The keys; nil for none.
    func inForce() -> KeysInForce? {
        state.withLock { state in
            state.keys.map { KeysInForce(set: $0, version: state.version, until: state.schedule.keptUntil) }
        }
    }

    /// For how many milliseconds no fetch has succeeded.
    package func ageMilliseconds(now: Int64) -> Int64 {
        state.withLock { state in max(0, now - (state.schedule.fetchedAt ?? state.beganAt ?? now)) }
    }

    /// Calls somebody of that number after each fetch, in place of whom it called before. The call may come on any thread.
    package func notify(_ number: Int, _ call: @escaping @Sendable () -> Void) {
        state.withLock { $0.observers[number] = call }
    }

    // MARK: What the workers ask

    /// What a request can hope for that lacks a key.
    package func outlook(for missing: MissingKey, now: Int64) -> KeyOutlook {
        state.withLock { $0.schedule.outlook(for: missing, now: now) }
    }

    /// Permits the caller to fetch. It then calls `publish` or `fail` once.
    /// - Parameter missing: what causes the fetch; nil for the schedule itself.
    package func begin(for missing: MissingKey?, now: Int64) -> KeyLease? {
        state.withLock { $0.schedule.begin(for: missing, now: now) }
    }

    /// Ends the fetch of a worker that is stuck. Returns whether there was one, and when to look again, in monotonic milliseconds.
    package func look(now: Int64, chance: UInt64) -> (endsStuck: Bool, nextAt: Int64) {
        let look = state.withLock { state in
            state.beganAt = state.beganAt ?? now
            return (endsStuck: state.schedule.endOverdueLease(now: now, chance: chance), nextAt: state.schedule.nextLookAt)
        }
        if look.endsStuck { tellObservers() }
        return look
    }

    // MARK: How a fetch ends

    /// Takes the keys of a text, if they can be used.
    package func publish(_ text: [UInt8], _ lease: KeyLease, now: Int64, chance: UInt64) -> KeyFetchEnd {
        let read: PublishedKeys
        do throws(KeyError) { read = try KeySet.keys(in: text, for: algorithms) } catch {
            return fail(.unusable, "\(error)", lease, now: now, chance: chance)
        }
        let remarks = read.remarks
        var lines: [String] = []
        let isTaken = state.withLock { state in
            let failedBefore = state.schedule.isFailing
            guard state.schedule.succeeded(lease, now: now, chance: chance) else { return false }
            let next = KeySet(read.keys, keeping: state.keys)
            if next.isOther(than: state.keys) { state.version += 1 }
            state.keys = next
            if failedBefore { lines.append("issuer \(label): its keys were fetched again") }
            if remarks != state.toldRemarks { lines += remarks.map { "issuer \(label): \($0)" } }
            state.toldRemarks = remarks
            stampNumber.add(1, ordering: .releasing)
            return true
        }
        if isTaken { tellObservers() }
        return KeyFetchEnd(failure: nil, lines: lines)
    }

    /// The fetch failed.
    /// - Parameter evidence: what happened, in a few words; nothing in it comes from the server.
    package func fail(_ failure: KeyFetchFailure, _ evidence: String, _ lease: KeyLease, now: Int64, chance: UInt64) -> KeyFetchEnd {
        var lines: [String] = []
        let isTaken = state.withLock { state in
            let failedBefore = state.schedule.isFailing
            guard state.schedule.failed(lease, now: now, chance: chance) else { return false }
            guard !failedBefore else { return true }
            let hasKeys = state.keys != nil && now < state.schedule.keptUntil
            let rest = hasKeys ? "those that it had serve on" : "its tokens cannot be checked until then"
            lines.append("issuer \(label): its keys cannot be fetched: \(evidence); \(rest)")
            return true
        }
        if isTaken { tellObservers() }
        return KeyFetchEnd(failure: failure, lines: lines)
    }

    private func tellObservers() {
        for call in state.withLock({ Array($0.observers.values) }) { call() }
    }
}

/// Why a fetch brought no keys, or no token.
package enum KeyFetchFailure: Sendable {
    /// The server could not be reached, or answered too late.
    case unreachable
    /// It answered with something else than status 200.
    case status
    /// What it answered is no set of keys, or has none for the issuer's tokens; or it is no token.
    case unusable
}

/// How a fetch ended.
package struct KeyFetchEnd: Sendable, Equatable {
    /// Nil where it brought keys, or a token.
    package let failure: KeyFetchFailure?
    /// What the operator should be told, a line each.
    package let lines: [String]
}
