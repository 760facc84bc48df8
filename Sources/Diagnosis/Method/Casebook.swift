// The logs together with what the steps of the method share: who opened when, what belongs to which route and server, and whose end an
// earlier step has explained. Invariant: a stream whose end is explained still counts in what was survived.

import Telemetry

struct Casebook {
    let facts: LogFacts
    /// The different routes, and the route of each of `facts.surroundings`.
    let routes: [String]
    let routeOf: [Int]
    /// The different servers with their upstream, and the server of each of `facts.surroundings`.
    let servers: [Server]
    let serverOf: [Int]
    /// The streams by route: where each route's begin in `byRoute`.
    private let routeStarts: [Int]
    private let byRoute: [UInt32]
    let opens: ClientOpens
    /// By stream: an earlier step has explained its end.
    var isExplained: [Bool]

    struct Server: Hashable {
        let upstream: String
        let name: String
    }

    init(_ facts: LogFacts) {
        self.facts = facts
        let (routes, routeOf) = Self.numbered(facts.surroundings.map(\.route))
        self.routes = routes
        self.routeOf = routeOf
        (servers, serverOf) = Self.numbered(facts.surroundings.map { Server(upstream: $0.upstream, name: $0.server) })
        (routeStarts, byRoute) = Self.grouped(facts.streams.map { UInt32(routeOf[Int($0.surroundings)]) }, into: routes.count)
        opens = ClientOpens(facts)
        isExplained = Array(repeating: false, count: facts.streams.count)
    }

    private static func numbered<Name: Hashable>(_ names: [Name]) -> ([Name], [Int]) {
        var numbers: [Name: Int] = [:]
        var different: [Name] = []
        let found = names.map { name in
            if let number = numbers[name] { return number }
            numbers[name] = different.count
            different.append(name)
            return different.count - 1
        }
        return (different, found)
    }

    /// The positions of the elements by their group, in order: where each group begins, and all positions.
    static func grouped(_ groups: [UInt32], into count: Int) -> (starts: [Int], positions: [UInt32]) {
        var starts = [Int](repeating: 0, count: count + 1)
        for group in groups { starts[Int(group) + 1] += 1 }
        for group in 0..<count { starts[group + 1] += starts[group] }
        var next = starts
        var positions = [UInt32](repeating: 0, count: groups.count)
        for (position, group) in groups.enumerated() {
            positions[next[Int(group)]] = UInt32(position)
            next[Int(group)] += 1
        }
        return (starts, positions)
    }

    /// The streams of a route, in order of their opening.
    func streams(on route: Int) -> ArraySlice<UInt32> { byRoute[routeStarts[route]..<routeStarts[route + 1]] }

    /// The routes with the most streams, at most so many.
    func busyRoutes(most: Int) -> [Int] {
        Array(routes.indices.sorted { streams(on: $0).count > streams(on: $1).count }.prefix(most)).sorted()
    }

    /// Takes the ends of these streams out of the steps that follow.
    mutating func explain(_ streams: some Sequence<Int>) {
        for stream in streams { isExplained[stream] = true }
    }

    /// A finding with all that can be said of any streams: clients, addresses, routes, servers, hops, examples.
    func finding(_ kind: Finding.Kind, _ side: Finding.Side, of streams: [Int], seconds: Double? = nil, confidence: Double) -> Finding {
        var finding = Finding(kind: kind, side: side, seconds: seconds, streams: streams.count, confidence: confidence)
        var clients: Set<TableIndex> = []
        var addresses: Set<TableIndex> = []
        var surroundings: [TableIndex: Int] = [:]
        for index in streams {
            let stream = facts.streams[index]
            clients.insert(stream.client)
            addresses.insert(stream.address)
            surroundings[stream.surroundings, default: 0] += 1
        }
        finding.people = clients.count
        finding.addresses = addresses.count
        var hops: [String: Int] = [:]
        for (index, count) in surroundings {
            for hop in facts.surroundings[Int(index)].hops { hops[hop, default: 0] += count }
            finding.agents[facts.surroundings[Int(index)].agent, default: 0] += count
        }
        // A hop that half of them did not pass cannot be what ended them.
        finding.hops = hops.filter { $0.value * 2 >= streams.count }.keys.sorted()
        finding.routes = Set(surroundings.keys.map { facts.surroundings[Int($0)].route }).subtracting([""]).sorted()
        if side == .upstream {
            finding.servers = Set(surroundings.keys.map { facts.surroundings[Int($0)].server }).subtracting([""]).sorted()
        }
        finding.examples = spread(streams, over: 3)
        return finding
    }

    /// So many of the elements, evenly spread over them.
    func spread(_ streams: [Int], over count: Int) -> [Int] {
        guard streams.count > count else { return streams }
        return (0..<count).map { streams[$0 * (streams.count - 1) / max(count - 1, 1)] }
    }
}

extension StreamFacts {
    /// When it ended, in milliseconds since 1970-01-01 UTC; of a stream without an end, the last line of the logs.
    var endedAt: Int64 { openedAt + Int64(duration) }

    /// Whether its end may be that of a timer on this side, by its cause.
    func mayBeLimit(on side: Finding.Side) -> Bool {
        guard !marks.contains(.wasHeld) else { return false }
        switch cause {
        case .clientClosed, .clientReset: return side == .client
        case .upstreamFinished, .upstreamCutOff, .upstreamReset: return side == .upstream
        default: return false
        }
    }
}

extension [Int64] {
    /// How many of the times, which are in order, are at most that one.
    func count(upTo time: Int64) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Numbers in the clauses of evidence, beside those of `Words`.
enum Clause {
    /// From one number of seconds to another, to the hundredth where they are near each other.
    static func range(_ low: Double, _ high: Double) -> String {
        let lowText = high - low < 1 ? hundredths(low) : Words.decimal(low)
        let highText = high - low < 1 ? hundredths(high) : Words.decimal(high)
        return lowText == highText ? "\(lowText) s" : "\(lowText) to \(highText) s"
    }

    private static func hundredths(_ seconds: Double) -> String {
        let whole = Int((seconds * 100).rounded())
        let rest = whole % 100
        return "\(Words.count(whole / 100)).\(rest < 10 ? "0" : "")\(rest)"
    }
}
