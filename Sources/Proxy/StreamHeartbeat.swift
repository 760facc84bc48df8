// When a stream needs a sign of life, and the giving of it. Where one may stand is the weaver's knowledge; here is only
// the clock. A heartbeat says nothing of the upstream, so none of the upstream's times are touched.

import Configuration
import Downstreams
import EventStream
import Reactor

extension Exchange {
    /// When the client will have heard nothing for the route's interval; `.max` where no heartbeat is ever due.
    var nextHeartbeatAt: Int64 {
        guard isStream, notWovenBecause == nil, let route else { return .max }
        return account.lastClientByteAt + route.heartbeatMilliseconds
    }

    /// Sends a heartbeat if one is due and may be placed; returns when to look again.
    func beat(now: Int64) -> Int64 {
        let due = nextHeartbeatAt
        guard due < .max, let sink, let route, let heartbeat = route.heartbeat else { return .max }
        guard now >= due else { return due }
        if account.heartbeats == 0 { probeServer() }
        let placement = weaver.placement
        // Bytes that the client does not take are not helped by more of them.
        guard placement != .nowhere, sink.waitingCount == 0 else {
            if placement == .nowhere { account.noteUnplaceable(now: now) }
            return now + route.heartbeatMilliseconds
        }
        let bytes = heartbeat.bytes(at: placement, hasIdentifier: weaver.hasIdentifier)
        sink.send(own: bytes)
        weaver.didWeave()
        account.heartbeats &+= 1
        if let log = proxy.eventLog { logHeartbeat(byteCount: bytes.count, now: now, in: log) }
        account.sentToClient(bytes.count, now: now)
        return nextHeartbeatAt
    }
}
