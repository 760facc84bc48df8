// One stream of a server, kept for a client that may lose its connection. It belongs to the worker on which it was opened.
//
//                        ┌─────────────── KeptStream ───────────────┐
//     server's pieces ──▶│ cutter ──▶ log ──▶ seat (a cursor) ──────│──▶ reader ──▶ exchange ──▶ client
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
    private enum Feed {
        case server(UpstreamConnection)
        case over(FeedEnd)
    }

    /// Who reads.
    private enum Reader {
        case here(StreamReader)
        case elsewhere(DistantReader, Mailbox)
    }

    private struct Seat {
        let reader: Reader
        /// The stream of the exchange that read before.
        let previous: StreamIdentifier
        /// The next block that the reader gets.
        var cursor: UInt64
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
    let serverName: String
    private let silenceLimit: Int64?
    private let unreadLimit: Int
    private unowned let streams: KeptStreams
    private var feed: Feed
    private var cutter: BlockCutter
    private var seat: Seat?
    private var isPaused = false
    private var isServing = false
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
        for exchange: Exchange, in streams: KeptStreams
    ) {
        self.key = key
        self.log = log
        self.terms = terms
        self.head = head
        self.streams = streams
        serverName = connection.server.name
        silenceLimit = exchange.group.upstream.streamSilenceTimeoutMilliseconds.map(Int64.init)
        unreadLimit = exchange.settings.configuration.limits.pendingBytesPerStream
        feed = .server(connection)
        cutter = BlockCutter(limit: exchange.settings.configuration.limits.eventBytes)
        previous = exchange.identifier
        client = exchange.countedAddress
        leftAt = exchange.now
        super.init(worker: exchange.proxy.worker)
        openTimer()
        connection.handOver(to: self)
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
        let (cursor, gap): (UInt64, Gap?)
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
        if case .over = feed, cursor == log.next, gap == nil { return .isOver }
        let opening = (id.restoring ?? []) + (gap.flatMap { log.gapEvent($0, before: cursor) } ?? [])
        let resumption = ResumedStream(
            head: head, serverName: serverName, opening: opening, previous: previous, replayed: log.next - cursor, gap: gap)
        previous = stream
        return .found(cursor, resumption)
    }

    private func supersedeReader() {
        guard let seat else { return }
        self.seat = nil
        switch seat.reader {
        case .here(let reader): reader.superseded()
        case .elsewhere(let reader, let mailbox): mailbox.postToStreams { $0.superseded(reader) }
        }
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
        if case .over(.failed) = feed { feed = .over(.left) }
        if forgets || followedParts || streams.isEnding { return streams.forget(self) }
        resumeFeed()
        streams.isAway(self)
        wake(atMilliseconds: nextDeadline)
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
                if case .over(let end) = feed { reader.ended(end) }
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
                guard case .over(let end) = feed else {
                    seat?.isReady = true
                    return
                }
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

    private func append(_ payload: Span<UInt8>) {
        guard var rest = cut(payload) else { return }
        while let next = cut(rest.span) { rest = next }
    }

    /// Appends the blocks of a piece. What is handed on at once takes the place of the server's bytes in the worker's buffer: so the rest
    /// of the piece is returned, to be cut next.
    private func cut(_ payload: Span<UInt8>) -> [UInt8]? {
        var offset = 0
        while true {
            switch cutter.next(in: payload, from: &offset) {
            case .more: return nil
            case .block where !cutter.block.isOversized:
                log.append(cutter, of: payload, at: worker.now)
                seat?.unreadBytes += cutter.block.byteCount
            case .part, .block:
                let rest = payload.extracting(offset..<payload.count).withUnsafeBufferPointer { Array($0) }
                handOnLargeBlock()
                return rest
            }
        }
    }

    /// A part of a block that is larger than the limit, or its end.
    private func handOnLargeBlock() {
        if cutter.block.isOversized {
            let end = log.appendOversized(cutter, at: worker.now)
            guard seat?.followsParts == true else { return }
            handOn(end)
            seat?.cursor = log.next
            seat?.followsParts = false
        } else {
            // Blocks that came in the same piece go first.
            if seat?.followsParts != true, seat?.isReady == true { serveSeat() }
            handOn(part: cutter.part)
        }
    }

    /// Bytes of a block that is larger than the limit go to a reader that has everything before it.
    private func handOn(part: [UInt8]) {
        guard let seat, seat.followsParts || seat.cursor == log.next else { return }
        self.seat?.followsParts = true
        self.seat?.unreadBytes += part.count
        handOn(part)
    }

    private func handOn(_ bytes: [UInt8]) {
        switch seat?.reader {
        case .here(let reader): reader.deliver(bytes)
        case .elsewhere(let reader, let mailbox): mailbox.postToStreams { $0.arrived(bytes, for: reader) }
        case nil: break
        }
    }

    private func pauseIfUnread() {
        guard let seat, !isPaused, seat.unreadBytes > unreadLimit, case .server(let connection) = feed else { return }
        isPaused = true
        connection.pause(for: .slowClient)
    }

    private func resumeFeed() {
        guard isPaused else { return }
        isPaused = false
        seat?.unreadBytes = 0
        if case .server(let connection) = feed { connection.resume(for: .slowClient) }
    }

    private func end(_ end: FeedEnd) {
        if case .server(let connection) = feed { connection.detach() }
        if case .over = feed { return }
        feed = .over(end)
        if seat == nil {
            // Nobody was there to see how the server failed.
            if case .failed = end { feed = .over(.left) }
            wake(atMilliseconds: nextDeadline)
        } else if seat?.isReady == true {
            serveSeat()
        }
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
        guard seat == nil else { return log.first == log.next ? .max : worker.now + terms.ageMilliseconds }
        if case .server = feed { return leftAt + terms.awayMilliseconds }
        return leftAt + terms.ageMilliseconds
    }

    override func deadlineReached() {
        let now = worker.now
        trim()
        if seat == nil, now >= nextDeadline {
            guard case .server = feed else { return streams.forget(self) }
            end(.left)
        }
        wake(atMilliseconds: nextDeadline)
    }

    /// Gives everything back. Called by `KeptStreams.forget`.
    func close() {
        if case .server(let connection) = feed { connection.detach() }
        feed = .over(.left)
        streams.grew(self, by: -countedBytes)
        countedBytes = 0
        if isOpen { closeTimer() }
    }
}

extension KeptStream: ResponseReceiver {
    var responseLimits: HeadLimits { preconditionFailure("a kept stream has its head") }
    var handshakeMilliseconds: Int64 { preconditionFailure("a kept stream has its connection") }
    var silenceLimitMilliseconds: Int64? { silenceLimit }

    func serverConnected() { preconditionFailure("a kept stream has its connection") }
    func serverNotReached(_ seen: SeenFailure) { preconditionFailure("a kept stream has its connection") }
    func receiveInterim(_ head: ResponseHead) { preconditionFailure("a kept stream has its head") }
    func receiveHead(_ head: ResponseHead, framing: BodyFraming) { preconditionFailure("a kept stream has its head") }
    func receiveFromTunnel(_ bytes: UnsafeRawBufferPointer) { preconditionFailure("a kept stream is no tunnel") }
    func serverEndedTunnel() { preconditionFailure("a kept stream is no tunnel") }
    func serverDrained() {}

    func receiveBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) {
        let received = UnsafeMutableRawBufferPointer(payload).bindMemory(to: UInt8.self)
        append(UnsafeBufferPointer(received).span)
        if seat?.isReady == true { serveSeat() }
        if isBeginning {
            isBeginning = false
            if case .here(let reader)? = seat?.reader { reader.sendHead() }
        }
        trim()
        pauseIfUnread()
        guard isLast, case .server(let connection) = feed else { return }
        end(.whole(isCloseDelimited: connection.isCloseDelimited))
    }

    func serverFailed(_ seen: SeenFailure) { end(.failed(seen)) }
}
