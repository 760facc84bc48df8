// Browsers open six connections to one origin over HTTP/1. With six tabs a seventh stream waits, without an error, until one of them ends.

import Telemetry

enum ConnectionLimit {
    private static let six = 6
    /// The waiting request goes out at once when a connection is free, in milliseconds.
    private static let handover: Int64 = 250
    /// So often it is no chance.
    private static let times = 3

    /// `explained` are streams that something else ended: their openings are returns.
    static func find(in book: Casebook, explained: [Bool]) -> Finding? {
        var (waiters, ends): ([Int], [Int]) = ([], [])
        for client in 0..<book.opens.count {
            let found = handovers(of: book.opens.streams(of: TableIndex(client)), book, explained)
            waiters += found.map(\.waiter)
            ends += found.map(\.end)
        }
        guard !waiters.isEmpty else { return nil }
        var finding = book.finding(.connectionLimit, .client, of: waiters, confidence: 0.75)
        finding.evidence = [
            "\(Words.count(finding.people, "client")) had six streams and never seven",
            "\(Words.count(waiters.count)) times the next one began within 0.25 s of an end",
        ]
        // The end after which each began may be in the log as its client's previous one.
        let named = ends.count { book.facts.streams[$0].returnedAfter <= handover }
        if named * 2 > ends.count {
            finding.confidence = 0.85
            finding.evidence.append("the lines of \(Words.count(named)) of them name that stream as the client's previous one")
        }
        return finding
    }

    /// The streams that had waited, and the ends that they had waited for; none unless the client had six at a time, never seven, and it
    /// happened often enough.
    private static func handovers(
        of mine: ArraySlice<UInt32>, _ book: Casebook, _ explained: [Bool]
    ) -> [(waiter: Int, end: Int)] {
        guard mine.count >= six + times else { return [] }
        let streams = mine.map { book.facts.streams[Int($0)] }
        guard book.facts.surroundings[Int(streams[0].surroundings)].http != "2" else { return [] }
        let ends = mine.filter { book.facts.streams[Int($0)].cause != nil }.map { (book.facts.streams[Int($0)].endedAt, Int($0)) }
            .sorted { $0.0 < $1.0 }
        var (living, most, next) = (0, 0, 0)
        var lastEnd: (time: Int64, stream: Int, living: Int)?
        var waiters: [(waiter: Int, end: Int)] = []
        for index in mine.map(Int.init) {
            let stream = book.facts.streams[index]
            while next < ends.count, ends[next].0 <= stream.openedAt {
                lastEnd = (ends[next].0, ends[next].1, living)
                living -= 1
                next += 1
            }
            if let lastEnd, stream.openedAt - lastEnd.time <= handover, lastEnd.living == six, !explained[lastEnd.stream],
                !stream.marks.contains(.resumes)
            {
                waiters.append((index, lastEnd.stream))
            }
            living += 1
            most = max(most, living)
            if most > six { return [] }
        }
        return most == six && waiters.count >= times ? waiters : []
    }
}
