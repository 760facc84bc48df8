// A reader's place in a kept stream: the number of the block that it gets next, and whether it takes blocks now.
//
//     log:   … 17 18 19 20 21 22 | next
//                   ^ cursor       ^ a reader that is up to date
//
// Nothing is copied or kept for a reader. A reader on this worker gets blocks where they are stored, until its client takes no more; one on
// another worker asks for more, and gets a batch. Invariant: a seat that has been left hands on nothing.

import Configuration
import EventStream
import Reactor
import Telemetry

/// The place of one reader in a kept stream.
final class Seat {
    /// So much goes to another worker at a time.
    private static let batchBytes = 65_536

    let reader: SeatedReader
    /// The first block that it gets.
    let start: UInt64
    /// The next one.
    private(set) var cursor: UInt64
    /// Bytes of blocks that came while the reader was not ready.
    private(set) var unreadBytes = 0
    private unowned let stream: KeptStream
    /// The types of events that the reader wants; nil for all.
    private var filter: TypeFilter?
    // The single bytes follow one another, because each idle reader has a seat.
    /// Whether the reader takes blocks now.
    private(set) var isReady = false
    /// Whether the reader's client takes no more for now.
    private(set) var isBlocked = false
    /// Whether the reader has parts of a block that is larger than the limit, and gets the others.
    private(set) var followsParts = false
    /// Whether the stream still has the seat.
    private var isTaken = true
    private var isServing = false
    /// Whether the reader has had all that was there before it, or anything that gives its client another id. Only then the client may be
    /// sent back for a gap: with the same id it would come to the same gap again, and of one that was there before it, it knows already.
    private var mayBeSentBack: Bool
    /// Whether its client has been given an id by now: only with one can it be told of a gap when it is back.
    private var hasIdentifier: Bool

    init(_ reader: SeatedReader, of stream: KeptStream, at cursor: UInt64, hasIdentifier: Bool, _ filter: TypeFilter?) {
        (self.reader, self.stream) = (reader, stream)
        (self.cursor, start) = (cursor, cursor)
        mayBeSentBack = cursor == stream.log.next
        self.hasIdentifier = hasIdentifier || stream.log.hasOwnIdentifiers
        self.filter = filter
    }

    // MARK: What the reader says

    /// The reader's client takes no more for now.
    func pause() {
        isReady = false
        isBlocked = true
    }

    /// The reader takes blocks. The server's first bytes, which follow in this turn, are in the worker's buffer, so nothing is handed on
    /// before them.
    func awaitFirstBytes() { isReady = true }

    /// The reader takes blocks: it gets what there is, and what comes.
    func serve() {
        guard isTaken else { return }
        isReady = true
        isBlocked = false
        // A reader that drains within a delivery asks again from there.
        guard !isServing else { return }
        isServing = true
        switch reader {
        case .here(let reader): hand(to: reader)
        case .elsewhere(let reader, let mailbox): hand(to: reader, by: mailbox)
        }
        isServing = false
        if isTaken, isReady, unreadBytes == 0 { stream.isReadUp(self) }
    }

    /// The reader is gone.
    /// - Parameter forgets: whether nobody may read the stream any more.
    func leave(forgets: Bool) { if isTaken { stream.left(self, forgets: forgets) } }

    /// The reader's place, for a client whose filter leaves much out: without it a client would keep an old one, and hear of events that
    /// it did not want. Nothing where every block brings a place, or none is the proxy's.
    func tellPlace() {
        guard filter != nil, isTaken, isReady, cursor == stream.log.next, !followsParts else { return }
        var bytes: [UInt8] = []
        if stream.log.appendPlace(cursor, to: &bytes) { reader.handOn(bytes) }
    }

    /// Has the kernel ask the server now and then whether it is still there.
    func probe() { if isTaken { stream.probe() } }

    /// The stream has no such seat any more.
    func vacate() { isTaken = false }

    // MARK: Handing blocks on

    private func hand(to reader: StreamReader) {
        while isTaken, isReady {
            switch read() {
            case .blocks(let slice): slice.withBytes { reader.deliver($0) }
            case .gap(let gap) where sendsBack(at: gap): return stream.leaveBehind(self, at: gap)
            case .gap(let gap):
                if let event = stream.log.gapEvent(gap, before: cursor) { reader.deliver(event) }
                if isTaken { mayBeSentBack ? reader.tell(gap) : reader.note(gap) }
            case .upToDate:
                if let end = stream.takeEnd(for: self) { reader.ended(end) }
                return
            }
        }
    }

    private func hand(to reader: DistantReader, by mailbox: Mailbox) {
        var batch: [Slice] = []
        var count = 0
        isReady = false
        while count < Self.batchBytes {
            let before = cursor
            switch read() {
            case .blocks(let slice):
                batch.append(slice)
                count += slice.byteCount
                continue
            case .gap(let gap) where batch.isEmpty && sendsBack(at: gap): return stream.leaveBehind(self, at: gap)
            case .gap(let gap) where batch.isEmpty:
                let event = stream.log.gapEvent(gap, before: cursor) ?? []
                let mayEnd = mayBeSentBack
                return mailbox.postToStreams { $0.tell(gap, event, mayEnd: mayEnd, to: reader) }
            // Told in the next answer.
            case .gap: cursor = before
            case .upToDate where batch.isEmpty:
                guard let end = stream.takeEnd(for: self) else {
                    isReady = true
                    return
                }
                return mailbox.postToStreams { $0.ended(reader, end) }
            case .upToDate: break
            }
            break
        }
        mailbox.postToStreams { [batch] in $0.arrived(batch, for: reader) }
    }

    /// Whether a reader that comes to that gap is sent back.
    private func sendsBack(at gap: Gap) -> Bool {
        gap.reason == .expired && stream.terms.policy.lag == .close && hasIdentifier && !stream.log.hasEmptiedIdentifier
    }

    /// Moves the reader on.
    private func read() -> BlockLog.Reading {
        let before = cursor
        let reading = stream.log.read(&cursor, through: &filter)
        switch reading {
        case .blocks(let slice):
            unreadBytes = max(0, unreadBytes - slice.byteCount)
            // The log may have dropped these blocks when a slow reader comes to the gap.
            if !mayBeSentBack { mayBeSentBack = stream.log.setsIdentifier(from: before, to: cursor, through: filter) }
            if !hasIdentifier { hasIdentifier = stream.log.bringsIdentifier(from: before, to: cursor, through: filter) }
        // Blocks are stored with other id lines than they came with, so their bytes alone would not come out even.
        case .upToDate:
            unreadBytes = 0
            mayBeSentBack = true
        case .gap: break
        }
        return reading
    }

    // MARK: What the stream says

    /// A block of that many bytes has come.
    @inline(__always)
    func noteBlock(byteCount: Int) { unreadBytes &+= byteCount }

    /// The server is read again, however much the reader has not read yet.
    func forgetUnread() { unreadBytes = 0 }

    /// A part of a block above the limit, for a reader that has everything before it. `isFirst` says that it is the block's first part.
    func handOn(part: [UInt8], isFirst: Bool) {
        // Its type comes with one of its parts. A reader that may not want it is told that it is missing.
        guard followsParts || isFirst && filter == nil && cursor == stream.log.next && !(isBlocked && stream.isShared) else { return }
        followsParts = true
        unreadBytes += part.count
        reader.handOn(part)
        // A stream that is not paused for one slow client leaves it behind, and in the middle of an event its response cannot go on.
        if isTaken, isBlocked, stream.isTooMuch(unreadBytes) { stream.leaveBehind(self) }
    }

    /// The end of that block, for a reader that has its parts.
    func handOn(endOfParts end: [UInt8]) {
        guard followsParts else { return }
        reader.handOn(end)
        cursor = stream.log.next
        followsParts = false
    }
}
