// The exchanges of one worker and what they share: the configuration, the logs, numbers, and the clients' side. Only `SharedState` is
// shared with other workers.

import Configuration
import Downstreams
import HTTP
import Reactor
import Services
import Telemetry
import Upstreams

/// What all exchanges of one worker share.
package final class ExchangeWorker {
    /// After how many seconds of silence the kernel probes a peer.
    package static let probeAfterSeconds: Int32 = 60

    let worker: Worker
    /// The current configuration on this worker.
    package private(set) var generation: Generation
    /// What all workers share.
    package private(set) var shared: SharedState
    /// Nil while no events are logged, which is usual.
    private(set) var eventLog: EventLog?
    /// Who watches the exchanges.
    var observers: Observers
    /// The latest lines about streams and the causes of the last hour; nil without a console.
    private(set) var live: LiveView?
    /// The streams whose events the console's operator watches now.
    var taps: [EventTap] = []
    /// The routes whose event log the operator has switched, until the next reload.
    var eventLogSwitches: [String: Bool] = [:]
    /// The streams that are recorded, by the number of their exchange. Not in the exchange, so that an idle stream is not larger.
    var recorders: [UInt64: StreamRecorder] = [:]
    /// The streams whose credentials can be taken back while they live.
    let authorizedStreams = AuthorizedStreams()
    /// When services are asked again about living streams.
    private(set) lazy var rechecks = Rechecks(worker: worker)
    /// What is counted.
    package let counters: WorkerCounters
    /// What the path of an event counts.
    private(set) var pathCells: PathCells
    /// The clients' side.
    package private(set) lazy var clients = DownstreamWorker(
        worker: worker, terms: settings.downstreamTerms, counts: shared.counts, handler: self)
    /// Fetches the keys of issuers.
    private(set) lazy var keyFetcher = KeyFetcher(self)
    /// Fetches tokens for servers.
    private(set) lazy var tokenFetcher = TokenFetcher(self)
    /// The streams that are kept for clients that may come back.
    private(set) lazy var keptStreams = KeptStreams(self)
    /// Called when the proxy ends and the last client's connection is closed.
    package var whenDrained: () -> Void = {}
    private var isOver = false
    /// The span over which streams are ended one by one, so that their clients do not all come back at once.
    private var drainSpan: Range<Int64>?
    private var nextExchangeNumber: UInt64 = 0
    /// Reused for every log line.
    private var line: [UInt8] = []
    private var lastDate = HTTPDate()
    /// Running streams whose opening a log does not have yet.
    private var undescribed: [Exchange] = []

    /// The exchanges of a worker with these settings.
    package init(worker: Worker, settings: Settings, shared: SharedState, addresses: [[[SocketAddress]]]) {
        self.worker = worker
        self.shared = shared
        counters = WorkerCounters(settings.series)
        pathCells = counters.path
        generation = Generation(
            settings, addresses: addresses, workerNumber: worker.number, fingerprinter: shared.fingerprinter)
        eventLog = EventLog.replacing(nil, by: shared.eventLog, worker)
        observers = Observers(shared)
        generation.openServices(of: self, succeeding: nil)
        keepLive()
        keyFetcher.adopt(generation)
        shared.revocations.follow(self)
        shared.streamDirectory.join(worker.mailbox)
        tokenFetcher.adopt(generation)
    }

    /// The settings in force.
    package var settings: Settings { generation.settings }
    /// The servers of each upstream in force.
    package var groups: [ServerGroup] { generation.groups }

    /// The value of a `Date` field.
    func date() -> [UInt8] { lastDate.text(at: worker.unixNow / 1000) }

    /// The number of the next exchange on this worker.
    func takeExchangeNumber() -> UInt64 {
        nextExchangeNumber += 1
        return nextExchangeNumber
    }

    /// A random number below the limit.
    func chance(below limit: UInt64) -> UInt64 {
        var number: UInt64 = 0
        withUnsafeMutableBytes(of: &number) { worker.kernel.fillRandom($0) }
        return number % limit
    }

    /// Applies other settings. Running exchanges keep their own.
    package func adopt(_ settings: Settings, shared: SharedState, addresses: [[[SocketAddress]]]) {
        let isNewLog = shared.streamLog !== self.shared.streamLog
        self.shared = shared
        if isNewLog { streamLogOpened() }
        eventLog = EventLog.replacing(eventLog, by: shared.eventLog, worker)
        observers = Observers(shared)
        counters.makeRoom(for: settings.series)
        pathCells = counters.path
        if !taps.isEmpty { observers.formUnion(.tap) }
        eventLogSwitches = [:]
        keepLive()
        endRecordings(without: shared)
        let previous = generation
        generation = Generation(
            settings, addresses: addresses, workerNumber: worker.number, fingerprinter: shared.fingerprinter, succeeding: previous)
        generation.openServices(of: self, succeeding: previous)
        clients.adopt(settings.downstreamTerms, counts: shared.counts)
        keyFetcher.adopt(generation)
        tokenFetcher.adopt(generation)
    }

    /// Keeps lines for a console where there is one.
    private func keepLive() {
        live = shared.hasConsole ? live ?? LiveView() : nil
        if shared.hasConsole { observers.formUnion(.live) }
    }

    // MARK: Metrics

    /// A copy of what was counted, with the gauges of this moment. No stream is looked at.
    package func counted() -> CounterSnapshot {
        counters.set(.pendingBytes, to: worker.pendingBytes)
        keyFetcher.setAges()
        keptStreams.setGauges()
        for numbers in settings.serverSeries {
            for number in numbers { counters.set(.upstreamHealthy, of: number, to: 0) }
        }
        for (group, numbers) in zip(groups, settings.serverSeries) {
            for (server, number) in zip(group.servers, numbers) where !server.seemsHealthy(now: worker.now) {
                counters.add(.upstreamHealthy, of: number)
            }
        }
        return counters.snapshot()
    }

    // MARK: What waits

    /// The refusal for one more slow client when too many bytes wait; nil while there is room.
    func refusalOfPending() -> Refusal? { clients.isFull ? refusal(of: .noRoom(waitingBytes: worker.pendingBytes)) : nil }

    // MARK: Logs

    func log(_ opening: StreamOpening) {
        line.removeAll(keepingCapacity: true)
        opening.encode(into: &line)
        // A console has seen the openings that a new log file is told once more.
        submitStreamLine(isNew: opening.ageMilliseconds == nil)
    }

    func log(_ ending: StreamEnding) {
        live?.causes.add(ending.cause, atMilliseconds: ending.timeMilliseconds)
        line.removeAll(keepingCapacity: true)
        ending.encode(into: &line)
        submitStreamLine(isNew: true)
    }

    func log(_ gap: StreamGapRecord) {
        line.removeAll(keepingCapacity: true)
        gap.encode(into: &line)
        submitStreamLine(isNew: true)
    }

    private func submitStreamLine(isNew: Bool) {
        if isNew { live?.tail.note(line) }
        if let log = shared.streamLog, !log.submit(line) { counters.add(.logLinesDropped, LogKind.stream) }
    }

    func log(_ record: AccessRecord) { write(to: shared.accessLog, .access) { record.encode(into: &$0) } }

    /// The stream log's file is a new one. `describeSomeStreams` writes into it which streams are running.
    package func streamLogOpened() {
        undescribed = shared.streamLog == nil ? [] : clients.receivers.compactMap { $0 as? Exchange }.filter(\.isStream)
    }

    /// How many running streams are described in one turn.
    private static let describedInTurn = 100

    /// Writes openings of running streams into a new log: not all in one turn, because there may be many. Returns whether some are left.
    package func describeSomeStreams() -> Bool {
        for exchange in undescribed.suffix(ExchangeWorker.describedInTurn) where exchange.isStream { exchange.writeOpeningAgain() }
        undescribed.removeLast(min(undescribed.count, ExchangeWorker.describedInTurn))
        return !undescribed.isEmpty
    }

    /// Hands the lines of events to their writer.
    func flush(_ log: EventLog) {
        log.lines.flush()
        let dropped = log.lines.takeDroppedCount()
        if dropped > 0 { counters.add(.logLinesDropped, LogKind.event, dropped) }
    }

    private func write(to log: LogWriter?, _ kind: LogKind, _ encode: (inout [UInt8]) -> Void) {
        guard let log else { return }
        line.removeAll(keepingCapacity: true)
        encode(&line)
        if !log.submit(line) { counters.add(.logLinesDropped, kind) }
    }

    // MARK: The end

    /// Streams are ended at moments spread over that span.
    package func endStreams(within span: Range<Int64>) {
        drainSpan = span
        keptStreams.beginEnding()
        for group in groups { group.retire() }
    }

    /// Whether the proxy is to end.
    package var isDraining: Bool { drainSpan != nil }

    /// When the next stream is to be ended; nil if the proxy is not ending.
    func takeDrainMoment() -> Int64? {
        guard let drainSpan else { return nil }
        return drainSpan.lowerBound + Int64(chance(below: UInt64(drainSpan.count)))
    }
}

extension ExchangeWorker: RequestHandler {
    /// An exchange for a request.
    package func makeReceiver(for head: RequestHead?, from sink: Sink) -> any RequestReceiver {
        Exchange(proxy: self, sink: sink, head: head)
    }

    /// Writes the record of a connection without a request.
    package func connectionFailed(from client: SocketAddress, _ departure: ClientDeparture) {
        if departure.isFailedHandshake { counters.add(.handshakes, HandshakeOutcome.failed) }
        guard observers.contains(.accessLog) else { return }
        let description = ExchangeDescription(
            stream: StreamIdentifier(worker: worker.number, number: takeExchangeNumber()), client: client.description)
        var record = AccessRecord(timeMilliseconds: worker.kernel.unixMilliseconds(), exchange: description)
        let ending = Ending(departure)
        record.cause = ending.cause
        record.evidence = ending.evidence
        log(record)
    }

    /// A connection came by that place.
    package func connectionOpened(at place: ListeningPlace) {
        place.connectionCount += 1
        counters.add(.connections, of: place.number)
        counters.add(.connectionsOpen, of: place.number)
    }

    /// A connection that came by that place is closed.
    package func connectionClosed(at place: ListeningPlace) {
        place.connectionCount -= 1
        counters.subtract(.connectionsOpen, of: place.number)
    }

    /// Gives a place another number. Its open connections go with it.
    package func renumber(_ place: ListeningPlace, _ number: Int32) {
        guard place.number != number else { return }
        counters.add(.connectionsOpen, of: place.number, 0 &- UInt64(place.connectionCount))
        counters.add(.connectionsOpen, of: number, UInt64(place.connectionCount))
        place.number = number
    }

    /// A connection of HTTP/2 has all the streams that it may have, or no longer.
    package func connectionFull(_ isFull: Bool) {
        if isFull { counters.add(.connectionsFull) } else { counters.subtract(.connectionsFull) }
    }

    /// A connection was closed without an answer, because far too many came.
    package func connectionShed(by limit: ConnectionLimit) {
        if let limit = ReachedLimit(rawValue: limit.rawValue) { counters.add(.refused, limit) }
    }

    /// A client's TLS handshake succeeded.
    package func handshakeSucceeded(version: String, isResumed: Bool) {
        counters.add(.handshakes, HandshakeOutcome(version: version, isResumed: isResumed))
    }

    /// No descriptor is left: streams whose clients have left give theirs back.
    package func giveWay() { keptStreams.giveWay() }

    /// The last connection is closed.
    package func clientsDrained() { endIfDrained() }

    /// Ends when no client is left, here and among those on other workers that read streams of this one: their workers end them, at the
    /// latest when the grace period is over.
    func endIfDrained() {
        guard isDraining, !isOver, clients.isEmpty, !keptStreams.hasDistantReaders else { return }
        isOver = true
        rechecks.end()
        keyFetcher.close()
        tokenFetcher.close()
        keptStreams.close()
        ServiceCall.cancelAll(on: worker)
        whenDrained()
    }
}
