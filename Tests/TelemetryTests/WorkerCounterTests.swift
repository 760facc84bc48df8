// What workers count.

import Testing

@testable import Telemetry

@Suite("The counters of a worker")
struct WorkerCounterTests {
    @Test("begin at zero, count each thing by itself, and add up")
    func sums() {
        var one = WorkerCounters()
        #expect(Counter.allCases.allSatisfy { one[$0] == 0 && !$0.meaning.isEmpty })
        one.add(.streams)
        one.add(.heartbeats, 5)
        var all = WorkerCounters()
        all.add(one)
        all.add(one)
        #expect(all[.streams] == 2 && all[.heartbeats] == 10 && all[.exchanges] == 0)
    }
}
