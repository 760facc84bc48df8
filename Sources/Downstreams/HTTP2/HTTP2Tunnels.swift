// Tunnels on a stream (RFC 8441): a WebSocket of a browser that speaks HTTP/2. For the exchange and its server it is an upgrade of HTTP/1.

import HTTP
import HTTP2
import Reactor

extension HTTP2Stream {
    /// The server agreed: from now on bytes pass unchanged in both directions.
    func beginTunnel(_ response: consuming OutgoingResponse) {
        guard canSend else { return }
        connection.writeHead(response, of: self, isTunnel: true, isLast: false)
        connection.session.answered(slot)
        flags.insert(.isTunnel)
        readOn()
    }

    func passThroughTunnel(_ bytes: UnsafeRawBufferPointer, isLast: Bool, to receiver: any RequestReceiver) {
        let takesMore = bytes.isEmpty || receiver.received(tunnelled: bytes)
        // The exchange may be over.
        guard self.receiver != nil else { return }
        if takesMore { returnWindow() } else { flags.insert(.isBodyPaused) }
        if isLast { receiver.clientEndedTunnel() }
    }

    /// The server has ended its side.
    func endTunnelSending() { if canSend { _ = send([], isLast: true) } }

    /// One side has ended; the other must end before the stall deadline.
    func expectTunnelEnd() {
        flags.insert(.expectsTunnelEnd)
        bodySince = connection.worker.now
        connection.wake(atMilliseconds: nextDeadline)
    }
}
