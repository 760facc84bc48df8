// Waiting by looking again and again, on a clock of the test's own.

import Testing

@testable import Reactor

/// Time that passes only while somebody sleeps.
private final class SleepingKernel: Kernel, @unchecked Sendable {
    var now: Int64 = 50
    var sleeps: [Int] = []
    /// How much longer than asked for each sleep takes, as on a machine that is busy.
    var excessMilliseconds: Int64 = 0

    override func monotonicMilliseconds() -> Int64 { now }
    override func sleep(milliseconds: Int) {
        sleeps.append(milliseconds)
        now += Int64(milliseconds) + excessMilliseconds
    }
}

@Suite("A thread that waits without a poller")
struct PollingTests {
    @Test("looks before it sleeps for the first time")
    func first() {
        let kernel = SleepingKernel()
        #expect(kernel.poll(everyMilliseconds: 10, atMostMilliseconds: 100) { true })
        #expect(kernel.sleeps.isEmpty)
    }

    @Test("looks after each step, and stops at the one at which it is over")
    func steps() {
        let kernel = SleepingKernel()
        #expect(kernel.poll(everyMilliseconds: 10, atMostMilliseconds: 100) { kernel.now >= 75 })
        #expect(kernel.sleeps == [10, 10, 10])
        #expect(kernel.poll(everyMilliseconds: 500) { kernel.now > 10_000 }, "without a limit too")
    }

    @Test("gives up when the time is over, after a last look, and sleeps no longer than that")
    func limit() {
        let kernel = SleepingKernel()
        var looks = 0
        #expect(
            !kernel.poll(everyMilliseconds: 40, atMostMilliseconds: 100) {
                looks += 1
                return false
            })
        #expect(kernel.sleeps == [40, 40, 20] && looks == 4)
        #expect(kernel.poll(everyMilliseconds: 40, atMostMilliseconds: 0) { true }, "also without any time there is one look")
        #expect(
            kernel.poll(everyMilliseconds: 60, atMostMilliseconds: 100) { kernel.now >= 250 }, "what is over at the last moment is over")
    }

    @Test("goes by the clock and not by how often it slept")
    func clock() {
        let kernel = SleepingKernel()
        kernel.excessMilliseconds = 30
        #expect(!kernel.poll(everyMilliseconds: 10, atMostMilliseconds: 100) { false })
        #expect(kernel.sleeps == [10, 10, 10])
    }
}
