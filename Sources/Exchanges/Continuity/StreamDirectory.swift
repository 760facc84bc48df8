// Which worker has which kept stream. All workers share it, and look only when a request arrives on a route that keeps streams.
// Invariant: a stream stands here exactly while its worker has it, so an entry is a promise that its worker can be asked.

import EventStream
import Reactor
import Synchronization

/// The worker that has a stream.
struct StreamHome: Sendable {
    let epoch: Epoch
    let worker: Int
    let mailbox: Mailbox
}

/// Finds the workers that have the streams of a key.
final class StreamDirectory: Sendable {
    private let homes = Mutex<[StreamKey: [StreamHome]]>([:])

    /// Whether no worker has a stream. For tests.
    var isEmpty: Bool { homes.withLock { $0.isEmpty } }

    /// A worker has a new stream.
    func add(_ home: StreamHome, of key: StreamKey) { homes.withLock { $0[key, default: []].append(home) } }

    /// A worker has forgotten a stream.
    func remove(_ epoch: Epoch, of key: StreamKey) {
        homes.withLock { homes in
            homes[key]?.removeAll { $0.epoch == epoch }
            if homes[key]?.isEmpty == true { homes[key] = nil }
        }
    }

    /// The streams of a key, the newest first; only the one of an epoch if there is one.
    func homes(of key: StreamKey, _ epoch: Epoch? = nil) -> [StreamHome] {
        homes.withLock { homes in (homes[key] ?? []).reversed().filter { epoch == nil || $0.epoch == epoch } }
    }
}
