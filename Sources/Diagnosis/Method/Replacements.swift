// What moments mean: a server that was restarted, a deployment, workers that are replaced, a hop before the proxy that was reloaded.

import Telemetry

/// The findings of moments, and the streams that they explain.
struct Replacements {
    private(set) var findings: [Finding] = []
    private(set) var explained: [Int] = []
    /// When they happened, in milliseconds since 1970-01-01 UTC.
    private(set) var times: [Int64] = []

    /// Of the living streams of a server, or of an address.
    private static let whole = 0.75
    private static let ofAddress = 0.7
    /// Servers that follow each other within this are one deployment, in milliseconds.
    private static let deployment: Int64 = 900_000
    /// Addresses whose streams end within this of each other belong to one hop, in milliseconds.
    private static let atOnce: Int64 = 2_500
    /// Fewer people may be one family.
    private static let fewestPeople = 3

    init(_ book: Casebook) {
        ofServers(book)
        ofAddresses(book)
    }

    // MARK: Servers

    private mutating func ofServers(_ book: Casebook) {
        let moments = Moments.all(
            in: book, places: book.servers.count, place: { book.serverOf[Int($0.surroundings)] }, side: .upstream,
            isEnd: { $0.cause?.side == .upstream && $0.cause != .upstreamSilent })
        let real = Self.withoutBroadcasts(moments)
        let partly = Dictionary(grouping: real.filter { $0.share < Self.whole }, by: \.place).filter { $0.value.count >= 2 }.keys
        // Of few streams a part is all of them now and then. A server whose workers are replaced is not restarted in between.
        func isWhole(_ moment: Moment) -> Bool {
            moment.share >= Self.whole && (moment.streams.count >= 20 || !partly.contains(moment.place))
        }
        var restarts = real.filter(isWhole).sorted { $0.time < $1.time }
        while let first = restarts.first {
            // Servers that follow each other: each within a quarter of an hour of the one before.
            var chain = [first]
            for moment in restarts.dropFirst() where moment.time - chain[chain.count - 1].time <= Self.deployment { chain.append(moment) }
            if Set(chain.map(\.place)).count > 1 {
                add(.deployment, chain, book)
                restarts.removeFirst(chain.count)
            } else {
                let same = restarts.filter { $0.place == first.place && !Self.isDeployed($0, restarts) }
                let mine = same.isEmpty ? [first] : same
                add(.serverRestart, mine, book)
                restarts.removeAll { moment in mine.contains { $0.place == moment.place && $0.time == moment.time } }
            }
        }
        let parts = real.filter { !isWhole($0) && !Self.isOneSubject($0, book) }
        for (_, moments) in Dictionary(grouping: parts, by: \.place).sorted(by: { $0.key < $1.key }) {
            add(.workerRecycling, moments, book)
        }
    }

    /// Another server was restarted near this moment.
    private static func isDeployed(_ moment: Moment, _ restarts: [Moment]) -> Bool {
        restarts.contains { $0.place != moment.place && abs($0.time - moment.time) <= deployment }
    }

    /// An event for everybody, and then a limit of silence, end all streams in one moment too, again and again after the same silence.
    private static func withoutBroadcasts(_ moments: [Moment]) -> [Moment] {
        moments.filter { moment in
            guard let silence = moment.sameSilence else { return true }
            return !moments.contains { other in
                guard other.time != moment.time, let otherSilence = other.sameSilence else { return false }
                return abs(otherSilence - silence) <= max(1_000, silence / 50)
            }
        }
    }

    /// A part of a server's streams in good order, all of one path and all that were there: what they were about is over.
    private static func isOneSubject(_ moment: Moment, _ book: Casebook) -> Bool {
        let paths = Set(moment.streams.map { book.surroundings(of: $0).path })
        guard paths.count == 1, moment.streams.allSatisfy({ book.facts.streams[$0].cause == .upstreamFinished }) else { return false }
        return !book.facts.streams.indices.contains { index in
            let stream = book.facts.streams[index]
            return book.serverOf[Int(stream.surroundings)] == moment.place && stream.openedAt < moment.time
                && stream.endedAt > moment.time + 15_000 && paths.contains(book.surroundings(of: index).path)
        }
    }

    private mutating func add(_ kind: Finding.Kind, _ moments: [Moment], _ book: Casebook) {
        let streams = moments.flatMap(\.streams)
        explained += streams
        let returns = Returns(after: streams, in: book)
        let orderly = Double(streams.count { book.facts.streams[$0].cause == .upstreamFinished }) / Double(streams.count)
        var confidence = kind == .workerRecycling ? 0.75 : 0.8
        if orderly < 0.5 { confidence += 0.05 }
        if returns.some { confidence += 0.05 }
        if streams.count >= 10 { confidence += 0.05 }
        // All in good order, and nobody comes back: what the streams were about is over.
        if orderly > 0.9 && returns.afterPause + returns.atOnce < 0.05 { confidence = min(confidence, 0.4) }
        // A part once is no habit.
        if kind == .workerRecycling && moments.count < 2 { confidence = min(confidence, 0.4) }
        var finding = book.finding(kind, .upstream, of: streams, confidence: confidence)
        describe(&finding, moments, returns)
        if kind != .workerRecycling, let silence = moments.first?.sameSilence, moments.count == 1 {
            finding.alternative = .idleTimeout
            finding.evidence.append("the server had been silent for \(Words.seconds(Double(silence) / 1_000)) on all of them")
        }
        findings.append(finding)
    }

    private mutating func describe(_ finding: inout Finding, _ moments: [Moment], _ returns: Returns) {
        finding.moments = moments.map(\.time).sorted().reduce(into: []) { times, time in
            if let last = times.last, finding.kind == .hopRestart, time - last <= Self.atOnce { return }
            times.append(time)
        }
        times += finding.moments
        finding.returned = returns.afterPause
        let share = moments.map(\.share).min() ?? 0
        let when = finding.moments.count == 1 ? "one moment" : "\(Words.count(finding.moments.count)) moments"
        finding.evidence.append("they were of all ages, and ended in \(when)")
        let part = share >= 1 ? "all" : "\(finding.moments.count == 1 ? "" : "at least ")\(Words.percent(share))"
        finding.evidence.append("these were \(part) of the streams that lived there")
        if returns.afterPause >= 0.05 { finding.evidence.append("\(Words.percent(returns.afterPause)) of the clients came back") }
    }

    // MARK: Addresses before the proxy

    private mutating func ofAddresses(_ book: Casebook) {
        let places = max(book.facts.addresses.count, Int(book.facts.streams.map(\.address).max() ?? 0) + 1)
        let moments = Moments.all(
            in: book, places: places, place: { Int($0.address) }, side: .client,
            // Over HTTP/2 one client's connection ends all of its streams at once, so these moments tell nothing of a hop.
            isEnd: {
                ($0.cause == .clientClosed || $0.cause == .clientReset) && book.facts.surroundings[Int($0.surroundings)].http != "2"
            })
        let real = Self.withoutBroadcasts(moments).filter { $0.share >= Self.ofAddress }
        for moments in Self.together(Dictionary(grouping: real, by: \.place).sorted { $0.key < $1.key }.map(\.value)) {
            let streams = moments.flatMap(\.streams)
            let returns = Returns(after: streams, in: book)
            guard returns.people >= Self.fewestPeople else { continue }
            guard returns.afterPause + returns.atOnce >= 0.5 else { continue }
            explained += streams
            // Everybody back at once: a page that the application loaded again everywhere.
            let confidence = returns.mostlyAtOnce ? 0.4 : streams.count >= 10 ? 0.9 : 0.8
            var finding = book.finding(.hopRestart, .client, of: streams, confidence: confidence)
            describe(&finding, moments, returns)
            let names = Set(moments.map(\.place)).sorted().filter(book.facts.addresses.indices.contains).map { book.facts.addresses[$0] }
            if !names.isEmpty { finding.evidence.append("the \(names.count == 1 ? "address is" : "addresses are") \(Words.list(names))") }
            findings.append(finding)
        }
    }

    /// One hop may have several addresses: their moments are the same.
    private static func together(_ ofAddresses: [[Moment]]) -> [[Moment]] {
        var hops: [[Moment]] = []
        for moments in ofAddresses {
            func isSame(_ other: [Moment]) -> Bool {
                let times = Set(other.map(\.time)).sorted()
                return moments.allSatisfy { moment in times.contains { abs($0 - moment.time) <= atOnce } }
                    && times.allSatisfy { time in moments.contains { abs($0.time - time) <= atOnce } }
            }
            if let hop = hops.firstIndex(where: isSame) { hops[hop] += moments } else { hops.append(moments) }
        }
        return hops
    }
}
