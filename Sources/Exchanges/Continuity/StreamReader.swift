// An exchange as the reader of a kept stream. The stream may be on another worker; the exchange does not know.
//
//     exchange ◀── StreamReader ◀── KeptStream                  on one worker
//     exchange ◀── StreamReader ◀══ mailboxes ══▶ KeptStream    on two: one request for more at a time, answered with whole blocks
//
// Invariant: a reader has one exchange from its beginning until the exchange leaves; after that it calls nobody.

import EventStream
import Reactor
import Upstreams

/// A reader on another worker than its stream.
struct DistantReader: Sendable, Hashable {
    let worker: Int
    let number: UInt64
}

/// What most readers have for a moment at most, outside of them.
private final class ReaderRarities {
    /// What the logs say; nil where they say nothing.
    var facts: ReaderFacts?
    /// What goes to the client in front of everything else.
    var opening: [UInt8] = []
}

/// One exchange's reader.
final class StreamReader {
    private enum Home {
        case here(Seat)
        indirect case elsewhere(StreamHome, DistantReader)
        case left
    }

    /// The server that the stream comes from, as this worker knows it; nil after a reload that has dropped it.
    private(set) var server: ServerState?
    private var rarities: ReaderRarities?
    private var exchange: Exchange?
    private var home: Home
    private var isPaused = false
    /// Whether something goes to the client in front of everything else: asked for each block.
    private var hasOpening = false
    /// Whether its client wants some types of events only.
    var filters = false
    /// Whether the response's head waits for what follows it.
    private var isBeginning = false
    /// Whether a distant stream is asked for more.
    private var isAsking = false

    /// A reader on the worker of its stream, which gives it a seat.
    init(of exchange: Exchange, serverName: String) {
        self.exchange = exchange
        server = exchange.server(named: serverName)
        home = .left
    }

    /// The stream has a seat for the reader.
    func sit(on seat: Seat) { home = .here(seat) }

    init(of exchange: Exchange, _ stream: StreamHome, as reader: DistantReader, serverName: String) {
        self.exchange = exchange
        server = exchange.server(named: serverName)
        home = .elsewhere(stream, reader)
    }

    /// Made when they are needed.
    private var neededRarities: ReaderRarities {
        if rarities == nil { rarities = ReaderRarities() }
        return rarities!
    }

    /// For the log.
    var facts: ReaderFacts {
        get { rarities?.facts ?? ReaderFacts() }
        set { neededRarities.facts = newValue }
    }

    // MARK: What the exchange wants

    /// The client takes no more for now.
    func pause() {
        isPaused = true
        if case .here(let seat) = home { seat.pause() }
    }

    /// The client takes bytes again.
    func resume() {
        guard isPaused else { return }
        isPaused = false
        goOn()
    }

    /// Hands on what there is, and from then on what comes. `opening` stands before it.
    func begin(with opening: [UInt8]) {
        hold(opening)
        isBeginning = true
        goOn()
        sendHead()
    }

    /// Sends the head in this turn, also where no block follows it.
    func sendHead() {
        if isBeginning { deliver(UnsafeRawBufferPointer(start: nil, count: 0)) }
    }

    private func goOn() {
        switch home {
        case .here(let seat): seat.serve()
        case .elsewhere(let home, let reader):
            guard !isAsking else { return }
            isAsking = true
            home.post { $0.seat(of: reader)?.serve() }
        case .left: return
        }
    }

    /// The exchange is over, or takes another source.
    /// - Parameter forgets: whether nobody may read the stream any more.
    func leave(forgets: Bool) {
        let streams = exchange?.proxy.keptStreams
        exchange = nil
        let home = self.home
        self.home = .left
        switch home {
        case .here(let seat): seat.leave(forgets: forgets)
        case .elsewhere(let home, let reader):
            streams?.forget(reader)
            home.post { $0.seat(of: reader)?.leave(forgets: forgets) }
        case .left: return
        }
    }

    /// A heartbeat was sent: a client that filters gets its place as well.
    func tellPlace() {
        switch home {
        case .here(let seat): seat.tellPlace()
        case .elsewhere(let home, let reader): home.post { $0.seat(of: reader)?.tellPlace() }
        case .left: return
        }
    }

    /// Has the kernel ask the server now and then whether it is still there.
    func probe() {
        switch home {
        case .here(let seat): seat.probe()
        case .elsewhere(let home, _): home.post { $0.probe() }
        case .left: return
        }
    }

    /// Whether its client takes bytes now.
    var isReady: Bool { !isPaused && exchange != nil }

    // MARK: What the stream hands on

    /// Hands whole blocks on, in pieces that fit into the worker's buffer.
    func deliver(_ bytes: UnsafeRawBufferPointer) {
        isBeginning = false
        if hasOpening { return deliverOpening(bytes) }
        var rest = bytes
        repeat {
            guard let exchange else { return }
            let count = min(rest.count, Worker.scratchBytes)
            let piece = UnsafeRawBufferPointer(rebasing: rest[..<count])
            exchange.receiveBody(exchange.proxy.worker.copyToScratch(piece), isLast: false)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        } while !rest.isEmpty
    }

    private func hold(_ opening: [UInt8]) {
        hasOpening = !opening.isEmpty
        if hasOpening { neededRarities.opening = opening }
    }

    private func deliverOpening(_ bytes: UnsafeRawBufferPointer) {
        hasOpening = false
        let all = neededRarities.opening + bytes
        neededRarities.opening = []
        if rarities?.facts == nil { rarities = nil }
        all.withUnsafeBytes { deliver($0) }
    }

    /// Asks a distant stream for more, or says that the client takes no more for now.
    private func goOnOrSayWhyNot() {
        if isReady { return goOn() }
        if isPaused, case .elsewhere(let home, let reader) = self.home { home.post { $0.seat(of: reader)?.pause() } }
    }

    /// Hands bytes of the proxy on.
    func deliver(_ bytes: [UInt8]) { bytes.withUnsafeBytes { deliver($0) } }

    /// Blocks of a distant stream have come.
    func arrived(_ slices: [Slice]) {
        isAsking = false
        for slice in slices { slice.withBytes { deliver($0) } }
        goOnOrSayWhyNot()
    }

    /// Parts of a block that is larger than the limit have come. Unlike blocks they are not asked for.
    func arrived(_ part: [UInt8]) {
        deliver(part)
        guard isPaused, exchange != nil, case .elsewhere(let home, let reader) = self.home else { return }
        // The client says when it takes bytes again.
        isAsking = false
        home.post { $0.seat(of: reader)?.pause() }
    }

    /// The server's part is over, and everything has been handed on.
    func ended(_ end: FeedEnd) {
        sendHead()
        exchange?.keptStreamEnded(end)
    }

    /// The client has come back over another connection, and its stream goes on there.
    func superseded() { exchange?.endSuperseded() }

    /// The client was too slow: for a large block, or it has come to a gap, which the event tells.
    func leftBehind(_ gap: Gap?, _ event: [UInt8]) {
        sendHead()
        exchange?.endLeftBehind(gap, event)
    }

    /// The stream goes on in the next response, of that server.
    func changed(_ change: FeedChange, _ serverName: String) {
        if let exchange, server?.name != serverName {
            let old = server
            server = exchange.server(named: serverName)
            exchange.observeServer(insteadOf: old)
        }
        switch change {
        case .masked(let milliseconds):
            facts.maskedCount += 1
            facts.maskedMilliseconds += milliseconds
        case .recycled: facts.recycledCount += 1
        }
    }

    /// Something may be missing; the client is told by an event, or cannot be told.
    func note(_ gap: Gap) { exchange?.log(gap) }

    /// A loss stands where the reader has come to.
    func tell(_ gap: Gap) {
        // What stands in front of everything may be the id with which the client comes back.
        sendHead()
        exchange?.tell(gap)
    }

    /// The same of a distant stream, with the event that tells it. `mayEnd` says whether the client may be sent back for it.
    func arrived(_ gap: Gap, _ event: [UInt8], mayEnd: Bool) {
        isAsking = false
        if !event.isEmpty { deliver(event) }
        mayEnd ? tell(gap) : note(gap)
        goOnOrSayWhyNot()
    }

    /// Keeps what goes to the client in front of the server's first bytes, which follow in this turn.
    func prepare(_ opening: [UInt8]) {
        hold(opening)
        isBeginning = true
        if case .here(let seat) = home { seat.awaitFirstBytes() }
    }
}
