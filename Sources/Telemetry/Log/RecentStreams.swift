// Which streams ended lately, so that the line of a new stream can name the one before it. All workers share it: a client may come back
// on another worker. It is used when a stream opens or ends, never for an event.
// Invariant: a client is known by a keyed hash only, and the memory is bounded: old ends make room for new ones.

import Synchronization

/// The streams that ended within the last minutes, by client.
package final class RecentStreams: Sendable {
    /// For how long an end is remembered, in milliseconds.
    package static let rememberedMilliseconds: Int64 = 300_000

    private static let shardCount: UInt64 = 16
    private static let setsPerShard: UInt64 = 128
    private static let waysPerSet = 16
    /// How many ends are remembered at most. They take 1 MiB then.
    static let capacity = Int(shardCount * setsPerShard) * waysPerSet

    private struct End {
        var client: UInt64
        var stream: StreamIdentifier
        /// Monotonic milliseconds; far in the past for an unused place.
        var at: Int64

        static let none = End(client: 0, stream: StreamIdentifier(worker: 0, number: 0), at: .min / 2)
    }

    private final class Shard: Sendable {
        /// Empty until a first stream ends.
        let ends = Mutex<[End]>([])
    }

    private let shards: [Shard] = (0..<shardCount).map { _ in Shard() }

    /// Knows of no stream yet.
    package init() {}

    /// Remembers an end. `client` is a keyed hash of 64 bits of the client and what it asked for.
    package func ended(_ stream: StreamIdentifier, of client: UInt64, now: Int64) {
        shard(of: client).ends.withLock { ends in
            if ends.isEmpty { ends = [End](repeating: .none, count: Int(RecentStreams.setsPerShard) * RecentStreams.waysPerSet) }
            var oldest = RecentStreams.places(of: client).lowerBound
            for place in RecentStreams.places(of: client) where ends[place].at < ends[oldest].at { oldest = place }
            ends[oldest] = End(client: client, stream: stream, at: now)
        }
    }

    /// The latest end of a stream of that client, and how long ago it was, in milliseconds; nil if none is known. The same end is not
    /// given again: each new stream follows another one.
    package func takeLast(of client: UInt64, now: Int64) -> (stream: StreamIdentifier, sinceMilliseconds: Int64)? {
        shard(of: client).ends.withLock { ends in
            guard !ends.isEmpty else { return nil }
            var found: Int?
            for place in RecentStreams.places(of: client)
            where ends[place].client == client && ends[place].at >= now - RecentStreams.rememberedMilliseconds {
                if found.map({ ends[$0].at < ends[place].at }) ?? true { found = place }
            }
            guard let found else { return nil }
            let end = ends[found]
            ends[found] = .none
            // The clocks of two workers may differ by a turn.
            return (end.stream, max(0, now - end.at))
        }
    }

    private func shard(of client: UInt64) -> Shard { shards[Int(client % RecentStreams.shardCount)] }

    private static func places(of client: UInt64) -> Range<Int> {
        let first = Int(client / shardCount % setsPerShard) * waysPerSet
        return first..<(first + waysPerSet)
    }
}
