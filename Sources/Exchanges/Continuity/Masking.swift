// What a feed knows while it asks a server to go on: since when, how often that failed, and whether an old response is read meanwhile.

import Reactor
import Telemetry
import Upstreams

/// One address of one server, whose stream is a part of a merged one. An object, because most feeds have none.
final class PinnedAddress: Hashable {
    /// The server's name when it was found.
    let server: String
    let address: SocketAddress

    init(server: String, address: SocketAddress) {
        self.server = server
        self.address = address
    }

    /// The same address is the same server, also under another name.
    static func == (left: PinnedAddress, right: PinnedAddress) -> Bool { left.address == right.address }

    func hash(into hasher: inout Hasher) { hasher.combine(address) }

    /// The place in the list of the server that has the address now, under the same name if it can be.
    func place(in servers: [ServerState]) -> Int? {
        func first(where isWanted: (ServerState) -> Bool) -> Int? {
            servers.firstIndex { isWanted($0) && $0.addresses.contains(address) }
        }
        return first { $0.name == server } ?? first { _ in true }
    }
}

/// The search for a server that goes on with a stream, while its readers stay.
final class Masking {
    let request: StreamRequest
    /// Monotonic milliseconds: since when no response is read.
    private(set) var since: Int64
    /// Whether the proxy itself replaces a response.
    let isRecycling: Bool
    /// The response that is to be replaced, and is read until then; nil where none is.
    private(set) var old: ServerPart?
    /// What the old response and the next one have in common; nil until the next one is asked for while the old one is read. It stays where
    /// the old one ends before the next one has begun.
    var overlap: Overlap?
    /// Whether nothing has been read yet: the server is one more of a merged stream.
    var isFirst = false
    /// Whether the response before has broken, so that something of it may be missing.
    var isBroken = false
    /// The status with which the server has last answered, in place of a stream.
    var answer: Int?
    /// The place of the server in its group, where one address is asked.
    var pinnedServer: Int?
    /// The place in its group of the server that is tried.
    var server: Int { pinnedServer ?? search.server }
    /// When the servers are asked again.
    var nextAttemptAt = Int64.max
    /// The servers that the present attempt tries, and the numbers of their metrics' series.
    private(set) var group: ServerGroup
    private var series: [Int32]
    var search = ServerSearch()
    /// The half-open probe that the present attempt makes for all who wait; nil for none.
    var probe: HalfOpenProbe?
    /// How many servers and addresses the present attempt has tried.
    var attempts: UInt8 = 0
    /// How a server failed last, and when; nil before the first failure.
    private(set) var failure: SeenFailure?
    private(set) var failedAt = Int64.min
    private(set) var failureCount: UInt64 = 0

    init(since: Int64, _ request: StreamRequest, _ generation: Generation, isRecycling: Bool = false, replacing old: ServerPart? = nil) {
        self.since = since
        self.request = request
        self.isRecycling = isRecycling
        self.old = old
        (group, series) = request.servers(now: generation)
    }

    /// The old response is not read any more: the next one is needed at once.
    func oldIsOver(now: Int64) {
        old?.leave()
        old = nil
        since = now
    }

    /// A new attempt begins, with the servers that the configuration has now.
    func findServers(of generation: Generation) { (group, series) = request.servers(now: generation) }

    /// An attempt failed.
    func failed(_ seen: SeenFailure, now: Int64) {
        probe?.end()
        probe = nil
        failure = seen
        failedAt = now
        failureCount += 1
    }

    /// Counts what came of trying a server.
    func count(_ result: AttemptResult, _ server: Int, _ counters: WorkerCounters) {
        if server < series.count { counters.add(.upstreamAttempts, result, of: series[server]) }
    }
}
