// The log of events: a line for each event that was passed on and for each heartbeat, if the operator asks for it. A separate trace
// finds the events, after the write to the client. So a stream without this log pays one branch, and no event is late because of it.
// Invariant: a line says that its event was passed to the kernel or waits for it; and it shows no token.

import Configuration
import Credentials
import Downstreams
import EventStream
import Reactor
import Telemetry

/// One worker's access to the log of events.
final class EventLog {
    let lines: EventLines
    private let worker: Worker
    /// The time of day is read once a turn.
    private var turnAt = Int64.min
    private var unixMilliseconds: Int64 = 0

    init(_ writer: LogWriter, _ worker: Worker) {
        lines = EventLines(writer: writer)
        self.worker = worker
    }

    /// The log for a writer: the current one if it has that writer.
    static func replacing(_ present: EventLog?, by writer: LogWriter?, _ worker: Worker) -> EventLog? {
        guard let writer else { return nil }
        return present?.lines.writer === writer ? present : EventLog(writer, worker)
    }

    /// Milliseconds since 1970-01-01 UTC.
    var timeMilliseconds: Int64 {
        if worker.now != turnAt {
            turnAt = worker.now
            unixMilliseconds = worker.kernel.unixMilliseconds()
        }
        return unixMilliseconds
    }
}

/// Follows the events of one stream.
final class EventFollower {
    fileprivate var trace: EventTrace
    /// How many bytes of the server's body it has followed.
    fileprivate var followedBytes: UInt64
    /// When the last event was passed on; 0 before the first.
    fileprivate var lastEventAt: Int64 = 0

    init(_ trace: EventTrace, followedBytes: UInt64) {
        self.trace = trace
        self.followedBytes = followedBytes
    }
}

extension Exchange {

    /// Whether the stream's events are written to the log of events: the route says so, or the operator has switched it.
    var logsEvents: Bool {
        guard let route = route?.route else { return false }
        return proxy.eventLogSwitches.isEmpty ? route.logsEvents : proxy.eventLogSwitches[route.name] ?? route.logsEvents
    }

    /// Follows the events from here on; nil if nobody wants that, or if the stream is compressed.
    func newFollower(isWanted: Bool) -> EventFollower? {
        guard isWanted, notWovenBecause != .compressed else { return nil }
        return EventFollower(EventTrace(following: weaver.scanner), followedBytes: account.bytesFromUpstream)
    }

    /// Makes a line for each event that ended within these bytes of the server, which were passed on just now.
    func logEvents(of bytes: Span<UInt8>, in log: EventLog, isWanted: Bool, _ following: inout EventFollower?) {
        guard isWanted, let follower = following, follower.followedBytes == account.bytesFromUpstream - UInt64(bytes.count) else {
            // Somebody began to look while the stream ran: the lines begin with the next event.
            following = weaver.isBetweenEvents ? newFollower(isWanted: isWanted) : nil
            return
        }
        follower.followedBytes = account.bytesFromUpstream
        // Bytes that could no longer be written were not passed on.
        guard let sink, sink.isConnected else { return }
        var offset = 0
        while follower.trace.next(in: bytes, from: &offset) {
            let event = EventRecord(
                stream: identifier, number: follower.trace.number, byteCount: follower.trace.byteCount,
                sincePreviousMilliseconds: follower.lastEventAt == 0 ? nil : now - follower.lastEventAt,
                pendingBytes: sink.waitingCount)
            follower.lastEventAt = now
            let (type, identifier) = (follower.trace.type.span, follower.trace.identifier.span)
            log.lines.add(
                event, timeMilliseconds: log.timeMilliseconds,
                type: type, type.isEmpty ? .absent : known(of: type, isCut: follower.trace.isTypeTruncated),
                identifier: identifier,
                !follower.trace.hasIdentifier ? .absent : known(of: identifier, isCut: follower.trace.isIdentifierTruncated))
        }
    }

    /// Makes the line of a heartbeat that was sent just now.
    func logHeartbeat(byteCount: Int, now: Int64, in log: EventLog) {
        guard let sink, sink.isConnected else { return }
        log.lines.add(
            HeartbeatRecord(
                stream: identifier, number: UInt64(account.heartbeats), byteCount: byteCount,
                silenceMilliseconds: now - account.lastClientByteAt,
                pendingBytes: sink.waitingCount),
            timeMilliseconds: log.timeMilliseconds)
    }

    /// What may be logged of a text that the server chose: nothing if it holds the request's token.
    private func known(of text: Span<UInt8>, isCut: Bool) -> ServerText {
        if account.token?.echo.isHeard(in: text, isCut: isCut) == true { return .withheld }
        return isCut ? .beginning : .whole
    }
}
