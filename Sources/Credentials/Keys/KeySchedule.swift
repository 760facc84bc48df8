// When the keys of one issuer are fetched, and for how long they serve. Pure: every moment is put in, in monotonic milliseconds, and so
// is every random number.
//
//              begin                succeeded
//     waiting ------> fetching ------------------> waiting until the next refresh
//        ^               | failed, or the lease is over
//        +---------------+  waiting for 1 s, 2 s, 4 s ... 60 s
//
// Invariant: at most one lease is in force; without a failure, unknown names cause at most one fetch in each cooldown.

/// How often the keys of an issuer are fetched, in milliseconds.
package struct KeyTimes: Sendable, Equatable {
    /// After how long a set is fetched again; up to a tenth earlier, so that many proxies do not ask together.
    package var refreshMilliseconds = 600_000
    /// In so long a time, unknown names of keys cause one fetch.
    package var cooldownMilliseconds = 30_000
    /// How long a fetch may take.
    package var timeoutMilliseconds = 5_000
    /// How long the keys go on to serve when the refresh fails.
    package var keepMilliseconds = 86_400_000

    /// The defaults.
    package init() {}
}

/// The permission to fetch. One holder has it, for a limited time.
package struct KeyLease: Sendable, Equatable {
    let number: UInt64
    let until: Int64
}

/// What a token lacks that cannot be checked yet.
package enum MissingKey: Sendable, Equatable {
    /// The issuer has no keys at all.
    case allKeys
    /// No key fits, and the issuer may have made a new one since. The fault is the token's if there is none.
    case newKey(TokenFault)
}

/// What a request can hope for that lacks a key.
package enum KeyOutlook: Sendable, Equatable {
    /// A fetch runs.
    case fetching
    /// A fetch may begin now.
    case fetchable
    /// The last fetch failed, and it is too early for the next one.
    case failing
    /// There are no other keys.
    case settled
}

/// The schedule of one issuer.
struct KeySchedule: Sendable {
    /// A holder that has said nothing so long after the end of its fetch's time is stuck.
    static let graceMilliseconds: Int64 = 2_000
    static let firstPauseMilliseconds: Int64 = 1_000
    static let longestPauseMilliseconds: Int64 = 60_000

    private(set) var times: KeyTimes
    private var lease: KeyLease?
    private var leaseCount: UInt64 = 0
    private var nextFetchAt = Int64.min
    /// When an unknown name may cause the next fetch.
    private var newKeyAt = Int64.min
    private var failureCount: Int64 = 0
    /// When the keys in force were fetched; nil for none.
    private(set) var fetchedAt: Int64?
    /// Until when they serve.
    private(set) var keptUntil = Int64.min

    init(_ times: KeyTimes) { self.times = times }

    /// Whether the last fetch failed.
    var isFailing: Bool { failureCount > 0 }

    /// When the schedule has to be looked at again.
    var nextLookAt: Int64 { lease?.until ?? nextFetchAt }

    func outlook(for missing: MissingKey, now: Int64) -> KeyOutlook {
        if let lease, now < lease.until { return .fetching }
        if now >= nextFetchAt { return .fetchable }
        if isFailing { return .failing }
        switch missing {
        case .allKeys: return .settled
        case .newKey: return now >= newKeyAt ? .fetchable : .settled
        }
    }

    /// Permits a fetch, if one may begin now.
    /// - Parameter missing: what causes it; nil for the schedule itself.
    mutating func begin(for missing: MissingKey?, now: Int64) -> KeyLease? {
        guard lease == nil else { return nil }
        if now < nextFetchAt {
            guard let missing, outlook(for: missing, now: now) == .fetchable else { return nil }
            newKeyAt = now + Int64(times.cooldownMilliseconds)
        }
        leaseCount += 1
        lease = KeyLease(number: leaseCount, until: now + Int64(times.timeoutMilliseconds) + KeySchedule.graceMilliseconds)
        return lease
    }

    /// The fetch brought keys. Returns false where the lease is over, and then nothing changes.
    mutating func succeeded(_ lease: KeyLease, now: Int64, chance: UInt64) -> Bool {
        guard lease == self.lease else { return false }
        self.lease = nil
        failureCount = 0
        fetchedAt = now
        nextFetchAt = now + Int64(times.refreshMilliseconds) - KeySchedule.tenth(of: Int64(times.refreshMilliseconds), chance)
        keptUntil = nextFetchAt + Int64(times.keepMilliseconds)
        return true
    }

    /// The fetch brought something that counts for so long. It is fetched again after four fifths of that time. Returns false where the
    /// lease is over, and then nothing changes.
    mutating func succeeded(_ lease: KeyLease, lifetimeMilliseconds: Int64, now: Int64) -> Bool {
        guard lease == self.lease else { return false }
        times.refreshMilliseconds = Int(lifetimeMilliseconds * 4 / 5)
        // Not to its last moment: a request takes its time to arrive.
        times.keepMilliseconds = Int(lifetimeMilliseconds * 3 / 20)
        return succeeded(lease, now: now, chance: 0)
    }

    /// The fetch brought nothing usable. Returns false where the lease is over, and then nothing changes.
    mutating func failed(_ lease: KeyLease, now: Int64, chance: UInt64) -> Bool {
        guard lease == self.lease else { return false }
        self.lease = nil
        let pause = min(KeySchedule.firstPauseMilliseconds << min(failureCount, 6), KeySchedule.longestPauseMilliseconds)
        failureCount += 1
        nextFetchAt = now + pause + KeySchedule.tenth(of: pause, chance)
        return true
    }

    /// Ends the lease of a stuck holder as a failed fetch. Returns whether there was one.
    mutating func endOverdueLease(now: Int64, chance: UInt64) -> Bool {
        guard let lease, now >= lease.until else { return false }
        return failed(lease, now: now, chance: chance)
    }

    /// Another schedule for the same keys: they serve on, and what runs under the old one counts for nothing.
    func continued(with times: KeyTimes) -> KeySchedule {
        var next = KeySchedule(times)
        guard fetchedAt != nil else { return next }
        next.fetchedAt = fetchedAt
        next.keptUntil = keptUntil - Int64(self.times.keepMilliseconds) + Int64(times.keepMilliseconds)
        return next
    }

    /// A part of up to a tenth, chosen by a random number.
    private static func tenth(of time: Int64, _ chance: UInt64) -> Int64 { Int64(chance % UInt64(max(time / 10, 1))) }
}
