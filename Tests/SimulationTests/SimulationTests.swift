// The whole proxy in many worlds worse than the real one. `HEARTWIRE_SEED=N` runs one seed again;
// `HEARTWIRE_SIMULATE_SECONDS=N` sets how long fresh seeds are tried.

import Foundation
import Testing

@Suite("In a simulated world", .serialized)
struct SimulationTests {
    private static func environment(_ name: String) -> UInt64? { ProcessInfo.processInfo.environment[name].flatMap(UInt64.init) }

    @Test("the promises hold whatever happens, from fresh seeds")
    func freshSeeds() {
        if let seed = Self.environment("HEARTWIRE_SEED") {
            let outcome = Scenario(seed: seed).run()
            #expect(outcome.problems == [], "HEARTWIRE_SEED=\(seed)")
            return
        }
        let seconds = Double(Self.environment("HEARTWIRE_SIMULATE_SECONDS") ?? 30)
        let end = Date().addingTimeInterval(seconds)
        var seed = UInt64(Date().timeIntervalSince1970 * 1000)
        var runs = 0
        var virtual: Int64 = 0
        var streams = 0
        var injected: [String: Int] = [:]
        var causes: [String: Int] = [:]
        while Date() < end {
            seed &+= 1
            let outcome = Scenario(seed: seed).run()
            #expect(outcome.problems == [], "HEARTWIRE_SEED=\(seed)")
            guard outcome.problems.isEmpty else { break }
            runs += 1
            virtual += outcome.virtualMilliseconds
            streams += outcome.streamCount
            injected.merge(outcome.injected, uniquingKeysWith: +)
            causes.merge(outcome.causes, uniquingKeysWith: +)
        }
        func text(_ counts: [String: Int]) -> String { counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ") }
        print("simulated: \(runs) runs, \(virtual / 3_600_000) virtual hours, \(streams) streams")
        print("simulated faults: \(text(injected))")
        print("simulated causes: \(text(causes))")
        #expect(runs > 10)
    }

    @Test("ten thousand idle streams live through two hours of silence on heartbeats alone")
    func idleStreams() {
        let outcome = IdleStreams(count: 10_000, hours: 2).run()
        #expect(outcome.problems == [])
        print("simulated: 10000 idle streams for 2 virtual hours, \(outcome.heartbeats) heartbeats")
    }

    @Test("a seed replays to the same trace", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func replays(seed: UInt64) {
        let first = Scenario(seed: seed).run()
        let second = Scenario(seed: seed).run()
        #expect(first.trace == second.trace && first.virtualMilliseconds == second.virtualMilliseconds)
    }
}
