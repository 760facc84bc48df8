// Worlds of pages from many seeds. `HEARTWIRE_SEED=N` repeats one, `HEARTWIRE_SIMULATE_FROM=N` says the first one, and with
// `HEARTWIRE_SIMULATE_ON` a failure does not end the run.

import Foundation
import Testing

/// Runs as many worlds as the variable of that name says, and prints the seed of each that fails, and what happened in all of them.
func runWorlds(_ name: String, countedBy variable: String, usually usualCount: UInt64, _ make: (_ seed: UInt64) -> PagesWorld) {
    func environment(_ name: String) -> UInt64? { ProcessInfo.processInfo.environment[name].flatMap(UInt64.init) }
    if let seed = environment("HEARTWIRE_SEED") {
        let world = make(seed)
        let problems = CrashReport.around(seed) { world.run() }
        print(world.story)
        #expect(problems == [], "HEARTWIRE_SEED=\(seed)")
        return
    }
    let first = environment("HEARTWIRE_SIMULATE_FROM") ?? UInt64(Date().timeIntervalSince1970 * 1000)
    let goesOn = environment("HEARTWIRE_SIMULATE_ON") != nil
    var tally: [String: Int] = [:]
    for seed in first..<first &+ (environment(variable) ?? usualCount) {
        let world = make(seed)
        let problems = CrashReport.around(seed) { world.run() }
        #expect(problems == [], "HEARTWIRE_SEED=\(seed)")
        for (what, number) in world.counts { tally[what, default: 0] += number }
        if !problems.isEmpty {
            tally["worlds that failed", default: 0] += 1
            guard goesOn else { break }
        }
    }
    print("simulated \(name):\(tally.sorted { $0.key < $1.key }.map { "\n    \($0.key): \($0.value)" }.joined())")
}
