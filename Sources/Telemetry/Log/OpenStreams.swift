// How many streams are open now, of each route and of each server. All workers share the counts. They change only when a stream opens
// or ends. Invariant: only names of the configuration are keys, and only those of open streams.

import Synchronization

/// Counts of open streams.
package final class OpenStreams: Sendable {
    private enum Place: Hashable {
        case route(String)
        case server(String)
    }

    private let counts = Mutex<[Place: Int]>([:])

    /// Counts at zero.
    package init() {}

    /// A stream of that route has opened.
    package func opened(route: String) { add(.route(route)) }

    /// A server serves a stream.
    package func joined(server: String) { add(.server(server)) }

    /// Another server serves a stream; nil for one that is not known any more.
    package func moved(from old: String?, to new: String?) {
        counts.withLock { counts in
            if let old { _ = OpenStreams.subtract(.server(old), from: &counts) }
            if let new { counts[.server(new), default: 0] += 1 }
        }
    }

    /// A stream has ended; `server` is nil if none served it. Returns how many others are open, of its route and of its server.
    package func ended(route: String, server: String?) -> (ofRoute: Int, ofServer: Int?) {
        counts.withLock { counts in
            (
                OpenStreams.subtract(.route(route), from: &counts),
                server.map { OpenStreams.subtract(.server($0), from: &counts) }
            )
        }
    }

    private func add(_ place: Place) { counts.withLock { $0[place, default: 0] += 1 } }

    private static func subtract(_ place: Place, from counts: inout [Place: Int]) -> Int {
        guard let count = counts[place] else { preconditionFailure("a stream ends that never opened") }
        counts[place] = count > 1 ? count - 1 : nil
        return count - 1
    }
}
