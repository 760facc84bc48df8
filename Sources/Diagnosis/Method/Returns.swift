// Whether clients came back, and how: the strongest evidence of whether somebody had wanted to leave. An EventSource comes back after its
// retry time, a page that was loaded again at once, somebody who left does not.

import Glibc
import Telemetry

/// The openings of each client, in order of time.
struct ClientOpens {
    private let starts: [Int]
    private let streams: [UInt32]
    /// By client: 0 for one person; for a number behind which there are more (no forwarded address, no token, or several tabs) how many
    /// live at a time. Then an open cannot be assigned to an end.
    private let crowds: [Float]

    init(_ facts: LogFacts) {
        let clients = max(facts.clientCount, Int(facts.streams.map(\.client).max() ?? 0) + 1)
        (starts, streams) = Casebook.grouped(facts.streams.map(\.client), into: clients)
        var lived = [Double](repeating: 0, count: clients)
        var lastEnd = [Int64](repeating: .min, count: clients)
        var overlaps = [UInt32](repeating: 0, count: clients)
        for stream in facts.streams {
            let client = Int(stream.client)
            lived[client] += Double(stream.duration)
            // A browser begins a page again a little before it closes the old one. More than that is another tab or another person.
            if lastEnd[client] > stream.openedAt + 1_000 { overlaps[client] += 1 }
            lastEnd[client] = max(lastEnd[client], stream.endedAt)
        }
        let (starts, streams) = (starts, streams)
        crowds = (0..<clients).map { client in
            let count = starts[client + 1] - starts[client]
            guard overlaps[client] >= 2, Int(overlaps[client]) * 25 > count else { return 0 }
            let first = facts.streams[Int(streams[starts[client]])].openedAt
            return Float(lived[client] / Double(max(lastEnd[client] - first, 1)))
        }
    }

    /// How many clients there are.
    var count: Int { crowds.count }

    /// The streams of a client, in order of their opening.
    func streams(of client: TableIndex) -> ArraySlice<UInt32> { streams[starts[Int(client)]..<starts[Int(client) + 1]] }

    /// More people than one are behind this number.
    func isShared(_ client: TableIndex) -> Bool { crowds[Int(client)] > 0 }

    /// How many people are behind this number, roughly.
    func people(behind client: TableIndex) -> Int { isShared(client) ? max(2, Int(crowds[Int(client)].rounded(.up))) : 1 }

    /// The first of the client's streams that was opened at that time or later.
    func first(of client: TableIndex, from time: Int64, in facts: LogFacts) -> ArraySlice<UInt32> {
        let all = streams(of: client)
        var (low, high) = (all.startIndex, all.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if facts.streams[Int(all[middle])].openedAt < time { low = middle + 1 } else { high = middle }
        }
        return all[low...]
    }
}

/// How the clients of some ended streams came back.
struct Returns {
    /// The share that came back after a pause, or named the last event: they had not wanted to leave.
    private(set) var afterPause = 0.0
    /// The share that came back at once or as a new page.
    private(set) var atOnce = 0.0
    /// Most of those whose `retry` is known came back when it was over, as an `EventSource` does; that time in seconds.
    private(set) var retry: Double?
    /// How many people they are, as far as that can be told.
    private(set) var people = 0

    /// A browser begins a page again before it closes the old one, so an open a little before the end belongs to it.
    private static let earliest: Int64 = -500
    /// Above this it was a pause: the shortest retry in use is a second, a page needs less on a usual network.
    private static let pause: Int64 = 800
    /// Chrome waits 3 s and Firefox 5 s; what comes later than this is a new visit.
    private static let latest: Int64 = 15_000
    private static let bin: Int64 = 250
    /// So many ends are looked at in detail, evenly spread: a share is then known to two hundredths.
    private static let looked = 2_000

    /// More clients came back after a pause than a page that is loaded again slowly explains.
    private var isPause: Bool { afterPause * 2 > atOnce }
    /// Some had not wanted to leave.
    var some: Bool { afterPause >= 0.15 && isPause }
    /// Many had not wanted to leave.
    var many: Bool { afterPause >= 0.3 && isPause }
    /// They load pages again, or their client comes back without a pause.
    var mostlyAtOnce: Bool { atOnce >= 0.3 && !some }

    init(after ended: [Int], in book: Casebook) {
        let sample = book.spread(ended, over: Self.looked)
        guard !sample.isEmpty else { return }
        var named = (pause: 0, atOnce: 0)
        var retries: [UInt32] = []
        var punctual = 0
        var anonymous: [Int] = []
        for index in sample {
            let stream = book.facts.streams[index]
            if book.opens.isShared(stream.client), !stream.isFollowedSurely {
                anonymous.append(index)
            } else if let found = Self.comeBack(of: stream, index, in: book) {
                if found.kind == .pause { named.pause += 1 } else { named.atOnce += 1 }
                guard stream.retry != StreamFacts.missing, stream.retry > 0 else { continue }
                retries.append(stream.retry)
                if Self.isPunctual(found.lag, retry: Int64(stream.retry)) { punctual += 1 }
            }
        }
        if punctual * 2 > retries.count { retry = Double(retries.sorted()[retries.count / 2]) / 1_000 }
        let guess = Self.excess(after: anonymous, in: book)
        afterPause = (Double(named.pause) + guess.pause) / Double(sample.count)
        atOnce = (Double(named.atOnce) + guess.atOnce) / Double(sample.count)
        let clients = Set(ended.lazy.map { book.facts.streams[$0].client })
        people = clients.reduce(0) { $0 + book.opens.people(behind: $1) }
    }

    private enum Kind { case pause, atOnce }

    /// As long after the end as the client was told to wait, and a connection later.
    private static func isPunctual(_ lag: Int64, retry: Int64) -> Bool {
        lag >= retry * 9 / 10 && lag <= retry + max(1_000, retry * 4 / 10)
    }

    private static func window(_ stream: StreamFacts) -> Int64 {
        stream.retry == StreamFacts.missing ? latest : max(latest, Int64(stream.retry) * 14 / 10)
    }

    private static func comeBack(of stream: StreamFacts, _ index: Int, in book: Casebook) -> (kind: Kind, lag: Int64)? {
        // Where the next stream names this one, nothing has to be looked for: also of a client that came back from another address.
        if stream.returnedAfter != StreamFacts.missing {
            let lag = Int64(stream.returnedAfter)
            guard lag <= window(stream) else { return nil }
            let marks = stream.marks
            return (
                kind(after: stream, lag, resumes: marks.contains(.returnResumes), tells: marks.contains(.returnTellsResuming)), lag
            )
        }
        let end = stream.endedAt
        let from = max(end + earliest, stream.openedAt + 1)
        for next in book.opens.first(of: stream.client, from: from, in: book.facts) where Int(next) != index {
            let open = book.facts.streams[Int(next)]
            let lag = open.openedAt - end
            guard lag <= window(stream) else { return nil }
            return (
                kind(after: stream, lag, resumes: open.marks.contains(.resumes), tells: open.marks.contains(.tellsResuming)), lag
            )
        }
        return nil
    }

    private static func kind(after stream: StreamFacts, _ lag: Int64, resumes: Bool, tells: Bool) -> Kind {
        if resumes { return .pause }
        // The server had sent ids, and this request names none: a page that was loaded again.
        if tells && stream.marks.contains(.hasEventID) { return .atOnce }
        return lag < pause ? .atOnce : .pause
    }

    /// How many of the ends of clients who cannot be told apart were followed by an open: all opens by their lag, less what their rate
    /// makes expected. Only lags that stand out count, because a busy log has an open after everything.
    private static func excess(after ended: [Int], in book: Casebook) -> (pause: Double, atOnce: Double) {
        guard !ended.isEmpty else { return (0, 0) }
        let bins = Int((latest - earliest) / bin)
        var counts = [Double](repeating: 0, count: bins)
        var expected = 0.0
        for index in ended {
            let stream = book.facts.streams[index]
            let all = book.opens.streams(of: stream.client)
            let first = book.facts.streams[Int(all[all.startIndex])].openedAt
            let span = Double(max(book.facts.streams[Int(all[all.endIndex - 1])].openedAt - first, 1_000))
            expected += Double(all.count) / span * Double(bin)
            // Bounded: where thousands of opens follow each end, the nearest ones are enough to see a peak.
            for next in book.opens.first(of: stream.client, from: stream.endedAt + earliest, in: book.facts).prefix(4_000)
            where Int(next) != index {
                let lag = book.facts.streams[Int(next)].openedAt - stream.endedAt - earliest
                guard lag < latest - earliest else { break }
                counts[Int(lag / bin)] += 1
            }
        }
        let firstPause = Int((pause - earliest) / bin)
        // One chance in a thousand for all bins together.
        let needed = log(1e-3 / Double(bins))
        func sum(_ range: Range<Int>) -> Double {
            let peaks = counts[range].reduce(0.0) { sum, count in
                Chance.atLeast(Int(count), mean: expected) < needed ? sum + count - expected : sum
            }
            let all = counts[range].reduce(0, +)
            let usual = expected * Double(range.count)
            let isClear = Chance.atLeast(Int(all), mean: usual) < needed
            return min(max(peaks, isClear ? all - usual : 0), Double(ended.count))
        }
        return (sum(firstPause..<bins), sum(0..<firstPause))
    }
}

extension StreamFacts {
    /// Its client's next stream names it, and the client is known by a token: then it does not matter how many people share an address.
    fileprivate var isFollowedSurely: Bool { returnedAfter != Self.missing && marks.contains(.returnIsByToken) }
}
