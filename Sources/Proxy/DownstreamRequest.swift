// The request's side of a client's connection: heads become exchanges, bodies go on to them piece by piece, and what cannot
// be used yet is put aside. Invariant: what was put aside is looked at again when nothing else is under way.

import Configuration
import HTTP
import Reactor
import Telemetry

extension DownstreamConnection {
    /// Whether all of the present request has been received.
    var isRequestComplete: Bool { requestBody.isEnded }

    /// The exchange can take (more of) the request's body.
    func requestCanGoOn() {
        guard state == .exchanging, let exchange else { return }
        if exchange.isTunnel || !isRequestComplete { continueAtTurnEnd() }
    }

    /// What was put aside is looked at again when nothing else is under way, so that no call nests in itself.
    func continueAtTurnEnd() {
        flags.insert(.awaitsTurnEnd)
        worker.atEndOfTurn(self)
    }

    func takesBytes(of exchange: Exchange) -> Bool {
        if exchange.isTunnel { return exchange.upstream?.pendingCount == 0 }
        return isRequestComplete || exchange.takesRequestBody
    }

    func receiveHead(_ bytes: UnsafeMutableRawBufferPointer) {
        let limits = proxy.settings.requestLimits
        do {
            guard let received = try takeHead(UnsafeRawBufferPointer(bytes), limits: limits) else {
                if let full = refusalOfPartialHead { return answer(full, to: nil) }
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
            answer(Refusal(error), to: nil)
        }
    }

    func beginExchange(_ head: RequestHead) {
        takeNoticeOfReload()
        state = .exchanging
        waitingSince = worker.now
        flags.formIntersection(.lasting)
        flags.insert(.hasServed)
        if head.minorVersion == 0 { flags.insert(.isHTTP10) }
        if head.keepsAlive { flags.insert(.requestKeepsAlive) }
        requestBody = BodyRelay(framing: head.framing)
        if head.framing == .none {
            // A request without a body is whole already; the decoder is told by being asked.
            _ = requestBody.take(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        }
        if isTrusted { forwardedClient = RequestForwarding.lastForwardedClient(head) }
        let exchange = Exchange(proxy: proxy, downstream: self, head: head)
        self.exchange = exchange
        exchange.start(head)
    }

    func receiveBody(_ bytes: UnsafeMutableRawBufferPointer, from start: Int) {
        guard start < bytes.count else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
        guard state == .exchanging, let exchange else {
            // The exchange ended within its first call: what follows is the next request, or nothing.
            if state == .idle || state == .flushing { putAside(rest) }
            if state == .idle { continueAtTurnEnd() }
            return
        }
        if exchange.isTunnel {
            guard takesBytes(of: exchange) else { return putAside(rest) }
            exchange.sendThroughTunnel(rest)
            if exchange.upstream.map({ $0.pendingCount > 0 }) == true { pauseReading() }
            return
        }
        guard !isRequestComplete, exchange.takesRequestBody else { return putAside(rest) }
        waitingSince = worker.now
        let piece = requestBody.take(bytes, from: start)
        if let error = piece.error { return exchange.refuse(Refusal(error)) }
        let remainder = bytes.count - piece.consumed
        if remainder > 0 {
            // Copied before the piece is framed, because its end may be written over what follows it.
            putAside(UnsafeRawBufferPointer(rebasing: bytes[piece.consumed...]))
        }
        if !piece.payload.isEmpty || piece.isLast { exchange.sendRequestBody(piece.payload, isLast: piece.isLast) }
        if exchange.upstream.map({ $0.pendingCount > 0 }) == true, exchange.mayWait(), !piece.isLast { pauseReading() }
    }

    /// Answers a request that could not be read, or a connection that may not have one.
    func answer(_ refusal: Refusal, to head: RequestHead?) {
        forgetHeldBytes()
        state = .exchanging
        flags.formIntersection(.hasUnknownClient)
        let exchange = Exchange(proxy: proxy, downstream: self, head: head)
        self.exchange = exchange
        // Nothing that came is trusted to be the end of the request, so the connection lingers and closes.
        requestBody = BodyRelay(framing: .untilClose)
        exchange.refuse(refusal)
    }
}
