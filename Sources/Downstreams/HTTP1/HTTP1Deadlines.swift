// How long a client may keep the proxy waiting in each state of its connection, and what happens then.

import Configuration
import Reactor

extension HTTP1Connection {
    /// A running request keeps its own timeouts; between requests the newest hold.
    var timeouts: Timeouts { (receiver == nil ? clients.terms : terms).timeouts }

    /// When the current wait ends, in monotonic milliseconds; `.max` without one.
    var nextDeadline: Int64 {
        let timeouts = self.timeouts
        switch state {
        case .idle:
            // A new connection must send a request; a used one may be idle.
            let patience = flags.contains(.hasServed) ? Int64(timeouts.keepAliveMilliseconds) : requestHeadMilliseconds
            return min(waitingSince + patience, clients.newcomersUntil)
        case .readingHead: return min(waitingSince + requestHeadMilliseconds, clients.newcomersUntil)
        case .exchanging:
            var deadline = Int64.max
            if pendingCount > 0 || flags.contains(.expectsTunnelEnd) { deadline = min(deadline, stallDeadline) }
            if !isRequestComplete, !isReadingPaused {
                deadline = min(deadline, waitingSince + Int64(timeouts.requestBodyMilliseconds))
            }
            return deadline
        case .flushing, .closing: return stallDeadline
        case .lingering where pendingCount > 0: return stallDeadline
        case .lingering: return min(stallDeadline, waitingSince + Self.lingerMilliseconds)
        case .closed: return .max
        }
    }

    /// How long a request's head may take.
    var requestHeadMilliseconds: Int64 {
        let usual = Int64(timeouts.requestHeadMilliseconds)
        return flags.isDisjoint(with: .exceeds) ? usual : min(usual, Arrival.excessMilliseconds)
    }

    /// When the client's next action is overdue.
    var stallDeadline: Int64 { stallsSince + Int64(timeouts.clientStallMilliseconds) }

    private var stallsSince: Int64 {
        switch state {
        // If nothing is pending, the wait began with the state.
        case .closing, .lingering: pendingCount > 0 ? lastProgressAt : waitingSince
        default: flags.contains(.expectsTunnelEnd) ? waitingSince : lastProgressAt
        }
    }

    func exchangeDeadlineReached(now: Int64) {
        guard let receiver else { return }
        if pendingCount > 0, now >= stallDeadline {
            receiver.clientLeft(stallDeparture())
        } else if flags.contains(.expectsTunnelEnd), now >= stallDeadline {
            receiver.tunnelOverdue(afterMilliseconds: timeouts.clientStallMilliseconds)
        } else if !isRequestComplete {
            receiver.refuse(.bodyTimeout(milliseconds: timeouts.requestBodyMilliseconds))
        }
    }

    /// Only the kernel knows whether a client that takes nothing still exists.
    private func stallDeparture() -> ClientDeparture {
        let stall = timeouts.clientStallMilliseconds
        if let view = transportInformation, view.retransmits > 0, view.sinceLastAcknowledgementMilliseconds >= UInt32(clamping: stall / 2) {
            return .vanished(
                unacknowledgedMilliseconds: view.sinceLastAcknowledgementMilliseconds, retransmits: view.retransmits)
        }
        return .stalled(waitingBytes: pendingCount, milliseconds: worker.now - lastProgressAt)
    }

    /// Whether the client has acknowledged something recently. The kernel gives up a client that does not answer, and also one that
    /// answers but takes nothing.
    var acknowledgedLately: Bool {
        guard let view = transportInformation else { return false }
        return view.sinceLastAcknowledgementMilliseconds < UInt32(clamping: timeouts.clientStallMilliseconds) / 2
    }
}
