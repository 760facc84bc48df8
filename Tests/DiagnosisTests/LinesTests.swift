// The way from lines to a verdict: simulated logs are written as the proxy would write them, read, and judged.

import Telemetry
import TestSupport
import Testing

@testable import Diagnosis

@Suite("From lines to a verdict")
struct LinesTests {
    private func read(_ facts: LogFacts) -> LogFacts {
        var reader = LogReader()
        reader.beginFile("simulated.jsonl")
        reader.read(Array(SimulatedLines(facts).text.utf8).span)
        reader.endFile()
        return reader.finish()
    }

    @Test("no claim is made of a healthy log that was read from its lines", arguments: HealthyLogs.Kind.allCases)
    func healthy(_ kind: HealthyLogs.Kind) {
        let seed = SeededGenerator.seed(of: "no claim is made of a healthy log that was read from its lines")
        for index in 0..<UInt64(count(usually: 2)) where kind != .busy {
            let facts = read(HealthyLogs.log(kind, seed: seed &+ index))
            #expect(facts.skippedLineCount == 0)
            let claims = Diagnosis(of: facts).findings.filter(\.isClaim)
            #expect(claims.isEmpty, "HEARTWIRE_SEED=\(seed &+ index): \(kind.rawValue): \(words(claims))")
        }
    }

    @Test("each limit of the table of hops is found in lines", arguments: PlantedTests.rows.indices)
    func limits(_ row: Int) {
        let hop = PlantedTests.rows[row]
        let seed = SeededGenerator.seed(of: "each limit of the table of hops is found in lines")
        for side in hop.marks.contains(.forgets) ? [Finding.Side.client] : [.client, .upstream] {
            for index in 0..<UInt64(count(usually: 1)) {
                let (facts, expected) = PlantedLogs.limit(hop, on: side, streams: 100, seed: seed &+ index)
                check(read(facts), [expected], "HEARTWIRE_SEED=\(seed &+ index): \(hop.name), \(side), lines")
            }
        }
    }

    @Test("what is no limit is found in lines", arguments: PlantedLogs.Happening.allCases)
    func happenings(_ what: PlantedLogs.Happening) {
        let seed = SeededGenerator.seed(of: "what is no limit is found in lines")
        for index in 0..<UInt64(count(usually: 2)) {
            let (facts, expected) = PlantedLogs.happening(what, streams: 200, seed: seed &+ index)
            check(read(facts), [expected], "HEARTWIRE_SEED=\(seed &+ index): \(what.rawValue), lines")
        }
    }
}
