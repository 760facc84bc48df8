// Tunnels on a stream (RFC 8441): a WebSocket of a browser that speaks HTTP/2. For the exchange and its server it is an upgrade of HTTP/1.

import HTTP
import HTTP2
import Reactor

extension HTTP2Connection {
    /// Whether one of the session's fields is the pseudo-field of a tunnel (RFC 8441).
    var asksForTunnel: Bool {
        let fields = session.fields
        return fields.fields.contains { $0.name.count == 9 && fields.bytes[$0.name].elementsEqual(":protocol".utf8) }
    }

    private static let base64Characters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// 16 random bytes in Base64, as a client of HTTP/1 would send them (RFC 6455 section 4.1). The server proves with them that it speaks
    /// WebSocket.
    func webSocketKey() -> [UInt8] {
        var key = [UInt8](repeating: 0, count: 22)
        key.withUnsafeMutableBytes { worker.kernel.fillRandom($0) }
        for index in 0..<21 { key[index] = HTTP2Connection.base64Characters[Int(key[index] & 63)] }
        // The last character holds two bits of the sixteenth byte.
        key[21] = HTTP2Connection.base64Characters[Int(key[21] & 0x30)]
        return key + Array("==".utf8)
    }
}

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
