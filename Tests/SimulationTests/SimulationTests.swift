// The whole proxy in many worlds worse than the real one. `HEARTWIRE_SEED=N` repeats one seed. `HEARTWIRE_SIMULATE_SECONDS=N` and
// `HEARTWIRE_SIMULATE_SEEDS=N` set for how long, and how many fresh seeds are tried at least; the first one follows
// `HEARTWIRE_SIMULATE_FROM=N`, or the time. `HEARTWIRE_SIMULATE_ON=1` goes on after a failing seed.

import Foundation
import Marks
import Telemetry
import TestSupport
import Testing

@Suite("In a simulated world", .serialized)
struct SimulationTests {
    private static func environment(_ name: String) -> UInt64? { ProcessInfo.processInfo.environment[name].flatMap(UInt64.init) }

    /// Marks that a thousand runs may not come by: a reset seldom leaves anything to be read, and few streams begin almost like a mark.
    private static let rarelyReached: Set<Mark> = [.answerReadAfterFailedWrite, .withheldBytesSent]

    /// `diagnose` weighs chances: in a world in which by chance many clients leave in one moment, a hop that restarts is a fair guess.
    private static let runsPerMisjudgement = 300

    @Test("the promises hold whatever happens, from fresh seeds")
    func freshSeeds() {
        if let seed = Self.environment("HEARTWIRE_SEED") {
            let scenario = Scenario(seed: seed)
            let outcome = CrashReport.around(seed) { scenario.run() }
            print(scenario.story)
            #expect(outcome.problems + outcome.misjudgements == [], "HEARTWIRE_SEED=\(seed)")
            return
        }
        let end = Date().addingTimeInterval(Double(Self.environment("HEARTWIRE_SIMULATE_SECONDS") ?? 100))
        let least = Self.environment("HEARTWIRE_SIMULATE_SEEDS") ?? 600
        let goesOn = Self.environment("HEARTWIRE_SIMULATE_ON") != nil
        var seed = Self.environment("HEARTWIRE_SIMULATE_FROM") ?? UInt64(Date().timeIntervalSince1970 * 1000)
        var tally = Tally()
        var misjudged = 0
        let marks = MarkCounts()
        while Date() < end || tally.runs < least {
            seed &+= 1
            let outcome = marks.count { CrashReport.around(seed) { Scenario(seed: seed).run() } }
            tally.add(outcome)
            if !outcome.misjudgements.isEmpty {
                misjudged += 1
                print("HEARTWIRE_SEED=\(seed): \(outcome.misjudgements)")
                #expect(misjudged <= 1 + tally.runs / Self.runsPerMisjudgement)
            }
            #expect(outcome.problems == [], "HEARTWIRE_SEED=\(seed)")
            let hasFailed = !outcome.problems.isEmpty || misjudged > 1 + tally.runs / Self.runsPerMisjudgement
            if hasFailed && !goesOn { break }
        }
        print(tally.text)
        print("simulated: diagnose misjudged \(misjudged) of \(tally.runs) worlds")
        print("simulated marks:\(Mark.allCases.map { "\n    \($0): \(marks[$0])" }.joined())")
        #expect(tally.runs > 10)
        // So many runs come by every branch that failed once; one that is not reached any more proves nothing about it.
        let missing = marks.missing.filter { !Self.rarelyReached.contains($0) }
        #expect(tally.runs < 600 || missing.isEmpty)
    }

    /// A mistake in what is counted.
    enum Miscount: CaseIterable, Sendable {
        case opened, cause, event, heartbeat, byte, duration, request, connection, stillOpen, stillHeld, stillConnected

        func spoil(_ counters: WorkerCounters) {
            switch self {
            case .opened: counters.add(.streamsOpened, Resumption.resumed, of: 2)
            // The sum over all causes stays right.
            case .cause:
                counters.add(.streamsEnded, Cause.drained, of: 2)
                counters.add(.streamsEnded, Cause.clientClosed, of: 2, 0 &- 1)
            case .event: counters.add(.events, of: 2)
            case .heartbeat: counters.add(.heartbeats, of: 2)
            case .byte: counters.add(.streamBytes, Direction.toClient, of: 2)
            case .duration: counters.observe(.streamDuration, Cause.Side.client, of: 2, milliseconds: 1)
            case .request: counters.add(.requests, StatusClass.success, of: 2)
            case .connection: counters.add(.connections, of: 2)
            case .stillOpen: counters.add(.streamsOpen, of: 2)
            case .stillHeld: counters.subtract(.streamsHeld)
            case .stillConnected: counters.add(.connectionsOpen, of: 2)
            }
        }
    }

    @Test("a count that is wrong by one is noticed", arguments: Miscount.allCases)
    func miscounts(_ miscount: Miscount) {
        let scenario = Scenario(seed: 7)
        scenario.spoilCounts = miscount.spoil
        let problems = scenario.run().problems
        #expect(!problems.isEmpty && problems.allSatisfy { $0.contains("in the metrics") || $0.contains("after the end") }, "\(problems)")
        #expect(Scenario(seed: 7).run().problems == [])
    }

    @Test("ten thousand idle streams live through two hours of silence on heartbeats alone")
    func idleStreams() {
        let outcome = IdleStreams(count: 10_000, hours: 2).run()
        #expect(outcome.problems == [])
        print("simulated: 10000 idle streams for 2 virtual hours, \(outcome.heartbeats) heartbeats")
    }

    /// A wrong value of each field that is checked.
    private static let wrongFields: [(key: String, value: @Sendable (Any) -> Any?)] = [
        ("resumes", { $0 as? Bool != true }), ("http", { _ in "2" }), ("agent", { _ in "chrome" }), ("hops", { _ in nil }),
        ("via_count", { _ in nil }), ("heartbeat_ms", { _ in 1 }), ("retry_ms", { _ in 1 }), ("upstream_silence_at_end_ms", { _ in 0 }),
        ("client_silence_at_end_ms", { _ in 0 }), ("client_silence_before_last_write_ms", { ($0 as? Int ?? 0) + 1 }),
        ("pending_ms", { ($0 as? Int ?? 0) + 1 }), ("max_pending_bytes", { ($0 as? Int ?? 0) > 0 ? 1 : 0 }),
        ("open_streams", { ($0 as? Int ?? 0) + 1 }), ("open_streams_server", { ($0 as? Int ?? 0) + 100 }),
        ("previous_stream", { _ in nil }), ("since_previous_end_ms", { ($0 as? Int ?? 0) + 1 }),
    ]

    @Test("a wrong value of a field of the log is found", arguments: wrongFields.indices)
    func wrongField(index: Int) {
        let (key, value) = Self.wrongFields[index]
        // Not every world has slow readers, hops, or clients that come back.
        for seed in UInt64(1)...200 {
            let scenario = Scenario(seed: seed)
            scenario.tamper = { record in if let right = record[key] { record[key] = value(right) } }
            guard !scenario.run().problems.isEmpty else { continue }
            #expect(Scenario(seed: seed).run().problems == [], "HEARTWIRE_SEED=\(seed): not because of \(key)")
            return
        }
        Issue.record("nobody finds a wrong \(key)")
    }

    @Test("an operator who is shown a stream that does not run, or is not shown one that does, is found")
    func wronglyShown() {
        for isMissing in [true, false] {
            let isFound = (UInt64(1)...100).contains { seed in
                let scenario = Scenario(seed: seed)
                guard scenario.hasConsole else { return false }
                scenario.tamperShown = { if isMissing { $0 = [] } else { $0.insert("w0-999999") } }
                return scenario.run().problems.contains { $0.contains("the operator is") }
            }
            #expect(isFound, "nobody finds \(isMissing ? "a missing" : "an invented") stream")
        }
    }

    @Test("a seed replays to the same trace", arguments: 1...40 as ClosedRange<UInt64>)
    func replays(seed: UInt64) {
        let first = Scenario(seed: seed).run()
        let second = Scenario(seed: seed).run()
        #expect(first.trace == second.trace && first.virtualMilliseconds == second.virtualMilliseconds)
    }
}

/// The totals of many runs.
private struct Tally {
    var runs = 0
    private var virtualMilliseconds: Int64 = 0
    private var streams = 0
    private var eventLines = 0
    private var fields = 0
    private var returns = 0
    private var injected: [String: Int] = [:]
    private var causes: [String: Int] = [:]

    mutating func add(_ outcome: Outcome) {
        runs += 1
        virtualMilliseconds += outcome.virtualMilliseconds
        streams += outcome.streamCount
        eventLines += outcome.eventLineCount
        fields += outcome.fieldCount
        returns += outcome.returnCount
        injected.merge(outcome.injected, uniquingKeysWith: +)
        causes.merge(outcome.causes, uniquingKeysWith: +)
    }

    var text: String {
        func list(_ counts: [String: Int]) -> String {
            counts.sorted { $0.key < $1.key }.map { "\n    \($0.key): \($0.value)" }.joined()
        }
        return """
            simulated: \(runs) runs, \(virtualMilliseconds / 3_600_000) virtual hours, \(streams) streams, \(eventLines) lines of events
            simulated: the fields of \(fields) streams were compared with the truth, and \(returns) named the stream before
            simulated faults:\(list(injected))
            simulated causes:\(list(causes))
            """
    }
}
