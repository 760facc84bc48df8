// What the process knows of the streams that its endpoint plays for probes: which are open, and how the last ones ended. All workers
// share it; it is used a few times a second at most. Invariant: it holds a bounded number of streams, and plays each nonce once.

import Synchronization

/// The streams of the endpoint for probes.
package final class ProbeRegister: Sendable {
    /// More streams are not played at once. One probe needs fourteen.
    package static let openLimit = 16
    /// How many streams are remembered.
    static let rememberedLimit = 512

    /// Whether one more stream may be played.
    package enum Admission: Sendable {
        /// It is played from now on.
        case admitted
        /// So many are played already.
        case full
        /// This nonce was played before.
        case known
    }

    /// What is known of one stream.
    package struct Record: Sendable, Equatable {
        /// When the request came. All moments are monotonic milliseconds.
        package let startedAt: Int64
        /// When something was last sent; the request's moment before that.
        package fileprivate(set) var lastSentAt: Int64
        /// How many items were sent.
        package fileprivate(set) var items = 0
        /// When it ended; nil while it is open.
        package fileprivate(set) var endedAt: Int64?
        /// Why; nil while it is open.
        package fileprivate(set) var cause: Cause?
    }

    private struct State {
        var records: [String: Record] = [:]
        /// The nonces, the oldest first.
        var order: [String] = []
        var openCount = 0
    }

    private let state = Mutex(State())

    /// No stream was played.
    package init() {}

    /// Begins a stream, if there is room for it.
    package func open(_ nonce: String, now: Int64) -> Admission {
        state.withLock { state in
            if state.records[nonce] != nil { return .known }
            guard state.openCount < Self.openLimit else { return .full }
            if state.order.count >= Self.rememberedLimit, let place = state.order.firstIndex(where: { state.records[$0]?.endedAt != nil }) {
                state.records[state.order.remove(at: place)] = nil
            }
            state.records[nonce] = Record(startedAt: now, lastSentAt: now)
            state.order.append(nonce)
            state.openCount += 1
            return .admitted
        }
    }

    /// Something was sent: the head, or so many items in all.
    package func sent(_ nonce: String, items: Int, now: Int64) {
        state.withLock { state in
            state.records[nonce]?.items = items
            state.records[nonce]?.lastSentAt = now
        }
    }

    /// A stream has ended.
    package func ended(_ nonce: String, _ cause: Cause?, now: Int64) {
        state.withLock { state in
            guard state.records[nonce]?.endedAt == nil else { return }
            state.records[nonce]?.endedAt = now
            state.records[nonce]?.cause = cause
            state.openCount -= 1
        }
    }

    /// What is known of a nonce; nil for one that was not played, or long ago.
    package func record(of nonce: String) -> Record? { state.withLock { $0.records[nonce] } }
}
