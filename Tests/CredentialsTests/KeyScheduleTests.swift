import Testing

@testable import Credentials

/// A schedule whose clock stands where a test puts it. Without chance, nothing is spread.
private final class Clocked {
    var schedule: KeySchedule
    var now: Int64

    init(_ times: KeyTimes = KeyTimes()) { (schedule, now) = (KeySchedule(times), 1_000_000) }

    init(_ schedule: KeySchedule, at now: Int64) { (self.schedule, self.now) = (schedule, now) }

    func begin(_ missing: MissingKey? = nil, after milliseconds: Int64 = 0) -> KeyLease? {
        now += milliseconds
        return schedule.begin(for: missing, now: now)
    }

    func succeed(_ lease: KeyLease, chance: UInt64 = 0) -> Bool { schedule.succeeded(lease, now: now, chance: chance) }
    func fail(_ lease: KeyLease, chance: UInt64 = 0) -> Bool { schedule.failed(lease, now: now, chance: chance) }

    func endOverdueLease() -> Bool { schedule.endOverdueLease(now: now, chance: 0) }

    func outlook(_ missing: MissingKey, in milliseconds: Int64 = 0) -> KeyOutlook {
        schedule.outlook(for: missing, now: now + milliseconds)
    }
}

@Suite("When keys are fetched")
struct KeyScheduleTests {
    private let unknown = MissingKey.newKey(.key)

    /// A schedule whose keys have just been fetched.
    private func fetched(_ times: KeyTimes = KeyTimes(), chance: UInt64 = 0) throws -> Clocked {
        let clocked = Clocked(times)
        let lease = try #require(clocked.begin())
        #expect(clocked.succeed(lease, chance: chance))
        return clocked
    }

    @Test("a start may fetch at once, and while one fetches nobody else may")
    func oneAtATime() throws {
        let clocked = Clocked()
        #expect(clocked.outlook(.allKeys) == .fetchable)
        let lease = try #require(clocked.begin())
        #expect(clocked.outlook(.allKeys) == .fetching && clocked.outlook(unknown) == .fetching)
        for missing in [nil, .allKeys, unknown] { #expect(clocked.begin(missing) == nil) }
        clocked.now += 4_000
        #expect(clocked.succeed(lease))
        #expect(clocked.outlook(.allKeys) == .settled)
        #expect(clocked.begin() == nil)
    }

    @Test("keys are fetched again after the refresh, up to a tenth earlier")
    func refresh() throws {
        for (chance, due) in [(0, 600_000), (59_999, 540_001), (60_000, 600_000), (UInt64.max, 600_000 - Int64(UInt64.max % 60_000))] {
            let clocked = try fetched(chance: UInt64(chance))
            #expect(clocked.schedule.nextLookAt == clocked.now + Int64(due))
            #expect(clocked.begin(after: Int64(due) - 1) == nil)
            #expect(clocked.begin(after: 1) != nil)
        }
    }

    @Test("a failed fetch is tried again after 1 s, 2 s, 4 s, up to 60 s, and after a success from 1 s on again")
    func backOff() throws {
        let clocked = Clocked()
        for _ in 0..<2 {
            for pause: Int64 in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
                let lease = try #require(clocked.begin())
                #expect(clocked.fail(lease))
                #expect(clocked.schedule.isFailing)
                #expect(clocked.outlook(.allKeys) == .failing && clocked.outlook(unknown) == .failing)
                #expect(clocked.begin(unknown, after: pause * 1_000 - 1) == nil)
                #expect(clocked.outlook(.allKeys, in: 1) == .fetchable)
                clocked.now += 1
            }
            let lease = try #require(clocked.begin())
            #expect(clocked.succeed(lease))
            #expect(!clocked.schedule.isFailing)
            clocked.now += 600_000
        }
        // Chance makes a pause longer by up to a tenth.
        let lease = try #require(clocked.begin())
        #expect(clocked.fail(lease, chance: 99))
        #expect(clocked.schedule.nextLookAt == clocked.now + 1_099)
    }

    @Test("unknown names cause one fetch in each cooldown, whatever it brings, and only one")
    func cooldown() throws {
        let clocked = try fetched()
        var fetches = 0
        for _ in 0..<30_000 {
            clocked.now += 10
            guard clocked.outlook(unknown) == .fetchable else {
                #expect(clocked.begin(unknown) == nil)
                continue
            }
            let lease = try #require(clocked.begin(unknown))
            fetches += 1
            #expect(clocked.outlook(unknown) == .fetching)
            #expect(clocked.succeed(lease))
            #expect(clocked.outlook(unknown) == .settled)
        }
        #expect(fetches == 10)
        #expect(clocked.outlook(.allKeys) == .settled)
    }

    @Test("a fetch of the schedule itself leaves unknown names theirs")
    func cooldownIsForNames() throws {
        let clocked = try fetched()
        let lease = try #require(clocked.begin(after: 600_000))
        #expect(clocked.succeed(lease))
        #expect(clocked.outlook(unknown) == .fetchable)
    }

    @Test("keys serve for keys_keep beyond the refresh that they should have had, and no failure makes that longer")
    func keeping() throws {
        var times = KeyTimes()
        (times.refreshMilliseconds, times.keepMilliseconds) = (60_000, 300_000)
        let clocked = try fetched(times)
        let end = clocked.now + 360_000
        #expect(clocked.schedule.keptUntil == end)
        clocked.now += 60_000
        while clocked.now < end + 100_000 {
            if let lease = clocked.begin() { #expect(clocked.fail(lease)) }
            #expect(clocked.schedule.keptUntil == end)
            clocked.now += 500
        }
        clocked.now += 60_000
        let lease = try #require(clocked.begin())
        #expect(clocked.succeed(lease))
        #expect(clocked.schedule.keptUntil == clocked.now + 360_000)
    }

    @Test("the lease of a stuck worker ends by itself, as a failure, and what the worker brings later counts for nothing")
    func stuck() throws {
        var times = KeyTimes()
        times.timeoutMilliseconds = 3_000
        let clocked = Clocked(times)
        let lost = try #require(clocked.begin())
        #expect(clocked.schedule.nextLookAt == clocked.now + 5_000)
        clocked.now += 4_999
        #expect(!clocked.endOverdueLease())
        clocked.now += 1
        #expect(clocked.outlook(.allKeys) != .fetching)
        #expect(clocked.endOverdueLease())
        #expect(clocked.schedule.isFailing)
        #expect(!clocked.succeed(lost) && !clocked.fail(lost))
        let next = try #require(clocked.begin(after: 1_000))
        #expect(!clocked.succeed(lost) && !clocked.fail(lost))
        #expect(clocked.succeed(next))
        #expect(clocked.schedule.fetchedAt == clocked.now)
    }

    @Test("with other times, the keys serve on, are fetched at once, and a running fetch counts for nothing")
    func otherTimes() throws {
        let clocked = try fetched()
        let running = try #require(clocked.begin(after: 600_000))
        var times = KeyTimes()
        times.keepMilliseconds = 120_000
        let next = Clocked(clocked.schedule.continued(with: times), at: clocked.now)
        #expect(next.schedule.fetchedAt == clocked.schedule.fetchedAt)
        #expect(next.schedule.keptUntil == clocked.now + 120_000)
        #expect(next.outlook(.allKeys) == .fetchable)
        #expect(!next.succeed(running))
        #expect(next.begin() != nil)
        #expect(Clocked().schedule.continued(with: times).keptUntil == .min)
    }
}
