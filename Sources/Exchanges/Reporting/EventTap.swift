// One stream whose events somebody watches now: the lines of the event log, for one stream, into a bounded queue that the console
// empties. Invariant: a stream that nobody watches pays nothing; an event is never late because of it.

import EventStream
import Telemetry

/// The events of one watched stream.
final class EventTap {
    /// How many bytes of lines wait for the console; what comes above that is dropped and counted.
    private static let capacityBytes = 65_536

    /// The exchange's number.
    let number: UInt64
    let log: EventLog
    /// Finds the stream's events; nil until the stream is between two of them.
    var follower: EventFollower?

    init(number: UInt64, _ proxy: ExchangeWorker) {
        self.number = number
        log = EventLog(LogWriter(sink: NoSink(), capacityBytes: EventTap.capacityBytes) { 0 }, proxy.worker)
    }
}

/// The console takes the lines out of the queue itself.
private struct NoSink: LogSink {
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool { true }
    func reopen() -> Bool { true }
}

extension ExchangeWorker {
    /// Begins to follow the events of an exchange for the console, if they are not followed already.
    package func watch(_ number: UInt64) {
        guard !taps.contains(where: { $0.number == number }) else { return }
        taps.append(EventTap(number: number, self))
        observers.formUnion(.tap)
    }

    /// Ends that.
    package func unwatch(_ number: UInt64) {
        taps.removeAll { $0.number == number }
        if taps.isEmpty { observers.subtract(.tap) }
    }

    /// The lines about the events of a watched exchange since this was asked last, and how many more there were.
    package func takeWatched(_ number: UInt64) -> (lines: [UInt8], dropped: UInt64) {
        guard let tap = taps.first(where: { $0.number == number }) else { return ([], 0) }
        return tap.log.lines.writer.takeLines()
    }
}
