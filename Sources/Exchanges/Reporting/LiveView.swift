// What a console sees of one worker's streams: the latest lines about them, the causes of the last hour, and the streams that run now,
// looked at in slices so that no turn of the worker takes long. Nothing of it is kept for a stream. Invariant: one look visits a bounded
// number of endpoints.

import Downstreams
import EventStream
import Reactor
import Telemetry

/// The lines and causes of one worker, for its console.
struct LiveView {
    var tail = StreamTail()
    var causes = CauseHour()
}

extension ExchangeWorker {
    /// How many endpoints one look visits, and how many where their texts are asked for.
    private static let visits = 1_000
    private static let describedVisits = 200

    /// The latest lines about streams after that number; nothing without a console.
    package func tail(after known: UInt64) -> TailPart {
        live?.tail.lines(after: known) ?? TailPart()
    }

    /// How the streams of the last hour ended.
    package var causesOfTheHour: CauseHour {
        var causes = live?.causes ?? CauseHour()
        causes.advance(toMilliseconds: worker.kernel.unixMilliseconds())
        return causes
    }

    /// Looks at the streams from a place on. Returns the place to go on from, or nil when all have been seen.
    package func look(from place: Int, describing: Bool, into part: inout StreamPart) -> Int? {
        let next = clients.visitReceivers(from: place, atMost: describing ? Self.describedVisits : Self.visits) { receiver in
            guard let exchange = receiver as? Exchange, exchange.isStream else { return }
            part.states.append(exchange.streamState)
            if describing { part.openings.append(exchange.presentOpening) }
        }
        part.isLast = next == nil
        return next
    }
}

extension ExchangeWorker {
    // MARK: What the operator does

    /// Looks for a stream from a place on, and ends it at the next boundary of its events. Returns whether it was found, and where to go
    /// on looking; nil when all have been seen.
    package func endStream(_ number: UInt64, from place: Int) -> (isFound: Bool, next: Int?) {
        var isFound = false
        let next = clients.visitReceivers(from: place, atMost: Self.visits) { receiver in
            guard let exchange = receiver as? Exchange, exchange.number == number, exchange.isStream else { return }
            isFound = true
            exchange.endForOperator()
        }
        return (isFound, next)
    }

    /// Switches the event log of a route on or off, until the next reload.
    package func switchEventLog(ofRoute name: String, on isOn: Bool) { eventLogSwitches[name] = isOn }
}

extension Exchange {
    /// The stream's numbers now.
    fileprivate var streamState: StreamState {
        StreamState(
            stream: StreamIdentifier(worker: proxy.worker.number, number: number), events: weaver.scanner.eventCount,
            heartbeats: account.heartbeats, lastUpstreamByteAt: account.lastUpstreamByteAt, lastClientByteAt: account.lastClientByteAt,
            pendingBytes: sink?.waitingCount ?? 0, isHeld: isHeld)
    }
}
