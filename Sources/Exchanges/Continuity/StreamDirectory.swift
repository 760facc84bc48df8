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
    private struct Entry {
        let home: StreamHome
        /// Whether every client of the key may read the stream, and none has to bring an id.
        var isShared: Bool
        /// Whether a client reads the stream, so that it hardly is the one that another client lost.
        var isRead = true
        /// Whether the stream is not there yet, so that no id can be its own.
        var isBeingOpened = false
    }

    /// So many streams of a key are asked at most for a server's id, of those without a reader and of the others.
    private static let mostAsked = 32

    private let homes = Mutex<[StreamKey: [Entry]]>([:])
    private let workers = Mutex<[Mailbox]>([])

    /// Whether no worker has a stream. For tests.
    var isEmpty: Bool { homes.withLock { $0.isEmpty } }

    /// A worker may have streams from now on. Called once for each worker.
    func join(_ mailbox: Mailbox) { workers.withLock { $0.append(mailbox) } }

    /// All workers that may have streams.
    var mailboxes: [Mailbox] { workers.withLock { $0 } }

    /// A worker has a new stream.
    func add(_ home: StreamHome, of key: StreamKey) {
        homes.withLock { $0[key, default: []].append(Entry(home: home, isShared: false)) }
    }

    /// The stream that the clients of a key share. If there is none, the caller has to open it: its home stands here from now on.
    func claim(_ home: StreamHome, of key: StreamKey) -> StreamHome? {
        homes.withLock { homes in
            if let shared = homes[key]?.last(where: \.isShared) { return shared.home }
            homes[key, default: []].append(Entry(home: home, isShared: true, isBeingOpened: true))
            return nil
        }
    }

    /// The stream is there that was to be opened.
    func opened(_ epoch: Epoch, of key: StreamKey) { change(epoch, of: key) { $0.isBeingOpened = false } }

    /// No client may join the stream any more. It is still found by ids.
    func closeToOthers(_ epoch: Epoch, of key: StreamKey) {
        change(epoch, of: key) { $0.isShared = false }
    }

    /// A worker has forgotten a stream.
    func remove(_ epoch: Epoch, of key: StreamKey) {
        homes.withLock { homes in
            homes[key]?.removeAll { $0.home.epoch == epoch }
            if homes[key]?.isEmpty == true { homes[key] = nil }
        }
    }

    /// The last reader of a stream has left, or one has come.
    func note(isRead: Bool, _ epoch: Epoch, of key: StreamKey) {
        change(epoch, of: key) { $0.isRead = isRead }
    }

    private func change(_ epoch: Epoch, of key: StreamKey, _ change: (inout Entry) -> Void) {
        homes.withLock { homes in
            guard let place = homes[key]?.firstIndex(where: { $0.home.epoch == epoch }) else { return }
            change(&homes[key]![place])
        }
    }

    /// The streams of a key which a client may have lost, to be asked in this order: those without a reader, and then the others, since
    /// that a reader is gone may not be known yet; of both the newest first. Only the one of the id's epoch if there is one: if not, the id
    /// may be a server's that is a proxy of this kind.
    func homes(of key: StreamKey, _ epoch: Epoch? = nil) -> [StreamHome] {
        homes.withLock { homes in
            guard let entries = homes[key] else { return [] }
            if let own = entries.first(where: { $0.home.epoch == epoch }) { return [own.home] }
            func newest(isRead: Bool) -> [StreamHome] {
                entries.reversed().lazy.filter { $0.isRead == isRead && !$0.isBeingOpened }.prefix(Self.mostAsked).map(\.home)
            }
            return newest(isRead: false) + newest(isRead: true)
        }
    }
}
