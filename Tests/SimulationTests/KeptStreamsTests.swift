// Kept streams in many worlds. `HEARTWIRE_SEED=N` repeats one seed, `HEARTWIRE_SIMULATE_KEPT=N` sets how many there are.

import Foundation
import Testing

@Suite("Kept streams in a simulated world", .serialized)
struct KeptStreamsTests {
    private static func environment(_ name: String) -> UInt64? { ProcessInfo.processInfo.environment[name].flatMap(UInt64.init) }

    @Test("pages get each event once, in order, whatever breaks, or are told of a gap")
    func worlds() {
        if let seed = Self.environment("HEARTWIRE_SEED") {
            let world = KeptStreamsWorld(seed: seed)
            let problems = CrashReport.around(seed) { world.run() }
            print(world.story)
            #expect(problems == [], "HEARTWIRE_SEED=\(seed)")
            return
        }
        let first = Self.environment("HEARTWIRE_SIMULATE_FROM") ?? UInt64(Date().timeIntervalSince1970 * 1000)
        let count = Self.environment("HEARTWIRE_SIMULATE_KEPT") ?? 200
        let goesOn = Self.environment("HEARTWIRE_SIMULATE_ON") != nil
        var tally: [String: Int] = [:]
        for seed in first..<first &+ count {
            let world = KeptStreamsWorld(seed: seed)
            let problems = CrashReport.around(seed) { world.run() }
            #expect(problems == [], "HEARTWIRE_SEED=\(seed)")
            for (what, number) in world.counts { tally[what, default: 0] += number }
            if !problems.isEmpty, !goesOn { break }
        }
        print("simulated kept streams:\(tally.sorted { $0.key < $1.key }.map { "\n    \($0.key): \($0.value)" }.joined())")
    }
}
