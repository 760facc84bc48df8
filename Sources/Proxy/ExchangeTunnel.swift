// An exchange that became a tunnel (RFC 9110 section 7.8): a WebSocket, or whatever client and server agreed upon. The
// proxy understands nothing of it; it passes bytes on, slows the faster side down and sees to it that both say goodbye.

import Configuration
import Downstreams
import HTTP
import Reactor
import Telemetry
import Upstreams

extension Exchange {
    /// The upstream agreed to another protocol: from now on bytes pass in both directions as they are.
    func startTunnel(_ head: ResponseHead) {
        guard let sink, let upstream else { return }
        guard let request, head.switches(toOneOf: request.offeredProtocols) else {
            return serverFailed(SeenFailure(.brokeRules, evidence: "a 101 to a protocol that was not asked for"))
        }
        account.responseMilliseconds = UInt32(clamping: now - request.sentAt)
        self.request = nil
        account.status = 101
        flags.formUnion([.isTunnel, .responseHeadSent])
        sink.beginTunnel(ResponseForwarding.switchingProtocols(head, writesVia: route?.route.writesVia ?? true))
        probeServer()
        upstream.readLimitBytes = UInt32(clamping: settings.configuration.limits.pendingBytesPerStream)
    }

    /// The server's bytes in a tunnel.
    func receiveFromTunnel(_ bytes: UnsafeRawBufferPointer) {
        guard let sink, let upstream else { return }
        account.sentToClient(bytes.count, now: now)
        guard !sink.sendThroughTunnel(bytes), mayWait() else { return }
        upstream.pause(for: .slowClient)
    }

    /// The client's bytes in a tunnel. Returns whether more can be taken.
    func received(tunnelled bytes: UnsafeRawBufferPointer) -> Bool {
        account.requestBytes += UInt64(bytes.count)
        upstream?.send(bytes)
        guard let upstream, upstream.pendingCount > 0 else { return true }
        return !mayWait()
    }

    /// The client has ended its side of a tunnel.
    func clientEndedTunnel() { tunnelEnded(.clientEnded) }

    /// The server has ended its sending in a tunnel.
    func serverEndedTunnel() { tunnelEnded(.upstreamEnded) }

    /// One side of a tunnel has ended its sending; the other is told, and when both have the tunnel is over.
    func tunnelEnded(_ side: Flags) {
        flags.insert(side)
        if flags.isSuperset(of: [.clientEnded, .upstreamEnded]) { return finish(nil, .complete) }
        if side == .clientEnded { upstream?.shutdownWhenDrained() } else { sink?.endTunnelSending() }
        // The other side may say goodbye, but not stay for ever.
        sink?.expectTunnelEnd()
    }

    /// One side said goodbye and the other did not.
    func tunnelOverdue(afterMilliseconds limit: Int) {
        let ending =
            flags.contains(.clientEnded)
            ? Ending(cause: .upstreamSilent, evidence: "did not end a tunnel within \(limit) ms of its client")
            : Ending(cause: .clientStalled, evidence: "did not end a tunnel within \(limit) ms of its server")
        finish(ending, .complete)
    }
}
