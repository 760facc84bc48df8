// One connection from a client, on the server's side of HTTP/2. The session (room HTTP2) knows the protocol; this class gives it a
// socket. HTTP2Stream is one request's sink, HTTP2Requests reads requests, HTTP2Output gathers what leaves in one write, HTTP2Deadlines
// knows the clocks. Invariant: a slot of the session has its stream object exactly from its request until its exchange is over.

import Configuration
import HTTP2
import Reactor

/// A connection from a client that speaks HTTP/2.
package final class HTTP2Connection: ClientConnection {
    //                      GOAWAY, and no stream is left              a broken rule, an abuse
    //   serving ──────────────────────────────────────────▶ ending ◀──────────────────────── serving
    //      └─────────────────── the client is gone ─────────▶ closed ◀── all is sent, and the client has ended ── ending

    enum State: UInt8 {
        case serving
        /// Our sending half is shut down. Received bytes are dropped, so that no reset overtakes GOAWAY.
        case ending
        case closed
    }

    struct Flags: OptionSet {
        let rawValue: UInt8
        /// A request has been read on this connection.
        static let hasServed = Flags(rawValue: 1)
        /// The client said GOAWAY: it opens no more streams.
        static let clientLeaves = Flags(rawValue: 2)
        /// GOAWAY named the last stream: when that has ended, the connection ends.
        static let hasSaidLastStream = Flags(rawValue: 4)
        /// An exchange asks for more of a body.
        static let wantsBodies = Flags(rawValue: 8)
        /// The client has ended its sending, and the last bytes wait for the socket.
        static let clientHasEnded = Flags(rawValue: 16)
        /// It has all the streams that it may have.
        static let isFull = Flags(rawValue: 32)
    }

    static let lingerMilliseconds: Int64 = 2_000
    /// One read may hold hundreds of requests, and other connections wait meanwhile.
    private static let readLimit: UInt32 = 16_384
    /// How long new streams are still served after the first GOAWAY, if the client does not answer PING earlier.
    private static let leaveMilliseconds: Int64 = 1_000
    /// So many slots are kept for the next streams of a connection that has none.
    private static let keptSlots = 8
    /// While more than this waits for the socket, the slots of streams that are over are not free.
    private static let muchPendingBytes = 16_384

    /// Its number on its worker, from 1, for logs.
    let number: UInt32
    var state = State.serving
    var flags: Flags = []
    /// The protocol's state. Streams and exchanges call it too, so nothing is called while it is being changed.
    var session: Session
    /// By slot.
    var streams: [HTTP2Stream?] = []
    var streamCount = 0
    /// How many of them are within the limit of all connections. The first one needs no more than the connection.
    private var admittedCount = 0
    /// What leaves with the next write; a buffer of the worker's, held only while bytes are in it.
    var output: [UInt8] = []
    /// The streams whose exchanges connect to their servers at the end of the turn.
    var newcomers: [HTTP2Stream] = []
    /// The streams for which bytes wait although their window is open, in the order of their turns.
    var turns: [HTTP2Stream] = []
    /// Slots of streams that are over while much waits for the socket. A client that does not read gets no more streams than its limit.
    private var unreleased: [Int] = []
    /// The bytes of an unfinished head that count among those that wait on this worker.
    private var countedHeadBytes = 0
    /// Monotonic milliseconds: when the connection began, the last stream ended, or the state began.
    var waitingSince: Int64
    /// Monotonic milliseconds: when a field block, or the client's preface, began to come in pieces; `.max` while none does.
    var headSince: Int64
    /// Monotonic milliseconds: when the client last took pending bytes, or bytes began to be pending.
    var lastProgressAt: Int64
    /// Monotonic milliseconds: when DATA of any stream was last written.
    var lastDataAt: Int64 = 0
    /// When GOAWAY names the last stream; `.max` before the first GOAWAY and after that.
    var leavesAt = Int64.max

    override init(_ arrival: Arrival, clients: DownstreamWorker) {
        let now = clients.worker.now
        number = clients.takeSharedConnectionNumber()
        session = Session(limits: arrival.terms.sessionLimits, now: now)
        (waitingSince, headSince, lastProgressAt) = (now, now, now)
        super.init(arrival, clients: clients)
        readLimitBytes = HTTP2Connection.readLimit
    }

    /// Begins to serve: our SETTINGS are the first bytes, and do not wait for the client's.
    func begin() {
        // Bytes of the TLS handshake may be pending, and HEADERS does not wait for them to leave.
        writeControl(evenWhilePending: true)
        flush()
        if clients.isDraining { drain() }
        wake(atMilliseconds: nextDeadline)
    }

    override package func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        guard state == .serving else { return }
        var offset = 0
        do throws(SessionError) {
            while let event = try session.next(UnsafeRawBufferPointer(bytes), from: &offset, now: worker.now) {
                handle(event, bytes)
                guard state == .serving else { return }
            }
        } catch {
            return fail(error)
        }
        countHead(session.heldBytes)
        if !session.isInsideHead {
            headSince = .max
        } else if headSince == .max {
            headSince = worker.now
            wake(atMilliseconds: nextDeadline)
        }
        // A client has used up its numbers, or most of a budget.
        if session.isLeaving { beginToLeave() }
        if session.hasControl { worker.atEndOfTurn(self) }
    }

    private func countHead(_ count: Int) {
        guard count != countedHeadBytes else { return }
        worker.countHeld(count - countedHeadBytes)
        countedHeadBytes = count
    }

    private func handle(_ event: SessionEvent, _ bytes: UnsafeMutableRawBufferPointer) {
        switch event {
        case .request(let slot, let isLast):
            headSince = .max
            beginRequest(slot, isLast: isLast)
        case .data(let slot, let range, let isLast): receiveBody(slot, bytes, range, isLast: isLast)
        case .trailers(let slot): receiveTrailers(slot)
        case .reset(let slot, let code): streams[slot]?.left(.streamReset(HTTP2Code(code)))
        case .failed(let slot, let code, let reason): streams[slot]?.left(.brokeRulesOfHTTP2(HTTP2Code(code), reason))
        case .windowOpened(let slot): windowOpened(slot)
        case .goAway:
            flags.insert(.clientLeaves)
            if streamCount == 0 { endInOrder(.noError) }
        case .pong:
            if leavesAt < .max { nameLastStream() }
        }
    }

    // MARK: Streams

    func add(_ stream: HTTP2Stream) {
        while streams.count <= stream.slot { streams.append(nil) }
        streams[stream.slot] = stream
        streamCount += 1
        if admittedCount == 0 || clients.counts.admitFurtherStream() { admittedCount += 1 } else { stream.flags.insert(.isAboveLimit) }
        flags.insert(.hasServed)
        guard streamCount >= terms.sessionLimits.maximumStreams, !flags.contains(.isFull) else { return }
        flags.insert(.isFull)
        clients.handler.connectionFull(true)
    }

    /// A stream's exchange is over and its last byte is written, or dropped.
    func remove(_ stream: HTTP2Stream) {
        streams[stream.slot] = nil
        streamCount -= 1
        if !stream.flags.contains(.isAboveLimit), admittedCount > 0 {
            admittedCount -= 1
            if admittedCount > 0 { clients.counts.leaveFurtherStreams(1) }
        }
        if flags.contains(.isFull) {
            flags.remove(.isFull)
            clients.handler.connectionFull(false)
        }
        guard state == .serving else { return }
        if pendingCount > HTTP2Connection.muchPendingBytes {
            unreleased.append(stream.slot)
        } else {
            session.release(stream.slot)
        }
        worker.atEndOfTurn(self)
        guard streamCount == 0 else { return }
        if streams.count > HTTP2Connection.keptSlots { streams = [] }
        waitingSince = worker.now
        if flags.isDisjoint(with: [.clientLeaves, .hasSaidLastStream]), exceededLimit == nil { return wake(atMilliseconds: nextDeadline) }
        endInOrder(.noError)
    }

    // MARK: The end

    /// Ends the connection in good order: all that is written still goes out.
    func endInOrder(_ code: HTTP2ErrorCode) {
        guard state == .serving else { return }
        if !flags.contains(.hasSaidLastStream) { session.goAway(code, isFinal: true) }
        end()
    }

    func end() {
        writeControl(evenWhilePending: true)
        flush()
        guard isOpen, state != .closed else { return }
        state = .ending
        turns = []
        countHead(0)
        (waitingSince, lastProgressAt) = (worker.now, worker.now)
        shutdownWhenDrained()
        wake(atMilliseconds: nextDeadline)
    }

    /// The client broke a rule of the connection, which ends all its streams.
    private func fail(_ error: SessionError) {
        let departure = ClientDeparture.brokeRulesOfHTTP2(HTTP2Code(error.code), error.reason)
        if error.isAbuse { worker.warn("a client of HTTP/2 behaves like an attacker, and its connection is ended: \(error.reason)") }
        if streamCount == 0 { clients.handler.connectionFailed(from: peer, departure) }
        endStreams(departure)
        end()
    }

    /// Tells every exchange that its client is gone.
    func endStreams(_ departure: ClientDeparture) {
        // From here on the session is not asked any more.
        if state == .serving { state = .ending }
        for stream in streams { stream?.left(departure) }
        turns = []
    }

    func endStreamsAndClose(_ departure: ClientDeparture) {
        endStreams(departure)
        closeNow(abortively: true)
    }

    func closeNow(abortively: Bool = false) {
        guard state != .closed else { return }
        state = .closed
        (turns, streams) = ([], [])
        if admittedCount > 1 { clients.counts.leaveFurtherStreams(admittedCount - 1) }
        admittedCount = 0
        countHead(0)
        giveOutputBack()
        if abortively { abort() } else { close() }
        leave()
    }

    // MARK: What the link reports

    override package func linkReachedEnd() {
        guard state == .serving else {
            flags.insert(.clientHasEnded)
            return pendingCount == 0 ? closeNow() : ()
        }
        let place: ClientDeparture.Place = isInsideRecord ? .insideRecord : flags.contains(.clientLeaves) ? .afterGoAway : .betweenMessages
        state = .ending
        for stream in streams {
            guard let stream else { continue }
            stream.left(.ended(goodbye, stream.isRequestComplete || isInsideRecord ? place : .insideRequestBody))
        }
        closeNow()
    }

    override package func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        let isStalled = error.meansUnreachable && acknowledgedLately(within: timeouts.clientStallMilliseconds)
        endStreamsAndClose(
            isStalled
                ? .brokeWhileStalled(error, operation, isInsideRecord: isInsideRecord)
                : .broke(error, operation, isInsideRecord: isInsideRecord))
    }

    override package func linkSecurityFailed(_ failure: TLSFailure) {
        endStreamsAndClose(.tlsFailed(failure))
    }

    override package func deadlineReached() { someDeadlineReached() }

    override package func linkBeganToWait() {
        lastProgressAt = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    override package func linkProgressed(_ count: Int) { lastProgressAt = worker.now }

    override package func linkDrained() {
        guard state == .serving else {
            waitingSince = worker.now
            return flags.contains(.clientHasEnded) ? closeNow() : ()
        }
        for slot in unreleased { session.release(slot) }
        unreleased = []
        worker.atEndOfTurn(self)
    }

    override package func turnEnded() {
        super.turnEnded()
        guard isOpen, state == .serving else { return newcomers = [] }
        connectNewcomers()
        deliverBodies()
        serveTurns()
        guard state == .serving else { return }
        flush()
    }

    // MARK: The proxy ends, or needs the place

    var waitsForClientSince: Int64? { streamCount == 0 && state != .closed ? waitingSince : nil }

    /// Each stream ends at its own moment, and the connection after the last of them.
    func drain() {
        guard state == .serving else { return }
        beginToLeave()
        for stream in streams { stream?.receiver?.drain() }
    }

    /// The first of two steps: the client opens no more streams, and those that are on their way are served (section 6.8).
    private func beginToLeave() {
        guard leavesAt == .max, !flags.contains(.hasSaidLastStream) else { return }
        if !session.isLeaving { session.goAway(.noError, isFinal: false) }
        session.ping()
        leavesAt = worker.now + HTTP2Connection.leaveMilliseconds
        worker.atEndOfTurn(self)
        wake(atMilliseconds: nextDeadline)
    }

    func nameLastStream() {
        leavesAt = .max
        session.goAway(.noError, isFinal: true)
        flags.insert(.hasSaidLastStream)
        worker.atEndOfTurn(self)
        if streamCount == 0 { endInOrder(.noError) }
    }

    /// The grace period is over.
    func endGrace() {
        for stream in streams { stream?.receiver?.endGrace() }
        // The last lines and ends of these streams are written, as far as the socket takes them.
        writeControl(evenWhilePending: true)
        flush()
        // Their exchanges are over, and what still waits for a window is dropped.
        for stream in streams { stream?.finish() }
        closeNow()
    }

    override var speaksHTTP2: Bool { true }

    override func visitReceivers(_ body: (any RequestReceiver) -> Void) {
        for stream in streams { if let receiver = stream?.receiver { body(receiver) } }
    }
}
