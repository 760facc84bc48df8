// An exchange that became a tunnel (RFC 9110 section 7.8): a WebSocket, or any other protocol of client and server. The proxy does not
// interpret it; it passes bytes on, slows the faster side down (backpressure), and makes sure that both sides end.

import Configuration
import Downstreams
import HTTP
import Telemetry
import Upstreams

extension Exchange {
    /// The server agreed to another protocol: from now on bytes pass unchanged in both directions.
    func startTunnel(_ head: ResponseHead, _ request: PendingRequest) {
        guard let sink, let upstream else { preconditionFailure("a tunnel has two sides") }
        guard head.switches(toOneOf: request.offeredProtocols) else {
            return serverFailed(SeenFailure(.brokeRules, evidence: "a 101 to a protocol that was not asked for"))
        }
        account.responseMilliseconds = UInt32(clamping: now - request.sentAt)
        account.status = 101
        enter(.tunnelling(.open))
        sink.beginTunnel(
            ResponseForwarding.switchingProtocols(head, cookies: request.serviceCookies, writesVia: route?.route.writesVia ?? true))
        source.probe()
        upstream.readAtMost(bytes: settings.configuration.limits.pendingBytesPerStream)
    }

    /// The server's bytes in a tunnel.
    func receiveFromTunnel(_ bytes: UnsafeRawBufferPointer) {
        guard let sink else { preconditionFailure("a tunnel has two sides") }
        account.sentToClient(bytes.count, now: now)
        guard !sink.sendThroughTunnel(bytes), mayWait() else { return }
        source.pause()
    }

    /// The client's bytes in a tunnel. Returns whether more can be taken.
    func received(tunnelled bytes: UnsafeRawBufferPointer) -> Bool {
        guard let upstream else { preconditionFailure("a tunnel has two sides") }
        account.requestBytes += UInt64(bytes.count)
        if upstream.sendThroughTunnel(bytes) { return true }
        return !mayWait()
    }

    /// The client has ended its sending. This is passed on to its server, which may end in good order, but not stay without limit.
    func clientEndedTunnel() {
        guard case .tunnelling(let tunnel) = phase else { preconditionFailure("a tunnel's end comes in a tunnel") }
        switch tunnel {
        case .open:
            enter(.tunnelling(.clientEnded))
            upstream?.endTunnelSending()
            sink?.expectTunnelEnd()
        case .serverEnded: finish(nil, .complete)
        case .clientEnded: return
        }
    }

    /// The server has ended its sending.
    func serverEndedTunnel() {
        guard case .tunnelling(let tunnel) = phase else { preconditionFailure("a tunnel's end comes in a tunnel") }
        switch tunnel {
        case .open:
            enter(.tunnelling(.serverEnded))
            sink?.endTunnelSending()
            sink?.expectTunnelEnd()
        case .clientEnded: finish(nil, .complete)
        case .serverEnded: return
        }
    }

    /// One side has ended and the other has not.
    func tunnelOverdue(afterMilliseconds limit: Int) {
        guard case .tunnelling(let tunnel) = phase else { preconditionFailure("a tunnel is overdue") }
        let ending =
            tunnel == .clientEnded
            ? Ending(cause: .upstreamSilent, evidence: "did not end a tunnel within \(limit) ms of its client")
            : Ending(cause: .clientStalled, evidence: "did not end a tunnel within \(limit) ms of its server")
        finish(ending, .complete)
    }
}
