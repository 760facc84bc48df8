// The clocks of a connection and of its streams. One deadline of the link serves them all: when it comes, all streams that are due are
// asked in one turn, and what they send leaves in one write.

import Configuration
import HTTP2
import Reactor

extension HTTP2Connection {
    /// Between requests the newest timeouts hold.
    var timeouts: Timeouts { (streamCount == 0 ? clients.terms : terms).timeouts }

    /// When the connection's or a stream's current wait ends, in monotonic milliseconds; `.max` without one.
    var nextDeadline: Int64 {
        var next = ownDeadline
        for stream in streams { if let stream { next = min(next, stream.nextDeadline) } }
        return next
    }

    private var ownDeadline: Int64 {
        let timeouts = self.timeouts
        switch state {
        case .serving:
            var next = leavesAt
            if pendingCount > 0 { next = min(next, lastProgressAt + Int64(timeouts.clientStallMilliseconds)) }
            if headSince < .max { next = min(next, headSince + requestHeadMilliseconds(of: timeouts)) }
            guard streamCount == 0 else { return next }
            // A new connection must send a request; a used one may be idle.
            let isUsed = flags.contains(.hasServed)
            let patience = isUsed ? Int64(timeouts.keepAliveMilliseconds) : requestHeadMilliseconds(of: timeouts)
            return min(next, waitingSince + patience, isUsed ? .max : clients.newcomersUntil)
        case .ending where pendingCount > 0: return lastProgressAt + Int64(timeouts.clientStallMilliseconds)
        case .ending: return waitingSince + HTTP2Connection.lingerMilliseconds
        case .closed: return .max
        }
    }

    func someDeadlineReached() {
        let now = worker.now
        if state == .serving {
            for stream in streams where stream?.nextDeadline ?? .max <= now {
                stream?.deadlineReached(now: now)
                guard state == .serving else { break }
            }
        }
        guard isOpen, state != .closed else { return }
        if now >= ownDeadline { ownDeadlineReached(now: now) }
        wake(atMilliseconds: nextDeadline)
    }

    private func ownDeadlineReached(now: Int64) {
        guard state == .serving else { return closeNow(abortively: pendingCount > 0) }
        let timeouts = self.timeouts
        let stall = timeouts.clientStallMilliseconds
        if pendingCount > 0, now >= lastProgressAt + Int64(stall) {
            let departure = stallDeparture(waitingBytes: pendingCount, since: lastProgressAt, stallMilliseconds: stall)
            endStreamsAndClose(departure)
        } else if now >= leavesAt {
            nameLastStream()
        } else if headSince < .max, now >= headSince + requestHeadMilliseconds(of: timeouts) {
            // A field block that never ends stops all streams of its connection.
            let departure = ClientDeparture.headTimeout(milliseconds: requestHeadMilliseconds(of: timeouts))
            if streamCount == 0 { clients.handler.connectionFailed(from: peer, departure) }
            session.goAway(.noError, isFinal: true)
            endStreams(departure)
            end()
        } else {
            endInOrder(.noError)
        }
    }
}

extension HTTP2Stream {
    private var stallMilliseconds: Int64 { Int64(connection.timeouts.clientStallMilliseconds) }
    private var bodyMilliseconds: Int { connection.timeouts.requestBodyMilliseconds }

    /// Asks the exchange at that moment, or earlier.
    func wake(atMilliseconds moment: Int64) {
        exchangeDeadline = min(moment, exchangeDeadline)
        connection.wake(atMilliseconds: moment)
    }

    /// When something of this stream is due; `.max` for nothing.
    var nextDeadline: Int64 {
        var next = exchangeDeadline
        if waitingCount > 0 { next = min(next, stalledSince + stallMilliseconds) }
        if flags.contains(.expectsTunnelEnd), receiver != nil { next = min(next, tunnelOverdueAt) }
        if awaitsBody { next = min(next, bodySince + Int64(bodyMilliseconds)) }
        return next
    }

    /// Since when its client takes nothing of it. A stream that holds little of the connection's window, and whose own window is open,
    /// waits for its neighbours' bytes to be taken.
    private var stalledSince: Int64 {
        let waitsForOthers =
            connection.session.streamRoom(of: slot) > 0 && connection.session.inFlight(of: slot) < HTTP2Connection.halfWindow
        return waitsForOthers ? max(lastProgressAt, connection.lastDataAt) : lastProgressAt
    }

    private var tunnelOverdueAt: Int64 { bodySince + stallMilliseconds }

    /// Whether it is the client that owes the next bytes of the body.
    private var awaitsBody: Bool {
        receiver != nil && !isRequestComplete && putAside.isEmpty && !flags.contains(.isBodyPaused)
    }

    func deadlineReached(now: Int64) {
        if now >= exchangeDeadline, let receiver {
            exchangeDeadline = .max
            let next = receiver.deadlineReached(now: now)
            guard self.receiver != nil else { return }
            exchangeDeadline = min(next, exchangeDeadline)
        }
        if waitingCount > 0, now >= stalledSince + stallMilliseconds {
            left(
                connection.stallDeparture(
                    waitingBytes: waitingCount, since: stalledSince, stallMilliseconds: connection.timeouts.clientStallMilliseconds))
        } else if flags.contains(.expectsTunnelEnd), receiver != nil, now >= tunnelOverdueAt {
            receiver?.tunnelOverdue(afterMilliseconds: Int(stallMilliseconds))
        } else if awaitsBody, now >= bodySince + Int64(bodyMilliseconds) {
            receiver?.refuse(.bodyTimeout(milliseconds: bodyMilliseconds))
        }
    }
}
