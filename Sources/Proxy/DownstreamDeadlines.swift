// How long a client may keep the proxy waiting, in each state of its connection, and what is concluded when it has.

import Configuration
import Reactor
import Telemetry

extension DownstreamConnection {
    /// What an exchange began with holds for it; between exchanges the newest holds.
    var timeouts: Timeouts { (exchange?.settings ?? proxy.settings).configuration.timeouts }

    /// When the present wait is over, in monotonic milliseconds; `.max` while there is none.
    var nextDeadline: Int64 {
        let timeouts = self.timeouts
        switch state {
        case .securing: return min(waitingSince + handshakeMilliseconds, proxy.newcomersUntil)
        case .idle:
            // A new connection owes a request; one that has served may rest.
            let patience = flags.contains(.hasServed) ? Int64(timeouts.keepAliveMilliseconds) : requestHeadMilliseconds
            return min(waitingSince + patience, proxy.newcomersUntil)
        case .readingHead: return min(waitingSince + requestHeadMilliseconds, proxy.newcomersUntil)
        case .exchanging:
            var deadline = Int64.max
            // Past its moment a stream waits for its server to end the event; nothing can be done about that at any time.
            if let exchange, exchange.endsAt > worker.now { deadline = exchange.endsAt }
            if pendingCount > 0 || flags.contains(.expectsTunnelEnd) { deadline = min(deadline, stallDeadline) }
            if !isRequestComplete, !isReadingPaused {
                deadline = min(deadline, waitingSince + Int64(timeouts.requestBodyMilliseconds))
            }
            return deadline
        case .flushing, .closing: return stallDeadline
        case .lingering where pendingCount > 0: return stallDeadline
        case .lingering: return min(stallDeadline, waitingSince + DownstreamConnection.lingerMilliseconds)
        case .closed: return .max
        }
    }

    /// How long those who are too many are listened to, with each thing that they owe.
    static let excessMilliseconds: Int64 = 2_000

    /// How long a request's head may take.
    var requestHeadMilliseconds: Int64 { patience(usual: timeouts.requestHeadMilliseconds) }

    /// How long a TLS handshake may take.
    var handshakeMilliseconds: Int64 { patience(usual: timeouts.handshakeMilliseconds) }

    private func patience(usual: Int) -> Int64 {
        flags.isDisjoint(with: .exceeds) ? Int64(usual) : min(Int64(usual), DownstreamConnection.excessMilliseconds)
    }

    /// When what the client has to take, or to say, is overdue.
    var stallDeadline: Int64 { stallsSince + Int64(timeouts.clientStallMilliseconds) }

    private var stallsSince: Int64 {
        switch state {
        // Nothing may be pending any more; then the wait began with the state.
        case .closing, .lingering: pendingCount > 0 ? lastProgressAt : waitingSince
        default: flags.contains(.expectsTunnelEnd) ? waitingSince : lastProgressAt
        }
    }

    func exchangeDeadlineReached(now: Int64) {
        guard let exchange else { return }
        if pendingCount > 0, now >= stallDeadline {
            exchange.clientLeft(stallEnding())
        } else if flags.contains(.expectsTunnelEnd), now >= stallDeadline {
            exchange.tunnelOverdue(afterMilliseconds: timeouts.clientStallMilliseconds)
        } else if !isRequestComplete {
            exchange.refuse(
                Refusal(
                    status: 408, cause: .requestTimeout,
                    evidence: "no byte of the request's body within \(timeouts.requestBodyMilliseconds) ms"))
        }
    }

    /// Whether a client that takes nothing is there at all is known to the kernel only.
    func stallEnding() -> Ending {
        let stall = timeouts.clientStallMilliseconds
        let view = worker.kernel.transportInformation(of: descriptor)
        if let view, view.retransmits > 0, view.sinceLastAcknowledgementMilliseconds >= UInt32(clamping: stall / 2) {
            return Ending(
                cause: .clientVanished,
                evidence: "nothing acknowledged for \(view.sinceLastAcknowledgementMilliseconds) ms, \(view.retransmits) retransmissions")
        }
        return Ending(cause: .clientStalled, evidence: "took none of \(pendingCount) pending bytes for \(worker.now - lastProgressAt) ms")
    }

    /// The kernel gives up both a client that answers nothing and one that answers but takes nothing.
    func unreachableCause() -> Cause {
        guard let view = worker.kernel.transportInformation(of: descriptor) else { return .clientVanished }
        let stall = UInt32(clamping: timeouts.clientStallMilliseconds)
        return view.sinceLastAcknowledgementMilliseconds < stall / 2 ? .clientStalled : .clientVanished
    }
}
