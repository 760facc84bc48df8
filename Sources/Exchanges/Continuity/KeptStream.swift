// One stream of a server, kept for a client that may lose its connection. It belongs to the worker on which it was opened.
//
//                        ┌─────────────── KeptStream ───────────────┐
//     server's pieces ──▶│ feed ──▶ log ──▶ seat (a cursor) ────────│──▶ reader ──▶ exchange ──▶ client
//                        └──────────────────────────────────────────┘
//
//     read ──▶ away: the client is gone, the server is still read ──▶ left: the log alone is kept ──▶ forgotten
//       ▲        │ within `away`                                       │ within `age`
//       └────────┘ the client is back, here or on another worker       ▼ the rest is handed on, and the client comes back for more
//
// Invariants: at most one reader; a block that the reader has not got stays in the log while its client takes what it is sent; with a
// client that does not, the server is paused.

import Configuration
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

/// A stream of a server, its log, and the client that reads it.
final class KeptStream: Endpoint {
    private struct Seat {
        let reader: SeatedReader
        /// The stream of the exchange that read before.
        let previous: StreamIdentifier
        /// The next block that the reader gets.
        var cursor: UInt64
        /// The first one that it got.
        let start: UInt64

        init(reader: Reader, previous: StreamIdentifier, cursor: UInt64) {
            (self.reader, self.previous, self.cursor, start) = (reader, previous, cursor, cursor)
        }

        /// Whether the reader takes blocks now.
        var isReady = false
        /// Whether the reader has parts of a block that is larger than the limit, and gets the others.
        var followsParts = false
        /// Bytes of blocks that came while the reader was not ready.
        var unreadBytes = 0

        mutating func took(_ count: Int) { unreadBytes = max(0, unreadBytes - count) }
    }

    /// So much goes to another worker at a time.
    private static let batchBytes = 65_536

    let key: StreamKey
    let log: BlockLog
    private let terms: CompiledContinuity
    private let head: ResponseHead
    /// The server that serves it now, or served it last.
    private(set) var serverName: String
    private let unreadLimit: Int
    private unowned let streams: KeptStreams
    /// The server's side. Nil until the stream itself is there.
    private var feed: StreamFeed!
    private var seat: Seat?
    private var isPaused = false
    private var isServing = false
    /// Where the last reader began that got everything, the end of the server's part included.
    private var endedFrom: UInt64?
    /// Whether the server's first bytes are awaited, which follow in the turn of its head.
    private var isBeginning = true
    /// How much memory of the log `KeptStreams` has counted.
    private var countedBytes = 0
    /// The stream of the exchange that read last.
    private var previous: StreamIdentifier
    /// Monotonic milliseconds: when the last reader left.
    private var leftAt: Int64
    /// The client for which it is kept, as limits count clients.
    let client: [UInt8]

    /// A stream whose server has just answered. `connection` reports to the stream from now on.
    init(
        _ key: StreamKey, _ log: BlockLog, _ terms: CompiledContinuity, head: ResponseHead, from connection: UpstreamConnection,
        _ request: StreamRequest?, for exchange: Exchange, in streams: KeptStreams
    ) {
        self.key = key
        self.log = log
        self.terms = terms
        self.head = head
        self.streams = streams
        serverName = connection.server.name
        unreadLimit = exchange.settings.configuration.limits.pendingBytesPerStream
        previous = exchange.identifier
        client = exchange.countedAddress
        leftAt = exchange.now
        super.init(worker: exchange.proxy.worker)
        openTimer()
        feed = StreamFeed(connection, of: self, terms, request, for: exchange)
        feed.planRecycling()
    }

    /// Whether nobody reads.
    var isAway: Bool { seat == nil }

    // MARK: The reader

    /// The first reader, which opened the stream.
    func open(for reader: StreamReader) { seat = Seat(reader: .here(reader), previous: previous, cursor: log.first) }

    /// A client has come back with an id, to this worker.
    func resume(
        _ reader: (KeptStream) -> StreamReader, at id: ClientIdentifier, as stream: StreamIdentifier
    ) -> (answer: ResumptionAnswer, reader: StreamReader?) {
        let place = find(id, as: stream)
        guard case .found(let cursor, let resumption) = place else { return (place.withoutReader, nil) }
        let reader = reader(self)
        take(Seat(reader: .here(reader), previous: resumption.previous, cursor: cursor))
        return (.resumed(resumption), reader)
    }

    /// The same for a client that has come back to another worker.
    func resume(_ reader: DistantReader, _ mailbox: Mailbox, at id: ClientIdentifier, as stream: StreamIdentifier) -> ResumptionAnswer {
        let place = find(id, as: stream)
        guard case .found(let cursor, let resumption) = place else { return place.withoutReader }
        take(Seat(reader: .elsewhere(reader, mailbox), previous: resumption.previous, cursor: cursor))
        return .resumed(resumption)
    }

    private func take(_ next: Seat) {
        seat = next
        streams.isRead(self)
    }

    private enum Place {
        case found(UInt64, ResumedStream)
        case isOver
        case notHere

        var withoutReader: ResumptionAnswer { if case .isOver = self { .isOver } else { .notHere } }
    }

    private func find(_ id: ClientIdentifier, as stream: StreamIdentifier) -> Place {
        var (cursor, gap): (UInt64, Gap?)
        if isRefused { return .notHere }
        switch log.resolve(id) {
        case .resume(let place): (cursor, gap) = (place, nil)
        case .gap(let found, let place): (cursor, gap) = (place, found)
        case .fresh, .unknown: return .notHere
        }
        if seat != nil {
            // An id of the proxy names one stream, so its client knew of the cut before the proxy did.
            guard id.position?.epoch == log.epoch else { return .notHere }
            supersedeReader()
        }
        // A client that comes back because of a gap has been told of it. Told again, it would come back for ever.
        if !terms.tellsByEvent {
            var place = cursor
            while case .gap(let next) = log.read(&place) { (cursor, gap) = (place, gap ?? next) }
        }
        if feed.end != nil {
            if cursor == log.next, gap == nil || !terms.tellsByEvent { return .isOver }
            // A client whose id stays the same would get the same blocks for ever.
            if cursor == endedFrom, id.position == nil, !log.replacesIdentifier(from: cursor) { return .isOver }
        }
        let opening = (id.restoring ?? []) + (gap.flatMap { log.gapEvent($0, before: cursor) } ?? [])
        let resumption = ResumedStream(
            head: head, serverName: serverName, opening: opening, previous: previous, replayed: log.next - cursor, gap: gap)
        previous = stream
        return .found(cursor, resumption)
    }

    private func supersedeReader() {
        guard let seat else { return }
        self.seat = nil
        seat.reader.superseded()
    }

    private func isReader(_ reader: StreamReader) -> Bool {
        if case .here(let mine)? = seat?.reader { mine === reader } else { false }
    }

    private func isReader(_ reader: DistantReader) -> Bool {
        if case .elsewhere(let mine, _)? = seat?.reader { mine == reader } else { false }
    }

    /// The reader's client takes no more for now.
    func readerPaused(_ reader: StreamReader) { if isReader(reader) { seat?.isReady = false } }

    /// The reader takes blocks: it gets what there is, and what comes.
    func serve(_ reader: StreamReader) { if isReader(reader) { serveSeat() } }

    /// A reader on another worker takes blocks.
    func serve(_ reader: DistantReader) { if isReader(reader) { serveSeat() } }

    /// A reader is gone.
    func readerLeft(_ reader: StreamReader, forgets: Bool) { if isReader(reader) { seatLeft(forgets: forgets) } }

    /// A reader on another worker was gone before it could begin.
    func readerNeverCame(_ reader: DistantReader) {
        guard isReader(reader) else { return }
        if let seat { previous = seat.previous }
        seatLeft(forgets: false)
    }

    /// The worker ends, and with it the stream of a reader on another worker.
    func endDistantReader() {
        guard case .elsewhere(let reader, let mailbox)? = seat?.reader else { return }
        seat = nil
        mailbox.postToStreams { $0.ended(reader, .left) }
    }

    /// A reader on another worker is gone.
    func readerLeft(_ reader: DistantReader, forgets: Bool) { if isReader(reader) { seatLeft(forgets: forgets) } }

    private func seatLeft(forgets: Bool) {
        let followedParts = seat?.followsParts == true
        seat = nil
        leftAt = worker.now
        feed.forgetEnd()
        if forgets || followedParts || isRefused || streams.isEnding { return streams.forget(self) }
        resumeFeed()
        streams.isAway(self)
        wakeAtDeadline()
    }

    // MARK: Handing blocks on

    private func serveSeat() {
        seat?.isReady = true
        // A reader that drains within a delivery asks again from there.
        guard !isServing else { return }
        isServing = true
        defer { isServing = false }
        switch seat?.reader {
        case .here(let reader): serveHere(reader)
        case .elsewhere(let reader, let mailbox): serve(reader, by: mailbox)
        case nil: break
        }
        if let seat, isPaused, seat.isReady, seat.unreadBytes == 0 { resumeFeed() }
    }

    private func serveHere(_ reader: StreamReader) {
        while isReader(reader), seat?.isReady == true {
            switch read() {
            case .blocks(let slice): slice.withBytes { reader.deliver($0) }
            case .gap(let gap):
                if let event = log.gapEvent(gap, before: seat?.cursor ?? log.next) { reader.deliver(event) }
                if isReader(reader) { reader.tell(gap) }
            case .upToDate:
                if let end = feed.end {
                    endedFrom = seat?.start
                    reader.ended(end)
                }
                return
            }
        }
    }

    private func serve(_ reader: DistantReader, by mailbox: Mailbox) {
        var batch: [Slice] = []
        var count = 0
        seat?.isReady = false
        while count < KeptStream.batchBytes {
            let before = seat?.cursor
            switch read() {
            case .blocks(let slice):
                batch.append(slice)
                count += slice.byteCount
                continue
            case .gap(let gap) where batch.isEmpty:
                let event = log.gapEvent(gap, before: seat?.cursor ?? log.next) ?? []
                return mailbox.postToStreams { $0.tell(gap, event, to: reader) }
            case .gap:
                // Told in the next answer.
                if let before { seat?.cursor = before }
            case .upToDate where batch.isEmpty:
                guard let end = feed.end else {
                    seat?.isReady = true
                    return
                }
                endedFrom = seat?.start
                return mailbox.postToStreams { $0.ended(reader, end) }
            case .upToDate: break
            }
            break
        }
        mailbox.postToStreams { [batch] in $0.arrived(batch, for: reader) }
    }

    /// Moves the reader on.
    private func read() -> BlockLog.Reading {
        guard var cursor = seat?.cursor else { return .upToDate }
        let reading = log.read(&cursor)
        seat?.cursor = cursor
        if case .blocks(let slice) = reading { seat?.took(slice.byteCount) }
        // Blocks are stored with other id lines than they came with, so their bytes alone would not come out even.
        if case .upToDate = reading { seat?.unreadBytes = 0 }
        return reading
    }

    // MARK: The server's part

    /// Bytes of the server came.
    func receive(_ payload: UnsafeMutableRawBufferPointer, of part: ServerPart) {
        let received = UnsafeMutableRawBufferPointer(payload).bindMemory(to: UInt8.self)
        append(UnsafeBufferPointer(received).span, of: part)
        if seat?.isReady == true { serveSeat() }
        if isBeginning {
            isBeginning = false
            if case .here(let reader)? = seat?.reader { reader.sendHead() }
        }
        trim()
        pauseIfUnread()
    }

    private func append(_ payload: Span<UInt8>, of part: ServerPart) {
        guard var rest = cut(payload, by: part) else { return }
        while let next = cut(rest.span, by: part) { rest = next }
    }

    /// Appends the blocks of a piece. What is handed on at once takes the place of the server's bytes in the worker's buffer: so the rest
    /// of the piece is returned, to be cut next.
    private func cut(_ payload: Span<UInt8>, by part: ServerPart) -> [UInt8]? {
        var offset = 0
        while true {
            switch part.cutter.next(in: payload, from: &offset) {
            case .more: return nil
            case .block where !part.cutter.block.isOversized:
                if let retry = part.cutter.block.retryMilliseconds { feed.retryMilliseconds = Int64(clamping: retry) }
                if part.replays != nil, part.dropsBlock(of: payload, log) { continue }
                log.append(part.cutter, of: payload, at: worker.now)
                seat?.unreadBytes += part.cutter.block.byteCount
            case .block where part.replays != nil && part.dropsBlock(of: payload, log): part.isInsideLargeBlock = false
            case .part, .block:
                let rest = payload.extracting(offset..<payload.count).withUnsafeBufferPointer { Array($0) }
                handOnLargeBlock(of: part)
                return rest
            }
        }
    }

    /// A part of a block that is larger than the limit, or its end.
    private func handOnLargeBlock(of part: ServerPart) {
        if part.cutter.block.isOversized {
            part.isInsideLargeBlock = false
            let end = log.appendOversized(part.cutter, at: worker.now)
            guard seat?.followsParts == true else { return }
            seat?.reader.handOn(end)
            seat?.cursor = log.next
            seat?.followsParts = false
        } else {
            // Blocks that came in the same piece go first.
            if seat?.followsParts != true, seat?.isReady == true { serveSeat() }
            handOnPart(of: part)
        }
    }

    /// Bytes of a block that is larger than the limit go to a reader that has everything before them.
    private func handOnPart(of part: ServerPart) {
        let isFirst = !part.isInsideLargeBlock
        part.isInsideLargeBlock = true
        // What may be a block that the reader has is not handed on: it could not be taken back. If it is a new one, its gap is told.
        guard part.replays == nil, let seat, seat.followsParts || isFirst && seat.cursor == log.next else { return }
        self.seat?.followsParts = true
        self.seat?.unreadBytes += part.cutter.part.count
        seat.reader.handOn(part.cutter.part)
    }

    private func pauseIfUnread() {
        guard let seat, !isPaused, seat.unreadBytes > unreadLimit, feed.end == nil else { return }
        isPaused = true
        feed.pause()
    }

    private func resumeFeed() {
        guard isPaused else { return }
        isPaused = false
        seat?.unreadBytes = 0
        feed.resume()
    }

    /// Has the kernel ask the server now and then whether it is still there.
    func probe() { feed.probe() }

    /// Whether a reader has parts of a block that is larger than the limit, and not yet its end.
    var isHandingOnParts: Bool { seat?.followsParts == true }

    /// Whether the server, asked again, gave another answer than the stream. Who comes back gets that answer from the server itself.
    private var isRefused: Bool { if case .answered? = feed.end { true } else { false } }

    /// Nothing comes from the server any more.
    func feedIsOver() {
        guard let seat else {
            if isRefused { return streams.forget(self) }
            // Nobody was there to see how the server failed.
            feed.forgetEnd()
            return wakeAtDeadline()
        }
        if seat.isReady { serveSeat() }
    }

    /// A server goes on with the stream, in its next response.
    func goesOn(from server: String, _ change: FeedChange) {
        serverName = server
        if !(terms.policy.isResumable && !log.lastServerIdentifier.isEmpty) { append(Gap(.upstream, isCertain: false)) }
        seat?.reader.changed(change)
    }

    /// Something may be missing here. All readers come to it, also later ones.
    private func append(_ gap: Gap) {
        log.append(gap, at: worker.now)
        // Where the log has no event for it, readers hear of it when they come to its place.
        if case .reconnect = terms.policy.gap { return }
        seat?.reader.note(gap)
    }

    /// The log has grown: what is too old or too much goes.
    private func trim() {
        log.trim(at: worker.now, keptFrom: seat?.cursor ?? .max)
        countMemory()
    }

    private func countMemory() {
        // The stream may have been forgotten while it handed blocks on.
        guard isOpen else { return }
        let grown = log.memoryByteCount - countedBytes
        guard grown != 0 else { return }
        countedBytes += grown
        streams.grew(self, by: grown)
    }

    /// Drops the oldest blocks, for a limit over all logs. Returns whether that freed anything.
    func discardOldest(byteCount: Int) -> Bool {
        let freed = log.discardOldest(memoryByteCount: byteCount, keptFrom: seat?.cursor ?? .max)
        countMemory()
        return freed > 0
    }

    // MARK: The end

    private var nextDeadline: Int64 {
        guard seat == nil else {
            return min(feed.nextDeadline, log.first == log.next ? .max : worker.now + terms.ageMilliseconds)
        }
        guard feed.end == nil else { return leftAt + terms.ageMilliseconds }
        return min(feed.nextDeadline, leftAt + terms.awayMilliseconds)
    }

    /// Looks at what is due next.
    func wakeAtDeadline() { wake(atMilliseconds: nextDeadline) }

    override func deadlineReached() {
        trim()
        guard isOpen else { return }
        feed.attend()
        guard isOpen else { return }
        if seat == nil {
            let isOver = feed.end != nil
            if isOver, worker.now >= leftAt + terms.ageMilliseconds { return streams.forget(self) }
            if !isOver, worker.now >= leftAt + terms.awayMilliseconds { feed.leave() }
        }
        wakeAtDeadline()
    }

    /// Gives everything back. Called by `KeptStreams.forget`.
    func close() {
        feed.leave()
        streams.grew(self, by: -countedBytes)
        countedBytes = 0
        if isOpen { closeTimer() }
    }
}
