// The search for limits: round after round on each side, the clearest limit first, then again without the streams that it explains. Each
// route is looked at by itself first, because a limit of one route is blurred by the others, then all together.

import Telemetry

/// The limits of one side.
struct Timeouts {
    /// A limit that one search found.
    private struct Found {
        let reading: Reading
        let members: Members
        let confidence: Double
        /// Its streams; one can stand here twice, from two searches.
        var streams: [Int]

        /// The same limit again, found on another route or on all of them.
        func isSame(as other: Found) -> Bool {
            let near = max(1.0, other.reading.seconds * 0.012)
            return reading.isIdle == other.reading.isIdle && abs(reading.seconds - other.reading.seconds) <= near
        }
    }

    private static let rounds = 4
    /// Of very many routes those with the most streams are looked at by themselves.
    private static let mostRoutes = 64
    /// Agents of clients' libraries count bytes of comments too; what ends them at this age although heartbeats went out is a hop that
    /// keeps the bytes back (the `heartbeatTimeout` of Yaffle's EventSource).
    private static let clientIdleSeconds = 45.0

    private let side: Finding.Side
    private var found: [Found] = []

    /// The streams that are explained, by claims and by remarks.
    var explained: [Int] { found.flatMap(\.streams) }

    init(on side: Finding.Side, in book: Casebook) {
        self.side = side
        if book.routes.count > 1 {
            for route in book.busyRoutes(most: Self.mostRoutes) { search(book.streams(on: route), in: book) }
        }
        search(Array(0..<UInt32(book.facts.streams.count))[...], in: book)
    }

    private mutating func search(_ streams: ArraySlice<UInt32>, in book: Casebook) {
        var age = Axis(.age, on: side, of: streams, in: book)
        var silence = Axis(.silence, on: side, of: streams, in: book)
        var isTaken = [Bool](repeating: false, count: book.facts.streams.count)
        for _ in 0..<Self.rounds {
            guard let reading = Reading(age: age, silence: silence) else { return }
            let ends = reading.cluster.ends
            let axis = reading.isIdle ? silence : age
            let limit = Int(reading.seconds * 1_000)
            let outlived = axis.count(beyond: max(limit + Limit.margin(reading.seconds), ends[ends.count - 1].milliseconds))
            let members = Members(reading.cluster.streams, outlived: outlived, silenceOn: side, in: book)
            let confidence = members.confidence(reading, on: side)
            add(Found(reading: reading, members: members, confidence: confidence, streams: members.streams))
            // Timers that are later than the window, and writes that fail only at the next event, are no limits of their own.
            let late = limit + max(limit * 6 / 100, 3 * reading.cluster.width)
            for end in axis.ends where end.milliseconds >= ends[0].milliseconds && end.milliseconds <= late { isTaken[end.stream] = true }
            age.removeEnds { isTaken[$0.stream] }
            silence.removeEnds { isTaken[$0.stream] }
        }
    }

    private mutating func add(_ new: Found) {
        guard let same = found.firstIndex(where: { new.isSame(as: $0) }) else {
            found.append(new)
            return
        }
        let streams = found[same].streams + new.streams
        if new.confidence > found[same].confidence { found[same] = new }
        found[same].streams = streams
    }

    /// The limits as findings.
    func findings(in book: Casebook) -> [Finding] {
        found.map { found in
            let reading = found.reading
            let streams = Self.withoutDoubles(found.streams)
            var finding = book.finding(
                reading.isIdle ? .idleTimeout : .absoluteTimeout, side, of: streams, seconds: reading.seconds,
                confidence: found.confidence)
            finding.lethality = found.members.lethality
            finding.returned = found.members.returns.afterPause
            if !reading.isSure { finding.alternative = .absoluteTimeout }
            finding.evidence = evidence(of: found, in: book)
            if side == .client && !reading.isIdle { readAge(&finding, found.members, in: book) }
            return finding
        }
    }

    private static func withoutDoubles(_ streams: [Int]) -> [Int] {
        let sorted = streams.sorted()
        return sorted.indices.filter { $0 == 0 || sorted[$0 - 1] != sorted[$0] }.map { sorted[$0] }
    }

    private func evidence(of found: Found, in book: Casebook) -> [String] {
        let ends = found.reading.cluster.ends
        let low = Double(ends[0].milliseconds) / 1_000
        let high = Double(ends[ends.count - 1].milliseconds) / 1_000
        let what = found.reading.isIdle ? "after a silence" : "at an age"
        // How many streams it is stands before: a limit that was found on several routes has more than this search saw.
        let who = ends.count == Self.withoutDoubles(found.streams).count ? "they" : "\(Words.count(ends.count)) of them"
        var clauses = ["\(who) ended \(what) of \(Clause.range(low, high))", found.reading.reason]
        let lethality = found.members.lethality
        if lethality >= 0.995 {
            clauses.append("no stream passed \(Words.seconds(found.reading.seconds))")
        } else {
            clauses.append("\(Words.percent(lethality)) of the streams that came so far ended there")
            if let shared = Sharing.feature(of: found.members.streams, in: book) { clauses.append(shared) }
        }
        let returns = found.members.returns
        if returns.afterPause >= 0.05 {
            let retry = returns.retry.map { ", most of them when their retry of \(Words.seconds($0)) was over" } ?? ""
            clauses.append("\(Words.percent(returns.afterPause)) of the clients came back after a pause\(retry)")
        }
        if returns.atOnce >= 0.05 { clauses.append("\(Words.percent(returns.atOnce)) came back at once or as a new page") }
        if returns.afterPause + returns.atOnce < 0.05 { clauses.append("hardly anybody came back") }
        return clauses
    }

    /// What else one age can mean. Heartbeats went out, so the client heard from the server. If it still ends at one age, the bytes
    /// may not have reached it.
    private func readAge(_ finding: inout Finding, _ members: Members, in book: Casebook) {
        guard let seconds = finding.seconds else { return }
        let streams = book.facts.streams
        if members.streams.allSatisfy({ Self.isTold(seconds, by: book.facts.surroundings[Int(streams[$0].surroundings)]) }) {
            finding.confidence = max(finding.confidence, 0.9)
            finding.evidence.append("their requests name that limit (X-Envoy-Expected-Rq-Timeout-Ms)")
            return
        }
        guard members.streams.count(where: { streams[$0].heartbeats > 0 }) * 2 > members.streams.count else { return }
        if abs(seconds - Self.clientIdleSeconds) <= 1 {
            finding.kind = .buffering
            finding.alternative = .absoluteTimeout
            finding.evidence.append("heartbeats were sent, and \(Words.seconds(seconds)) is a client's limit for silence")
        } else {
            finding.alternative = .buffering
        }
    }

    private static func isTold(_ seconds: Double, by surroundings: Surroundings) -> Bool {
        surroundings.expectedTimeout > 0 && abs(Double(surroundings.expectedTimeout) / 1_000 - seconds) <= 1
    }
}
