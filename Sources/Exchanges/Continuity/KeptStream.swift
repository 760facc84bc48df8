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
// Invariants: at most one reader, where it is not shared; a block that the reader has not got stays in the log while its client takes what
// it is sent; with a client that does not, the server is paused.

import Configuration
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

/// A stream of a server, its log, and the client that reads it.
final class KeptStream: Endpoint {
    let key: StreamKey
    let log: BlockLog
    let terms: CompiledContinuity
    /// The bytes of the head with which each response begins: see `KeptHeads`.
    let head: [UInt8]
    /// The server that serves it now, or served it last.
    private var server: ServerState
    var serverName: String { server.name }
    private unowned let streams: KeptStreams
    /// The servers' side: one server, or each address of all servers where streams are merged. Empty until the stream itself is there.
    var feeds = Few<StreamFeed>()
    /// What is known where streams are merged; nil where they are not.
    let merging: Merging?
    /// Who reads.
    private(set) var seats = Few<Seat>()
    // Small fields follow one another, because there is a kept stream for each idle client.
    /// Whether every client of the key reads the stream; none of them stops the server then.
    let isShared: Bool
    /// Whether nobody may come back to it: the server has said that it is for one client, and others have the same key.
    var endsWithReader = false
    private(set) var isPaused = false
    /// Whether the server's first bytes are awaited, which follow in the turn of its head.
    var isBeginning = true
    private let unreadLimit: Int32
    /// What most streams never have.
    private(set) var rarities: StreamRarities?
    /// How much memory of the log `KeptStreams` has counted.
    private var countedBytes = 0
    /// The stream of the exchange that read last.
    private var previous: StreamIdentifier
    /// Monotonic milliseconds: when the last reader left, or when nothing came any more after that.
    private var leftAt: Int64
    /// The hash of the client for which it is kept, as limits count clients; nil for a trusted proxy, which has many. Nobody outside of
    /// this process can foresee hashes.
    var client: Int? { clientOrZero == 0 ? nil : clientOrZero }
    private let clientOrZero: Int
    /// Where it belongs, for those who publish events.
    let place: PublishingPlace

    /// A stream whose server has just answered. `connection` reports to the stream from now on.
    init(
        _ key: StreamKey, _ log: BlockLog, _ terms: CompiledContinuity, isShared: Bool, head: ResponseHead,
        from connection: UpstreamConnection, _ request: StreamRequest?, for exchange: Exchange, in streams: KeptStreams
    ) {
        self.key = key
        self.log = log
        self.terms = terms
        self.isShared = isShared
        if isShared { rarities = StreamRarities(opener: exchange.identifier) }
        self.head = streams.heads.hold(head)
        self.streams = streams
        server = connection.server
        unreadLimit = Int32(clamping: exchange.settings.configuration.limits.pendingBytesPerStream)
        previous = exchange.identifier
        clientOrZero = exchange.countedAddress?.hashValue ?? 0
        place = PublishingPlace(of: exchange, terms)
        leftAt = exchange.now
        merging = terms.merges ? Merging(terms.duplicates, now: exchange.now) : nil
        super.init(worker: exchange.proxy.worker)
        openTimer()
        let feed = StreamFeed(connection, of: self, terms, request, for: exchange)
        feeds.append(feed)
        feed.planRecycling()
        if terms.merges { lookForAddresses() }
    }

    var proxy: ExchangeWorker { streams.proxy }

    /// Whether nobody reads.
    var isAway: Bool { seats.isEmpty }

    /// Made when it is needed.
    var neededRarities: StreamRarities {
        if rarities == nil { rarities = StreamRarities() }
        return rarities!
    }

    private var opener: StreamIdentifier? { rarities?.opener }

    // MARK: The reader

    /// The first reader, which opened the stream.
    func open(for reader: StreamReader, _ filter: TypeFilter?) {
        seat(.here(reader), previous, at: log.first, hasIdentifier: false, filter)
    }

    /// What the stream says to a client that comes back, or joins it. Where the stream goes on, the reader has a seat.
    func answer(_ question: StreamQuestion, _ reader: SeatedReader) -> ResumptionAnswer {
        let place =
            switch question.wish {
            case .resume(let id): find(id, as: question.stream, question.filter)
            case .join(let gap, let hasID): join(behind: gap, hasID: hasID, question.filter)
            }
        switch place {
        case .found(let cursor, let resumption):
            let brings = if case .resume = question.wish { true } else { false }
            seat(reader, resumption.previous ?? previous, at: cursor, hasIdentifier: brings, question.filter)
            if seats.count == 1 { streams.isRead(self) }
            return .resumed(resumption)
        case .isOver: return .isOver
        case .notHere: return .notHere
        }
    }

    /// Where a client begins that joins a shared stream, and what it gets first.
    private func join(behind gap: Gap?, hasID: Bool, _ filter: TypeFilter?) -> Place {
        guard isShared, end == nil else { return .notHere }
        var cursor = log.next
        var opening: [UInt8] = []
        // A client that has a gap is told of that, and knows the rest.
        if let gap {
            opening = log.gapEvent(gap, before: cursor) ?? []
        } else {
            switch terms.policy.share {
            case .replay(let count): cursor = log.start(ofLastEvents: count)
            case .latest: opening = log.latestEvents(through: filter)
            case .live, nil: break
            }
            if opening.isEmpty, !hasID { _ = log.appendPlace(cursor, to: &opening) }
        }
        let resumption = ResumedStream(
            head: KeptHeads.head(head), serverName: serverName, opening: opening, previous: nil, sharedWith: opener,
            replayed: log.next - cursor, gap: gap)
        return .found(cursor, resumption)
    }

    private func seat(
        _ reader: SeatedReader, _ previous: StreamIdentifier, at cursor: UInt64, hasIdentifier: Bool, _ filter: TypeFilter?
    ) {
        let seat = Seat(reader, of: self, at: cursor, hasIdentifier: hasIdentifier, filter)
        seats.append(seat)
        switch reader {
        case .here(let reader): reader.sit(on: seat)
        case .elsewhere(let reader, _): neededRarities.distantSeats[reader] = (seat, previous)
        }
    }

    private enum Place {
        case found(UInt64, ResumedStream)
        case isOver
        case notHere
    }

    private func find(_ id: ClientIdentifier, as stream: StreamIdentifier, _ filter: TypeFilter?) -> Place {
        var (cursor, gap): (UInt64, Gap?)
        if isRefused || endsWithReader { return .notHere }
        switch log.resolve(id) {
        case .resume(let place): (cursor, gap) = (place, nil)
        case .gap(let found, let place): (cursor, gap) = (place, found)
        case .fresh, .unknown: return .notHere
        }
        if !isShared, !seats.isEmpty {
            // An id of the proxy names one stream, so its client knew of the cut before the proxy did.
            guard id.position?.epoch == log.epoch else { return .notHere }
            supersedeReader()
        }
        // A client that comes back because of a gap has been told of it. Told again, it would come back again and again.
        if !terms.tellsByEvent {
            var (place, filter) = (cursor, filter)
            while case .gap(let next) = log.read(&place, through: &filter) { (cursor, gap) = (place, gap ?? next) }
        }
        if end != nil {
            if gap == nil || !terms.tellsByEvent, !log.hasMore(from: cursor, through: filter) { return .isOver }
            // A client whose id stays the same would get the same blocks again and again.
            if rarities?.endedFrom.contains(cursor) == true, !log.replacesIdentifier(from: cursor, through: filter) { return .isOver }
        }
        let opening = (id.restoring ?? []) + (gap.flatMap { log.gapEvent($0, before: cursor) } ?? [])
        let resumption = ResumedStream(
            head: KeptHeads.head(head), serverName: serverName, opening: opening, previous: previous, sharedWith: opener,
            replayed: log.next - cursor, gap: gap)
        previous = stream
        return .found(cursor, resumption)
    }

    private func supersedeReader() {
        while let seat = seats.last {
            vacate(seat)
            seat.reader.superseded()
        }
    }

    /// Whether so many bytes may not wait for one client of a shared stream.
    func isTooMuch(_ unreadBytes: Int) -> Bool { isShared && unreadBytes > Int(unreadLimit) }

    /// A reader is too slow for what comes in parts, or has come to a gap and has to come back: its response ends.
    func leaveBehind(_ seat: Seat, at gap: Gap? = nil) {
        let event = gap.flatMap { log.gapEvent($0, before: seat.cursor) } ?? []
        let wasAwaited = vacate(seat)
        seat.reader.leftBehind(gap, event)
        oneHasLeft(forgets: false, wasAwaited)
    }

    /// The seat of a reader on another worker.
    func seat(of reader: DistantReader) -> Seat? { rarities?.distantSeats[reader]?.seat }

    /// A reader on another worker was gone before it could begin.
    func readerNeverCame(_ reader: DistantReader) {
        guard let (seat, before) = rarities?.distantSeats[reader] else { return }
        previous = before
        left(seat, forgets: false)
    }

    /// Whether clients on other workers read.
    var hasDistantReaders: Bool { rarities.map { !$0.distantSeats.isEmpty } ?? false }

    /// The worker ends, and with it the streams of readers on other workers.
    func endDistantReaders() {
        for seat in seats {
            guard case .elsewhere(let reader, let mailbox) = seat.reader else { continue }
            vacate(seat)
            mailbox.postToStreams { $0.ended(reader, .left) }
        }
    }

    /// A reader is gone.
    func left(_ seat: Seat, forgets: Bool) {
        let wasAwaited = vacate(seat)
        oneHasLeft(forgets: forgets || !isShared && seat.followsParts, wasAwaited)
    }

    /// The server has ended in the middle of a block of which some readers have parts: their responses end. False if all have, so that none
    /// is left to go on with.
    func endReadersOfParts(_ end: FeedEnd) -> Bool {
        guard !seats.allSatisfy(\.followsParts) else { return false }
        var wasAwaited = false
        for seat in seats where seat.followsParts {
            wasAwaited = vacate(seat) || wasAwaited
            seat.reader.ended(end)
        }
        if wasAwaited { serveAll() }
        return true
    }

    /// From now on the server's part is for one client, and others have the same key: nobody may come back to the stream. If its client is
    /// away, the stream is forgotten.
    func hideFromOthers() {
        endsWithReader = true
        streams.hide(self)
        if seats.isEmpty { streams.forget(self) }
    }

    private func oneHasLeft(forgets: Bool, _ wasAwaited: Bool) {
        if seats.isEmpty { lastHasLeft(forgets: forgets) } else if wasAwaited { serveAll() }
    }

    private func lastHasLeft(forgets: Bool) {
        leftAt = worker.now
        for feed in feeds { feed.forgetEnd() }
        if forgets || endsWithReader || isRefused || streams.isEnding { return streams.forget(self) }
        resumeFeed()
        streams.isAway(self)
        // It may be above a limit, and forgotten.
        if isOpen { wakeAtDeadline() }
    }

    /// Returns whether published events have waited for the parts that the reader was given, and stand in the log by now.
    @discardableResult
    private func vacate(_ seat: Seat) -> Bool {
        seat.vacate()
        seats.removeAll { $0 === seat }
        if case .elsewhere(let reader, _) = seat.reader {
            rarities?.distantSeats[reader] = nil
            streams.distantReaderLeft()
        }
        guard hasWaiting else { return false }
        appendWaiting()
        return !hasWaiting
    }

    func serveAll() {
        if hasWaiting { appendWaiting() }
        for seat in seats where seat.isReady { seat.serve() }
    }

    /// A reader has everything that there is.
    func isReadUp(_ seat: Seat) { if isPaused { resumeFeed() } }

    /// How the server's part ended, for a reader that has everything; nil while it goes on.
    func takeEnd(for seat: Seat) -> FeedEnd? {
        guard let end else { return nil }
        neededRarities.ended(from: seat.start)
        return end
    }

    // MARK: The server's part

    func pauseIfUnread() {
        guard !isShared, !isPaused, seats.contains(where: { $0.unreadBytes > Int(unreadLimit) }), end == nil else { return }
        isPaused = true
        for feed in feeds { feed.pause() }
    }

    private func resumeFeed() {
        guard isPaused else { return }
        isPaused = false
        for seat in seats { seat.forgetUnread() }
        for feed in feeds { feed.resume() }
    }

    /// Nothing comes from a server any more.
    func feedIsOver() {
        if !terms.masks, !feeds.contains(where: \.isReading) { leaveServers() }
        guard end != nil else { return wakeAtDeadline() }
        if isShared { streams.closeToOthers(self) }
        guard seats.isEmpty else { return serveAll() }
        if isRefused { return streams.forget(self) }
        // Nobody was there to see how the servers failed.
        for feed in feeds { feed.forgetEnd() }
        leftAt = worker.now
        streams.isOver(self)
        guard isOpen else { return }
        wakeAtDeadline()
    }

    /// How the servers' part ended; nil while it goes on.
    var end: FeedEnd? {
        var last: FeedEnd?
        for feed in feeds {
            guard let end = feed.end else { return nil }
            // One that was left says nothing of how the stream ended.
            if case .left = end, last != nil { continue }
            last = end
        }
        return last
    }

    private func leaveServers() { for feed in feeds { feed.leave() } }

    // MARK: The server goes on

    /// A server goes on with the stream, in its next response. `isWhole` says that nothing is missing between both.
    func goesOn(with part: ServerPart, _ change: FeedChange, isWhole: Bool) {
        // Of several servers that are merged, the log names the first.
        if merging == nil { server = part.connection.server }
        if !isWhole, !(terms.policy.isResumable && part.isBehindIdentifier) { append(Gap(.upstream, isCertain: false)) }
        if case .recycled = change { proxy.counters.add(.streamsRecycled) }
        for seat in seats { seat.reader.changed(change, serverName) }
    }

    /// Something may be missing here. All readers come to it, also later ones.
    func append(_ gap: Gap) {
        log.append(gap, at: worker.now)
        // Where the log has no event for it, readers hear of it when they come to its place.
        if case .reconnect = terms.policy.gap { return }
        for seat in seats { seat.reader.note(gap) }
    }

    /// The first block that a reader still needs.
    private var keptFrom: UInt64 {
        // A slow reader of a shared stream falls behind; it stops nobody else.
        seats.reduce(.max) { isShared && $1.isBlocked ? $0 : min($0, $1.cursor) }
    }

    /// The log has grown: what is too old or too much goes.
    func trim() {
        log.trim(at: worker.now, keptFrom: keptFrom)
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

    /// Drops the oldest blocks, for a limit over all logs.
    func discardOldest(byteCount: Int) {
        _ = log.discardOldest(memoryByteCount: byteCount, keptFrom: keptFrom)
        countMemory()
    }

    // MARK: The end

    /// When a server has to be attended to.
    private var serversDeadline: Int64 { feeds.reduce(end == nil ? merging?.nextAddressLook ?? .max : .max) { min($0, $1.nextDeadline) } }

    private var nextDeadline: Int64 {
        guard seats.isEmpty else {
            return min(serversDeadline, log.first == log.next ? .max : worker.now + terms.ageMilliseconds)
        }
        guard end == nil else { return leftAt + terms.ageMilliseconds }
        return min(serversDeadline, leftAt + terms.awayMilliseconds)
    }

    /// Looks at what is due next.
    func wakeAtDeadline() { wake(atMilliseconds: nextDeadline) }

    override func deadlineReached() {
        trim()
        guard isOpen else { return }
        if end == nil, let merging, worker.now >= merging.nextAddressLook { lookForAddresses() }
        for feed in feeds { feed.attend() }
        guard isOpen else { return }
        if seats.isEmpty {
            if isOver, worker.now >= leftAt + terms.ageMilliseconds { return streams.forget(self) }
            if !isOver, worker.now >= leftAt + terms.awayMilliseconds {
                leaveServers()
                leftAt = worker.now
                if isShared { streams.closeToOthers(self) }
                streams.isOver(self)
                guard isOpen else { return }
            }
        }
        wakeAtDeadline()
    }

    /// Gives everything back. Called by `KeptStreams.forget`.
    func close() {
        for seat in seats { vacate(seat) }
        leaveServers()
        streams.grew(self, by: -countedBytes)
        countedBytes = 0
        if isOpen { closeTimer() }
    }
}
