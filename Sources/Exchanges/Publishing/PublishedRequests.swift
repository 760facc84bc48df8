// The requests to publish that have an `Idempotency-Key`, so that one that is sent again publishes nothing again. All workers share it.
// Invariant: at most so many keys are remembered as are allowed, and none for longer.

import Synchronization

/// What became of requests to publish.
final class PublishedRequests: Sendable {
    /// What is known of a request.
    enum State: Equatable {
        /// Nothing: from now on it has begun.
        case new
        /// It has no answer yet.
        case begun
        /// Its answer.
        case answered(PublicationCount)
    }

    static let mostKeys = 10_000
    static let keptMilliseconds: Int64 = 300_000

    private struct Requests {
        var states: [[UInt8]: State] = [:]
        /// The keys and when their requests came, the oldest first. Those before `first` are forgotten.
        var order: [(key: [UInt8], at: Int64)] = []
        var first = 0

        mutating func forget(before oldest: Int64 = .min, above most: Int = .max) {
            while first < order.count, order[first].at < oldest || order.count - first > most {
                states[order[first].key] = nil
                first += 1
            }
            if first > 1_000, first * 2 > order.count {
                order.removeFirst(first)
                first = 0
            }
        }
    }

    private let requests = Mutex(Requests())

    /// What is known of a request with this key that comes now.
    func begin(_ key: [UInt8], now: Int64) -> State {
        requests.withLock { requests in
            requests.forget(before: now - Self.keptMilliseconds)
            if let known = requests.states[key] { return known }
            requests.forget(above: Self.mostKeys - 1)
            requests.states[key] = .begun
            requests.order.append((key, now))
            return .new
        }
    }

    /// A request has got its answer.
    func answered(_ key: [UInt8], _ count: PublicationCount) {
        requests.withLock { requests in if requests.states[key] != nil { requests.states[key] = .answered(count) } }
    }
}
