// What the proxy did with one connection, as the simulated kernel saw it: when it read, when it wrote, and when it could not write all that
// it had. The checks of the log's fields compare with it. Invariant: nothing here comes from the proxy's own accounts.

/// The proxy's use of one connection; the socket of its peer holds it.
final class Traffic {
    /// A time in which bytes waited in the proxy.
    struct Wait {
        let from: Int64
        /// Nil while it lasts.
        fileprivate(set) var until: Int64?
        /// At least so many bytes waited at some moment of it.
        fileprivate(set) var mostBytes: Int
    }

    /// The moments at which the proxy read bytes, each once.
    private(set) var readAt: [Int64] = []
    /// The moments at which the kernel took bytes from the proxy, each once.
    private(set) var writtenAt: [Int64] = []
    private(set) var waits: [Wait] = []

    /// How many milliseconds of that time bytes waited.
    func waited(from start: Int64, until end: Int64) -> Int64 {
        waits.reversed().prefix { $0.until ?? end > start }.reduce(0) { $0 + max(0, min($1.until ?? end, end) - max($1.from, start)) }
    }

    func read(_ count: Int, at moment: Int64) { if count > 0, readAt.last != moment { readAt.append(moment) } }

    /// The proxy offered bytes, and the kernel took some of them.
    func write(_ offered: Int, taken: Int, at moment: Int64) {
        if taken > 0, writtenAt.last != moment { writtenAt.append(moment) }
        let left = offered - taken
        guard let last = waits.indices.last, waits[last].until == nil else {
            if left > 0 { waits.append(Wait(from: moment, mostBytes: left)) }
            return
        }
        // A proxy in which bytes wait offers all of them.
        waits[last].mostBytes = max(waits[last].mostBytes, offered)
        if left == 0 { waits[last].until = moment }
    }
}
