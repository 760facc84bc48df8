// One stream of HTTP/2 from a client: the sink of one exchange. Invariant: what it sends is in one order: head, bytes that waited, bytes
// that come, end. While bytes wait, nothing overtakes them.

import HTTP
import HTTP2
import Reactor

/// One request's stream, and its response's way.
package final class HTTP2Stream {
    struct Flags: OptionSet {
        let rawValue: UInt16
        /// END_STREAM is written.
        static let hasEnded = Flags(rawValue: 1)
        /// When nothing waits any more, END_STREAM follows.
        static let endsWhenSent = Flags(rawValue: 2)
        /// When nothing waits any more, the stream is reset: its response is incomplete and stays so.
        static let breaksWhenSent = Flags(rawValue: 4)
        /// The request is malformed: the exchange's answer is RST_STREAM.
        static let isMalformed = Flags(rawValue: 8)
        /// It stands in `turns`.
        static let hasTurn = Flags(rawValue: 16)
        /// The exchange has got all of the request's body.
        static let requestIsComplete = Flags(rawValue: 32)
        /// The exchange takes no more of the body until it asks.
        static let isBodyPaused = Flags(rawValue: 64)
        /// The exchange asks for more of the body.
        static let wantsBody = Flags(rawValue: 128)
        /// The body that was put aside is its last part.
        static let putAsideIsLast = Flags(rawValue: 256)
        /// The request asks for a tunnel (RFC 8441): what comes behind it is no body.
        static let asksForTunnel = Flags(rawValue: 512)
        /// Bytes pass in both directions as they are.
        static let isTunnel = Flags(rawValue: 1024)
        /// One side of the tunnel has ended.
        static let expectsTunnelEnd = Flags(rawValue: 2048)
        /// Nobody knows how long the response's body is.
        static let isOpenEnded = Flags(rawValue: 4096)
        /// It is one more than the limit of all connections allows.
        static let isAboveLimit = Flags(rawValue: 8192)
        /// With one of them no more of the body may be sent.
        static let sendsNoMore = Flags(rawValue: hasEnded.rawValue | endsWhenSent.rawValue | isMalformed.rawValue)
    }

    let connection: HTTP2Connection
    let slot: Int
    var flags: Flags = []
    /// Nil once the exchange has ended its response; then only bytes may wait.
    var receiver: (any RequestReceiver)?
    /// Payload that waits for a window or for the socket, from `waitingStart` on.
    private var waiting: [UInt8] = []
    private var waitingStart = 0
    /// Received body that the exchange did not take yet.
    var putAside: [UInt8] = []
    /// How many bytes of the body the exchange has, whose window is not given back yet.
    var unreturnedBytes = 0
    /// How many bytes of the body are still to come; nil where the request does not say.
    var missingBodyBytes: UInt64?
    /// When the exchange wants to be asked; `.max` for never.
    var exchangeDeadline = Int64.max
    /// Monotonic milliseconds: when the client last sent some of the body, or one side of the tunnel ended.
    var bodySince: Int64
    /// Monotonic milliseconds: when the client last took some of the waiting bytes, or bytes began to wait.
    var lastProgressAt: Int64

    init(_ connection: HTTP2Connection, slot: Int) {
        self.connection = connection
        self.slot = slot
        bodySince = connection.worker.now
        lastProgressAt = bodySince
    }

    // MARK: The response

    /// Begins the response: its head, and the beginning of its body where that is known. Both leave in one write at the end of the turn.
    func begin(_ response: consuming OutgoingResponse, opening: [UInt8]?) {
        guard canSend else { return }
        let body = response.body
        let isLast =
            switch body {
            case .none: true
            case .whole(let bytes): bytes.isEmpty
            case .length(let length): length == 0
            case .untilEnd: false
            }
        // A page in place of a tunnel must not look like one.
        connection.writeHead(response, of: self, isTunnel: flags.contains(.asksForTunnel), isLast: isLast)
        connection.session.answered(slot)
        if isLast { flags.insert(.hasEnded) }
        if case .untilEnd = body { flags.insert(.isOpenEnded) }
        if case .whole(let bytes) = body, !bytes.isEmpty {
            _ = send(bytes, isLast: true)
        } else if let opening {
            _ = send(opening, isLast: false)
        }
    }

    /// Sends an interim response's head.
    func sendInterim(_ response: consuming OutgoingResponse) {
        if canSend { connection.writeHead(response, of: self, isTunnel: false, isLast: false) }
    }

    /// Sends a piece of the body with room in front of it. Returns whether all that was sent is on its way to the socket.
    @inline(__always)
    func sendBody(_ payload: UnsafeMutableRawBufferPointer, isLast: Bool) -> Bool {
        if !isLast, waitingCount == 0, flags.isDisjoint(with: .sendsNoMore), connection.writeWhole(payload, of: self) { return true }
        return send(UnsafeRawBufferPointer(payload), isLast: isLast)
    }

    /// Sends a piece of the body. Returns whether all that was sent is on its way to the socket.
    func send(_ payload: UnsafeRawBufferPointer, isLast: Bool) -> Bool {
        guard canSend, !flags.contains(.endsWhenSent) else { return waitingCount == 0 }
        guard waitingCount == 0 else {
            wait(payload, isLast: isLast)
            return false
        }
        guard connection.write(payload, of: self, isLast: isLast) == payload.count else { return false }
        if isLast { flags.insert(.hasEnded) }
        return true
    }

    func send(_ bytes: [UInt8], isLast: Bool) -> Bool { bytes.withUnsafeBytes { send($0, isLast: isLast) } }

    var canSend: Bool {
        connection.state == .serving && flags.isDisjoint(with: [.hasEnded, .isMalformed]) && !connection.session.isClosed(slot)
    }

    /// How many bytes wait for the client.
    var waitingCount: Int { waiting.count - waitingStart }

    /// Ends the response. The exchange is over.
    func end(_ end: ResponseEnd) {
        receiver = nil
        exchangeDeadline = .max
        dropBody()
        guard connection.state == .serving else { return finish() }
        switch end {
        case .complete where flags.contains(.isMalformed): reset(.protocolError)
        case .complete where waitingCount > 0: flags.insert(.endsWhenSent)
        case .complete:
            if canSend { _ = send([], isLast: true) }
            finish()
        case .truncated where waitingCount > 0: flags.insert(.breaksWhenSent)
        case .truncated, .reset: reset(.internalError)
        case .abandoned: reset(.cancel)
        }
    }

    private func reset(_ code: HTTP2ErrorCode) {
        connection.session.reset(slot, code)
        finish()
    }

    /// Drops what waits, and leaves its connection. The exchange is over.
    func finish() {
        precondition(receiver == nil, "an exchange has a stream for as long as it lives")
        dropWaiting()
        connection.remove(self)
    }

    /// The client is gone, or has reset the stream.
    func left(_ departure: ClientDeparture) {
        guard let receiver else { return finish() }
        receiver.clientLeft(departure)
    }

    // MARK: What waits

    func keep(_ bytes: UnsafeRawBufferPointer) {
        if waitingCount == 0 { lastProgressAt = connection.worker.now }
        waiting.append(contentsOf: bytes)
    }

    /// Gives the first bytes that wait to `body`, and forgets them; also whether END_STREAM stands on them.
    func withWaiting(_ count: Int, _ body: (UnsafeRawBufferPointer, _ isLast: Bool) -> Void) {
        let isLast = count == waitingCount && flags.contains(.endsWhenSent)
        waiting.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[waitingStart..<(waitingStart + count)]), isLast) }
        if isLast { flags.insert(.hasEnded) }
        lastProgressAt = connection.worker.now
        connection.worker.countHeld(-count)
        waitingStart += count
        guard waitingCount == 0 else { return }
        waiting = []
        waitingStart = 0
    }

    func dropWaiting() {
        connection.worker.countHeld(-waitingCount)
        waiting = []
        waitingStart = 0
    }
}
