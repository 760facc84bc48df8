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
        let epoch: Epoch
        private let mailbox: Mailbox
        private let worker: UInt16
        /// Whether every client of the key may read the stream, and none has to bring an id.
        var isShared: Bool
        /// Whether a client reads the stream, so that it hardly is the one that another client lost.
        var isRead = true
        /// Whether the stream is not there yet, so that no id can be its own.
        var isBeingOpened = false

        init(_ home: StreamHome, isShared: Bool, isBeingOpened: Bool = false) {
            (epoch, mailbox, worker) = (home.epoch, home.mailbox, UInt16(home.worker))
            (self.isShared, self.isBeingOpened) = (isShared, isBeingOpened)
        }

        var home: StreamHome { StreamHome(epoch: epoch, worker: Int(worker), mailbox: mailbox) }
    }

    /// The streams of one key: mostly one, which then needs no memory of its own.
    private enum Entries {
        case one(Entry)
        case many([Entry])

        var all: [Entry] {
            switch self {
            case .one(let entry): [entry]
            case .many(let entries): entries
            }
        }

        mutating func append(_ entry: Entry) {
            switch self {
            case .one(let first): self = .many([first, entry])
            case .many(var entries):
                // Nobody else has the array while it grows, so that it is not copied.
                self = .many([])
                entries.append(entry)
                self = .many(entries)
            }
        }

        /// Changes the entry of that epoch, if there is one.
        mutating func change(_ epoch: Epoch, _ change: (inout Entry) -> Void) {
            switch self {
            case .one(var entry):
                guard entry.epoch == epoch else { return }
                change(&entry)
                self = .one(entry)
            case .many(var entries):
                guard let place = entries.firstIndex(where: { $0.epoch == epoch }) else { return }
                self = .many([])
                change(&entries[place])
                self = .many(entries)
            }
        }

        /// The others than that of that epoch; nil where there are none.
        func without(_ epoch: Epoch) -> Entries? {
            let rest = all.filter { $0.epoch != epoch }
            return rest.count < 2 ? rest.first.map(Entries.one) : .many(rest)
        }
    }

    /// So many streams of a key are asked at most for a server's id, of those without a reader and of the others.
    private static let mostAsked = 32

    private let homes = Mutex<[StreamKey: Entries]>([:])
    private let workers = Mutex<[Mailbox]>([])

    /// Whether no worker has a stream. For tests.
    var isEmpty: Bool { homes.withLock { $0.isEmpty } }

    /// A worker may have streams from now on. Called once for each worker.
    func join(_ mailbox: Mailbox) { workers.withLock { $0.append(mailbox) } }

    /// All workers that may have streams.
    var mailboxes: [Mailbox] { workers.withLock { $0 } }

    /// A worker has a new stream.
    func add(_ home: StreamHome, of key: StreamKey) {
        homes.withLock { Self.append(Entry(home, isShared: false), to: &$0, of: key) }
    }

    /// The stream that the clients of a key share. If there is none, the caller has to open it: its home stands here from now on.
    func claim(_ home: StreamHome, of key: StreamKey) -> StreamHome? {
        homes.withLock { homes in
            if let shared = homes[key]?.all.last(where: \.isShared) { return shared.home }
            Self.append(Entry(home, isShared: true, isBeingOpened: true), to: &homes, of: key)
            return nil
        }
    }

    private static func append(_ entry: Entry, to homes: inout [StreamKey: Entries], of key: StreamKey) {
        guard homes[key]?.append(entry) == nil else { return }
        homes[key] = .one(entry)
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
            if let entries = homes[key] { homes[key] = entries.without(epoch) }
        }
    }

    /// The last reader of a stream has left, or one has come.
    func note(isRead: Bool, _ epoch: Epoch, of key: StreamKey) {
        change(epoch, of: key) { $0.isRead = isRead }
    }

    private func change(_ epoch: Epoch, of key: StreamKey, _ change: (inout Entry) -> Void) {
        homes.withLock { $0[key]?.change(epoch, change) }
    }

    /// The streams of a key which a client may have lost, to be asked in this order: those without a reader, and then the others, since
    /// that a reader is gone may not be known yet; of both the newest first. Only the one of the id's epoch if there is one: if not, the id
    /// may be a server's that is a proxy of this kind.
    func homes(of key: StreamKey, _ epoch: Epoch? = nil) -> [StreamHome] {
        homes.withLock { homes in
            guard let entries = homes[key]?.all else { return [] }
            if let own = entries.first(where: { $0.epoch == epoch }) { return [own.home] }
            func newest(isRead: Bool) -> [StreamHome] {
                entries.reversed().lazy.filter { $0.isRead == isRead && !$0.isBeingOpened }.prefix(Self.mostAsked).map(\.home)
            }
            return newest(isRead: false) + newest(isRead: true)
        }
    }
}
