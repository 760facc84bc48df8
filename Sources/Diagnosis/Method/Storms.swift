// Clients that come all in the same second, or one client that comes back at once without end.

import Telemetry

enum Storms {
    private static let opensInSecond = 25
    private static let timesMean = 20.0
    /// A client that comes so often within two minutes, and lives for less than two seconds each time.
    private static let returns = 10
    private static let within: Int64 = 120_000
    private static let life: UInt32 = 2_000
    /// Opens this soon after a moment or a start are its echo, in milliseconds: a retry of 3 to 10 s, and some time to connect.
    private static let echo: Int64 = 20_000
    /// A log that begins with a crowd may begin with the proxy itself.
    private static let beginning: Int64 = 10_000

    /// A limit that cuts streams which began together sends their clients back together, each time: the retry, and a little more.
    private static let retry: Int64 = 8_000

    /// `book` knows which ends are explained already, and `moments` when something was replaced.
    static func find(in book: Casebook, after moments: [Int64]) -> [Finding] { crowds(book, moments) + loops(book) }

    // MARK: All in one second

    private static func crowds(_ book: Casebook, _ moments: [Int64]) -> [Finding] {
        let streams = book.facts.streams
        guard let first = streams.first?.openedAt, let last = streams.last?.openedAt else { return [] }
        let mean = Double(streams.count) / max(Double(last - first) / 1_000, 60)
        var crowds: [Range<Int>] = []
        var most = 0
        var start = 0
        for end in streams.indices {
            while streams[end].openedAt - streams[start].openedAt >= 1_000 { start += 1 }
            let count = end - start + 1
            guard count >= opensInSecond, Double(count) >= timesMean * mean else { continue }
            most = max(most, count)
            if let crowd = crowds.last, start < crowd.upperBound {
                crowds[crowds.count - 1] = crowd.lowerBound..<end + 1
            } else {
                crowds.append(start..<end + 1)
            }
        }
        guard !crowds.isEmpty else { return [] }
        let causes = (moments + book.facts.starts.map(\.time)).sorted()
        let sentBack = streams.indices.filter {
            book.isExplained[$0] || streams[$0].cause.map(ownEnds.contains) == true
        }
        .map { streams[$0].endedAt }.sorted()
        let own = crowds.filter { crowd in
            let time = streams[crowd.lowerBound].openedAt
            let ends = sentBack.count(upTo: streams[crowd.upperBound - 1].openedAt) - sentBack.count(upTo: time - retry)
            return time - first > beginning && causes.count(upTo: time) == causes.count(upTo: time - echo) && ends * 2 < crowd.count
        }
        let shown = own.isEmpty ? crowds : own
        let members = shown.flatMap { Array($0) }
        let known = members.count { isKnown($0, book) }
        // People who were there before and come together have been sent away together. New ones may have had the same idea.
        let isReturn = known * 2 >= members.count
        let confidence = own.isEmpty ? 0.4 : isReturn ? 0.85 : 0.6
        var finding = book.finding(.reconnectStorm, .client, of: members, confidence: confidence)
        finding.moments = shown.map { streams[$0.lowerBound].openedAt }
        finding.evidence = [
            "up to \(Words.count(most, "stream")) were opened within a second; usual is "
                + (mean >= 1 ? "\(Words.decimal(mean)) a second" : "one in \(Words.span(1 / mean))")
        ]
        if isReturn { finding.evidence.append("\(Words.count(known)) of them had been there before") }
        if own.isEmpty { finding.evidence.append("they follow a moment in which they were cut or sent away, or the log's beginning") }
        return [finding]
    }

    /// The proxy's own ends, behind which clients come back.
    private static let ownEnds: Set<Cause> = [.drained, .graceExpired, .tokenExpired, .revoked]

    private static func isKnown(_ index: Int, _ book: Casebook) -> Bool {
        let stream = book.facts.streams[index]
        if stream.marks.contains(.resumes) { return true }
        let all = book.opens.streams(of: stream.client)
        return book.facts.streams[Int(all[all.startIndex])].openedAt < stream.openedAt - 1_000
    }

    // MARK: One that comes back at once without end

    private static func loops(_ book: Casebook) -> [Finding] {
        var streams: [Int] = []
        for client in 0..<book.opens.count where !book.opens.isShared(TableIndex(client)) {
            let mine = book.opens.streams(of: TableIndex(client))
            guard mine.count >= returns else { continue }
            let short = mine.map(Int.init).filter { book.facts.streams[$0].cause != nil && book.facts.streams[$0].duration < life }
            let isLoop = short.indices.dropFirst(returns - 1).contains { last in
                book.facts.streams[short[last]].openedAt - book.facts.streams[short[last - returns + 1]].openedAt <= within
            }
            if isLoop { streams += short }
        }
        guard !streams.isEmpty else { return [] }
        var finding = book.finding(.reconnectStorm, .client, of: streams, confidence: streams.count >= 20 ? 0.85 : 0.75)
        finding.evidence = [
            "\(Words.count(finding.people, "client")) came back \(Words.count(streams.count)) times, and each time lived for less than 2 s"
        ]
        return [finding]
    }
}
