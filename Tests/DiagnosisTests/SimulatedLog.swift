// A log in the making, at the level of `LogFacts`: streams are added in any order, and what they share is put into its tables.

import Telemetry
import TestSupport

@testable import Diagnosis

/// One stream as a simulation says it, in seconds.
struct SimulatedStream {
    var client = 0
    var address = 0
    var opened = 0.0
    var duration = 0.0
    var cause: Cause?
    var clientSilence: Double?
    var clientSilenceBeforeLastWrite: Double?
    var longestClientSilence: Double?
    var upstreamSilence: Double?
    var longestUpstreamSilence: Double?
    var events = 0
    var heartbeats = 0
    var heartbeatInterval: Double?
    var retry: Double?
    var marks: StreamFacts.Marks = [.openingSeen]
    var surroundings = Surroundings()
}

struct SimulatedLog {
    /// Saturday, 2026-11-21, 11:40 UTC.
    static let start: Int64 = 1_795_261_200_000

    private var facts = LogFacts()
    private var surroundings: [Surroundings: TableIndex] = [:]
    private var line: UInt32 = 0

    /// When the last stream was opened, in seconds.
    private(set) var lastOpening = 0.0

    mutating func add(_ stream: SimulatedStream) {
        line += 1
        lastOpening = max(lastOpening, stream.opened)
        var fact = StreamFacts(
            openedAt: Self.time(stream.opened), duration: Self.milliseconds(stream.duration), client: TableIndex(stream.client),
            address: TableIndex(stream.address), surroundings: index(of: stream.surroundings), place: LogPlace(file: 0, line: line))
        fact.clientSilenceAtEnd = Self.milliseconds(stream.clientSilence)
        fact.upstreamSilenceAtEnd = Self.milliseconds(stream.upstreamSilence)
        fact.clientSilenceBeforeLastWrite = Self.milliseconds(stream.clientSilenceBeforeLastWrite)
        fact.longestClientSilence = Self.milliseconds(stream.longestClientSilence)
        fact.longestUpstreamSilence = Self.milliseconds(stream.longestUpstreamSilence)
        fact.events = UInt32(stream.events)
        fact.heartbeats = UInt32(stream.heartbeats)
        fact.heartbeatInterval = Self.milliseconds(stream.heartbeatInterval)
        fact.retry = Self.milliseconds(stream.retry)
        fact.cause = stream.cause
        fact.marks = stream.marks
        facts.streams.append(fact)
    }

    /// A refused request.
    mutating func refuse(at time: Double, client: Int, status: UInt16 = 401, cause: Cause? = nil, path: String = "/events") {
        var where_ = Surroundings()
        where_.path = path
        facts.refusals.append(
            RefusalFacts(
                time: Self.time(time), client: TableIndex(client), surroundings: index(of: where_), status: status, hasToken: true,
                cause: cause, place: LogPlace(file: 0, line: 1)))
    }

    /// The proxy was started or reloaded.
    mutating func start(at time: Double) {
        facts.starts.append(StartFacts(time: Self.time(time), isReload: false, heartbeatMilliseconds: 15_000))
    }

    private mutating func index(of shared: Surroundings) -> TableIndex {
        if let index = surroundings[shared] { return index }
        let index = TableIndex(facts.surroundings.count)
        facts.surroundings.append(shared)
        surroundings[shared] = index
        return index
    }

    /// The log up to that second: streams that lived on then have no end in it.
    func facts(until end: Double) -> LogFacts {
        var facts = facts
        facts.files = ["streams.jsonl"]
        facts.firstTime = Self.start
        facts.lastTime = Self.time(end)
        facts.streams.removeAll { $0.openedAt > facts.lastTime }
        for index in facts.streams.indices where facts.streams[index].openedAt + Int64(facts.streams[index].duration) > facts.lastTime {
            facts.streams[index].duration = UInt32(facts.lastTime - facts.streams[index].openedAt)
            facts.streams[index].cause = nil
        }
        // What only a line of an end tells.
        for index in facts.streams.indices where facts.streams[index].cause == nil {
            facts.streams[index].clientSilenceAtEnd = StreamFacts.missing
            facts.streams[index].upstreamSilenceAtEnd = StreamFacts.missing
            facts.streams[index].clientSilenceBeforeLastWrite = StreamFacts.missing
            facts.streams[index].longestClientSilence = StreamFacts.missing
            facts.streams[index].longestUpstreamSilence = StreamFacts.missing
            facts.streams[index].heartbeats = 0
            facts.streams[index].events = 0
        }
        facts.streams.sort { $0.openedAt < $1.openedAt }
        facts.clientCount = Int(facts.streams.map(\.client).max() ?? 0) + 1
        let addressCount = Int(facts.streams.map(\.address).max() ?? 0) + 1
        facts.addresses = (0..<addressCount).map { "10.0.\($0 / 256).\($0 % 256)" }
        facts.lineCount = facts.streams.count * 2 + facts.refusals.count
        return facts
    }

    private static func time(_ seconds: Double) -> Int64 { start + Int64((seconds * 1_000).rounded()) }
    private static func milliseconds(_ seconds: Double?) -> UInt32 {
        seconds.map { UInt32(min(max($0, 0) * 1_000, 4_000_000_000)) } ?? StreamFacts.missing
    }
}

extension SeededGenerator {
    mutating func uniform(_ range: ClosedRange<Double>) -> Double {
        range.lowerBound + Double(next() >> 11) * 0x1p-53 * (range.upperBound - range.lowerBound)
    }
}
