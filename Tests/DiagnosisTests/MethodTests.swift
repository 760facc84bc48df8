// The method against logs whose truth is known. HEARTWIRE_SEED=N repeats a failure. HEARTWIRE_DIAGNOSE_LOGS=N tries N logs of each kind
// instead of the few of a usual run: 40 make 1,120 healthy logs.

import Foundation
import Telemetry
import TestSupport
import Testing

@testable import Diagnosis

/// How many logs of a kind are tried.
func count(usually few: Int) -> Int {
    ProcessInfo.processInfo.environment["HEARTWIRE_DIAGNOSE_LOGS"].flatMap { Int($0) } ?? few
}

/// What was claimed, for the message of a failure.
func words(_ findings: [Finding]) -> String {
    findings.map { finding in
        "\(finding.kind.rawValue) \(finding.side) \(finding.seconds.map { "\($0) s " } ?? "")\(finding.streams) streams "
            + "\(finding.confidence) \(finding.evidence)"
    }.joined(separator: "\n")
}

@Suite("The method accuses nobody")
struct HealthyTests {
    @Test("no claim is made of a healthy log", arguments: HealthyLogs.Kind.allCases)
    func healthy(_ kind: HealthyLogs.Kind) {
        let seed = SeededGenerator.seed(of: "no claim is made of a healthy log")
        for index in 0..<UInt64(count(usually: 4)) {
            let claims = Diagnosis(of: HealthyLogs.log(kind, seed: seed &+ index)).findings.filter(\.isClaim)
            #expect(claims.isEmpty, "HEARTWIRE_SEED=\(seed &+ index): \(kind.rawValue): \(words(claims))")
        }
    }

    @Test("a log without streams, and one with a single stream, say nothing")
    func empty() {
        #expect(Diagnosis(of: LogFacts()).findings.isEmpty)
        var log = SimulatedLog()
        log.add(SimulatedStream(duration: 60, cause: .clientClosed))
        let diagnosis = Diagnosis(of: log.facts(until: 100))
        #expect(diagnosis.findings.isEmpty && diagnosis.streams == 1 && diagnosis.ended == 1)
    }
}

/// Both or all of them have to be found, and nothing else.
func check(_ facts: LogFacts, _ expected: [Expected], _ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let claims = Diagnosis(of: facts).findings.filter(\.isClaim)
    for one in expected {
        #expect(claims.contains(where: one.fits), "\(what): not found among\n\(words(claims))", sourceLocation: sourceLocation)
    }
    let wrong = claims.filter { claim in !expected.contains { $0.fits(claim) } }
    #expect(wrong.isEmpty, "\(what): wrong:\n\(words(wrong))", sourceLocation: sourceLocation)
}

@Suite("The method names what was planted")
struct PlantedTests {
    static let rows = Hop.table.filter { $0.limit != .none && $0.seconds > 0 }

    @Test("each limit of the table of hops, on either side, by thirty streams and by ten thousand", arguments: rows.indices)
    func limits(_ row: Int) {
        let hop = Self.rows[row]
        let seed = SeededGenerator.seed(of: "each limit of the table of hops")
        for side in hop.marks.contains(.forgets) ? [Finding.Side.client] : [.client, .upstream] {
            // Both bounds of a hop that forgets have to be met by some stream: thirty are few for that.
            let few = hop.marks.contains(.forgets) ? 100 : 30
            for index in 0..<UInt64(count(usually: 2)) {
                let (facts, expected) = PlantedLogs.limit(hop, on: side, streams: few, seed: seed &+ index)
                check(facts, [expected], "HEARTWIRE_SEED=\(seed &+ index): \(hop.name), \(side), \(few) streams")
            }
            // One size of log in a usual run: each row has it on one side, so that all rows together stay below some seconds.
            guard count(usually: 0) > 0 || (row % 2 == 0) == (side == .client) || hop.marks.contains(.forgets) else { continue }
            let (facts, expected) = PlantedLogs.limit(hop, on: side, streams: 10_000, seed: seed)
            check(facts, [expected], "HEARTWIRE_SEED=\(seed): \(hop.name), \(side), 10,000 streams")
        }
    }

    @Test("what is no limit, in small logs and large ones", arguments: PlantedLogs.Happening.allCases)
    func happenings(_ what: PlantedLogs.Happening) {
        let seed = SeededGenerator.seed(of: "what is no limit")
        for index in 0..<UInt64(count(usually: 3)) {
            for streams in [40, 3_000] {
                let (facts, expected) = PlantedLogs.happening(what, streams: streams, seed: seed &+ index)
                check(facts, [expected], "HEARTWIRE_SEED=\(seed &+ index): \(what.rawValue), \(streams) streams")
            }
        }
    }

    @Test("public reports, each by its tell-tale", arguments: ReportedLog.all.indices)
    func reports(_ number: Int) {
        let report = ReportedLog.all[number]
        let seed = SeededGenerator.seed(of: "public reports")
        for index in 0..<UInt64(count(usually: 3)) {
            check(report.facts(seed: seed &+ index), report.expected, "HEARTWIRE_SEED=\(seed &+ index): \(report.report)")
        }
    }
}
