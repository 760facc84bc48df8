// The request's side of a client's connection: heads become exchanges, bodies go on to them piece by piece, and bytes that cannot be
// used yet are put aside. Invariant: bytes put aside are read again when nothing else is in progress.

import Configuration
import HTTP
import Reactor

extension HTTP1Connection {
    /// Whether the whole current request has been received.
    var isRequestComplete: Bool { requestBody.isEnded }

    /// The exchange can take (more of) the request's body.
    func requestCanGoOn() {
        guard state == .exchanging, receiver != nil else { return }
        if flags.contains(.isTunnel) || !isRequestComplete { continueAtTurnEnd() }
    }

    /// Bytes put aside are read again when nothing else is in progress, so that no call nests in itself.
    func continueAtTurnEnd() {
        flags.insert(.awaitsTurnEnd)
        worker.atEndOfTurn(self)
    }

    func takesBytes(of receiver: any RequestReceiver) -> Bool {
        (isRequestComplete && !flags.contains(.isTunnel)) || receiver.takesRequestBody
    }

    func receiveHead(_ bytes: UnsafeMutableRawBufferPointer) {
        let limits = clients.terms.requestLimits
        do {
            guard let received = try takeHead(UnsafeRawBufferPointer(bytes), limits: limits) else {
                if lacksRoomForPartialHead { return answer(.noRoom(waitingBytes: worker.pendingBytes)) }
                if state == .idle, partialHead?.hasBegun == true {
                    state = .readingHead
                    waitingSince = worker.now
                    wake(atMilliseconds: nextDeadline)
                }
                return
            }
            beginExchange(received.head)
            receiveBody(bytes, from: received.consumed)
        } catch {
            answer(.brokeRules(error))
        }
    }

    private func beginExchange(_ head: RequestHead) {
        takeNoticeOfReload()
        state = .exchanging
        waitingSince = worker.now
        flags = .hasServed
        if head.minorVersion == 0 { flags.insert(.isHTTP10) }
        if head.keepsAlive { flags.insert(.requestKeepsAlive) }
        if head.upgradeProtocol != nil { flags.insert(.asksForUpgrade) }
        requestBody = BodyRelay(framing: head.framing)
        if head.framing == .none {
            // A request without a body is complete already; this call makes the decoder notice it.
            _ = requestBody.take(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        }
        let receiver = clients.handler.makeReceiver(for: head, from: .http1(self))
        self.receiver = receiver
        receiver.begin(head)
    }

    func receiveBody(_ bytes: UnsafeMutableRawBufferPointer, from start: Int) {
        guard start < bytes.count else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
        guard state == .exchanging, let receiver else {
            // The exchange ended within its first call: the rest is the next request, or nothing.
            if state == .idle || state == .flushing { putAside(rest) }
            if state == .idle { continueAtTurnEnd() }
            return
        }
        if flags.contains(.isTunnel) {
            guard receiver.takesRequestBody else { return putAside(rest) }
            if !receiver.received(tunnelled: rest) { pauseReading() }
            return
        }
        guard !isRequestComplete, receiver.takesRequestBody else { return putAside(rest) }
        waitingSince = worker.now
        let piece = requestBody.take(bytes, from: start)
        if let error = piece.error { return receiver.refuse(.brokeRules(error)) }
        let remainder = bytes.count - piece.consumed
        if remainder > 0 {
            // Copied before the piece is framed, because the frame's end may overwrite the bytes behind it.
            putAside(UnsafeRawBufferPointer(rebasing: bytes[piece.consumed...]))
            // Without room for them the exchange may be over.
            guard self.receiver != nil else { return }
        }
        guard !piece.payload.isEmpty || piece.isLast else { return }
        if !receiver.received(body: piece.payload, isLast: piece.isLast), !piece.isLast { pauseReading() }
    }

    /// Answers a request that could not be read, or a connection above a limit.
    func answer(_ failure: RequestFailure) {
        forgetHeldBytes()
        state = .exchanging
        flags = []
        // The end of the request is unknown, so the connection lingers and closes.
        requestBody = BodyRelay(framing: .untilClose)
        let receiver = clients.handler.makeReceiver(for: nil, from: .http1(self))
        self.receiver = receiver
        receiver.refuse(failure)
    }
}
