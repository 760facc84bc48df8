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
            let patience = flags.contains(.hasServed) ? Int64(timeouts.keepAliveMilliseconds) : requestHeadMilliseconds(of: timeouts)
            return min(waitingSince + patience, clients.newcomersUntil)
        case .readingHead: return min(waitingSince + requestHeadMilliseconds(of: timeouts), clients.newcomersUntil)
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

    /// When the client's next action is overdue.
    var stallDeadline: Int64 { stallsSince + Int64(timeouts.clientStallMilliseconds) }

    /// When the wait for the client's next action began.
    var stallsSince: Int64 {
        switch state {
        // If nothing is pending, the wait began with the state.
        case .closing, .lingering: pendingCount > 0 ? lastProgressAt : waitingSince
        default: flags.contains(.expectsTunnelEnd) ? waitingSince : lastProgressAt
        }
    }

    func exchangeDeadlineReached(now: Int64) {
        guard let receiver else { return }
        if pendingCount > 0, now >= stallDeadline {
            receiver.clientLeft(
                stallDeparture(waitingBytes: pendingCount, since: lastProgressAt, stallMilliseconds: timeouts.clientStallMilliseconds))
        } else if flags.contains(.expectsTunnelEnd), now >= stallDeadline {
            receiver.tunnelOverdue(afterMilliseconds: timeouts.clientStallMilliseconds)
        } else if !isRequestComplete {
            receiver.refuse(.bodyTimeout(milliseconds: timeouts.requestBodyMilliseconds))
        }
    }
}
