// One connection from a client, on the server's side of HTTP/1.1. It is in one state at a time, which decides how it reacts to reports
// of the link and the worker. HTTP1Requests.swift reads requests, HTTP1Responses.swift writes responses; the receiver interprets a
// request. Invariant: at most one request at a time. Bytes that cannot be used yet are put aside, never more than one read, and then
// nothing more is read.

import Configuration
import HTTP
import Reactor

/// A connection from a client that speaks HTTP/1.
package final class HTTP1Connection: ClientConnection {
    //            a byte of a head        a whole head           the response is whole, and bytes of it wait
    //   idle ───────────────────▶ readingHead ─────▶ exchanging ─────────────────────────▶ flushing ──┐
    //    ▲                                              │  │                                          │
    //    └──────────── kept alive ──────────────────────┘  └─ not kept alive ─▶ closing, lingering ◀──┤
    //    └────────────────────────────── all is taken ────────────────────────────────────────────────┘

    enum State: UInt8 {
        /// No byte of a request has come.
        case idle
        case readingHead
        case exchanging
        /// The response is complete, and its last bytes wait for the kernel; the next request waits for that.
        case flushing
        /// Everything is sent except the last bytes, which wait for the kernel.
        case closing
        /// Our sending half is shut down. Received bytes are dropped, so that no reset overtakes the last answer.
        case lingering
        case closed
    }

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let isHTTP10 = Flags(rawValue: 1)
        static let requestKeepsAlive = Flags(rawValue: 2)
        static let responseKeepsAlive = Flags(rawValue: 4)
        static let expectsTunnelEnd = Flags(rawValue: 8)
        static let endsByClosing = Flags(rawValue: 16)
        static let awaitsTurnEnd = Flags(rawValue: 32)
        /// A request has been read on this connection.
        static let hasServed = Flags(rawValue: 64)
        /// Its request is still read.
        static let isHeard = Flags(rawValue: 512)
        /// Bytes behind the current request were dropped, so no further request can be read.
        static let discardsInput = Flags(rawValue: 1024)
        /// Bytes pass in both directions as they are.
        static let isTunnel = Flags(rawValue: 4096)
        /// The current request asked for another protocol.
        static let asksForUpgrade = Flags(rawValue: 8192)
    }

    static let lingerMilliseconds: Int64 = 2000
    private static let lingerBytes: UInt32 = 1 << 20

    var state = State.idle
    var outgoingFraming = OutgoingFraming.none
    var flags: Flags = []
    private var lingeredBytes: UInt32 = 0
    /// A withheld response head, which goes out with the body's beginning.
    var withheldHead: [UInt8] = []
    var partialHead: PartialHead?
    var receiver: (any RequestReceiver)?
    var requestBody = BodyRelay(framing: .none)
    var putAside: [UInt8] = []
    /// Monotonic milliseconds: when the current state, or the wait for bytes in it, began.
    var waitingSince: Int64
    /// Monotonic milliseconds: when the client last took pending bytes, or bytes began to be pending.
    var lastProgressAt: Int64

    override init(_ arrival: Arrival, clients: DownstreamWorker) {
        if case .heard = arrival.admission { flags.insert(.isHeard) }
        waitingSince = clients.worker.now
        lastProgressAt = waitingSince
        super.init(arrival, clients: clients)
    }

    /// Begins to serve, or tells the client which limit it exceeds.
    func begin() {
        if !flags.contains(.isHeard), let limit = exceededLimit { return answer(.tooMany(limit)) }
        wake(atMilliseconds: nextDeadline)
    }

    // MARK: Closing

    func closeNow(abortively: Bool = false) {
        guard state != .closed else { return }
        state = .closed
        forgetHeldBytes()
        // A close-delimited response whose rest is dropped must not end in good order.
        if abortively || (pendingCount > 0 && flags.contains(.endsByClosing)) { abort() } else { close() }
        leave()
    }

    /// Sends the last bytes and closes. If the client may still be sending, that is read and dropped first: closing with unread bytes
    /// would reset the connection and could destroy the answer.
    func closeGracefully(lingers: Bool) {
        state = lingers ? .lingering : .closing
        waitingSince = worker.now
        forgetHeldBytes()
        shutdownWhenDrained()
        if lingers { resumeReading() } else if pendingCount == 0 { return closeNow() }
        wake(atMilliseconds: nextDeadline)
    }

    // MARK: Deadlines

    override package func deadlineReached() {
        let now = worker.now
        var next = Int64.max
        if state == .exchanging, let receiver { next = receiver.deadlineReached(now: now) }
        // The timer may have been set for something else, or been postponed since.
        let deadline = nextDeadline
        guard now >= deadline else { return wake(atMilliseconds: min(next, deadline)) }
        switch state {
        case .idle, .lingering: closeNow()
        case .readingHead where now >= clients.newcomersUntil: closeNow()
        case .readingHead: answer(.headTimeout(milliseconds: requestHeadMilliseconds(of: timeouts)))
        case .exchanging: exchangeDeadlineReached(now: now)
        case .flushing, .closing: closeNow(abortively: true)
        case .closed: return
        }
    }

    // MARK: What the link and the worker report

    override package func turnEnded() {
        super.turnEnded()
        guard isOpen, flags.contains(.awaitsTurnEnd) else { return }
        flags.remove(.awaitsTurnEnd)
        let bytes = takePutAside()
        waitingSince = worker.now
        redeliver(bytes)
        guard isOpen, state == .idle || state == .readingHead || state == .exchanging, putAside.isEmpty else { return }
        if receiver.map({ takesBytes(of: $0) }) ?? true { resumeReading() }
        wake(atMilliseconds: nextDeadline)
    }

    override package func linkSecurityFailed(_ failure: TLSFailure) {
        guard let receiver, state == .exchanging else { return closeNow(abortively: true) }
        receiver.clientLeft(.tlsFailed(failure))
    }

    override package func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        switch state {
        case .idle, .readingHead:
            receiveHead(bytes)
        case .exchanging:
            receiveBody(bytes, from: 0)
        case .flushing: putAside(UnsafeRawBufferPointer(bytes))
        case .lingering:
            lingeredBytes += UInt32(bytes.count)
            if lingeredBytes > Self.lingerBytes { closeNow() }
        case .closing, .closed:
            return
        }
    }

    override package func linkReachedEnd() {
        switch state {
        case .lingering where pendingCount > 0: state = .closing
        case .idle, .lingering: closeNow()
        case .flushing: state = .closing
        case .readingHead: answer(.brokeRules(.truncatedHead))
        case .exchanging:
            guard let receiver else { return closeNow() }
            if flags.contains(.isTunnel) { return receiver.clientEndedTunnel() }
            receiver.clientLeft(
                .ended(goodbye, isInsideRecord ? .insideRecord : isRequestComplete ? .betweenMessages : .insideRequestBody))
        case .closing, .closed:
            return
        }
    }

    override package func linkPeerLeft(isBroken: Bool) {
        guard let receiver, state == .exchanging else {
            if state == .flushing, !isBroken { return state = .closing }
            if state != .closing || isBroken { closeNow() }
            return
        }
        if isBroken, let error = worker.kernel.connectionError(of: descriptor) {
            return linkFailed(error, while: .reading)
        }
        // While its request is not completely read, the client may only have ended its sending.
        guard isRequestComplete, !flags.contains(.isTunnel) else { return }
        receiver.clientLeft(.ended(.plain, .betweenMessages))
    }

    override package func linkFailed(_ error: SystemError, while operation: LinkOperation) {
        guard let receiver, state == .exchanging else { return closeNow(abortively: true) }
        if error.meansUnreachable, acknowledgedLately(within: timeouts.clientStallMilliseconds) {
            return receiver.clientLeft(.brokeWhileStalled(error, operation, isInsideRecord: isInsideRecord))
        }
        receiver.clientLeft(.broke(error, operation, isInsideRecord: isInsideRecord))
    }

    override package func linkBeganToWait() {
        lastProgressAt = worker.now
        wake(atMilliseconds: nextDeadline)
    }

    override package func linkProgressed(_ count: Int) { lastProgressAt = worker.now }

    override package func linkDrained() {
        switch state {
        case .exchanging: receiver?.clientDrained()
        case .flushing:
            if flags.contains(.discardsInput) {
                closeGracefully(lingers: true)
            } else if clients.isDraining {
                closeGracefully(lingers: false)
            } else {
                awaitRequest()
            }
        case .closing: closeNow()
        case .lingering:
            waitingSince = worker.now
            wake(atMilliseconds: nextDeadline)
        case .idle, .readingHead, .closed: return
        }
    }

    // MARK: The proxy ends, or needs the place

    var waitsForClientSince: Int64? {
        switch state {
        case .idle, .readingHead: waitingSince
        case .flushing, .closing, .lingering: stallsSince
        case .exchanging, .closed: nil
        }
    }

    /// Accepts no further request; an exchange may finish.
    func drain() {
        switch state {
        case .idle where flags.contains(.hasServed): closeNow()
        case .idle, .readingHead: wake(atMilliseconds: nextDeadline)
        case .exchanging: receiver?.drain()
        case .flushing, .closing, .lingering, .closed: return
        }
    }

    /// The grace period is over.
    func endGrace() {
        receiver?.endGrace()
        closeNow()
    }

    override func visitReceivers(_ body: (any RequestReceiver) -> Void) {
        if let receiver { body(receiver) }
    }
}
