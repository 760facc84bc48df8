// The kept streams of one worker, and its readers of streams on other workers. Workers talk by mailbox: a request names the stream by its
// epoch and the reader by its worker and number, so a message that comes too late names nobody and is dropped.
// Invariant: the directory has an entry for each stream here to which somebody may come back.

import Configuration
import EventStream
import HTTP
import Reactor
import Telemetry
import Upstreams

/// The kept streams of one worker.
final class KeptStreams {
    unowned let proxy: ExchangeWorker
    private var streams: [Epoch: KeptStream] = [:]
    /// With which their clients' next responses begin.
    var heads = KeptHeads()
    /// Those that nobody reads: while their servers go on, and when nothing comes any more but their logs are kept.
    private var away = AwayStreams()
    private var over = AwayStreams()
    /// Readers here of streams on other workers.
    private var readers: [UInt64: StreamReader] = [:]
    /// Exchanges that have asked a stream whether it is theirs.
    private var searches: [UInt64: Exchange] = [:]
    /// Those that wait for streams here which are being opened for all.
    private var openings: [Epoch: [StreamQuestion]] = [:]
    /// Requests to publish that wait for the answers of all workers.
    private var publishing: [UInt64: PendingPublication] = [:]
    private var lastNumber: UInt64 = 0
    /// So many streams give their descriptors back at a time.
    private static let mostGivingWay = 16
    private var logBytes = 0

    init(_ proxy: ExchangeWorker) { self.proxy = proxy }

    private var directory: StreamDirectory { proxy.shared.streamDirectory }
    /// How many streams are here, readers of others, searches, streams that are away, bytes, and heads. For tests.
    var holdings: [Int] { [streams.count, readers.count, searches.count, away.count + over.count, logBytes, heads.count] }
    /// Whether a stream that nobody reads holds events. For tests.
    var holdsUnread: Bool { streams.values.contains { $0.isAway && $0.holdsBlocks } }
    /// Whether the proxy ends.
    var isEnding: Bool { proxy.isDraining }

    // MARK: Streams here

    /// Keeps a stream whose server has just answered.
    func open(
        _ keeping: KeepingRequest, head: ResponseHead, from connection: UpstreamConnection, _ request: StreamRequest?,
        for exchange: Exchange
    ) -> KeptStream {
        let epoch = keeping.opening ?? newEpoch()
        // The request for a shared stream holds none.
        let asked = keeping.terms.policy.share == nil ? keeping.id.server : []
        let log = BlockLog(keeping.terms.rules, epoch: epoch, after: asked)
        let stream = KeptStream(
            keeping.key, log, keeping.terms, isShared: keeping.opening != nil, head: head, from: connection, request, for: exchange,
            in: self)
        streams[epoch] = stream
        // A stream for all stands there since it was claimed. Those who wait for it are answered in a later turn, because the server's
        // bytes are in the worker's buffer now.
        if keeping.opening != nil {
            directory.opened(epoch, of: keeping.key)
            answerWaiting(epoch, nil)
        } else if keeping.isVetoed {
            stream.endsWithReader = true
        } else {
            directory.add(home(epoch), of: keeping.key)
        }
        return stream
    }

    private func home(_ epoch: Epoch) -> StreamHome {
        StreamHome(epoch: epoch, worker: proxy.worker.number, mailbox: proxy.worker.mailbox)
    }

    /// Nobody may find the stream any more.
    func hide(_ stream: KeptStream) { directory.remove(stream.log.epoch, of: stream.key) }

    // MARK: Streams for all

    /// The stream that clients of the key share, or the epoch of the one that the caller opens for them.
    func claim(_ key: StreamKey) -> StreamClaim {
        let epoch = newEpoch()
        if let home = directory.claim(home(epoch), of: key) { return .joins(home) }
        openings[epoch] = []
        return .opens(epoch)
    }

    /// A stream for all is not opened. Those who wait for it get this answer.
    func dissolve(_ epoch: Epoch, of key: StreamKey, _ answer: ResumptionAnswer) {
        directory.remove(epoch, of: key)
        answerWaiting(epoch, answer)
    }

    /// Answers in a later turn those who wait for a stream that was to be opened: with this answer, or, where there is none, with what the
    /// stream says.
    private func answerWaiting(_ epoch: Epoch, _ answer: ResumptionAnswer?) {
        proxy.worker.mailbox.postToStreams { streams in
            for question in streams.openings.removeValue(forKey: epoch) ?? [] { streams.answer(question, epoch, answer) }
        }
    }

    /// No client may join the stream any more.
    func closeToOthers(_ stream: KeptStream) { directory.closeToOthers(stream.log.epoch, of: stream.key) }

    private func newEpoch() -> Epoch {
        while true {
            let epoch = Epoch(truncating: proxy.chance(below: .max))
            if streams[epoch] == nil, openings[epoch] == nil { return epoch }
        }
    }

    /// Forgets a stream: nobody can come back to it.
    func forget(_ stream: KeptStream) {
        guard streams.removeValue(forKey: stream.log.epoch) != nil else { return }
        directory.remove(stream.log.epoch, of: stream.key)
        isNotAway(stream)
        heads.release(stream.head)
        stream.close()
    }

    /// Nobody reads the stream any more. Above the limits the ones go that were left first. A stream without a server uses no connection,
    /// so it takes no place of one that has a server.
    func isAway(_ stream: KeptStream) {
        directory.note(isRead: false, stream.log.epoch, of: stream.key)
        guard !stream.isOver else { return isOver(stream) }
        away.add(stream)
        let limits = proxy.settings.configuration.limits
        while let oldest = away.oldest(above: share(of: limits.keptStreams)) { forget(oldest) }
        if limits.keptStreamsPerClient > 0, let client = stream.client {
            while let oldest = away.oldest(of: client, above: limits.keptStreamsPerClient) { forget(oldest) }
        }
        // What its reader had not got may be above the limit, and perhaps no log grows for a long time.
        discardFromAway()
    }

    /// No descriptor is left: streams whose clients have left give theirs back, those of other workers a moment later. Returns whether some
    /// have done so.
    @discardableResult
    func giveWay() -> Bool {
        guard away.count == 0 else {
            let left = max(0, away.count - Self.mostGivingWay)
            while let oldest = away.oldest(above: left) { forget(oldest) }
            return true
        }
        for mailbox in directory.mailboxes { mailbox.postToStreams { if $0.away.count > 0 { $0.giveWay() } } }
        return false
    }

    /// Nothing comes any more in a stream that nobody reads.
    func isOver(_ stream: KeptStream) {
        away.remove(stream)
        over.add(stream)
        while let oldest = over.oldest(above: share(of: proxy.settings.configuration.limits.keptStreams)) { forget(oldest) }
        discardFromAway()
    }

    /// The stream has a reader again.
    func isRead(_ stream: KeptStream) {
        directory.note(isRead: true, stream.log.epoch, of: stream.key)
        isNotAway(stream)
    }

    private func isNotAway(_ stream: KeptStream) {
        away.remove(stream)
        over.remove(stream)
    }

    /// The stream's log takes that many bytes more, or fewer. Above the limit the oldest blocks of streams that nobody reads go first, and
    /// then those of this stream, as far as its reader has them.
    func grew(_ stream: KeptStream, by count: Int) {
        logBytes += count
        guard count > 0 else { return }
        away.grew(stream)
        discardFromAway()
        if logBytes > byteLimit { stream.discardOldest(byteCount: logBytes - byteLimit) }
    }

    /// This worker's share of `limits history`.
    private var byteLimit: Int { share(of: proxy.settings.configuration.limits.historyBytes) }

    /// Above the limit the oldest blocks of streams that nobody reads go, first of those that are over.
    private func discardFromAway() {
        while logBytes > byteLimit, let oldest = over.oldestWithBlocks() ?? away.oldestWithBlocks() {
            oldest.discardOldest(byteCount: logBytes - byteLimit)
        }
    }

    /// Sets the gauges of this moment.
    func setGauges() {
        proxy.counters.set(.streamsAway, to: away.count)
        proxy.counters.set(.historyBytes, to: logBytes)
    }

    /// A worker's share of a limit that holds for all workers together.
    private func share(of limit: Int) -> Int { max(1, limit / proxy.settings.workerCount) }

    /// The proxy ends: nobody comes back any more, and what nobody reads is given back.
    func beginEnding() {
        for stream in streams.values { directory.remove(stream.log.epoch, of: stream.key) }
        while let oldest = away.oldest(above: 0) ?? over.oldest(above: 0) { forget(oldest) }
    }

    /// Whether clients on other workers read streams here. When the proxy ends, they do so at moments of their own.
    var hasDistantReaders: Bool { streams.values.contains(where: \.hasDistantReaders) }

    /// A reader on another worker has left. If the worker waits for the last of them to end, it goes on in a later turn.
    func distantReaderLeft() {
        guard isEnding else { return }
        proxy.worker.mailbox.postToStreams { $0.proxy.endIfDrained() }
    }

    /// The worker ends. Readers on other workers are told so.
    func close() {
        for stream in Array(streams.values) {
            stream.endDistantReaders()
            forget(stream)
        }
        searches = [:]
        openings = [:]
        publishing = [:]
        for reader in Array(readers.values) { reader.ended(.left) }
    }

    fileprivate func stream(_ epoch: Epoch) -> KeptStream? { streams[epoch] }

    // MARK: Publishing

    /// Publishes an event in the streams of all workers. `pending` learns of their answers, and never in this call.
    func publish(_ publication: Publication, _ pending: PendingPublication) {
        let mailboxes = directory.mailboxes
        lastNumber += 1
        let (number, mailbox) = (lastNumber, proxy.worker.mailbox)
        pending.awaited = mailboxes.count
        publishing[number] = pending
        for other in mailboxes {
            other.postToStreams { streams in
                let count = streams.append(publication)
                mailbox.postToStreams { $0.published(count, number) }
            }
        }
    }

    private func append(_ publication: Publication) -> PublicationCount {
        var count = PublicationCount()
        // A stream may be forgotten while it hands the event on.
        for stream in Array(streams.values) {
            guard let clients = stream.publish(publication) else { continue }
            count.streams += 1
            count.clients += clients
        }
        return count
    }

    private func published(_ count: PublicationCount, _ number: UInt64) {
        guard let pending = publishing[number], pending.counts(count) else { return }
        publishing[number] = nil
        pending.finish()
    }

    // MARK: Coming back

    /// Asks a stream for an exchange. `exchange.answered` follows, and never in this call: behind the request there may be bytes of its
    /// client in the worker's buffer, in which blocks would be handed on.
    func ask(_ home: StreamHome, _ wish: StreamQuestion.Wish, _ keeping: KeepingRequest, for exchange: Exchange) -> DistantReader {
        lastNumber += 1
        let question = StreamQuestion(
            key: keeping.key, reader: DistantReader(worker: proxy.worker.number, number: lastNumber), mailbox: proxy.worker.mailbox,
            stream: exchange.identifier, wish: wish, filter: keeping.filter)
        searches[question.reader.number] = exchange
        home.mailbox.postToStreams { streams in
            if streams.openings[home.epoch]?.append(question) == nil { streams.answer(question, home.epoch, nil) }
        }
        return question.reader
    }

    /// Answers a question to a stream of this worker: with this answer, or, where there is none, with what the stream says.
    private func answer(_ question: StreamQuestion, _ epoch: Epoch, _ answer: ResumptionAnswer?) {
        let stream = streams[epoch].flatMap { $0.key == question.key ? $0 : nil }
        guard question.reader.worker == proxy.worker.number else {
            let said = answer ?? stream?.answer(question, .elsewhere(question.reader, question.mailbox)) ?? .notHere
            let home = home(epoch)
            return question.mailbox.postToStreams { $0.answered(question.reader, said, home) }
        }
        guard let exchange = searches.removeValue(forKey: question.reader.number), exchange.isSearching(as: question.reader) else { return }
        guard answer == nil, let stream else { return exchange.answered(answer ?? .notHere, nil) }
        let reader = StreamReader(of: exchange, serverName: stream.serverName)
        exchange.answered(stream.answer(question, .here(reader)), reader)
    }

    private func answered(_ number: DistantReader, _ answer: ResumptionAnswer, _ home: StreamHome) {
        guard let exchange = searches.removeValue(forKey: number.number), exchange.isSearching(as: number) else {
            if case .resumed = answer { home.post { $0.readerNeverCame(number) } }
            return
        }
        var reader: StreamReader?
        if case .resumed(let resumption) = answer {
            let new = StreamReader(of: exchange, home, as: number, serverName: resumption.serverName)
            readers[number.number] = new
            reader = new
        }
        exchange.answered(answer, reader)
    }

    // MARK: Readers here of streams elsewhere

    /// Blocks of a stream on another worker have come.
    func arrived(_ slices: [Slice], for number: DistantReader) { readers[number.number]?.arrived(slices) }

    /// Parts of a block that is larger than the limit have come.
    func arrived(_ part: [UInt8], for number: DistantReader) { readers[number.number]?.arrived(part) }

    /// A loss stands where a reader has come to.
    func tell(_ gap: Gap, _ event: [UInt8], mayEnd: Bool, to number: DistantReader) {
        readers[number.number]?.arrived(gap, event, mayEnd: mayEnd)
    }

    /// A stream goes on in the next response, of that server.
    func changed(_ change: FeedChange, _ serverName: String, for number: DistantReader) {
        readers[number.number]?.changed(change, serverName)
    }

    /// Something may be missing in a stream; an event tells its readers.
    func note(_ gap: Gap, for number: DistantReader) { readers[number.number]?.note(gap) }

    /// A stream's server is gone, and its reader has everything.
    func ended(_ number: DistantReader, _ end: FeedEnd) { readers[number.number]?.ended(end) }

    /// A reader's client has come back elsewhere.
    func superseded(_ number: DistantReader) { readers[number.number]?.superseded() }

    /// A reader's client was too slow.
    func leftBehind(_ number: DistantReader, _ gap: Gap?, _ event: [UInt8]) { readers[number.number]?.leftBehind(gap, event) }

    /// A reader has left its exchange.
    func forget(_ number: DistantReader) { readers[number.number] = nil }
}

extension StreamHome {
    /// Tells the stream something, if it is still there.
    func post(_ job: @escaping @Sendable (KeptStream) -> Void) {
        mailbox.postToStreams { [epoch] streams in if let stream = streams.stream(epoch) { job(stream) } }
    }
}

extension Mailbox {
    /// Tells the kept streams of a worker something.
    func postToStreams(_ job: @escaping @Sendable (KeptStreams) -> Void) {
        post { worker in if let host = worker.resident as? any ExchangeHost { job(host.exchanges.keptStreams) } }
    }
}
